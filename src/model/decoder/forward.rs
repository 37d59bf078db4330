//! Hidden states of a batch, with or without a cache, with or without what the backward pass needs.
//!
//! A layer has two bodies: operation by operation, as below, and `device.rs` with the fused kernels of a GPU.

use anyhow::Result;
use candle_core::{IndexOp, Tensor};

use super::{Decoder, times};
use crate::model::adapter_set::AdapterSet;
use crate::model::cache::KvCache;
use crate::model::ops::attention::{AttentionOutput, attention};
use crate::model::ops::dropout::{Dropout, DropoutMask};
use crate::model::ops::elementwise::{add, scale_rows};
use crate::model::ops::geglu::geglu;
use crate::model::ops::linear::Update;
use crate::model::ops::rms_norm::rms_norm;
use crate::model::ops::rope::Turn;
use crate::model::ops::swiglu::swiglu;
use crate::model::packed::Packed;
use crate::model::site::{Module, Site};
use crate::model::spec::{Activation, JointLinears, QueryKeyNorm, QueryTemperature};

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
    pub(super) adapter_set: &'a AdapterSet<'a>,
    pub(super) dropout: Option<&'a Dropout>,
    joint: JointLinears,
    /// Positions, row bounds and the like on the device, copied once for all layers.
    #[cfg(feature = "cuda")]
    pub(super) device: Option<super::device::DevicePass>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        decoder: &Decoder,
        batch: &'a Packed,
        adapter_set: &'a AdapterSet<'a>,
        dropout: Option<&'a Dropout>,
        cache: Option<&KvCache>,
    ) -> Result<Self> {
        adapter_set.check(batch)?;
        let longest = decoder.max_positions();
        if let Some(position) = batch.positions.iter().find(|position| **position as usize >= longest) {
            anyhow::bail!(
                "a sequence of more than {position} tokens does not fit {}: shorten the prompt or the answer",
                decoder.spec.limit()
            );
        }
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
            adapter_set,
            dropout,
            joint: decoder.spec.joint,
            #[cfg(feature = "cuda")]
            device: super::device::DevicePass::new(decoder, batch, adapter_set, dropout, cache)?,
        })
    }

    /// The same pass without the fused kernels of a GPU.
    #[cfg_attr(not(feature = "cuda"), expect(unused_mut, reason = "there are no other kernels"))]
    pub(super) fn operation_by_operation(mut self) -> Self {
        #[cfg(feature = "cuda")]
        {
            self.device = None;
        }
        self
    }

    /// The low-rank updates of one linear, and the dropout mask of its input where dropout is on.
    pub(super) fn at(&self, layer: usize, module: Module, x: &Tensor) -> Result<(Vec<Update<'_>>, Option<DropoutMask>)> {
        let updates = self.adapter_set.updates(Site { layer, module }, self.batch);
        // Parts of a joint linear see one mask, as one pair updates them.
        let held = Site { layer, module: self.joint.held_as(module) };
        let mask = match self.dropout {
            Some(dropout) if !updates.is_empty() => dropout.mask(held.index(), &self.batch.rows, x.dim(1)?, x)?,
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
    pub(super) attended: AttentionOutput,
    /// Residual stream between attention and feed-forward.
    pub(super) middle: Tensor,
    pub(super) gate: Tensor,
    pub(super) up: Tensor,
    /// What the norms that only some families have were given.
    pub(super) before: BeforeNorms,
}

/// Inputs of norms that are not on the residual stream.
#[derive(Default)]
pub(super) struct BeforeNorms {
    /// Queries and keys as they were projected.
    pub(super) q: Option<Tensor>,
    pub(super) k: Option<Tensor>,
    /// Attention's output.
    pub(super) attention: Option<Tensor>,
    /// The feed-forward block's output.
    pub(super) feed_forward: Option<Tensor>,
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
    pub fn hidden(&self, batch: &Packed, adapter_set: &AdapterSet<'_>, cache: Option<&mut KvCache>) -> Result<Tensor> {
        let x = self.run(batch, adapter_set, cache)?;
        rms_norm(&x, &self.weights.norm, self.spec.rms_eps)
    }

    /// Hidden states of chosen tokens only: [indices, hidden]. The final norm runs on those alone.
    pub fn hidden_at(&self, batch: &Packed, indices: &[u32], adapter_set: &AdapterSet<'_>, cache: Option<&mut KvCache>) -> Result<Tensor> {
        let x = self.run(batch, adapter_set, cache)?;
        let chosen = x.index_select(&Tensor::from_slice(indices, indices.len(), x.device())?, 0)?;
        rms_norm(&chosen, &self.weights.norm, self.spec.rms_eps)
    }

    /// Output of the last layer before the final norm: [tokens, hidden].
    fn run(&self, batch: &Packed, adapter_set: &AdapterSet<'_>, mut cache: Option<&mut KvCache>) -> Result<Tensor> {
        let pass = Pass::new(self, batch, adapter_set, None, cache.as_deref())?;
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
    pub fn forward_training(&self, batch: &Packed, adapter_set: &AdapterSet<'_>, dropout: Option<Dropout>, saving: Saving) -> Result<Tape> {
        let pass = Pass::new(self, batch, adapter_set, dropout.as_ref(), None)?;
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

    pub(super) fn embed(&self, pass: &Pass<'_>) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if let Some(device) = &pass.device {
            return self.device_embed(pass, device);
        }
        let batch = pass.batch;
        let ids = Tensor::from_slice(&batch.ids, batch.ids.len(), self.device())?;
        times(self.weights.embedding.i(&ids)?, self.spec.embedding_scale)
    }

    /// One layer: `x + attention(norm(x))`, then `+ feed_forward(norm(·))`, with the norms that the family has. With `save`, what its backward needs.
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
        let norms = &self.weights.layers[layer].norms;
        let linear = |module: Module, x: &Tensor| -> Result<Tensor> {
            let (updates, mask) = pass.at(layer, module, x)?;
            self.linear(layer, module).forward(x, &updates, mask.as_ref())
        };
        let positions = &pass.batch.positions;
        let normed = self.normed(x, norms.before_attention.as_ref())?;
        let (raw_q, raw_k, v) = (linear(Module::Q, &normed)?, linear(Module::K, &normed)?, linear(Module::V, &normed)?);
        let q = self.warmed(self.turned(layer, &raw_q, norms.query.as_ref(), positions)?, positions)?;
        let k = self.turned(layer, &raw_k, norms.key.as_ref(), positions)?;
        let attended = match cache {
            None => attention(&q, &k, &v, self.heads(layer), &pass.batch.rows)?,
            Some(cache) => cache.attend(layer, &q, &k, &v, self.heads(layer), &pass.batch.rows)?,
        };
        let out = linear(Module::O, &attended.out)?;
        let middle = self.joined(x, &out, norms.after_attention.as_ref())?;
        let normed = self.normed(&middle, norms.before_feed_forward.as_ref())?;
        let gate = linear(Module::Gate, &normed)?;
        let up = linear(Module::Up, &normed)?;
        let down = linear(Module::Down, &self.gated(&gate, &up)?)?;
        let y = self.joined(&middle, &down, norms.after_feed_forward.as_ref())?;
        let before = BeforeNorms {
            q: norms.query.is_some().then_some(raw_q),
            k: norms.key.is_some().then_some(raw_k),
            attention: norms.after_attention.is_some().then_some(out),
            feed_forward: norms.after_feed_forward.is_some().then_some(down),
        };
        Ok((y, PlainState { q, k, v, attended, middle, gate, up, before }))
    }

    /// RMS norm where there is a weight.
    pub(super) fn normed(&self, x: &Tensor, weight: Option<&Tensor>) -> Result<Tensor> {
        weight.map_or(Ok(x.clone()), |weight| rms_norm(x, weight, self.spec.rms_eps))
    }

    /// What a block adds to the residual stream, normed where there is a weight.
    fn joined(&self, x: &Tensor, out: &Tensor, weight: Option<&Tensor>) -> Result<Tensor> {
        add(x, &times(self.normed(out, weight)?, self.spec.residual_scale)?)
    }

    /// Queries or keys [tokens, heads * head_dim] as attention reads them: normed and turned, in the family's order.
    fn turned(&self, layer: usize, x: &Tensor, weight: Option<&Tensor>, positions: &[u32]) -> Result<Tensor> {
        if self.norms_turned() {
            return self.head_norm(&self.rotated(layer, x, positions, Turn::Forward)?, weight);
        }
        self.rotated(layer, &self.head_norm(x, weight)?, positions, Turn::Forward)
    }

    /// Whether queries and keys are normed after they are turned.
    pub(super) fn norms_turned(&self) -> bool {
        self.spec.query_key_norms.is_some_and(|norms| norms.place == QueryKeyNorm::AfterRope)
    }

    /// Heads turned by their positions, where the layer has rotary embedding.
    pub(super) fn rotated(&self, layer: usize, x: &Tensor, positions: &[u32], turn: Turn) -> Result<Tensor> {
        self.spec.attention[layer].rope.map_or(Ok(x.clone()), |rope| self.ropes[rope].rotate(x, positions, turn))
    }

    /// RMS norm of each stretch of [tokens, width] that is as long as the weight: a head, or all of them.
    fn head_norm(&self, x: &Tensor, weight: Option<&Tensor>) -> Result<Tensor> {
        let Some(weight) = weight else { return Ok(x.clone()) };
        Ok(rms_norm(&x.reshape(((), weight.dim(0)?))?, weight, self.spec.rms_eps)?.reshape(x.shape())?)
    }

    /// Queries times the factor that grows with their position. Its own gradient.
    pub(super) fn warmed(&self, q: Tensor, positions: &[u32]) -> Result<Tensor> {
        let Some(QueryTemperature { beta, original_positions }) = self.spec.query_temperature else { return Ok(q) };
        let factor = |position: &u32| beta.mul_add((f64::from(*position) / original_positions).floor().ln_1p(), 1.0) as f32;
        scale_rows(&q, &positions.iter().map(factor).collect::<Vec<_>>())
    }

    /// The feed-forward block's gate.
    pub(super) fn gated(&self, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
        match self.spec.activation {
            Activation::Silu => swiglu(gate, up),
            Activation::GeluTanh => geglu(gate, up),
        }
    }

    /// The first place of a forward pass whose output is not finite, for an error that names it.
    pub fn first_non_finite(&self, batch: &Packed, adapter_set: &AdapterSet<'_>) -> Result<Option<String>> {
        let finite = |x: &Tensor| -> Result<bool> {
            // A NaN or an infinity anywhere survives the sum of absolute values.
            Ok(x.to_dtype(candle_core::DType::F32)?.abs()?.sum_all()?.to_scalar::<f32>()?.is_finite())
        };
        let pass = Pass::new(self, batch, adapter_set, None, None)?;
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use candle_core::{DType, Device};

    use super::*;
    use crate::model::lora::{Adapter, LoraConfig};
    use crate::model::spec::Spec;
    use crate::model::weights::{Weights, safetensors_files};

    #[test]
    fn parts_of_a_joint_linear_see_one_mask() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families/glm4");
        let spec = Spec::from_config_json(&std::fs::read_to_string(folder.join("config.json")).unwrap()).unwrap();
        let weights = Weights::from_safetensors(&safetensors_files(&folder).unwrap(), &spec, &Device::Cpu, DType::F32).unwrap();
        let decoder = Decoder::new(spec, weights).unwrap();
        let config = LoraConfig { rank: 2, alpha: 4.0, dropout: 0.5, targets: Module::ALL.to_vec(), rslora: false };
        let adapter = Adapter::init(&decoder.spec, &config, 1, &Device::Cpu).unwrap();
        let adapter_set = AdapterSet::one(&decoder, Some(&adapter)).unwrap();
        let (batch, dropout) = (Packed::from_rows(&[[1u32, 2, 3]], Some(0)), Dropout::new(0.5, 1, &[0]));
        let pass = Pass::new(&decoder, &batch, &adapter_set, Some(&dropout), None).unwrap();
        let ones = Tensor::ones((3, decoder.spec.hidden), DType::F32, &Device::Cpu).unwrap();
        let mask = |module: Module| {
            let (_, mask) = pass.at(0, module, &ones).unwrap();
            mask.unwrap().apply(&ones, &(0..3)).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        assert_eq!(mask(Module::Gate), mask(Module::Up));
        // This family holds queries and keys apart.
        assert_ne!(mask(Module::Q), mask(Module::K));
    }
}
