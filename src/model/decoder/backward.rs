//! Gradients of the adapter: from the loss at label positions back through every layer.
//!
//! Each step is the exact derivative of its line in `forward.rs`. Only x, A and B get gradients; a frozen weight never
//! does. With `Saving::Inputs` a layer's activations are computed again just before its backward.

use std::collections::BTreeMap;

use anyhow::Result;
use candle_core::{DType, Tensor};

use super::forward::{LayerState, mask};
use super::{Decoder, Packed, Tape};
use crate::model::lora::{Adapter, Module, Site};
use crate::model::ops::attention::attention_backward;
use crate::model::ops::cross_entropy::cross_entropy;
use crate::model::ops::elementwise::add;
use crate::model::ops::linear::LowRankGradient;
use crate::model::ops::rms_norm::{rms_norm, rms_norm_backward};
use crate::model::ops::rope::Turn;
use crate::model::ops::swiglu::{swiglu, swiglu_backward};

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

/// Label positions whose logits exist at one time: bounds memory at this many rows of the vocabulary.
const HEAD_CHUNK: usize = 128;

impl Decoder {
    /// Loss and gradients of `scale * sum of cross-entropies`.
    ///
    /// `labels` are (index of the predicting token, target token) pairs.
    pub fn backward(
        &self,
        tape: Tape,
        batch: &Packed,
        adapter: &Adapter,
        labels: &[(u32, u32)],
        scale: f64,
    ) -> Result<(LossSum, Gradients)> {
        let (loss, mut d_x) = self.head_backward(&tape.last, labels, scale)?;
        let mut gradients = Gradients::new();
        let Tape { inputs, states, dropout, .. } = tape;
        for (layer, (input, state)) in inputs.into_iter().zip(states).enumerate().rev() {
            let state = match state {
                Some(state) => state,
                None => self.layer(layer, &input, batch, Some(adapter), dropout.as_ref(), None)?.1,
            };
            d_x = self.layer_backward(layer, &input, state, batch, adapter, dropout.as_ref(), &d_x, &mut gradients)?;
        }
        Ok((loss, gradients))
    }

    /// Loss at the labels, and its gradient with respect to the last layer's output: [tokens, hidden].
    fn head_backward(&self, last: &Tensor, labels: &[(u32, u32)], scale: f64) -> Result<(LossSum, Tensor)> {
        let mut loss = LossSum::default();
        let mut d_last = Tensor::zeros(last.shape(), DType::F32, last.device())?;
        for chunk in labels.chunks(HEAD_CHUNK) {
            let (indices, targets): (Vec<u32>, Vec<u32>) = chunk.iter().copied().unzip();
            let index = Tensor::from_slice(&indices, indices.len(), last.device())?;
            let chosen = last.index_select(&index, 0)?;
            let normed = rms_norm(&chosen, &self.weights.norm, self.spec.rms_eps)?;
            let result = cross_entropy(&self.logits(&normed)?, &targets, scale)?;
            loss.total += result.losses.iter().map(|x| f64::from(*x)).sum::<f64>();
            loss.labels += chunk.len();
            loss.hits += result.hits.iter().filter(|hit| **hit).count();
            let d_normed = result.d_logits.to_dtype(last.dtype())?.matmul(self.weights.head())?;
            let d_chosen = rms_norm_backward(&chosen, &self.weights.norm, self.spec.rms_eps, &d_normed)?;
            d_last = d_last.index_add(&index, &d_chosen.to_dtype(DType::F32)?, 0)?;
        }
        Ok((loss, d_last.to_dtype(last.dtype())?))
    }

    #[expect(clippy::too_many_arguments, reason = "the pieces of one layer's state; a struct for one call would only rename them")]
    fn layer_backward(
        &self,
        layer: usize,
        x: &Tensor,
        state: LayerState,
        batch: &Packed,
        adapter: &Adapter,
        dropout: Option<&crate::model::dropout::Dropout>,
        d_y: &Tensor,
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        let norms = &self.weights.layers[layer];
        let eps = self.spec.rms_eps;
        let mut linear = |module: Module, x: &Tensor, d_y: &Tensor| -> Result<Tensor> {
            let update = adapter.at(layer, module);
            let mask = mask(Site { layer, module }, batch, x, Some(adapter), dropout)?;
            let (d_x, gradient) = self.linear(layer, module).backward(x, update.as_ref(), mask.as_ref(), d_y)?;
            if let Some(gradient) = gradient {
                gradients.insert(Site { layer, module }, gradient);
            }
            Ok(d_x)
        };
        let LayerState { q, k, v, attended, middle, gate, up } = state;

        let d_activated = linear(Module::Down, &swiglu(&gate, &up)?, d_y)?;
        let (d_gate, d_up) = swiglu_backward(&gate, &up, &d_activated)?;
        let normed = rms_norm(&middle, &norms.feed_forward_norm, eps)?;
        let d_normed = add(&linear(Module::Gate, &normed, &d_gate)?, &linear(Module::Up, &normed, &d_up)?)?;
        let d_middle = add(d_y, &rms_norm_backward(&middle, &norms.feed_forward_norm, eps, &d_normed)?)?;

        let d_attended = linear(Module::O, &attended.out, &d_middle)?;
        let (d_q, d_k, d_v) = attention_backward(&q, &k, &v, &attended, &d_attended, self.heads(), &batch.rows)?;
        let d_q = self.rope.rotate(&d_q, &batch.positions, Turn::Backward)?;
        let d_k = self.rope.rotate(&d_k, &batch.positions, Turn::Backward)?;
        let normed = rms_norm(x, &norms.attention_norm, eps)?;
        let d_from_q_and_k = add(&linear(Module::Q, &normed, &d_q)?, &linear(Module::K, &normed, &d_k)?)?;
        let d_normed = add(&d_from_q_and_k, &linear(Module::V, &normed, &d_v)?)?;
        add(&d_middle, &rms_norm_backward(x, &norms.attention_norm, eps, &d_normed)?)
    }
}
