//! Frozen weights, from GGUF (dequantized) or safetensors, under one layout. Every tensor of a checkpoint is used or known
//! to change nothing; one that has no place in the model is an error.

mod gguf;
mod safetensors;

use anyhow::{Result, ensure};
use candle_core::Tensor;

pub use self::gguf::{Slot, slots};
pub(crate) use self::safetensors::body_of;
pub use self::safetensors::{FolderTensors, safetensors_files};
use super::ops::linear::Linear;
#[cfg(feature = "cuda")]
use super::site::Module;
use super::spec::Spec;

/// Norms of one decoder layer that its family has.
#[derive(Debug, Clone, Default)]
pub struct LayerNorms {
    /// `[hidden]`
    pub before_attention: Option<Tensor>,
    /// `[hidden]`
    pub after_attention: Option<Tensor>,
    /// `[hidden]`
    pub before_feed_forward: Option<Tensor>,
    /// `[hidden]`
    pub after_feed_forward: Option<Tensor>,
    /// `[head_dim]`, or `[heads * head_dim]`
    pub query: Option<Tensor>,
    /// `[head_dim]`, or `[kv_heads * head_dim]`
    pub key: Option<Tensor>,
}

/// One decoder layer.
#[derive(Debug, Clone)]
pub struct LayerWeights {
    /// In the order of [`Module::ALL`](super::site::Module::ALL).
    pub linears: Vec<Linear>,
    /// Its norms.
    pub norms: LayerNorms,
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
    /// From weights [out, in] and biases in the order of [`Module::ALL`](crate::model::site::Module::ALL).
    fn new(mut parts: Vec<(Tensor, Option<Tensor>)>, norms: LayerNorms) -> Result<Self> {
        #[cfg(feature = "cuda")]
        let fused = join(&mut parts)?;
        let linears = std::mem::take(&mut parts).into_iter().map(|(weight, bias)| Linear::new(&weight, bias)).collect::<Result<_>>()?;
        Ok(Self {
            linears,
            norms,
            #[cfg(feature = "cuda")]
            fused,
        })
    }
}

#[cfg(feature = "cuda")]
impl LayerNorms {
    /// The norms before attention and feed-forward, which the fused kernels need.
    pub(crate) fn pre(&self) -> Result<(&Tensor, &Tensor)> {
        use anyhow::Context;
        let missing = "the fused kernels were given a layer without norms before its blocks";
        Ok((self.before_attention.as_ref().context(missing)?, self.before_feed_forward.as_ref().context(missing)?))
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
}

/// Refuses a checkpoint with tensors that the model has no place for.
fn refuse_left_over(mut names: Vec<String>, spec: &Spec) -> Result<()> {
    names.sort();
    let shown: Vec<String> = names.iter().take(3).map(|name| format!("`{name}`")).collect();
    ensure!(
        names.is_empty(),
        "the checkpoint has {} tensor{} that a {} model has no place for: {}{}; its configuration does not say what they do",
        names.len(),
        if names.len() == 1 { "" } else { "s" },
        spec.family,
        shown.join(", "),
        if names.len() > 3 { ", ..." } else { "" }
    );
    Ok(())
}
