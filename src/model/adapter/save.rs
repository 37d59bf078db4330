//! An adapter to a PEFT folder, and its digest.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use candle_core::{Device, Tensor};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{CONFIG, TENSORS};
use crate::files::{create_folder, hex, write_atomic};
use crate::model::lora::Adapter;
use crate::model::spec::Spec;

#[derive(Serialize)]
struct ConfigOut<'a> {
    alpha_pattern: BTreeMap<String, Number>,
    base_model_name_or_path: &'a str,
    bias: &'a str,
    fan_in_fan_out: bool,
    inference_mode: bool,
    init_lora_weights: bool,
    layers_to_transform: Option<Vec<usize>>,
    lora_alpha: Number,
    lora_dropout: f64,
    modules_to_save: Option<Vec<String>>,
    peft_type: &'a str,
    r: usize,
    rank_pattern: BTreeMap<String, usize>,
    revision: Option<String>,
    target_modules: Vec<String>,
    task_type: &'a str,
    use_dora: bool,
    use_rslora: bool,
}

/// PEFT writes whole alphas as integers in most configurations, and vLLM's reader wants them so.
#[derive(Serialize)]
#[serde(untagged)]
enum Number {
    Whole(i64),
    Real(f64),
}

impl Number {
    fn of(value: f64) -> Self {
        if value.fract() == 0.0 && value.abs() < 1e15 { Self::Whole(value as i64) } else { Self::Real(value) }
    }
}

/// Writes an adapter of a model of the given shape as a PEFT folder. Each file is replaced whole or not at all. A scale that is
/// not finite is refused.
pub fn save(adapter: &Adapter, spec: &Spec, base_model: &str, folder: &Path) -> Result<()> {
    adapter.check_scale()?;
    let rank = adapter.config.rank;
    let (mut rank_pattern, mut alpha_pattern) = (BTreeMap::new(), BTreeMap::new());
    for (site, pair) in &adapter.pairs {
        let own = pair.rank()?;
        if own != rank {
            rank_pattern.insert(spec.name_of(*site), own);
            alpha_pattern.insert(spec.name_of(*site), Number::of(adapter.scale * own as f64));
        }
    }
    let layers = adapter.pairs.keys().map(|site| site.layer + 1).max().unwrap_or(0);
    let whole = layers == spec.layers && adapter.pairs.len() == layers * adapter.config.targets.len();
    // The parts that read images have linears of the same last names, which are not meant.
    let target_modules = if whole && spec.other_parts.is_empty() {
        adapter.config.targets.iter().map(|module| format!("{}_proj", module.name())).collect()
    } else {
        adapter.pairs.keys().map(|site| spec.name_of(*site)).collect()
    };
    let config = ConfigOut {
        alpha_pattern,
        base_model_name_or_path: base_model,
        bias: "none",
        fan_in_fan_out: false,
        inference_mode: true,
        init_lora_weights: true,
        layers_to_transform: None,
        lora_alpha: Number::of(adapter.scale * rank as f64),
        lora_dropout: adapter.config.dropout,
        modules_to_save: None,
        peft_type: "LORA",
        r: rank,
        rank_pattern,
        revision: None,
        target_modules,
        task_type: "CAUSAL_LM",
        use_dora: false,
        use_rslora: false,
    };
    let bytes = serialize(adapter, spec.path)?;
    create_folder(folder)?;
    write_atomic(&folder.join(TENSORS), &bytes)?;
    write_atomic(&folder.join(CONFIG), serde_json::to_string_pretty(&config)?.as_bytes())
}

/// The tensors in the names that PEFT has for a language model's own class, as the bytes of a safetensors file. Equal adapters
/// give equal bytes.
pub fn to_safetensors(adapter: &Adapter) -> Result<Vec<u8>> {
    serialize(adapter, "model")
}

fn serialize(adapter: &Adapter, path: &str) -> Result<Vec<u8>> {
    let mut tensors: BTreeMap<String, Tensor> = BTreeMap::new();
    for (site, pair) in &adapter.pairs {
        tensors.insert(format!("base_model.model.{path}.{site}.lora_A.weight"), pair.a.to_device(&Device::Cpu)?);
        tensors.insert(format!("base_model.model.{path}.{site}.lora_B.weight"), pair.b.to_device(&Device::Cpu)?);
    }
    let metadata = [("format".to_owned(), "pt".to_owned())].into_iter().collect();
    Ok(safetensors::serialize(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)), Some(metadata))?)
}

/// sha256 of the adapter's tensors and scale, which is all that it does to a base: its identity in records, wherever its
/// folder lies and however it spells the same.
pub fn digest(adapter: &Adapter) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(to_safetensors(adapter)?);
    hash.update(adapter.scale.to_le_bytes());
    Ok(hex(&hash.finalize()))
}
