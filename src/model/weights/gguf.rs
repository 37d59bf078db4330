//! Weights from GGUF files, dequantized.
//!
//! Rows of q and k of llama models are reordered there for interleaved rotary pairs; they are put back into the half-split
//! order of the published checkpoints, so that adapters mean the same on either source.

use anyhow::{Result, ensure};
use candle_core::{DType, Device, Tensor};

use super::{LayerNorms, LayerWeights, Weights, refuse_left_over};
use crate::model::family;
use crate::model::gguf::{GgufFile, ROPE_FREQS};
use crate::model::site::{Module, Site};
use crate::model::spec::Spec;

impl Weights {
    /// From an open GGUF file.
    pub fn from_gguf(file: &mut GgufFile, spec: &Spec, device: &Device, dtype: DType) -> Result<Self> {
        let mut left = file.names();
        left.remove(ROPE_FREQS);
        let mut tensor = |name: &str, dims: &[usize]| -> Result<Tensor> {
            let tensor = file.tensor(name)?;
            left.remove(name);
            ensure!(tensor.dims() == dims, "tensor `{name}` is {:?}, the header says {dims:?}", tensor.dims());
            Ok(tensor)
        };
        // Dequantized on the host, then moved: one code path for every device, at load time only.
        let moved = |tensor: Tensor| -> Result<Tensor> { Ok(tensor.to_dtype(dtype)?.to_device(device)?) };
        let reordered = family::gguf_reorders_pairs(spec.family);
        let interleaved = |module: Module| reordered && matches!(module, Module::Q | Module::K);
        let mut layers = Vec::new();
        for layer in 0..spec.layers {
            let mut linears = Vec::with_capacity(Module::ALL.len());
            for module in Module::ALL {
                let name = format!("blk.{layer}.{}", gguf_name(module));
                let (input, output) = module.widths(spec);
                let mut weight = tensor(&format!("{name}.weight"), &[output, input])?;
                let mut bias = spec.biases.on(module).then(|| tensor(&format!("{name}.bias"), &[output])).transpose()?;
                if interleaved(module) {
                    weight = half_split(&weight, spec.head_dim)?;
                    bias = bias
                        .map(|bias| half_split(&bias.unsqueeze(1)?, spec.head_dim)?.squeeze(1).map_err(anyhow::Error::from))
                        .transpose()?;
                }
                linears.push((moved(weight)?, bias.map(moved).transpose()?));
            }
            // llama.cpp's converter adds the one of norms that are held without it.
            let mut norm = |there: bool, name: &str, width: usize| -> Result<Option<Tensor>> {
                there.then(|| tensor(&format!("blk.{layer}.{name}.weight"), &[width]).and_then(moved)).transpose()
            };
            let of_heads = spec.query_key_norms.is_some();
            let norms = LayerNorms {
                before_attention: norm(spec.norms.before_attention.is_some(), "attn_norm", spec.hidden)?,
                after_attention: norm(spec.norms.after_attention.is_some(), "post_attention_norm", spec.hidden)?,
                before_feed_forward: norm(spec.norms.before_feed_forward.is_some(), "ffn_norm", spec.hidden)?,
                after_feed_forward: norm(spec.norms.after_feed_forward.is_some(), "post_ffw_norm", spec.hidden)?,
                query: norm(of_heads, "attn_q_norm", spec.head_dim)?,
                key: norm(of_heads, "attn_k_norm", spec.head_dim)?,
            };
            layers.push(LayerWeights::new(linears, norms)?);
        }
        let weights = Self {
            embedding: moved(tensor("token_embd.weight", &[spec.vocabulary, spec.hidden])?)?,
            layers,
            norm: moved(tensor("output_norm.weight", &[spec.hidden])?)?,
            untied_head: (!spec.tied).then(|| tensor("output.weight", &[spec.vocabulary, spec.hidden]).and_then(moved)).transpose()?,
        };
        refuse_left_over(left.into_iter().collect(), spec)?;
        Ok(weights)
    }
}

/// A tensor in both of its names.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Its name in published checkpoints.
    pub checkpoint: String,
    /// Its name in GGUF files.
    pub gguf: String,
    /// As here, in row-major order.
    pub dims: Vec<usize>,
    /// The linear that it is the weight of, which an adapter may change.
    pub linear: Option<Site>,
    /// GGUF files hold its rows in interleaved pairs.
    reordered: bool,
}

