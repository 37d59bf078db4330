//! Gemma 2 and 3: embeddings times the root of their width, norms held without their one and on both sides of each block,
//! GELU, sliding layers. Gemma 2 caps scores and logits; Gemma 3 norms heads and has a rotary table per layer type.

use anyhow::{Result, ensure};
use serde_json::json;

use super::Family;
use super::llama::{Defaults, plain, sliding_layers, windows};
use super::qwen::HEADS_BEFORE;
use super::reader::{Config, used};
use super::rope::{self, RopeDefaults};
use crate::keys::Rule::Harmless;
use crate::keys::Table;
use crate::model::spec::{Activation, Biases, LayerAttention, Norms, Rope, Spec};

pub(super) const GEMMA2: Family = Family { name: "gemma2", keys: &KEYS, read: gemma2 };
pub(super) const GEMMA3: Family = Family { name: "gemma3_text", keys: &KEYS, read: gemma3 };

const KEYS: Table = Table {
    what: "the configuration of a gemma model",
    remedy: "a newer Ballast may know it",
    rules: &[
        used("hidden_activation"),
        used("attention_bias"),
        used("query_pre_attn_scalar"),
        used("sliding_window"),
        used("sliding_window_pattern"),
        used("_sliding_window_pattern"),
        used("layer_types"),
        used("final_logit_softcapping"),
        used("attn_logit_softcapping"),
        used("use_bidirectional_attention"),
        used("rope_local_base_freq"),
        ("hidden_act", Harmless("hidden_activation is what is read")),
        ("cache_implementation", Harmless("how transformers keeps keys and values")),
    ],
};

/// Norms on both sides of each block.
const SANDWICH: Norms = Norms {
    before_attention: Some("input_layernorm"),
    after_attention: Some("post_attention_layernorm"),
    before_feed_forward: Some("pre_feedforward_layernorm"),
    after_feed_forward: Some("post_feedforward_layernorm"),
    plus_one: true,
};

fn common(family: &'static str, config: &Config<'_>, positions: usize) -> Result<Spec> {
    let defaults =
        Defaults { head_dim: Some(256), tied: true, positions, activation: ("hidden_activation", "gelu_pytorch_tanh"), ..Defaults::PLAIN };
    let spec = plain(family, config, defaults)?;
    config.must_be("use_bidirectional_attention", &json!(false), "Ballast runs decoders")?;
    let bias = config.flag("attention_bias", false)?;
    Ok(Spec {
        norms: SANDWICH,
        biases: Biases { qkv: bias, o: bias, feed_forward: false },
        embedding_scale: (spec.hidden as f64).sqrt(),
        attention_scale: config.real("query_pre_attn_scalar")?.unwrap_or(256.0).powf(-0.5),
        attention_softcap: config.real("attn_logit_softcapping")?,
        logit_softcap: config.real("final_logit_softcapping")?,
        ..spec
    })
}

fn gemma2(config: &Config<'_>) -> Result<Spec> {
    let spec = common("gemma2", config, 8192)?;
    for key in ["sliding_window_pattern", "_sliding_window_pattern"] {
        config.must_be(key, &json!(2), "every other layer of a gemma2 model slides")?;
    }
    ensure!(config.get("rope_local_base_freq").is_none(), "{}: gemma2 models have one rotary embedding", config.place());
    // Their own defaults are not none.
    let cap = |key: &str, default: f64| if config.entries().contains_key(key) { config.real(key) } else { Ok(Some(default)) };
    let sliding = sliding_layers(config, spec.layers, |layer| layer % 2 == 0)?;
    Ok(Spec {
        attention: windows(config, &sliding)?,
        attention_softcap: cap("attn_logit_softcapping", 50.0)?,
        logit_softcap: cap("final_logit_softcapping", 30.0)?,
        ropes: vec![rope::single(config, RopeDefaults::of(10_000.0))?],
        ..spec
    })
}

fn gemma3(config: &Config<'_>) -> Result<Spec> {
    let spec = common("gemma3_text", config, 131_072)?;
    let (plain, private) = (config.whole("sliding_window_pattern")?, config.whole("_sliding_window_pattern")?);
    let pattern = plain.or(private).unwrap_or(6);
    ensure!(pattern > 0, "{}: `sliding_window_pattern` is 0", config.place());
    let sliding = sliding_layers(config, spec.layers, |layer| !(layer + 1).is_multiple_of(pattern))?;
    let attention = windows(config, &sliding)?
        .into_iter()
        .zip(sliding)
        .map(|(attention, sliding)| LayerAttention { rope: Some(usize::from(sliding)), ..attention })
        .collect();
    let full = RopeDefaults::of(1_000_000.0);
    let local = RopeDefaults::of(10_000.0);
    let (full, local) = rope::full_and_sliding(config, full, local, "rope_local_base_freq")?;
    Ok(Spec { ropes: vec![full, local], attention, query_key_norms: Some(HEADS_BEFORE), ..spec })
}

/// Layers of the one Gemma 3 model (27B) whose scores are scaled by the width per head, not by the head's own.
const LAYERS_OF_27B: usize = 62;

/// Gemma 3 from a GGUF header: what llama.cpp knows of the architecture and the header does not say, over what every header
/// says. `spec` has the table of full layers.
pub(super) fn of_header(header: &Config<'_>, spec: Spec) -> Result<Spec> {
    ensure!(spec.query_key_norms.is_some(), "the GGUF file has no `blk.0.attn_q_norm.weight`, which a gemma3 model has");
    let (window, pattern) = (header.size("attention.sliding_window")?, header.whole("attention.sliding_window_pattern")?.unwrap_or(6));
    ensure!(window > 0 && pattern > 0, "{}: a window of {window} keys in all but every {pattern}th layer", header.place());
    let local = Rope::new(header.real("rope.freq_base_swa")?.unwrap_or(10_000.0));
    let sliding = LayerAttention { window: Some(window), rope: Some(1) };
    let layer = |layer: usize| if (layer + 1).is_multiple_of(pattern) { LayerAttention::FULL } else { sliding };
    let width = if spec.layers == LAYERS_OF_27B { spec.hidden / spec.heads.max(1) } else { spec.head_dim };
    Ok(Spec {
        norms: SANDWICH,
        activation: Activation::GeluTanh,
        embedding_scale: (spec.hidden as f64).sqrt(),
        attention_scale: (width as f64).powf(-0.5),
        attention_softcap: header.real("attn_logit_softcapping")?,
        logit_softcap: header.real("final_logit_softcapping")?,
        attention: (0..spec.attention.len()).map(layer).collect(),
        ropes: spec.ropes.into_iter().chain([local]).collect(),
        ..spec
    })
}
