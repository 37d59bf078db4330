//! Gradients of the adapter: from the loss at label positions back through every layer.
//!
//! Each step is the exact derivative of its line in `forward.rs`. Only x, A and B get gradients; a frozen weight never
//! does. With `Saving::Inputs` a layer's activations are computed again just before its backward.

use anyhow::{Context, Result};
use candle_core::{DType, Tensor};

use super::forward::{LayerState, Pass, PlainState};
use super::objective::{Label, LossSum, Scales};
use super::{Decoder, Tape, times};
use crate::model::adapter_set::AdapterSet;
use crate::model::lora::Gradients;
use crate::model::ops::attention::attention_backward;
use crate::model::ops::cross_entropy::cross_entropy;
use crate::model::ops::divergence::{Divergence, divergence};
use crate::model::ops::elementwise::add;
use crate::model::ops::geglu::geglu_backward;
use crate::model::ops::linear::LowRankGradient;
use crate::model::ops::rms_norm::{rms_norm, rms_norm_backward};
use crate::model::ops::rope::Turn;
use crate::model::ops::swiglu::swiglu_backward;
use crate::model::packed::Packed;
use crate::model::site::{Module, Site};
use crate::model::spec::Activation;

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

/// The base's final hidden states at the positions that are held to it, in the order of the labels.
pub(super) struct BaseStates {
    states: Tensor,
    /// Rows that earlier chunks of labels took.
    taken: usize,
}

/// Gradient of the divergences from the base, with respect to some rows of a chunk's logits.
pub(super) struct ToBase {
    /// Which rows of the chunk.
    pub(super) rows: Tensor,
    /// [rows, vocabulary], f32.
    pub(super) d_logits: Tensor,
}

/// What each label's cross-entropy is multiplied by.
pub(super) fn factors(labels: &[Label], owners: &[usize], scales: &[Scales]) -> Vec<f64> {
    let factor = |(label, owner): (&Label, &usize)| label.weight.map_or(0.0, |weight| f64::from(weight) * scales[*owner].cross_entropy);
    labels.iter().zip(owners).map(factor).collect()
}

/// Told of every linear's site, its input [tokens, in] and the gradient of its output [tokens, out], from the last layer to
/// the first.
pub type OnLinear<'a> = &'a mut dyn FnMut(Site, &Tensor, &Tensor) -> Result<()>;

/// Label positions whose logits exist at one time: bounds memory at this many rows of the vocabulary.
const HEAD_CHUNK: usize = 128;

