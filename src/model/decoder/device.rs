//! The layer on a GPU: joint projections, fused kernels, paged keys and values. The same function as `forward.rs` and
//! `backward.rs` compute operation by operation; `ballast doctor` holds one against the other.

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Tensor};

use super::Decoder;
use super::backward::{BaseStates, factors, insert};
use super::forward::Pass;
use super::objective::{Label, LossSum, Scales};
use crate::model::adapter_set::{AdapterSet, spans};
use crate::model::cache::KvCache;
use crate::model::lora::Gradients;
use crate::model::ops::attention::AttentionOutput;
use crate::model::ops::cuda::attention::{self, Paged, Rows};
use crate::model::ops::cuda::dropout::DropoutPlaces;
use crate::model::ops::cuda::lowrank::{DropoutBits, Group, Updates};
use crate::model::ops::cuda::profile::{product, timed};
use crate::model::ops::cuda::upload::{Place, Upload, Uploaded};
use crate::model::ops::cuda::{applies, head, heads, norm, swiglu};
use crate::model::ops::dropout::Dropout;
use crate::model::ops::rope::Turn;
use crate::model::packed::Packed;
use crate::model::site::{Module, Site};

/// Small arrays that every layer of a pass reads, copied to the device once.
pub(super) struct DevicePass {
    uploaded: Uploaded,
    ids: Place,
    positions: Place,
    through: Place,
    ranges: Option<Place>,
    rows: Rows,
    pages: Option<PassPlaces>,
    dropout: Option<DropoutPlaces>,
}

/// Where a pass with a cache finds its pages.
struct PassPlaces {
    slots: Place,
    table: Place,
    width: usize,
    past: Place,
    longest: usize,
    /// No row has anything cached: attention needs no pages.
    fresh: bool,
}

/// Activations of one layer that its backward needs, beside its input.
pub(super) struct DeviceState {
    /// Queries and keys turned: [tokens, (heads + 2 kv_heads) * head_dim].
    qkv: Tensor,
    attended: AttentionOutput,
    middle: Tensor,
    /// Before its low-rank updates: [tokens, 2 * intermediate].
    gate_up: Tensor,
    /// What the low-rank updates reduced their inputs to.
    reduced: Reduced,
    bits: Option<DropoutBits>,
}

#[derive(Default)]
struct Reduced {
    qkv: Option<Tensor>,
    o: Option<Tensor>,
    gate_up: Option<Tensor>,
    down: Option<Tensor>,
}

/// Label positions whose logits exist at one time.
const HEAD_CHUNK: usize = 1024;

impl DevicePass {
    /// None where the kernels do not apply.
    pub(super) fn new(
        decoder: &Decoder,
        batch: &Packed,
        adapter_set: &AdapterSet<'_>,
        dropout: Option<&Dropout>,
        cache: Option<&KvCache>,
    ) -> Result<Option<Self>> {
        if !applies(&decoder.weights.embedding) || !decoder.spec.fits_fused_kernels() {
            return Ok(None);
        }
        let mut upload = Upload::default();
        let ids = upload.add(batch.ids.iter().copied());
        let positions = upload.add(batch.positions.iter().copied());
        let through = batch
            .rows
            .iter()
            .zip(&batch.adapters)
            .flat_map(|(row, adapter)| std::iter::repeat_n(adapter.map_or(u32::MAX, |adapter| adapter as u32), row.len));
        let through = upload.add(through);
        let pages = cache.and_then(KvCache::paged).map(|cache| cache.pass(batch)).transpose()?;
        let past = pages.as_ref().map_or(&[][..], |pages| &pages.past);
        let rows = Rows::new(&batch.rows, past, &mut upload);
        let pages = pages.map(|pages| PassPlaces {
            fresh: pages.past.iter().all(|past| *past == 0),
            longest: pages.total.iter().copied().max().unwrap_or(0) as usize,
            width: pages.width,
            slots: upload.add(pages.slots),
            table: upload.add(pages.table),
            past: upload.add(pages.past),
        });
        let ranges = token_ranges(batch, adapter_set.len()).map(|ranges| upload.add(ranges));
        let dropout = dropout.and_then(|dropout| DropoutPlaces::new(dropout, &batch.rows, &mut upload));
        let uploaded = upload.send(decoder.device())?;
        Ok(Some(Self { uploaded, ids, positions, through, ranges, rows, pages, dropout }))
    }
}

