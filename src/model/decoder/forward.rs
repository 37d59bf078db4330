//! Hidden states of a batch, with or without a cache, with or without what the backward pass needs.
//!
//! A layer has two bodies: operation by operation, as below, and `device.rs` with the fused kernels of a GPU.

use anyhow::Result;
use candle_core::{IndexOp, Tensor};

use super::{Decoder, Packed};
use crate::model::cache::KvCache;
use crate::model::dropout::{Dropout, DropoutMask};
use crate::model::lineup::Lineup;
use crate::model::lora::{Module, Site};
use crate::model::ops::attention::{Attended, attention};
use crate::model::ops::elementwise::add;
use crate::model::ops::linear::Update;
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

/// One forward pass: its rows, the adapters they go through, dropout in training.
pub(super) struct Pass<'a> {
    pub(super) batch: &'a Packed,
    pub(super) lineup: &'a Lineup<'a>,
    pub(super) dropout: Option<&'a Dropout>,
    /// Positions, row bounds and the like on the device, copied once for all layers.
    #[cfg(feature = "cuda")]
    pub(super) device: Option<super::device::DevicePass>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        decoder: &Decoder,
        batch: &'a Packed,
        lineup: &'a Lineup<'a>,
        dropout: Option<&'a Dropout>,
        cache: Option<&KvCache>,
    ) -> Result<Self> {
        lineup.check(batch)?;
        decoder.rope.check(&batch.positions)?;
        if let Some(id) = batch.ids.iter().find(|id| **id as usize >= decoder.spec.vocabulary) {
            anyhow::bail!(
                "token {id} is outside the vocabulary of {}: tokenizer and weights do not belong together, or a token was added \
                 and the model never resized",
                decoder.spec.vocabulary
            );
        }
        #[cfg(not(feature = "cuda"))]
        let _ = cache;
        Ok(Self {
            batch,
            lineup,
            dropout,
            #[cfg(feature = "cuda")]
            device: super::device::DevicePass::new(decoder, batch, lineup, dropout, cache)?,
        })
    }

    /// The low-rank updates of one linear, and the dropout mask of its input where dropout is on.
    pub(super) fn at(&self, layer: usize, module: Module, x: &Tensor) -> Result<(Vec<Update<'_>>, Option<DropoutMask>)> {
        let site = Site { layer, module };
        let updates = self.lineup.updates(site, self.batch);
        let mask = match self.dropout {
            Some(dropout) if !updates.is_empty() => dropout.mask(site.index(), &self.batch.rows, x.dim(1)?, x)?,
            _ => None,
        };
        Ok((updates, mask))
    }
}

/// Activations of one layer that its backward needs, beside its input.
pub(super) enum LayerState {
    /// Of the operations below.
    Plain(PlainState),
    /// Of the fused kernels.
    #[cfg(feature = "cuda")]
    Device(super::device::DeviceState),
}

/// Activations, one tensor a linear.
pub(super) struct PlainState {
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
    pub fn hidden(&self, batch: &Packed, lineup: &Lineup<'_>, cache: Option<&mut KvCache>) -> Result<Tensor> {
        let x = self.run(batch, lineup, cache)?;
        rms_norm(&x, &self.weights.norm, self.spec.rms_eps)
    }

    /// Hidden states of chosen tokens only: [indices, hidden]. The final norm runs on those alone.
    pub fn hidden_at(&self, batch: &Packed, indices: &[u32], lineup: &Lineup<'_>, cache: Option<&mut KvCache>) -> Result<Tensor> {
        let x = self.run(batch, lineup, cache)?;
        let chosen = x.index_select(&Tensor::from_slice(indices, indices.len(), x.device())?, 0)?;
        rms_norm(&chosen, &self.weights.norm, self.spec.rms_eps)
    }

    /// Output of the last layer before the final norm: [tokens, hidden].
    fn run(&self, batch: &Packed, lineup: &Lineup<'_>, mut cache: Option<&mut KvCache>) -> Result<Tensor> {
        let pass = Pass::new(self, batch, lineup, None, cache.as_deref())?;
        let mut x = self.embed(&pass)?;
        for layer in 0..self.spec.layers {
            (x, _) = self.layer(layer, &x, &pass, cache.as_deref_mut(), false)?;
        }
        if let Some(cache) = cache {
            cache.advance(batch);
        }
        Ok(x)
    }