impl Decoder {
    /// For each adapter of the adapter_set, the sums over the labels of its rows and the gradients of
    /// `scales.cross_entropy * sum(weight * cross-entropy) + scales.to_base * sum(KL(base || adapted))`.
    ///
    /// One element of `scales` per adapter.
    pub fn backward(
        &self,
        tape: Tape,
        batch: &Packed,
        adapter_set: &AdapterSet<'_>,
        labels: &[Label],
        scales: &[Scales],
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
                Some(LayerState::Plain(state)) => self.layer_backward(layer, &input, state, &pass, &d_x, &mut results, None)?,
                #[cfg(feature = "cuda")]
                Some(LayerState::Device(state)) => self.device_layer_backward(layer, &input, state, &pass, &d_x, &mut results)?,
                None => unreachable!("asked to be saved"),
            };
        }
        let (losses, gradients): (Vec<LossSum>, Vec<Gradients>) = results.into_iter().unzip();
        Ok(losses.into_iter().zip(adapter_set.joined(gradients)?).collect())
    }

    /// [`Self::backward`] after a forward pass without dropout, operation by operation on every device, telling of every linear
    /// what the gradient of its whole weight is made of: `d_y^T x`.
    pub fn observed_backward(
        &self,
        batch: &Packed,
        adapter_set: &AdapterSet<'_>,
        labels: &[Label],
        scales: &[Scales],
        on_linear: OnLinear<'_>,
    ) -> Result<Vec<(LossSum, Gradients)>> {
        let pass = Pass::new(self, batch, adapter_set, None, None)?.operation_by_operation();
        let mut inputs = Vec::with_capacity(self.spec.layers);
        let mut x = self.embed(&pass)?;
        for layer in 0..self.spec.layers {
            let (next, _) = self.layer(layer, &x, &pass, None, false)?;
            inputs.push(x);
            x = next;
        }
        let mut results = vec![(LossSum::default(), Gradients::new()); adapter_set.len()];
        let mut d_x = self.head_backward(&x, batch, labels, scales, &mut results)?;
        for (layer, input) in inputs.into_iter().enumerate().rev() {
            let Some(LayerState::Plain(state)) = self.layer(layer, &input, &pass, None, true)?.1 else {
                unreachable!("asked to be saved, operation by operation")
            };
            d_x = self.layer_backward(layer, &input, state, &pass, &d_x, &mut results, Some(&mut *on_linear))?;
        }
        let (losses, gradients): (Vec<LossSum>, Vec<Gradients>) = results.into_iter().unzip();
        Ok(losses.into_iter().zip(adapter_set.joined(gradients)?).collect())
    }

    /// Losses at the labels, and the gradient with respect to the last layer's output: [tokens, hidden].
    fn head_backward(
        &self,
        last: &Tensor,
        batch: &Packed,
        labels: &[Label],
        scales: &[Scales],
        results: &mut [(LossSum, Gradients)],
    ) -> Result<Tensor> {
        let owners = labels
            .iter()
            .map(|label| batch.adapter_of(label.at).with_context(|| format!("the label at token {} belongs to no adapter", label.at)))
            .collect::<Result<Vec<usize>>>()?;
        let mut base = self.base_at(batch, labels)?;
        #[cfg(feature = "cuda")]
        if crate::model::ops::cuda::applies(last) && self.spec.fits_fused_kernels() {
            return self.device_head_backward(last, base, labels, &owners, scales, results);
        }
        let mut d_last = Tensor::zeros(last.shape(), DType::F32, last.device())?;
        for (chunk, owners) in labels.chunks(HEAD_CHUNK).zip(owners.chunks(HEAD_CHUNK)) {
            let indices: Vec<u32> = chunk.iter().map(|label| label.at).collect();
            let targets: Vec<u32> = chunk.iter().map(|label| label.target).collect();
            let index = Tensor::from_slice(&indices, indices.len(), last.device())?;
            let chosen = last.index_select(&index, 0)?;
            let normed = rms_norm(&chosen, &self.weights.norm, self.spec.rms_eps)?;
            let logits = self.logits(&normed)?;
            let result = cross_entropy(&logits, &targets, &factors(chunk, owners, scales))?;
            for (((label, owner), loss), hit) in chunk.iter().zip(owners).zip(&result.losses).zip(&result.hits) {
                results[*owner].0.add(label, *loss, *hit);
            }
            let mut d_logits = result.d_logits;
            if let Some(to_base) = self.to_base(&logits, base.as_mut(), chunk, owners, scales, results)? {
                d_logits = d_logits.index_add(&to_base.rows, &to_base.d_logits, 0)?;
            }
            let d_product = self.logits_backward(&logits, d_logits)?;
            let d_normed = d_product.to_dtype(last.dtype())?.matmul(self.weights.head())?;
            let d_chosen = rms_norm_backward(&chosen, &self.weights.norm, self.spec.rms_eps, &d_normed)?;
            d_last = d_last.index_add(&index, &d_chosen.to_dtype(DType::F32)?, 0)?;
        }
        Ok(d_last.to_dtype(last.dtype())?)
    }

    /// The base's final hidden states at the positions that are held to it, in the order of the labels: one more forward pass,
    /// over the rows that have such positions.
    fn base_at(&self, batch: &Packed, labels: &[Label]) -> Result<Option<BaseStates>> {
        let mut rows = Packed::default();
        let mut predicting = Vec::new();
        let mut current = None;
        let mut first = 0;
        for label in labels.iter().filter(|label| label.to_base) {
            let row = batch.row_of(label.at);
            let segment = batch.rows[row];
            if current != Some(row) {
                first = rows.tokens();
                let tokens = segment.start..segment.start + segment.len;
                rows.push(&batch.ids[tokens], batch.positions[segment.start] as usize, None);
                current = Some(row);
            }
            predicting.push((first + label.at as usize - segment.start) as u32);
        }
        if predicting.is_empty() {
            return Ok(None);
        }
        Ok(Some(BaseStates { states: self.hidden_at(&rows, &predicting, &AdapterSet::base(), None)?, taken: 0 }))
    }

    /// Divergences from the base of the next chunk of labels, with their gradient; None where the chunk has none.
    pub(super) fn to_base(
        &self,
        logits: &Tensor,
        base: Option<&mut BaseStates>,
        chunk: &[Label],
        owners: &[usize],
        scales: &[Scales],
        results: &mut [(LossSum, Gradients)],
    ) -> Result<Option<ToBase>> {
        let held: Vec<usize> = (0..chunk.len()).filter(|i| chunk[*i].to_base).collect();
        let Some(base) = base.filter(|_| !held.is_empty()) else { return Ok(None) };
        let rows: Vec<u32> = held.iter().map(|i| *i as u32).collect();
        let rows = Tensor::from_slice(&rows, rows.len(), logits.device())?;
        let states = base.states.narrow(0, base.taken, held.len())?;
        base.taken += held.len();
        let base = self.logits(&states)?;
        let of_held: Vec<f64> = held.iter().map(|i| scales[owners[*i]].to_base).collect();
        let Divergence { values, d_logits } = divergence(&base, &logits.index_select(&rows, 0)?, &of_held)?;
        for (i, value) in held.iter().zip(values) {
            let sum = &mut results[owners[*i]].0;
            sum.divergence += f64::from(value);
            sum.held += 1;
        }
        Ok(Some(ToBase { rows, d_logits }))
    }

    #[expect(clippy::too_many_arguments, reason = "a layer's state, and who is told of it")]
    fn layer_backward(
        &self,
        layer: usize,
        x: &Tensor,
        state: PlainState,
        pass: &Pass<'_>,
        d_y: &Tensor,
        results: &mut [(LossSum, Gradients)],
        mut on_linear: Option<OnLinear<'_>>,
    ) -> Result<Tensor> {
        let norms = &self.weights.layers[layer].norms;
        let mut linear = |module: Module, x: &Tensor, d_y: &Tensor| -> Result<Tensor> {
            if let Some(on_linear) = &mut on_linear {
                on_linear(Site { layer, module }, x, d_y)?;
            }
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