/// All tensors of a model of a family that is read from GGUF files, in the order of its layers.
pub fn slots(spec: &Spec) -> Vec<Slot> {
    let whole = |checkpoint: &str, gguf: &str, dims: &[usize]| Slot {
        checkpoint: checkpoint.to_owned(),
        gguf: format!("{gguf}.weight"),
        dims: dims.to_vec(),
        linear: None,
        reordered: false,
    };
    let mut slots = vec![whole("model.embed_tokens.weight", "token_embd", &[spec.vocabulary, spec.hidden])];
    let norms = spec.norms;
    let of_heads = spec.query_key_norms;
    for layer in 0..spec.layers {
        for module in Module::ALL {
            let ((input, output), site) = (module.widths(spec), Site { layer, module });
            let name = format!("blk.{layer}.{}", gguf_name(module));
            let reordered = family::gguf_reorders_pairs(spec.family) && matches!(module, Module::Q | Module::K);
            slots.push(Slot {
                checkpoint: format!("model.{site}.weight"),
                gguf: format!("{name}.weight"),
                dims: vec![output, input],
                linear: Some(site),
                reordered,
            });
            if spec.biases.on(module) {
                slots.push(Slot {
                    checkpoint: format!("model.{site}.bias"),
                    gguf: format!("{name}.bias"),
                    dims: vec![output],
                    linear: None,
                    reordered,
                });
            }
        }
        for (held, gguf, width) in [
            (norms.before_attention.map(str::to_owned), "attn_norm", spec.hidden),
            (norms.after_attention.map(str::to_owned), "post_attention_norm", spec.hidden),
            (norms.before_feed_forward.map(str::to_owned), "ffn_norm", spec.hidden),
            (norms.after_feed_forward.map(str::to_owned), "post_ffw_norm", spec.hidden),
            (of_heads.map(|norms| norms.query.to_owned()), "attn_q_norm", spec.head_dim),
            (of_heads.map(|norms| norms.key.to_owned()), "attn_k_norm", spec.head_dim),
        ] {
            if let Some(held) = held {
                slots.push(whole(&format!("model.layers.{layer}.{held}.weight"), &format!("blk.{layer}.{gguf}"), &[width]));
            }
        }
    }
    slots.push(whole("model.norm.weight", "output_norm", &[spec.hidden]));
    if !spec.tied {
        slots.push(whole("lm_head.weight", "output", &[spec.vocabulary, spec.hidden]));
    }
    slots
}

impl Slot {
    /// The tensor of a GGUF file as published checkpoints have it, f32 on the host.
    pub fn read(&self, file: &mut GgufFile, spec: &Spec) -> Result<Tensor> {
        let tensor = file.tensor(&self.gguf)?;
        ensure!(tensor.dims() == self.dims, "tensor `{}` is {:?}, the header says {:?}", self.gguf, tensor.dims(), self.dims);
        self.restored(&tensor, spec)
    }

    /// Rows in the order of GGUF files, such as those of an adapter's B, in the order of published checkpoints.
    pub fn restored(&self, tensor: &Tensor, spec: &Spec) -> Result<Tensor> {
        if !self.reordered {
            return Ok(tensor.clone());
        }
        let rows = tensor.reshape((self.dims[0], ()))?;
        Ok(half_split(&rows, spec.head_dim)?.reshape(tensor.dims())?)
    }

    /// Rows of such a tensor, or of an adapter's B for it, in the order of GGUF files: the reverse of [`Self::restored`].
    pub fn arranged(&self, tensor: &Tensor, spec: &Spec) -> Result<Tensor> {
        if !self.reordered {
            return Ok(tensor.clone());
        }
        let rows = tensor.reshape((self.dims[0], ()))?;
        let (output, input) = rows.dims2()?;
        let heads = output / spec.head_dim;
        let pairs = rows.reshape((heads, 2, spec.head_dim / 2, input))?.transpose(1, 2)?.contiguous()?;
        Ok(pairs.reshape(tensor.dims())?)
    }
}

fn gguf_name(module: Module) -> &'static str {
    match module {
        Module::Q => "attn_q",
        Module::K => "attn_k",
        Module::V => "attn_v",
        Module::O => "attn_output",
        Module::Gate => "ffn_gate",
        // llama.cpp calls gate and up in one tensor as it calls up.
        Module::Up | Module::GateUp => "ffn_up",
        Module::Down => "ffn_down",
        Module::Qkv => "attn_qkv",
    }
}

/// Rows of each head from interleaved pairs (0, h/2, 1, h/2+1, ...) back to first halves, then second halves.
fn half_split(weight: &Tensor, head_dim: usize) -> Result<Tensor> {
    let (output, input) = weight.dims2()?;
    let heads = output / head_dim;
    Ok(weight.reshape((heads, head_dim / 2, 2, input))?.transpose(1, 2)?.contiguous()?.reshape((output, input))?)
}
