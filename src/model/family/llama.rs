//! Llama 2, 3, SmolLM, SmolLM2, TinyLlama and others of the same layout: the plainest decoder; and what the configurations
//! of most families share.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::reader::{Config, used};
use super::rope::RopeDefaults;
use super::{Family, rope};
use crate::keys::Rule::Harmless;
use crate::keys::Table;
use crate::model::spec::{Activation, Biases, LayerAttention, MOST_LAYERS, Sizes, Spec};

pub(super) const FAMILY: Family = Family { name: "llama", keys: &KEYS, read };

const KEYS: Table = Table {
    what: "the configuration of a llama model",
    remedy: "a newer Ballast may know it",
    rules: &[
        used("attention_bias"),
        used("mlp_bias"),
        used("rope_interleaved"),
        used("layer_types"),
        ("is_llama_config", Harmless("says what model_type says")),
    ],
};

fn read(config: &Config<'_>) -> Result<Spec> {
    config.must_be("rope_interleaved", &json!(false), "llama models turn half-split pairs")?;
    let attention = config.flag("attention_bias", false)?;
    let spec = plain("llama", config, Defaults::PLAIN)?;
    ensure!(!sliding_layers(config, spec.layers, |_| false)?.contains(&true), "{}: llama models have full attention alone", config.place());
    Ok(Spec {
        biases: Biases { qkv: attention, o: attention, feed_forward: config.flag("mlp_bias", false)? },
        ropes: vec![rope::single(config, RopeDefaults::of(10_000.0))?],
        ..spec
    })
}

/// What a family takes where its configuration is silent.
#[derive(Clone, Copy)]
pub(super) struct Defaults {
    pub(super) head_dim: Option<usize>,
    pub(super) eps: f64,
    pub(super) tied: bool,
    pub(super) positions: usize,
    /// The key of the activation, and its name.
    pub(super) activation: (&'static str, &'static str),
}

impl Defaults {
    pub(super) const PLAIN: Self = Self { head_dim: None, eps: 1e-6, tied: false, positions: 2048, activation: ("hidden_act", "silu") };
}

/// Sizes under their usual keys, the activation, the epsilon of norms. Rotary embedding and switches are the family's.
pub(super) fn plain(family: &'static str, config: &Config<'_>, defaults: Defaults) -> Result<Spec> {
    let (hidden, heads) = (config.size("hidden_size")?, config.size("num_attention_heads")?);
    let layers = config.size("num_hidden_layers")?;
    ensure!(layers <= MOST_LAYERS, "{}: {layers} layers are more than the {MOST_LAYERS} that any model has", config.place());
    let sizes = Sizes {
        hidden,
        intermediate: config.size("intermediate_size")?,
        layers,
        heads,
        kv_heads: config.whole("num_key_value_heads")?.unwrap_or(heads),
        head_dim: config.whole("head_dim")?.or(defaults.head_dim).unwrap_or(hidden / heads.max(1)),
        vocabulary: config.size("vocab_size")?,
    };
    let (key, default) = defaults.activation;
    let activation = match config.text(key)?.unwrap_or(default) {
        "silu" | "swish" => Activation::Silu,
        "gelu_pytorch_tanh" => Activation::GeluTanh,
        other => {
            anyhow::bail!("{}: `{key}` is `{other}`, which is not supported: Ballast implements silu and gelu_pytorch_tanh", config.place())
        }
    };
    Ok(Spec {
        rms_eps: config.real("rms_norm_eps")?.unwrap_or(defaults.eps),
        max_positions: config.whole("max_position_embeddings")?.unwrap_or(defaults.positions),
        tied: config.flag("tie_word_embeddings", defaults.tied)?,
        activation,
        ..Spec::new(family, sizes)
    })
}

/// Which layers slide: as `layer_types` says, or as the family does where it says nothing.
pub(super) fn sliding_layers(config: &Config<'_>, layers: usize, default: impl Fn(usize) -> bool) -> Result<Vec<bool>> {
    let Some(types) = config.get("layer_types") else { return Ok((0..layers).map(default).collect()) };
    let types = types.as_array().with_context(|| format!("{}: `layer_types` is not a list", config.place()))?;
    ensure!(types.len() == layers, "{}: `layer_types` is of {} layers, the model has {layers}", config.place(), types.len());
    let sliding = |kind: &serde_json::Value| match kind.as_str() {
        Some("full_attention") => Ok(false),
        Some("sliding_attention") => Ok(true),
        _ => anyhow::bail!("{}: `layer_types` names {kind}: Ballast has full_attention and sliding_attention", config.place()),
    };
    types.iter().map(sliding).collect()
}

/// Attention of layers that slide over `sliding_window` keys, or not, all with the first rotary table.
pub(super) fn windows(config: &Config<'_>, sliding: &[bool]) -> Result<Vec<LayerAttention>> {
    let window = config.whole("sliding_window")?;
    ensure!(window.is_some() || !sliding.contains(&true), "{}: layers slide, and `sliding_window` does not say how far", config.place());
    Ok(sliding.iter().map(|sliding| LayerAttention { window: window.filter(|_| *sliding), ..LayerAttention::FULL }).collect())
}
