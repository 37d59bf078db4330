//! Models of several modalities, by the language model inside them: its configuration is `text_config`, its tensors have a
//! prefix, and the other parts' tensors are left where they are. Ballast asks and trains with text alone.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::reader::{Config, used};
use super::{FAMILIES, Family};
use crate::keys::Rule::Harmless;
use crate::keys::Table;
use crate::model::spec::Spec;

/// A wrapper by its `model_type`.
pub(super) struct Wrapper {
    pub(super) name: &'static str,
    /// Families that the language model inside may be of; the first where it does not say.
    inside: &'static [&'static str],
    other_parts: &'static [&'static str],
}

const VISION: &[&str] = &["vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector."];
const VISUAL: &[&str] = &["visual.", "model.visual."];

pub(super) const WRAPPERS: &[Wrapper] = &[
    Wrapper { name: "mistral3", inside: &["mistral", "ministral3"], other_parts: VISION },
    Wrapper { name: "gemma3", inside: &["gemma3_text"], other_parts: VISION },
    Wrapper { name: "qwen2_vl", inside: &["qwen2_vl_text"], other_parts: VISUAL },
    Wrapper { name: "qwen2_5_vl", inside: &["qwen2_5_vl_text"], other_parts: VISUAL },
    Wrapper { name: "qwen3_vl", inside: &["qwen3_vl_text"], other_parts: VISUAL },
];

const IMAGES: &str = "for images, which Ballast does not read";

const KEYS: Table = Table {
    what: "the configuration of a model of several modalities",
    remedy: "a newer Ballast may know it",
    rules: &[
        used("text_config"),
        ("vision_config", Harmless(IMAGES)),
        ("image_token_index", Harmless(IMAGES)),
        ("image_token_id", Harmless(IMAGES)),
        ("video_token_id", Harmless(IMAGES)),
        ("vision_start_token_id", Harmless(IMAGES)),
        ("vision_end_token_id", Harmless(IMAGES)),
        ("vision_token_id", Harmless(IMAGES)),
        ("boi_token_index", Harmless(IMAGES)),
        ("eoi_token_index", Harmless(IMAGES)),
        ("boi_token_id", Harmless(IMAGES)),
        ("eoi_token_id", Harmless(IMAGES)),
        ("mm_tokens_per_image", Harmless(IMAGES)),
        ("projector_hidden_act", Harmless(IMAGES)),
        ("multimodal_projector_bias", Harmless(IMAGES)),
        ("spatial_merge_size", Harmless(IMAGES)),
        ("vision_feature_layer", Harmless(IMAGES)),
    ],
};

/// The language model inside.
pub(super) fn read(wrapper: &Wrapper, config: &Config<'_>) -> Result<Spec> {
    config.check(&KEYS)?;
    let place = format!("{}: text_config", config.place());
    let text = config.below("text_config", &place)?.with_context(|| format!("{} has no `text_config`", config.place()))?;
    let mut inside: Map<String, Value> = text.entries().clone();
    // Said outside by some: a head of its own or not.
    if let (None, Some(tied)) = (text.get("tie_word_embeddings"), config.get("tie_word_embeddings")) {
        inside.insert("tie_word_embeddings".to_owned(), tied.clone());
    }
    let text = Config::new(&place, &inside);
    let name = text.text("model_type")?.unwrap_or(wrapper.inside[0]);
    if !wrapper.inside.contains(&name) {
        bail!("{place}: a {} model of `{name}` is not supported: {} are", wrapper.name, wrapper.inside.join(", "));
    }
    let family: &Family = FAMILIES.iter().find(|family| family.name == name).with_context(|| format!("{place}: `{name}`"))?;
    text.check(family.keys)?;
    Ok(Spec { other_parts: wrapper.other_parts, path: "model.language_model", ..(family.read)(&text)? })
}
