//! Gradients of the adapter: from the loss at label positions back through every layer.
//!
//! Each step is the exact derivative of its line in `forward.rs`. Only x, A and B get gradients; a frozen weight never
//! does. With `Saving::Inputs` a layer's activations are computed again just before its backward.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use candle_core::{DType, Tensor};

use super::forward::{LayerState, Pass, PlainState};
use super::{Decoder, Packed, Tape, times};
use crate::model::adapter_set::AdapterSet;
use crate::model::lora::{Module, Site};
use crate::model::ops::attention::attention_backward;
use crate::model::ops::cross_entropy::cross_entropy;
use crate::model::ops::elementwise::add;
use crate::model::ops::geglu::geglu_backward;
use crate::model::ops::linear::LowRankGradient;
use crate::model::ops::rms_norm::{rms_norm, rms_norm_backward};
use crate::model::ops::rope::Turn;
use crate::model::ops::swiglu::swiglu_backward;
use crate::model::spec::Activation;

/// Gradient of every pair, by site.
pub type Gradients = BTreeMap<Site, LowRankGradient>;

/// Losses of a batch's label positions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LossSum {
    /// Sum of `-ln p(target)`, nats.
    pub total: f64,
    /// Label positions.
    pub labels: usize,
    /// Positions whose target was the most probable token.
    pub hits: usize,
}

impl LossSum {
    /// One label more.
    pub(super) fn add(&mut self, loss: f32, hit: bool) {
        self.total += f64::from(loss);
        self.labels += 1;
        self.hits += usize::from(hit);
    }
}

/// Adds a gradient to what other rows of the same adapter gave.
pub(crate) fn insert(gradients: &mut Gradients, site: Site, gradient: LowRankGradient) -> Result<()> {
    match gradients.entry(site) {
        std::collections::btree_map::Entry::Vacant(entry) => {
            entry.insert(gradient);
        }
        std::collections::btree_map::Entry::Occupied(mut entry) => {
            let sum = entry.get_mut();
            sum.a = add(&sum.a, &gradient.a)?;
            sum.b = add(&sum.b, &gradient.b)?;
        }
    }
    Ok(())
}

/// Label positions whose logits exist at one time: bounds memory at this many rows of the vocabulary.
const HEAD_CHUNK: usize = 128;

impl Decoder {
    /// For each adapter of the adapter set, the loss of its rows and the gradients of `scale * sum of cross-entropies`.
    ///
    /// `labels` are (index of the predicting token, target token) pairs; `scales` one number an adapter.
    pub fn backward(
        &self,
        tape: Tape,
        batch: &Packed,
        adapter_set: &AdapterSet<'_>,
        labels: &[(u32, u32)],
        scales: &[f64],
    ) -> Result<Vec<(LossSum, Gradients)>> {
        let Tape { inputs, states, last, dropout } = tape;
        let mut results = vec![(LossSum::default(), Gradients::new()); adapter_set.len()];
        let mut d_x = self.head_backward(&last, batch, labels, scales, &mut results)?;
        drop(last);
        let pass = Pass::new(self, batch, adapter_set, dropout.as_ref(), None)?;
        for (layer, (input, state)) in inputs.into_iter().zip(states).enumerate().rev() {
            let state = match state {
                Some(state) => Some(state),
                None => self.layer(layer, &input, &pass, None, true)?.1,
            };
            d_x = match state {
                Some(LayerState::Plain(state)) => self.layer_backward(layer, &input, state, &pass, &d_x, &mut results)?,
                #[cfg(feature = "cuda")]
                Some(LayerState::Device(state)) => self.device_layer_backward(layer, &input, state, &pass, &d_x, &mut results)?,
                None => unreachable!("asked to be saved"),
            };
        }
        Ok(results)
    }

    /// Losses at the labels, and the gradient with respect to the last layer's output: [tokens, hidden].
    fn head_backward(
        &self,
        last: &Tensor,
        batch: &Packed,
        labels: &[(u32, u32)],
        scales: &[f64],
        results: &mut [(LossSum, Gradients)],
    ) -> Result<Tensor> {
        let owners = labels
            .iter()
            .map(|(at, _)| batch.adapter_of(*at).with_context(|| format!("the label at token {at} belongs to no adapter")))
            .collect::<Result<Vec<usize>>>()?;
        #[cfg(feature = "cuda")]
        if crate::model::ops::cuda::applies(last) && self.spec.fits_fused_kernels() {
            return self.device_head_backward(last, labels, &owners, scales, results);
        }
        let mut d_last = Tensor::zeros(last.shape(), DType::F32, last.device())?;
        for (chunk, owners) in labels.chunks(HEAD_CHUNK).zip(owners.chunks(HEAD_CHUNK)) {
            let (indices, targets): (Vec<u32>, Vec<u32>) = chunk.iter().copied().unzip();
            let index = Tensor::from_slice(&indices, indices.len(), last.device())?;
            let chosen = last.index_select(&index, 0)?;
            let normed = rms_norm(&chosen, &self.weights.norm, self.spec.rms_eps)?;
            let of_labels: Vec<f64> = owners.iter().map(|owner| scales[*owner]).collect();
            let logits = self.logits(&normed)?;
            let result = cross_entropy(&logits, &targets, &of_labels)?;
            for ((owner, loss), hit) in owners.iter().zip(&result.losses).zip(&result.hits) {
                results[*owner].0.add(*loss, *hit);
            }
            let d_product = self.logits_backward(&logits, result.d_logits)?;
            let d_normed = d_product.to_dtype(last.dtype())?.matmul(self.weights.head())?;
            let d_chosen = rms_norm_backward(&chosen, &self.weights.norm, self.spec.rms_eps, &d_normed)?;
            d_last = d_last.index_add(&index, &d_chosen.to_dtype(DType::F32)?, 0)?;
        }
        Ok(d_last.to_dtype(last.dtype())?)
    }

