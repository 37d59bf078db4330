//! Qwen2, Qwen2.5, Qwen2.5-Coder: llama with biases on q, k and v. Qwen3: none, and heads of q and k normed before they turn.

use anyhow::Result;
use serde_json::json;

use super::Family;
use super::llama::{Defaults, plain, sliding_layers, windows};
use super::reader::{Config, used};
use super::rope::{self, RopeDefaults};
use crate::keys::Rule::Harmless;
use crate::keys::Table;
use crate::model::spec::{Biases, LayerAttention, QueryKeyNorm, QueryKeyNorms, Spec};

pub(super) const QWEN2: Family = Family { name: "qwen2", keys: &KEYS, read: qwen2 };
pub(super) const QWEN3: Family = Family { name: "qwen3", keys: &KEYS, read: qwen3 };

/// The language models inside the Qwen models that see.
pub(super) const QWEN2_VL_TEXT: Family = Family { name: "qwen2_vl_text", keys: &KEYS, read: qwen2 };
pub(super) const QWEN2_5_VL_TEXT: Family = Family { name: "qwen2_5_vl_text", keys: &KEYS, read: qwen2 };
pub(super) const QWEN3_VL_TEXT: Family = Family { name: "qwen3_vl_text", keys: &KEYS, read: qwen3 };

const KEYS: Table = Table {
    what: "the configuration of a qwen model",
    remedy: "a newer Ballast may know it",
    rules: &[
        used("attention_bias"),
        used("use_sliding_window"),
        used("use_mrope"),
        used("layer_types"),
        used("sliding_window"),
        used("max_window_layers"),
        ("bos_token", Harmless("read with the tokenizer")),
    ],
};

/// Norms of each head of q and k before they are turned.
pub(super) const HEADS_BEFORE: QueryKeyNorms =
    QueryKeyNorms { place: QueryKeyNorm::BeforeRope, query: "self_attn.q_norm", key: "self_attn.k_norm" };

fn qwen2(config: &Config<'_>) -> Result<Spec> {
    // Written by some, read by none: biases are there, and `o` has none.
    let spec = plain("qwen2", config, Defaults { positions: 32_768, ..Defaults::PLAIN })?;
    Ok(Spec { biases: Biases { qkv: true, ..Biases::default() }, ..common(config, &spec)? })
}

fn qwen3(config: &Config<'_>) -> Result<Spec> {
    let spec = plain("qwen3", config, Defaults { positions: 32_768, head_dim: Some(128), ..Defaults::PLAIN })?;
    let bias = config.flag("attention_bias", false)?;
    Ok(Spec { query_key_norms: Some(HEADS_BEFORE), biases: Biases { qkv: bias, o: bias, feed_forward: false }, ..common(config, &spec)? })
}

fn common(config: &Config<'_>, spec: &Spec) -> Result<Spec> {
    config.must_be("use_mrope", &json!(false), "Ballast has no rotary embedding of three axes")?;
    let attention = if config.flag("use_sliding_window", false)? && config.get("sliding_window").is_some() {
        let first = config.whole("max_window_layers")?.unwrap_or(28);
        windows(config, &sliding_layers(config, spec.layers, |layer| layer >= first)?)?
    } else {
        // Checks what is written; without the switch nothing slides.
        sliding_layers(config, spec.layers, |_| false)?;
        vec![LayerAttention::FULL; spec.layers]
    };
    Ok(Spec { ropes: vec![rope::single(config, RopeDefaults::of(10_000.0))?], attention, ..spec.clone() })
}