    /// A forward pass for training: records what [`Decoder::backward`] needs.
    pub fn forward_training(&self, batch: &Packed, lineup: &Lineup<'_>, dropout: Option<Dropout>, saving: Saving) -> Result<Tape> {
        let pass = Pass::new(self, batch, lineup, dropout.as_ref(), None)?;
        let mut x = self.embed(&pass)?;
        let (mut inputs, mut states) = (Vec::new(), Vec::new());
        for layer in 0..self.spec.layers {
            let (next, state) = self.layer(layer, &x, &pass, None, saving == Saving::Activations)?;
            inputs.push(x);
            states.push(state);
            x = next;
        }
        Ok(Tape { inputs, states, last: x, dropout })
    }

    fn embed(&self, pass: &Pass<'_>) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if let Some(device) = &pass.device {
            return self.device_embed(pass, device);
        }
        let batch = pass.batch;
        let ids = Tensor::from_slice(&batch.ids, batch.ids.len(), self.device())?;
        Ok(self.weights.embedding.i(&ids)?)
    }

    /// One layer: `x + attention(norm(x))`, then `+ feed_forward(norm(·))`. With `save`, what its backward needs.
    pub(super) fn layer(
        &self,
        layer: usize,
        x: &Tensor,
        pass: &Pass<'_>,
        cache: Option<&mut KvCache>,
        save: bool,
    ) -> Result<(Tensor, Option<LayerState>)> {
        #[cfg(feature = "cuda")]
        if let Some(device) = &pass.device {
            let (y, state) = self.device_layer(layer, x, pass, device, cache.as_deref(), save)?;
            return Ok((y, state.map(LayerState::Device)));
        }
        let (y, state) = self.plain_layer(layer, x, pass, cache)?;
        Ok((y, save.then_some(LayerState::Plain(state))))
    }

    fn plain_layer(&self, layer: usize, x: &Tensor, pass: &Pass<'_>, cache: Option<&mut KvCache>) -> Result<(Tensor, PlainState)> {
        let norms = &self.weights.layers[layer];
        let linear = |module: Module, x: &Tensor| -> Result<Tensor> {
            let (updates, mask) = pass.at(layer, module, x)?;
            self.linear(layer, module).forward(x, &updates, mask.as_ref())
        };
        let normed = rms_norm(x, &norms.attention_norm, self.spec.rms_eps)?;
        let q = self.rope.rotate(&linear(Module::Q, &normed)?, &pass.batch.positions, Turn::Forward)?;
        let k = self.rope.rotate(&linear(Module::K, &normed)?, &pass.batch.positions, Turn::Forward)?;
        let v = linear(Module::V, &normed)?;
        let attended = match cache {
            None => attention(&q, &k, &v, self.heads(), &pass.batch.rows)?,
            Some(cache) => cache.attend(layer, &q, &k, &v, self.heads(), &pass.batch.rows)?,
        };
        let middle = add(x, &linear(Module::O, &attended.out)?)?;
        let normed = rms_norm(&middle, &norms.feed_forward_norm, self.spec.rms_eps)?;
        let gate = linear(Module::Gate, &normed)?;
        let up = linear(Module::Up, &normed)?;
        let y = add(&middle, &linear(Module::Down, &swiglu(&gate, &up)?)?)?;
        Ok((y, PlainState { q, k, v, attended, middle, gate, up }))
    }

    /// The first place of a forward pass whose output is not finite, for an error that names it.
    pub fn first_non_finite(&self, batch: &Packed, lineup: &Lineup<'_>) -> Result<Option<String>> {
        let finite = |x: &Tensor| -> Result<bool> {
            // A NaN or an infinity anywhere survives the sum of absolute values.
            Ok(x.to_dtype(candle_core::DType::F32)?.abs()?.sum_all()?.to_scalar::<f32>()?.is_finite())
        };
        let pass = Pass::new(self, batch, lineup, None, None)?;
        let mut x = self.embed(&pass)?;
        for layer in 0..self.spec.layers {
            let (next, state) = self.plain_layer(layer, &x, &pass, None)?;
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
