//! Llama 2, 3, SmolLM, SmolLM2, TinyLlama and others of the same layout: the plainest decoder.

use anyhow::Result;
use serde_json::json;

use super::reader::{Config, used};
use super::{Family, rope};
use crate::keys::Rule::Harmless;
use crate::keys::Table;
use crate::model::spec::{Biases, Sizes, Spec};

pub(super) const FAMILY: Family = Family { name: "llama", keys: &KEYS, read };

const KEYS: Table = Table {
    what: "the configuration of a llama model",
    remedy: "a newer Ballast may know it",
    rules: &[
        used("attention_bias"),
        used("mlp_bias"),
        used("rope_interleaved"),
        ("is_llama_config", Harmless("says what model_type says")),
    ],
};

fn read(config: &Config<'_>) -> Result<Spec> {
    config.must_be("rope_interleaved", &json!(false), "llama models turn half-split pairs")?;
    let attention = config.flag("attention_bias", false)?;
    Ok(Spec { biases: Biases { qkv: attention, o: attention, feed_forward: config.flag("mlp_bias", false)? }, ..plain("llama", config)? })
}

/// What most families share: the sizes under their usual keys, RMS norm, one rotary table, SiLU.
pub(super) fn plain(family: &'static str, config: &Config<'_>) -> Result<Spec> {
    let (hidden, heads) = (config.size("hidden_size")?, config.size("num_attention_heads")?);
    let sizes = Sizes {
        hidden,
        intermediate: config.size("intermediate_size")?,
        layers: config.size("num_hidden_layers")?,
        heads,
        kv_heads: config.whole("num_key_value_heads")?.unwrap_or(heads),
        head_dim: config.whole("head_dim")?.unwrap_or(hidden / heads.max(1)),
        vocabulary: config.size("vocab_size")?,
    };
    let activation = config.text("hidden_act")?.unwrap_or("silu");
    anyhow::ensure!(
        matches!(activation, "silu" | "swish"),
        "{}: `hidden_act` is `{activation}`, which is not supported: a {family} model here has `silu`",
        config.place()
    );
    Ok(Spec {
        rms_eps: config.real("rms_norm_eps")?.unwrap_or(1e-6),
        rope: rope::single(config, 10_000.0)?,
        max_positions: config.whole("max_position_embeddings")?.unwrap_or(2048),
        tied: config.flag("tie_word_embeddings", false)?,
        ..Spec::new(family, sizes)
    })
}
