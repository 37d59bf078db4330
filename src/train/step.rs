//! One optimizer step: a window of rows to loss, gradients, clipping and update.
//!
//! Numbers that are not finite stop the step before anything is updated, and the error names the step, the rows and
//! the module.

use anyhow::{Result, bail};

use super::batch::{MicroBatch, TrainRow, micro_batches};
use super::optim::AdamW;
use super::telemetry::GradientNorms;
use crate::error::Invalid;
use crate::model::decoder::{Decoder, Gradients, LossSum, Saving};
use crate::model::dropout::Dropout;
use crate::model::lora::Adapter;
use crate::model::ops::elementwise::add;

/// What stays the same from step to step.
#[derive(Debug, Clone, Copy)]
pub struct StepSettings {
    /// Tokens of one forward pass at most.
    pub max_tokens: usize,
    /// Recompute activations or keep them.
    pub saving: Saving,
}

/// What a step measured.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutcome {
    /// Sum over the window.
    pub loss: LossSum,
    /// Before clipping.
    pub norms: GradientNorms,
    /// Tokens of the window.
    pub tokens: usize,
}

/// Loss and gradients of a window, `sum of cross-entropies / label tokens of the window`.
pub fn window_gradients(
    decoder: &Decoder,
    adapter: &Adapter,
    window: &[&TrainRow],
    dropout_seed: u64,
    settings: StepSettings,
) -> Result<(LossSum, Gradients)> {
    let batches = micro_batches(window, settings.max_tokens)?;
    let labels: usize = batches.iter().map(|batch| batch.labels.len()).sum();
    let mut loss = LossSum::default();
    let mut sum = Gradients::new();
    for batch in batches {
        let dropout = Dropout { rate: adapter.config.dropout, seed: dropout_seed, row_keys: batch.rows.clone() };
        let tape = decoder.forward_training(&batch.packed, adapter, Some(dropout), settings.saving)?;
        let (part, gradients) = decoder.backward(tape, &batch.packed, adapter, &batch.labels, 1.0 / labels as f64)?;
        if !part.total.is_finite() {
            let place = decoder.first_non_finite(&batch.packed, adapter)?.unwrap_or_else(|| "the output head".to_owned());
            bail!(Invalid(format!("the loss is not finite; first seen in {place}, rows {}", origins(window, &batch))));
        }
        loss.total += part.total;
        loss.labels += part.labels;
        loss.hits += part.hits;
        accumulate(&mut sum, gradients)?;
    }
    Ok((loss, sum))
}

/// Runs one window and updates the adapter.
pub fn train_step(
    decoder: &Decoder,
    adapter: &mut Adapter,
    optimizer: &mut AdamW,
    window: &[&TrainRow],
    learning_rate: f64,
    dropout_seed: u64,
    settings: StepSettings,
) -> Result<StepOutcome> {
    let (loss, gradients) = window_gradients(decoder, adapter, window, dropout_seed, settings)?;
    let norms = match GradientNorms::of(&gradients)? {
        Ok(norms) => norms,
        Err(site) => {
            let rows: Vec<&str> = window.iter().map(|row| row.origin.as_str()).collect();
            bail!(Invalid(format!("the gradient of {site} is not finite, rows {}", rows.join(", "))));
        }
    };
    // torch.nn.utils.clip_grad_norm_
    let clip = (optimizer.config.max_grad_norm / (norms.total + 1e-6)).min(1.0);
    optimizer.update(adapter, &gradients, clip, learning_rate)?;
    Ok(StepOutcome { loss, norms, tokens: window.iter().map(|row| row.encoded.ids.len()).sum() })
}

fn origins(window: &[&TrainRow], batch: &MicroBatch) -> String {
    batch.rows.iter().map(|row| window[*row as usize].origin.as_str()).collect::<Vec<_>>().join(", ")
}

fn accumulate(sum: &mut Gradients, more: Gradients) -> Result<()> {
    for (site, gradient) in more {
        match sum.entry(site) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(gradient);
            }
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                let sum = entry.get_mut();
                sum.a = add(&sum.a, &gradient.a)?;
                sum.b = add(&sum.b, &gradient.b)?;
            }
        }
    }
    Ok(())
}