    fn layer_backward(
        &self,
        layer: usize,
        x: &Tensor,
        state: PlainState,
        pass: &Pass<'_>,
        d_y: &Tensor,
        results: &mut [(LossSum, Gradients)],
    ) -> Result<Tensor> {
        let norms = &self.weights.layers[layer].norms;
        let mut linear = |module: Module, x: &Tensor, d_y: &Tensor| -> Result<Tensor> {
            let (updates, mask) = pass.at(layer, module, x)?;
            let (d_x, gradients) = self.linear(layer, module).backward(x, &updates, mask.as_ref(), d_y)?;
            for (update, gradient) in updates.iter().zip(gradients) {
                insert(&mut results[update.adapter].1, Site { layer, module }, gradient)?;
            }
            Ok(d_x)
        };
        let PlainState { q, k, v, attended, middle, gate, up, before } = state;

        let d_down = self.joined_backward(d_y, before.feed_forward.as_ref(), norms.after_feed_forward.as_ref())?;
        let d_activated = linear(Module::Down, &self.gated(&gate, &up)?, &d_down)?;
        let (d_gate, d_up) = match self.spec.activation {
            Activation::Silu => swiglu_backward(&gate, &up, &d_activated)?,
            Activation::GeluTanh => geglu_backward(&gate, &up, &d_activated)?,
        };
        let normed = self.normed(&middle, norms.before_feed_forward.as_ref())?;
        let d_normed = add(&linear(Module::Gate, &normed, &d_gate)?, &linear(Module::Up, &normed, &d_up)?)?;
        let d_middle = add(d_y, &self.normed_backward(&middle, norms.before_feed_forward.as_ref(), d_normed)?)?;

        let d_out = self.joined_backward(&d_middle, before.attention.as_ref(), norms.after_attention.as_ref())?;
        let d_attended = linear(Module::O, &attended.out, &d_out)?;
        let (d_q, d_k, d_v) = attention_backward(&q, &k, &v, &attended, &d_attended, self.heads(layer), &pass.batch.rows)?;
        let positions = &pass.batch.positions;
        let d_q = self.turned_backward(layer, before.q.as_ref().zip(norms.query.as_ref()), &self.warmed(d_q, positions)?, positions)?;
        let d_k = self.turned_backward(layer, before.k.as_ref().zip(norms.key.as_ref()), &d_k, positions)?;
        let normed = self.normed(x, norms.before_attention.as_ref())?;
        let d_from_q_and_k = add(&linear(Module::Q, &normed, &d_q)?, &linear(Module::K, &normed, &d_k)?)?;
        let d_normed = add(&d_from_q_and_k, &linear(Module::V, &normed, &d_v)?)?;
        add(&d_middle, &self.normed_backward(x, norms.before_attention.as_ref(), d_normed)?)
    }

    fn normed_backward(&self, x: &Tensor, weight: Option<&Tensor>, d_y: Tensor) -> Result<Tensor> {
        match weight {
            None => Ok(d_y),
            Some(weight) => rms_norm_backward(x, weight, self.spec.rms_eps, &d_y),
        }
    }

    /// The gradient of a block's output, given that of the residual stream that it joins.
    fn joined_backward(&self, d_y: &Tensor, out: Option<&Tensor>, weight: Option<&Tensor>) -> Result<Tensor> {
        let d_normed = times(d_y.clone(), self.spec.residual_scale)?;
        match out {
            None => Ok(d_normed),
            Some(out) => self.normed_backward(out, weight, d_normed),
        }
    }

    /// The gradient of queries or keys as they were projected; `normed` is those with the weight of their norm.
    fn turned_backward(&self, layer: usize, normed: Option<(&Tensor, &Tensor)>, d: &Tensor, positions: &[u32]) -> Result<Tensor> {
        let Some((raw, weight)) = normed else { return self.rotated(layer, d, positions, Turn::Backward) };
        let norm_backward = |x: &Tensor, d: &Tensor| -> Result<Tensor> {
            let shape = ((), weight.dim(0)?);
            Ok(rms_norm_backward(&x.reshape(shape)?, weight, self.spec.rms_eps, &d.reshape(shape)?)?.reshape(raw.shape())?)
        };
        if self.norms_turned() {
            let d_turned = norm_backward(&self.rotated(layer, raw, positions, Turn::Forward)?, d)?;
            return self.rotated(layer, &d_turned, positions, Turn::Backward);
        }
        norm_backward(raw, &self.rotated(layer, d, positions, Turn::Backward)?)
    }
}
