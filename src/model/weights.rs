//! Frozen weights, from GGUF (dequantized) or safetensors, under one layout.
//!
//! GGUF files of llama models hold the rows of q and k reordered for interleaved rotary pairs; they are put back into
//! the half-split order of the published checkpoints, so that adapters mean the same on either source.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use candle_core::quantized::gguf_file::Content;
use candle_core::{DType, Device, Tensor};

use super::lora::Module;
use super::ops::linear::Linear;
use super::spec::{Architecture, Spec};

/// One decoder layer.
#[derive(Debug, Clone)]
pub struct LayerWeights {
    /// In the order of [`Module::ALL`].
    pub linears: Vec<Linear>,
    /// `[hidden]`
    pub attention_norm: Tensor,
    /// `[hidden]`
    pub feed_forward_norm: Tensor,
    /// On a GPU, the linears that read one input as one.
    #[cfg(feature = "cuda")]
    pub(crate) fused: Option<Fused>,
}

/// Linears of one input, joined row after row; the single ones are views of these.
#[cfg(feature = "cuda")]
#[derive(Debug, Clone)]
pub(crate) struct Fused {
    /// [(heads + 2 kv_heads) * head_dim, hidden]
    pub(crate) qkv: Tensor,
    pub(crate) qkv_bias: Option<Tensor>,
    /// [2 * intermediate, hidden]
    pub(crate) gate_up: Tensor,
}

impl LayerWeights {
    /// From weights [out, in] and biases in the order of [`Module::ALL`].
    fn new(mut parts: Vec<(Tensor, Option<Tensor>)>, attention_norm: Tensor, feed_forward_norm: Tensor) -> Result<Self> {
        #[cfg(feature = "cuda")]
        let fused = join(&mut parts)?;
        let linears = std::mem::take(&mut parts).into_iter().map(|(weight, bias)| Linear::new(&weight, bias)).collect::<Result<_>>()?;
        Ok(Self {
            linears,
            attention_norm,
            feed_forward_norm,
            #[cfg(feature = "cuda")]
            fused,
        })
    }
}

/// Joins what is on a GPU, and puts views in place of the single weights.
#[cfg(feature = "cuda")]
fn join(parts: &mut [(Tensor, Option<Tensor>)]) -> Result<Option<Fused>> {
    if !parts.first().is_some_and(|(weight, _)| weight.device().is_cuda()) {
        return Ok(None);
    }
    let mut joined = |modules: &[Module]| -> Result<Tensor> {
        let weights: Vec<Tensor> = modules.iter().map(|module| parts[*module as usize].0.clone()).collect();
        let all = Tensor::cat(&weights, 0)?;
        let mut start = 0;
        for module in modules {
            let part = &mut parts[*module as usize].0;
            let rows = part.dim(0)?;
            *part = all.narrow(0, start, rows)?;
            start += rows;
        }
        Ok(all)
    };
    let (qkv, gate_up) = (joined(&[Module::Q, Module::K, Module::V])?, joined(&[Module::Gate, Module::Up])?);
    let biases: Option<Vec<Tensor>> = [Module::Q, Module::K, Module::V].iter().map(|module| parts[*module as usize].1.clone()).collect();
    Ok(Some(Fused { qkv, qkv_bias: biases.map(|biases| Tensor::cat(&biases, 0)).transpose()?, gate_up }))
}

/// All frozen tensors of a decoder.
#[derive(Debug, Clone)]
pub struct Weights {
    /// [vocabulary, hidden]
    pub embedding: Tensor,
    /// One entry a layer.
    pub layers: Vec<LayerWeights>,
    /// Final norm: `[hidden]`
    pub norm: Tensor,
    /// Output head [vocabulary, hidden], where it is not the embedding.
    pub untied_head: Option<Tensor>,
}

impl Weights {
    /// The output head: [vocabulary, hidden].
    pub fn head(&self) -> &Tensor {
        self.untied_head.as_ref().unwrap_or(&self.embedding)
    }

    /// From a GGUF file whose header is already read.
    pub fn from_gguf(content: &Content, file: &mut (impl Read + Seek), spec: &Spec, device: &Device, dtype: DType) -> Result<Self> {
        let mut tensor = |name: &str, dims: &[usize]| -> Result<Tensor> {
            ensure!(content.tensor_infos.contains_key(name), "GGUF file has no tensor `{name}`");
            // Dequantized on the host, then moved: one code path for every device, at load time only.
            let tensor = content
                .tensor(file, name, &Device::Cpu)
                .with_context(|| format!("failed to read tensor `{name}`"))?
                .dequantize(&Device::Cpu)?;
            ensure!(tensor.dims() == dims, "tensor `{name}` is {:?}, the header says {dims:?}", tensor.dims());
            Ok(tensor.to_dtype(dtype)?.to_device(device)?)
        };
        let mut layers = Vec::with_capacity(spec.layers);
        for layer in 0..spec.layers {
            let mut linears = Vec::with_capacity(Module::ALL.len());
            for module in Module::ALL {
                let name = gguf_name(module);
                let (input, output) = module.widths(spec);
                let mut weight = tensor(&format!("blk.{layer}.{name}.weight"), &[output, input])?;
                if spec.architecture == Architecture::Llama && matches!(module, Module::Q | Module::K) {
                    weight = half_split(&weight, spec.head_dim)?;
                }
                let bias = has_bias(spec, module).then(|| tensor(&format!("blk.{layer}.{name}.bias"), &[output])).transpose()?;
                linears.push((weight, bias));
            }
            layers.push(LayerWeights::new(
                linears,
                tensor(&format!("blk.{layer}.attn_norm.weight"), &[spec.hidden])?,
                tensor(&format!("blk.{layer}.ffn_norm.weight"), &[spec.hidden])?,
            )?);
        }
        Ok(Self {
            embedding: tensor("token_embd.weight", &[spec.vocabulary, spec.hidden])?,
            layers,
            norm: tensor("output_norm.weight", &[spec.hidden])?,
            untied_head: (!spec.tied).then(|| tensor("output.weight", &[spec.vocabulary, spec.hidden])).transpose()?,
        })
    }

