//! The one decoder: training and evaluation, every family, any row lengths.
//!
//! A batch is rows laid end to end ([`Packed`]), so there is no padding and no padding mask: linears see [tokens,
//! width], and attention knows where rows begin. `forward.rs` computes hidden states, `backward.rs` the adapters'
//! gradients; `logits` is asked for chosen positions only, because the vocabulary is the widest layer by far.

mod backward;
#[cfg(feature = "cuda")]
mod device;
mod forward;
mod objective;

pub use backward::OnLinear;
pub(crate) use backward::insert;
pub use forward::{Saving, Tape};
pub use objective::{Label, LossSum, Scales};

pub use super::lora::Gradients;
pub use super::packed::Packed;

use anyhow::Result;
use candle_core::{DType, Device, Tensor};

use super::layout::Layout;
use super::lora::Adapter;
use super::ops::attention::Heads;
use super::ops::elementwise::{scale, softcap};
use super::ops::linear::Linear;
use super::ops::rope::RopeTable;
use super::site::{Module, Site};
use super::spec::Spec;
use super::weights::Weights;

/// Frozen weights and the tables computed from the model's shape.
#[derive(Debug, Clone)]
pub struct Decoder {
    /// Sizes and constants.
    pub spec: Spec,
    weights: Weights,
    ropes: Vec<RopeTable>,
}

impl<'a> From<&'a Decoder> for Layout<'a> {
    fn from(decoder: &'a Decoder) -> Self {
        Self { spec: &decoder.spec, dtype: decoder.dtype(), device: decoder.device() }
    }
}

impl Decoder {
    /// A decoder over loaded weights, for sequences of up to `max_positions` tokens.
    pub fn new(mut spec: Spec, weights: Weights) -> Result<Self> {
        spec.tied = weights.untied_head.is_none();
        let table = |rope| RopeTable::of(rope, spec.head_dim, spec.longest(), weights.embedding.device());
        let ropes = spec.ropes.iter().map(table).collect::<Result<_>>()?;
        Ok(Self { spec, weights, ropes })
    }

    /// The base with an adapter folded into its weights, for asking the same adapter many questions. Norms, embedding and
    /// head are shared with the base; adapted weights are copies.
    ///
    /// Meant for f32: narrower weights would round the update away.
    pub fn merged(&self, adapter: &Adapter) -> Result<Self> {
        adapter.check_scale()?;
        let updates = adapter.updates(&self.spec)?;
        let mut merged = self.clone();
        #[cfg(feature = "cuda")]
        anyhow::ensure!(self.device().is_cpu(), "an adapter is folded into weights on the host only");
        for (index, layer) in merged.weights.layers.iter_mut().enumerate() {
            for module in Module::ALL {
                if let Some(update) = updates.get(&Site { layer: index, module }) {
                    let linear = &mut layer.linears[module as usize];
                    *linear = linear.merged(update)?;
                }
            }
        }
        Ok(merged)
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        self.weights.embedding.device()
    }

    /// Type of the weights.
    pub fn dtype(&self) -> DType {
        self.weights.embedding.dtype()
    }

    /// Longest sequence that can be run.
    pub fn max_positions(&self) -> usize {
        self.spec.longest()
    }

    /// Tokens of a training pass whose activations fill about half of a GPU's memory; none are asked for on the host, where
    /// larger passes gain nothing. The same on every machine with the same GPU.
    pub fn pass_tokens(&self) -> Result<usize> {
        #[cfg(feature = "cuda")]
        if self.device().is_cuda() {
            let (_, all) = super::ops::cuda::memory::free(self.device())?;
            let s = &self.spec;
            // What a layer keeps of a token: input, joint projection, attention, middle, gate and up; and dropout bits.
            let kept = 2 * s.hidden + 2 * (s.heads + s.kv_heads) * s.head_dim + 2 * s.intermediate;
            let bytes = s.layers * (kept * self.dtype().size_in_bytes() + (s.hidden + s.intermediate));
            return Ok((all / 2 / bytes).clamp(4096, 32_768));
        }
        Ok(0)
    }

    /// Tokens whose keys and values fill half of a GPU's memory; None on the host, where rows grow as they may.
    pub fn cache_tokens(&self) -> Result<Option<usize>> {
        #[cfg(feature = "cuda")]
        if self.device().is_cuda() {
            let (_, all) = super::ops::cuda::memory::free(self.device())?;
            let s = &self.spec;
            let bytes = 2 * s.layers * s.kv_heads * s.head_dim * self.dtype().size_in_bytes();
            return Ok(Some(all / 2 / bytes));
        }
        Ok(None)
    }

    /// Logits of the given hidden states: [positions, hidden] to [positions, vocabulary].
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        let head = self.weights.head().t()?;
        #[cfg(feature = "cuda")]
        let product = if hidden.device().is_cuda() { super::ops::cuda::profile::product(hidden, &head)? } else { hidden.matmul(&head)? };
        #[cfg(not(feature = "cuda"))]
        let product = hidden.matmul(&head)?;
        let scaled = times(product, self.spec.logit_scale)?;
        self.spec.logit_softcap.map_or(Ok(scaled.clone()), |cap| softcap(&scaled, cap))
    }

    /// The gradient before scale and cap, given the logits and their gradient in f32.
    fn logits_backward(&self, logits: &Tensor, d_logits: Tensor) -> Result<Tensor> {
        let d_scaled = match self.spec.logit_softcap {
            None => d_logits,
            Some(cap) => (d_logits * (logits.to_dtype(DType::F32)? / cap)?.sqr()?.affine(-1.0, 1.0)?)?,
        };
        times(d_scaled, self.spec.logit_scale)
    }

    fn heads(&self, layer: usize) -> Heads {
        let s = &self.spec;
        Heads {
            scale: s.attention_scale as f32,
            window: s.attention[layer].window,
            softcap: s.attention_softcap.map(|cap| cap as f32),
            ..Heads::new(s.heads, s.kv_heads, s.head_dim)
        }
    }

    fn linear(&self, layer: usize, module: Module) -> &Linear {
        &self.weights.layers[layer].linears[module as usize]
    }
}

/// A tensor times a factor, which most families have as 1.
fn times(x: Tensor, factor: f64) -> Result<Tensor> {
    if (factor - 1.0).abs() < f64::EPSILON { Ok(x) } else { scale(&x, factor) }
}
