//! An adapter as a PEFT folder: `adapter_config.json` and `adapter_model.safetensors`, readable by PEFT, vLLM and
//! llama.cpp's converter; and PEFT's folders read back, whoever wrote them.
//!
//! Not covered, refused with a reason: DoRA, `lora_bias`, `modules_to_save`, trained embeddings, initialisations that
//! change the base (PiSSA, OLoRA, CorDA, LoftQ), pickled `.bin` files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::lora::{Adapter, LoraConfig, Module, Pair, Site};
use super::spec::Spec;
use crate::files::{read_text, write_atomic};

const CONFIG: &str = "adapter_config.json";
const TENSORS: &str = "adapter_model.safetensors";

#[derive(Serialize)]
struct ConfigOut<'a> {
    alpha_pattern: BTreeMap<String, f64>,
    base_model_name_or_path: &'a str,
    bias: &'a str,
    fan_in_fan_out: bool,
    inference_mode: bool,
    init_lora_weights: bool,
    layers_to_transform: Option<Vec<usize>>,
    lora_alpha: f64,
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

#[derive(Deserialize)]
struct ConfigIn {
    peft_type: Option<String>,
    r: Option<usize>,
    lora_alpha: Option<f64>,
    #[serde(default)]
    lora_dropout: f64,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    lora_bias: bool,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    bias: Option<String>,
    #[serde(default)]
    modules_to_save: Option<Vec<String>>,
    #[serde(default)]
    alpha_pattern: BTreeMap<String, f64>,
    #[serde(default)]
    rank_pattern: BTreeMap<String, usize>,
    #[serde(default)]
    init_lora_weights: serde_json::Value,
}

/// Writes the adapter as a PEFT folder. Each file is replaced whole or not at all.
pub fn save(adapter: &Adapter, base_model: &str, folder: &Path) -> Result<()> {
    let rank = adapter.config.rank;
    let alpha = adapter.scale * rank as f64;
    let config = ConfigOut {
        alpha_pattern: BTreeMap::new(),
        base_model_name_or_path: base_model,
        bias: "none",
        fan_in_fan_out: false,
        inference_mode: true,
        init_lora_weights: true,
        layers_to_transform: None,
        lora_alpha: alpha,
        lora_dropout: adapter.config.dropout,
        modules_to_save: None,
        peft_type: "LORA",
        r: rank,
        rank_pattern: BTreeMap::new(),
        revision: None,
        target_modules: adapter.config.targets.iter().map(|m| format!("{}_proj", m.name())).collect(),
        task_type: "CAUSAL_LM",
        use_dora: false,
        use_rslora: false,
    };
    let bytes = to_safetensors(adapter)?;
    std::fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    write_atomic(&folder.join(TENSORS), &bytes)?;
    // PEFT writes whole alphas as integers in most configs and vLLM's reader wants them so.
    let mut value = serde_json::to_value(&config)?;
    if alpha.fract() == 0.0 {
        value["lora_alpha"] = serde_json::json!(alpha as i64);
    }
    write_atomic(&folder.join(CONFIG), serde_json::to_string_pretty(&value)?.as_bytes())
}

/// The tensors in PEFT's names, as the bytes of a safetensors file. Equal adapters give equal bytes.
pub fn to_safetensors(adapter: &Adapter) -> Result<Vec<u8>> {
    let mut tensors: BTreeMap<String, Tensor> = BTreeMap::new();
    for (site, pair) in &adapter.pairs {
        tensors.insert(format!("base_model.model.model.{site}.lora_A.weight"), pair.a.to_device(&Device::Cpu)?);
        tensors.insert(format!("base_model.model.model.{site}.lora_B.weight"), pair.b.to_device(&Device::Cpu)?);
    }
    let metadata = [("format".to_owned(), "pt".to_owned())].into_iter().collect();
    Ok(safetensors::serialize(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)), Some(metadata))?)
}

/// sha256 of the adapter's tensors and scale: its identity in records, wherever its folder lies.
pub fn digest(adapter: &Adapter) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(to_safetensors(adapter)?);
    hash.update(adapter.scale.to_le_bytes());
    Ok(crate::files::hex(&hash.finalize()))
}