    /// From the safetensors files of a Hugging Face folder.
    pub fn from_safetensors(files: &[PathBuf], spec: &Spec, device: &Device, dtype: DType) -> Result<Self> {
        let mut all: HashMap<String, Tensor> = HashMap::new();
        for file in files {
            let tensors =
                candle_core::safetensors::load(file, &Device::Cpu).with_context(|| format!("failed to read {}", file.display()))?;
            for (name, tensor) in tensors {
                all.insert(name, tensor.to_dtype(dtype)?.to_device(device)?);
            }
        }
        Self::from_named(all, spec)
    }

    /// From tensors under their Hugging Face names.
    pub fn from_named(mut all: HashMap<String, Tensor>, spec: &Spec) -> Result<Self> {
        let mut tensor = |name: &str, dims: &[usize]| -> Result<Tensor> {
            let tensor = all.remove(name).with_context(|| format!("the checkpoint has no tensor `{name}`"))?;
            ensure!(tensor.dims() == dims, "tensor `{name}` is {:?}, config.json says {dims:?}", tensor.dims());
            Ok(tensor)
        };
        let mut layers = Vec::with_capacity(spec.layers);
        for layer in 0..spec.layers {
            let prefix = format!("model.layers.{layer}");
            let mut linears = Vec::with_capacity(Module::ALL.len());
            for module in Module::ALL {
                let (input, output) = module.widths(spec);
                let name = format!("{prefix}.{}", module.path());
                let weight = tensor(&format!("{name}.weight"), &[output, input])?;
                let bias = has_bias(spec, module).then(|| tensor(&format!("{name}.bias"), &[output])).transpose()?;
                linears.push((weight, bias));
            }
            layers.push(LayerWeights::new(
                linears,
                tensor(&format!("{prefix}.input_layernorm.weight"), &[spec.hidden])?,
                tensor(&format!("{prefix}.post_attention_layernorm.weight"), &[spec.hidden])?,
            )?);
        }
        Ok(Self {
            embedding: tensor("model.embed_tokens.weight", &[spec.vocabulary, spec.hidden])?,
            layers,
            norm: tensor("model.norm.weight", &[spec.hidden])?,
            untied_head: (!spec.tied).then(|| tensor("lm_head.weight", &[spec.vocabulary, spec.hidden])).transpose()?,
        })
    }
}

fn has_bias(spec: &Spec, module: Module) -> bool {
    spec.architecture == Architecture::Qwen2 && matches!(module, Module::Q | Module::K | Module::V)
}

fn gguf_name(module: Module) -> &'static str {
    match module {
        Module::Q => "attn_q",
        Module::K => "attn_k",
        Module::V => "attn_v",
        Module::O => "attn_output",
        Module::Gate => "ffn_gate",
        Module::Up => "ffn_up",
        Module::Down => "ffn_down",
    }
}

/// Rows of each head from interleaved pairs (0, h/2, 1, h/2+1, ...) back to first halves, then second halves.
fn half_split(weight: &Tensor, head_dim: usize) -> Result<Tensor> {
    let (output, input) = weight.dims2()?;
    let heads = output / head_dim;
    Ok(weight.reshape((heads, head_dim / 2, 2, input))?.transpose(1, 2)?.contiguous()?.reshape((output, input))?)
}

/// Opens a GGUF file and reads its header.
pub fn open_gguf(path: &Path) -> Result<(Content, BufReader<File>)> {
    let file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
    let mut reader = BufReader::new(file);
    let content = Content::read(&mut reader).with_context(|| format!("{} is not a readable GGUF file", path.display()))?;
    Ok((content, reader))
}

#[derive(serde::Deserialize)]
struct Index {
    weight_map: std::collections::BTreeMap<String, String>,
}

/// The safetensors files of a folder: the single file, or every shard that the index names.
pub fn safetensors_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let single = folder.join("model.safetensors");
    if single.exists() {
        return Ok(vec![single]);
    }
    let index = folder.join("model.safetensors.index.json");
    if !index.exists() {
        bail!("{} has neither model.safetensors nor model.safetensors.index.json", folder.display());
    }
    let index: Index = crate::files::read_json(&index)?;
    let names: std::collections::BTreeSet<String> = index.weight_map.into_values().collect();
    let files: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    for file in &files {
        ensure!(file.exists(), "{} is missing: the index names it", file.display());
    }
    Ok(files)
}
