//! Hidden states of a batch, with or without a cache, with or without what the backward pass needs.

use anyhow::Result;
use candle_core::{IndexOp, Tensor};

use super::{Decoder, Packed};
use crate::model::cache::KvCache;
use crate::model::dropout::{Dropout, DropoutMask};
use crate::model::lora::{Adapter, Module, Site};
use crate::model::ops::attention::{Attended, attention};
use crate::model::ops::elementwise::add;
use crate::model::ops::rms_norm::rms_norm;
use crate::model::ops::rope::Turn;
use crate::model::ops::swiglu::swiglu;

/// What a training forward pass keeps for the backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saving {
    /// Every layer's activations: fastest, memory grows with layers x tokens x about 8 hidden widths.
    Activations,
    /// Only each layer's input; the layer is computed again in the backward pass (Chen et al. 2016, checkpointing).
    Inputs,
}

/// Activations of one layer that its backward needs, beside its input.
pub(super) struct LayerState {
    pub(super) q: Tensor,
    pub(super) k: Tensor,
    pub(super) v: Tensor,
    pub(super) attended: Attended,
    /// Residual stream between attention and feed-forward.
    pub(super) middle: Tensor,
    pub(super) gate: Tensor,
    pub(super) up: Tensor,
}

/// The record of a training forward pass.
pub struct Tape {
    /// Input of each layer: [tokens, hidden].
    pub(super) inputs: Vec<Tensor>,
    pub(super) states: Vec<Option<LayerState>>,
    /// Output of the last layer before the final norm.
    pub(super) last: Tensor,
    pub(super) dropout: Option<Dropout>,
}

impl Decoder {
    /// Final-normed hidden states of every token: [tokens, hidden].
    pub fn hidden(&self, batch: &Packed, adapter: Option<&Adapter>, mut cache: Option<&mut KvCache>) -> Result<Tensor> {
        let mut x = self.embed(batch)?;
        for layer in 0..self.spec.layers {
            (x, _) = self.layer(layer, &x, batch, adapter, None, cache.as_deref_mut())?;
        }
        rms_norm(&x, &self.weights.norm, self.spec.rms_eps)
    }

    /// Hidden states of chosen tokens only: [indices, hidden]. The final norm runs on those alone.
    pub fn hidden_at(&self, batch: &Packed, indices: &[u32], adapter: Option<&Adapter>, mut cache: Option<&mut KvCache>) -> Result<Tensor> {
        let mut x = self.embed(batch)?;
        for layer in 0..self.spec.layers {
            (x, _) = self.layer(layer, &x, batch, adapter, None, cache.as_deref_mut())?;
        }
        self.select_normed(&x, indices)
    }

    /// A forward pass for training: records what [`Decoder::backward`] needs.
    pub fn forward_training(&self, batch: &Packed, adapter: &Adapter, dropout: Option<Dropout>, saving: Saving) -> Result<Tape> {
        let mut x = self.embed(batch)?;
        let (mut inputs, mut states) = (Vec::new(), Vec::new());
        for layer in 0..self.spec.layers {
            let (next, state) = self.layer(layer, &x, batch, Some(adapter), dropout.as_ref(), None)?;
            inputs.push(x);
            states.push((saving == Saving::Activations).then_some(state));
            x = next;
        }
        Ok(Tape { inputs, states, last: x, dropout })
    }

    pub(super) fn select_normed(&self, x: &Tensor, indices: &[u32]) -> Result<Tensor> {
        let chosen = x.index_select(&Tensor::from_slice(indices, indices.len(), x.device())?, 0)?;
        rms_norm(&chosen, &self.weights.norm, self.spec.rms_eps)
    }

    fn embed(&self, batch: &Packed) -> Result<Tensor> {
        let ids = Tensor::from_slice(&batch.ids, batch.ids.len(), self.device())?;
        Ok(self.weights.embedding.i(&ids)?)
    }

    /// One layer: `x + attention(norm(x))`, then `+ feed_forward(norm(·))`.
    pub(super) fn layer(
        &self,
        layer: usize,
        x: &Tensor,
        batch: &Packed,
        adapter: Option<&Adapter>,
        dropout: Option<&Dropout>,
        cache: Option<&mut KvCache>,
    ) -> Result<(Tensor, LayerState)> {
        let norms = &self.weights.layers[layer];
        let linear = |module: Module, x: &Tensor| -> Result<Tensor> {
            let update = adapter.and_then(|adapter| adapter.at(layer, module));
            let mask = mask(Site { layer, module }, batch, x, adapter, dropout)?;
            self.linear(layer, module).forward(x, update.as_ref(), mask.as_ref())
        };
        let normed = rms_norm(x, &norms.attention_norm, self.spec.rms_eps)?;
        let q = self.rope.rotate(&linear(Module::Q, &normed)?, &batch.positions, Turn::Forward)?;
        let k = self.rope.rotate(&linear(Module::K, &normed)?, &batch.positions, Turn::Forward)?;
        let v = linear(Module::V, &normed)?;
        let attended = match cache {
            None => attention(&q, &k, &v, self.heads(), &batch.rows)?,
            Some(cache) => cache.attend(layer, &q, &k, &v, self.heads(), &batch.rows)?,
        };
        let middle = add(x, &linear(Module::O, &attended.out)?)?;
        let normed = rms_norm(&middle, &norms.feed_forward_norm, self.spec.rms_eps)?;
        let gate = linear(Module::Gate, &normed)?;
        let up = linear(Module::Up, &normed)?;
        let y = add(&middle, &linear(Module::Down, &swiglu(&gate, &up)?)?)?;
        Ok((y, LayerState { q, k, v, attended, middle, gate, up }))
    }
}

/// The dropout mask of one linear's input, where the linear is adapted and dropout is on.
pub(super) fn mask(
    site: Site,
    batch: &Packed,
    x: &Tensor,
    adapter: Option<&Adapter>,
    dropout: Option<&Dropout>,
) -> Result<Option<DropoutMask>> {
    match (adapter, dropout) {
        (Some(adapter), Some(dropout)) if adapter.pairs.contains_key(&site) => dropout.mask(site.index(), &batch.rows, x.dim(1)?, x),
        _ => Ok(None),
    }
}

impl Decoder {
    /// The first place of a forward pass whose output is not finite, for an error that names it.
    pub fn first_non_finite(&self, batch: &Packed, adapter: &Adapter) -> Result<Option<String>> {
        let finite = |x: &Tensor| -> Result<bool> {
            // A NaN or an infinity anywhere survives the sum of absolute values.
            Ok(x.to_dtype(candle_core::DType::F32)?.abs()?.sum_all()?.to_scalar::<f32>()?.is_finite())
        };
        let mut x = self.embed(batch)?;
        for layer in 0..self.spec.layers {
            let (next, state) = self.layer(layer, &x, batch, Some(adapter), None, None)?;
            let places = [
                (Module::Q, &state.q),
                (Module::K, &state.k),
                (Module::V, &state.v),
                (Module::O, &state.middle),
                (Module::Gate, &state.gate),
                (Module::Up, &state.up),
                (Module::Down, &next),
            ];
            for (module, output) in places {
                if !finite(output)? {
                    return Ok(Some(Site { layer, module }.to_string()));
                }
            }
            x = next;
        }
        Ok(None)
    }
}