/// Reads a PEFT folder for a model of the given shape.
pub fn load(folder: &Path, spec: &Spec, device: &Device) -> Result<Adapter> {
    let config_path = folder.join(CONFIG);
    let text = read_text(&config_path)?;
    let config: ConfigIn = serde_json::from_str(&text).with_context(|| format!("{} is not a PEFT configuration", config_path.display()))?;
    check(&config).with_context(|| format!("{} cannot be used", config_path.display()))?;
    let path = folder.join(TENSORS);
    ensure!(
        path.exists(),
        "{} is missing{}",
        path.display(),
        if folder.join("adapter_model.bin").exists() {
            "; adapter_model.bin is a pickle: convert it with PEFT's save_pretrained(safe_serialization=True)"
        } else {
            ""
        }
    );
    let tensors = candle_core::safetensors::load(&path, &Device::Cpu).with_context(|| format!("failed to read {}", path.display()))?;
    let mut halves: BTreeMap<Site, [Option<Tensor>; 2]> = BTreeMap::new();
    for (name, tensor) in tensors {
        let (site, half) = parse_name(&name).with_context(|| format!("{}: tensor `{name}`", path.display()))?;
        ensure!(site.layer < spec.layers, "{}: tensor `{name}` is of layer {}, the model has {}", path.display(), site.layer, spec.layers);
        halves.entry(site).or_default()[half] = Some(tensor.to_dtype(DType::F32)?.to_device(device)?);
    }
    ensure!(!halves.is_empty(), "{} holds no low-rank tensors", path.display());
    let mut pairs = BTreeMap::new();
    let mut ranks = BTreeSet::new();
    for (site, [a, b]) in halves {
        let (Some(a), Some(b)) = (a, b) else { bail!("{}: {site} has only one of lora_A and lora_B", path.display()) };
        let (input, output) = site.module.widths(spec);
        let rank = a.dim(0)?;
        ensure!(
            a.dims() == [rank, input] && b.dims() == [output, rank],
            "{}: {site} has lora_A {:?} and lora_B {:?}, the model needs [r, {input}] and [{output}, r]: the adapter belongs to another base model",
            path.display(),
            a.dims(),
            b.dims()
        );
        ranks.insert(rank);
        pairs.insert(site, Pair { a, b });
    }
    let rank = *ranks.first().context("no ranks")?;
    ensure!(ranks.len() == 1, "{}: pairs of different ranks {ranks:?} are not supported", path.display());
    if let Some(r) = config.r {
        ensure!(r == rank, "{}: r is {r} but the tensors have rank {rank}", config_path.display());
    }
    let alpha = config.lora_alpha.with_context(|| format!("{} has no lora_alpha", config_path.display()))?;
    let scale = if config.use_rslora { alpha / (rank as f64).sqrt() } else { alpha / rank as f64 };
    let targets: BTreeSet<Module> = pairs.keys().map(|site| site.module).collect();
    Ok(Adapter {
        pairs,
        scale,
        config: LoraConfig { rank, alpha: scale * rank as f64, dropout: config.lora_dropout, targets: targets.into_iter().collect() },
    })
}

fn check(config: &ConfigIn) -> Result<()> {
    if let Some(kind) = &config.peft_type {
        ensure!(kind == "LORA", "peft_type is `{kind}`: only LORA adapters can be evaluated");
    }
    ensure!(!config.use_dora, "use_dora is set: merge the adapter into the base first");
    ensure!(
        !config.lora_bias && config.bias.as_deref().unwrap_or("none") == "none",
        "trained biases are not supported: merge the adapter first"
    );
    ensure!(config.modules_to_save.as_ref().is_none_or(Vec::is_empty), "modules_to_save is set: merge the adapter first");
    ensure!(!config.fan_in_fan_out, "fan_in_fan_out is set, which no supported base model uses");
    ensure!(config.alpha_pattern.is_empty() && config.rank_pattern.is_empty(), "alpha_pattern and rank_pattern are not supported");
    if let Some(kind) = config.init_lora_weights.as_str() {
        let changes_base = ["pissa", "olora", "corda", "loftq"].iter().any(|k| kind.to_lowercase().starts_with(k));
        ensure!(!changes_base, "init_lora_weights is `{kind}`, which changes the base weights too: convert it to a plain LoRA first");
    }
    Ok(())
}

/// `base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight` to its site and 0 for A, 1 for B.
fn parse_name(name: &str) -> Result<(Site, usize)> {
    let unsupported = || anyhow::anyhow!("only lora_A and lora_B of q, k, v, o, gate, up and down projections are supported");
    let path = name.strip_prefix("base_model.model.").unwrap_or(name);
    let path = path.strip_prefix("model.layers.").ok_or_else(unsupported)?;
    let (layer, rest) = path.split_once('.').ok_or_else(unsupported)?;
    let (module, half) = [(".lora_A.weight", 0), (".lora_B.weight", 1), (".lora_A.default.weight", 0), (".lora_B.default.weight", 1)]
        .iter()
        .find_map(|(suffix, half)| rest.strip_suffix(suffix).map(|module| (module, *half)))
        .ok_or_else(unsupported)?;
    let module = Module::ALL.into_iter().find(|m| m.path() == module).ok_or_else(unsupported)?;
    Ok((Site { layer: layer.parse().map_err(|_| unsupported())?, module }, half))
}
