//! SmolLM3: every fourth layer has no rotary embedding.

use anyhow::{Context, Result, ensure};

use super::Family;
use super::llama::{Defaults, plain, sliding_layers};
use super::reader::{Config, used};
use super::rope::{self, RopeDefaults};
use crate::keys::Table;
use crate::model::spec::{Biases, LayerAttention, Spec};

pub(super) const FAMILY: Family = Family { name: "smollm3", keys: &KEYS, read };

const KEYS: Table = Table {
    what: "the configuration of a smollm3 model",
    remedy: "a newer Ballast may know it",
    rules: &[
        used("attention_bias"),
        used("mlp_bias"),
        used("no_rope_layers"),
        used("no_rope_layer_interval"),
        used("use_sliding_window"),
        used("sliding_window"),
        used("layer_types"),
        used("max_window_layers"),
    ],
};

fn read(config: &Config<'_>) -> Result<Spec> {
    let spec = plain("smollm3", config, Defaults { positions: 32_768, tied: true, ..Defaults::PLAIN })?;
    let turned = turned_layers(config, spec.layers)?;
    let window = if config.flag("use_sliding_window", false)? { config.whole("sliding_window")? } else { None };
    let sliding = sliding_layers(config, spec.layers, |layer| window.is_some() && !turned[layer])?;
    let attention = turned
        .iter()
        .zip(sliding)
        .map(|(turned, sliding)| LayerAttention { window: window.filter(|_| sliding), rope: turned.then_some(0) })
        .collect();
    let bias = config.flag("attention_bias", false)?;
    Ok(Spec {
        ropes: vec![rope::single(config, RopeDefaults::of(2_000_000.0))?],
        biases: Biases { qkv: bias, o: bias, feed_forward: config.flag("mlp_bias", false)? },
        attention,
        ..spec
    })
}

/// 1 where a layer has rotary embedding, in spite of the key's name.
fn turned_layers(config: &Config<'_>, layers: usize) -> Result<Vec<bool>> {
    let Some(listed) = config.get("no_rope_layers") else {
        let interval = config.whole("no_rope_layer_interval")?.unwrap_or(4);
        ensure!(interval > 0, "{}: `no_rope_layer_interval` is 0", config.place());
        return Ok((1..=layers).map(|layer| !layer.is_multiple_of(interval)).collect());
    };
    let bad = || format!("{}: `no_rope_layers` is not a list of 0 and 1 for {layers} layers", config.place());
    let listed = listed.as_array().with_context(bad)?;
    ensure!(listed.len() == layers, bad());
    let turned = |value: &serde_json::Value| match value.as_u64() {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        _ => anyhow::bail!(bad()),
    };
    listed.iter().map(turned).collect()
}