/// Where each adapter's tokens begin, and where the last one's end. None where rows are not in the order of adapters, as
/// gradients need them to be.
fn token_ranges(batch: &Packed, adapters: usize) -> Option<Vec<u32>> {
    let mut ranges = Vec::with_capacity(adapters + 1);
    let mut end = 0;
    for (adapter, tokens) in spans(batch) {
        if tokens.start != end || ranges.len() > adapter {
            return None;
        }
        ranges.resize(adapter + 1, tokens.start as u32);
        end = tokens.end;
    }
    ranges.resize(adapters + 1, end as u32);
    (end == batch.tokens()).then_some(ranges)
}

impl Decoder {
    /// Embeddings of a pass's tokens.
    pub(super) fn device_embed(&self, pass: &Pass<'_>, device: &DevicePass) -> Result<Tensor> {
        head::gather_rows(&self.weights.embedding, device.uploaded.at(device.ids), pass.batch.tokens())
    }

    fn updates<'a>(
        &'a self,
        layer: usize,
        pass: &'a Pass<'_>,
        device: &'a DevicePass,
        dropout: Option<&'a DropoutBits>,
    ) -> Option<Updates<'a>> {
        pass.adapter_set.table.as_ref().map(|table| Updates {
            table,
            spec: &self.spec,
            layer,
            through: device.uploaded.at(device.through),
            ranges: device.ranges.map(|place| device.uploaded.at(place)),
            tokens: pass.batch.tokens(),
            dropout,
        })
    }

    /// See [`Decoder::layer`].
    pub(super) fn device_layer(
        &self,
        layer: usize,
        x: &Tensor,
        pass: &Pass<'_>,
        device: &DevicePass,
        cache: Option<&KvCache>,
        save: bool,
    ) -> Result<(Tensor, Option<DeviceState>)> {
        let weights = &self.weights.layers[layer];
        let fused = weights.fused.as_ref().context("weights on a GPU are joined when they are loaded")?;
        let (eps, tokens) = (self.spec.rms_eps, pass.batch.tokens());
        let (attention_norm, feed_forward_norm) = weights.norms.pre()?;
        let bits = match (&device.dropout, pass.adapter_set.table.is_some()) {
            (Some(dropout), true) => Some(dropout.bits(&device.uploaded, &self.spec, layer, tokens, x.device())?),
            _ => None,
        };
        let updates = self.updates(layer, pass, device, bits.as_ref());
        let reduce = |group: Group, x: &Tensor| updates.as_ref().map_or(Ok(None), |updates| updates.reduce(group, x));
        let linear = |group: Group, x: &Tensor, weight: &Tensor| -> Result<(Tensor, Option<Tensor>)> {
            let (y, reduced) = (product(x, &weight.t()?)?, reduce(group, x)?);
            if let Some(updates) = &updates {
                updates.expand(group, reduced.as_ref(), &y)?;
            }
            Ok((y, reduced))
        };
        let mut reduced = Reduced::default();
        let normed = norm::rms_norm(x, attention_norm, eps)?;
        let qkv;
        (qkv, reduced.qkv) = linear(Group::QKV, &normed, &fused.qkv)?;
        let attended = self.device_attend(layer, &qkv, fused.qkv_bias.as_ref(), device, cache)?;
        let out;
        (out, reduced.o) = linear(Group::O, &attended.out, self.linear(layer, Module::O).rows()?)?;
        let (middle, normed) = norm::add_rms_norm(x, &out, feed_forward_norm, eps)?;
        let gate_up = product(&normed, &fused.gate_up.t()?)?;
        reduced.gate_up = reduce(Group::GATE_UP, &normed)?;
        let activated = swiglu::swiglu(&gate_up, updates.as_ref().zip(reduced.gate_up.as_ref()))?;
        let down = product(&activated, &self.linear(layer, Module::Down).rows()?.t()?)?;
        reduced.down = reduce(Group::DOWN, &activated)?;
        let y = match updates.as_ref().zip(reduced.down.as_ref()) {
            Some((updates, reduced)) => {
                updates.expand_and_add(Group::DOWN, reduced, &middle, &down)?;
                down
            }
            None => timed(x.device(), || "add".to_owned(), || Ok((&middle + &down)?))?,
        };
        Ok((y, save.then_some(DeviceState { qkv, attended, middle, gate_up, reduced, bits })))
    }

    /// Attention over a layer's joint projection, which is finished in place.
    fn device_attend(
        &self,
        layer: usize,
        qkv: &Tensor,
        bias: Option<&Tensor>,
        device: &DevicePass,
        cache: Option<&KvCache>,
    ) -> Result<AttentionOutput> {
        let positions = device.uploaded.at(device.positions);
        let (Some(places), Some(cache)) = (&device.pages, cache.and_then(KvCache::paged)) else {
            heads::finish(qkv, bias, &self.ropes[0], positions, self.heads(layer), Turn::Forward, None)?;
            return attention::forward(qkv, self.heads(layer), &device.rows, &device.uploaded);
        };
        let (keys, values) = cache.layer(layer);
        let pages = heads::Pages { keys: &keys, values: &values, slots: device.uploaded.at(places.slots) };
        heads::finish(qkv, bias, &self.ropes[0], positions, self.heads(layer), Turn::Forward, Some(&pages))?;
        if places.fresh {
            return attention::forward(qkv, self.heads(layer), &device.rows, &device.uploaded);
        }
        let paged = Paged {
            table: device.uploaded.at(places.table),
            width: places.width,
            past: device.uploaded.at(places.past),
            longest: places.longest,
        };
        let out = attention::forward_paged(qkv, (&keys, &values), self.heads(layer), &device.rows, &paged, &device.uploaded)?;
        // Nothing goes backward from a pass with a cache.
        let log_sum_exp = Tensor::zeros((0, 0), DType::F32, qkv.device())?;
        Ok(AttentionOutput { out, log_sum_exp })
    }

    /// See `layer_backward`.
    pub(super) fn device_layer_backward(
        &self,
        layer: usize,
        x: &Tensor,
        state: DeviceState,
        pass: &Pass<'_>,
        d_y: &Tensor,
        results: &mut [(LossSum, Gradients)],
    ) -> Result<Tensor> {
        let device = pass.device.as_ref().context("a layer of the device in a pass of the host")?;
        let weights = &self.weights.layers[layer];
        let fused = weights.fused.as_ref().context("weights on a GPU are joined when they are loaded")?;
        let DeviceState { qkv, attended, middle, gate_up, reduced, bits } = state;
        let eps = self.spec.rms_eps;
        let (attention_norm, feed_forward_norm) = weights.norms.pre()?;
        let updates = self.updates(layer, pass, device, bits.as_ref());
        if updates.is_some() {
            ensure!(device.ranges.is_some(), "gradients need rows in the order of their adapters, each through one");
        }
        let mut keep = |found: Vec<(usize, Module, crate::model::ops::linear::LowRankGradient)>| -> Result<()> {
            for (adapter, module, gradient) in found {
                insert(&mut results[adapter].1, Site { layer, module }, gradient)?;
            }
            Ok(())
        };
        // The gradient of a linear's input, and what its update's factors reduced the gradient to.
        let linear = |group: Group, weight: &Tensor, d_y: &Tensor| -> Result<(Tensor, Option<Tensor>)> {
            let d_x = product(d_y, weight)?;
            let Some(updates) = &updates else { return Ok((d_x, None)) };
            let d_reduced = updates.reduce_backward(group, d_y)?;
            updates.expand_backward(group, d_reduced.as_ref(), &d_x)?;
            Ok((d_x, d_reduced))
        };
        let mut gradients = |group: Group, reduced: Option<&Tensor>, d_reduced: Option<&Tensor>, x: &Tensor, d_y: &Tensor| match &updates {
            Some(updates) => keep(updates.gradients(group, reduced, d_reduced, x, d_y)?),
            None => Ok(()),
        };

        let (d_activated, d_reduced) = linear(Group::DOWN, self.linear(layer, Module::Down).rows()?, d_y)?;
        let activated = swiglu::swiglu_backward(&gate_up, updates.as_ref().zip(reduced.gate_up.as_ref()), &d_activated)?;
        drop(d_activated);
        gradients(Group::DOWN, reduced.down.as_ref(), d_reduced.as_ref(), &activated, d_y)?;
        drop(activated);
        let d_gate_up = gate_up;
        let (d_normed, d_reduced) = linear(Group::GATE_UP, &fused.gate_up, &d_gate_up)?;
        let normed = norm::rms_norm(&middle, feed_forward_norm, eps)?;
        gradients(Group::GATE_UP, reduced.gate_up.as_ref(), d_reduced.as_ref(), &normed, &d_gate_up)?;
        drop(d_gate_up);
        let d_middle = norm::rms_norm_backward(&middle, feed_forward_norm, &d_normed, Some(d_y), eps)?;

        let (d_attended, d_reduced) = linear(Group::O, self.linear(layer, Module::O).rows()?, &d_middle)?;
        gradients(Group::O, reduced.o.as_ref(), d_reduced.as_ref(), &attended.out, &d_middle)?;
        let d_qkv = attention::backward(&qkv, &attended, &d_attended, self.heads(layer), &device.rows, &device.uploaded)?;
        heads::finish(&d_qkv, None, &self.ropes[0], device.uploaded.at(device.positions), self.heads(layer), Turn::Backward, None)?;
        let (d_normed, d_reduced) = linear(Group::QKV, &fused.qkv, &d_qkv)?;
        let normed = norm::rms_norm(x, attention_norm, eps)?;
        gradients(Group::QKV, reduced.qkv.as_ref(), d_reduced.as_ref(), &normed, &d_qkv)?;
        norm::rms_norm_backward(x, attention_norm, &d_normed, Some(&d_middle), eps)
    }

    /// See `head_backward`.
    pub(super) fn device_head_backward(
        &self,
        last: &Tensor,
        mut base: Option<BaseStates>,
        labels: &[Label],
        owners: &[usize],
        scales: &[Scales],
        results: &mut [(LossSum, Gradients)],
    ) -> Result<Tensor> {
        let (_, width) = last.dims2()?;
        if let Some(Label { target, .. }) = labels.iter().find(|label| label.target as usize >= self.spec.vocabulary) {
            anyhow::bail!(
                "target token {target} is outside the vocabulary of {}: tokenizer and weights do not belong together",
                self.spec.vocabulary
            );
        }
        let d_last = Tensor::zeros((last.dim(0)?, width), last.dtype(), last.device())?;
        let mut scored = Vec::new();
        for (chunk, owners) in labels.chunks(HEAD_CHUNK).zip(owners.chunks(HEAD_CHUNK)) {
            let mut upload = Upload::default();
            let index = upload.add(chunk.iter().map(|label| label.at));
            let targets = upload.add(chunk.iter().map(|label| label.target));
            let of_labels = upload.add(factors(chunk, owners, scales).into_iter().map(|factor| (factor as f32).to_bits()));
            let uploaded = upload.send(last.device())?;
            let chosen = head::gather_rows(last, uploaded.at(index), chunk.len())?;
            let normed = norm::rms_norm(&chosen, &self.weights.norm, self.spec.rms_eps)?;
            let logits = self.logits(&normed)?;
            let to_base = self.to_base(&logits, base.as_mut(), chunk, owners, scales, results)?;
            // The kernel writes the gradient over the logits.
            scored.push(head::cross_entropy(&logits, uploaded.at(targets), uploaded.at(of_labels))?);
            let d_logits = match to_base {
                Some(to_base) => logits.index_add(&to_base.rows, &to_base.d_logits.to_dtype(logits.dtype())?, 0)?,
                None => logits,
            };
            let d_normed = product(&d_logits, self.weights.head())?;
            let d_chosen = norm::rms_norm_backward(&chosen, &self.weights.norm, &d_normed, None, self.spec.rms_eps)?;
            head::scatter_rows(&d_chosen, uploaded.at(index), &d_last)?;
        }
        // Read back only now, so that the device never waits for the host between chunks.
        let mut labels = labels.iter().zip(owners);
        for part in scored {
            let (losses, hits): (Vec<f32>, Vec<u32>) = (part.losses.to_vec1()?, part.hits.to_vec1()?);
            for ((loss, hit), (label, owner)) in losses.iter().zip(&hits).zip(&mut labels) {
                results[*owner].0.add(label, *loss, *hit == 1);
            }
        }
        Ok(d_last)
    }
}
