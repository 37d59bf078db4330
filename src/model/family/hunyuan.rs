//! Hunyuan dense: heads of q and k normed after they turn; the base of the rotary embedding raised by a fixed alpha.

use anyhow::{Result, ensure};

use super::Family;
use super::llama::{Defaults, plain};
use super::reader::{Config, used};
use super::rope::{self, RopeDefaults};
use crate::keys::Rule::Harmless;
use crate::keys::Table;
use crate::model::spec::{Biases, QueryKeyNorm, QueryKeyNorms, Rope, Spec};

pub(super) const FAMILY: Family = Family { name: "hunyuan_v1_dense", keys: &KEYS, read };

const KEYS: Table = Table {
    what: "the configuration of a hunyuan model",
    remedy: "a newer Ballast may know it",
    rules: &[
        used("attention_bias"),
        used("mlp_bias"),
        used("use_qk_norm"),
        used("use_cla"),
        used("attention_head_dim"),
        ("eod_token_id", Harmless("read with the tokenizer")),
        ("im_start_id", Harmless("read with the tokenizer")),
        ("im_end_id", Harmless("read with the tokenizer")),
        ("pad_id", Harmless("Ballast never pads")),
        ("org_vocab_size", Harmless("the embedding table says how many rows it has")),
        ("cla_share_factor", Harmless("read where use_cla is true, which is refused")),
        ("norm_type", Harmless("rms in every published dense model")),
        ("mask_init_id", Harmless("for images, which Ballast does not read")),
    ],
};

fn read(config: &Config<'_>) -> Result<Spec> {
    config.must_be("use_qk_norm", &serde_json::json!(true), "transformers norms queries and keys of every model of this family")?;
    config.must_be("use_cla", &serde_json::json!(false), "layers do not share keys and values here")?;
    config.must_be("mlp_bias", &serde_json::json!(false), "the feed-forward block has no biases")?;
    let spec = plain("hunyuan_v1_dense", config, Defaults { eps: 1e-5, head_dim: config.whole("attention_head_dim")?, ..Defaults::PLAIN })?;
    let bias = config.flag("attention_bias", false)?;
    Ok(Spec {
        ropes: vec![rope(config, spec.head_dim)?],
        query_key_norms: Some(QueryKeyNorms {
            place: QueryKeyNorm::AfterRope,
            query: "self_attn.query_layernorm",
            key: "self_attn.key_layernorm",
        }),
        biases: Biases { qkv: bias, o: bias, feed_forward: false },
        ..spec
    })
}

/// Labelled `dynamic`, but `alpha` makes it one table for all lengths: base · alpha^(d / (d - 2)).
fn rope(config: &Config<'_>, head_dim: usize) -> Result<Rope> {
    let reading = RopeDefaults::of(10_000.0);
    for key in ["rope_parameters", "rope_scaling"] {
        let place = format!("{}: {key}", config.place());
        let Some(part) = config.below(key, &place)? else { continue };
        let kind = part.text("rope_type")?.or(part.text("type")?);
        let Some(alpha) = part.real("alpha")?.filter(|alpha| kind == Some("dynamic") && *alpha != 0.0) else { continue };
        ensure!(alpha.is_finite() && alpha > 0.0 && head_dim > 2, "{place}: `alpha` is {alpha} for heads of {head_dim}");
        let plain = rope::plain(config, &part, reading)?;
        return Ok(Rope { theta: plain.theta * alpha.powf(head_dim as f64 / (head_dim as f64 - 2.0)), ..plain });
    }
    rope::single(config, reading)
}
