//! One optimizer step: a window of rows to loss, gradients, clipping and update.
//!
//! Numbers that are not finite stop the step before anything is updated, and the error names the step, the rows and
//! the module.

use anyhow::{Result, bail, ensure};

use super::batch::{MicroBatch, TrainRow, micro_batches};
use super::optim::AdamW;
use super::telemetry::GradientNorms;
use crate::error::Invalid;
use crate::model::adapter_set::AdapterSet;
use crate::model::decoder::{Decoder, LossSum, Saving, Scales, insert};
use crate::model::lora::Adapter;
use crate::model::lora::Gradients;
use crate::model::ops::dropout::{Dropout, RowKey};

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

/// One adapter's part of a step: its window of rows and the seed of its dropout.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    /// What is trained.
    pub adapter: &'a Adapter,
    /// Rows of the step.
    pub rows: &'a [&'a TrainRow],
    /// Of this step.
    pub dropout_seed: u64,
    /// Factor of the mean divergence from the base; rows say whether they are held to it.
    pub kl: f64,
}

/// Loss and gradients of each window: `sum(weight * cross-entropy) / labels + kl * sum(divergence) / positions held to the
/// base`, each count over the whole window.
///
/// Windows of several adapters share forward passes: the frozen weights see their rows as one batch.
pub fn window_gradients(decoder: &Decoder, windows: &[Window<'_>], settings: StepSettings) -> Result<Vec<(LossSum, Gradients)>> {
    let rows: Vec<&[&TrainRow]> = windows.iter().map(|window| window.rows).collect();
    let batches = micro_batches(&rows, settings.max_tokens)?;
    let mut counts = vec![(0usize, 0usize); windows.len()];
    for batch in &batches {
        for label in &batch.labels {
            let (labels, held) = &mut counts[batch.packed.adapter_of(label.at).unwrap_or(0)];
            *labels += usize::from(label.weight.is_some());
            *held += usize::from(label.to_base);
        }
    }
    let share = |factor: f64, count: usize| if count == 0 { 0.0 } else { factor / count as f64 };
    let scales = counts
        .iter()
        .zip(windows)
        .map(|((labels, held), window)| Scales { cross_entropy: share(1.0, *labels), to_base: share(window.kl, *held) });
    let scales: Vec<Scales> = scales.collect();
    let adapter_set = AdapterSet::new(decoder, windows.iter().map(|window| window.adapter).collect())?;
    let mut sums: Vec<(LossSum, Gradients)> = vec![(LossSum::default(), Gradients::new()); windows.len()];
    for batch in batches {
        let keys = batch.rows.iter().map(|(window, row)| RowKey { seed: windows[*window].dropout_seed, row: *row });
        // One rate a pass: adapters of one experiment are made alike.
        let rate = windows.first().map_or(0.0, |window| window.adapter.config.dropout);
        ensure!(
            windows.iter().all(|window| window.adapter.config.dropout.total_cmp(&rate).is_eq()),
            "adapters of different dropout trained side by side"
        );
        let dropout = Dropout { rate, rows: keys.collect() };
        let tape = decoder.forward_training(&batch.packed, &adapter_set, Some(dropout), settings.saving)?;
        let parts = decoder.backward(tape, &batch.packed, &adapter_set, &batch.labels, &scales)?;
        for (window, (part, gradients)) in parts.into_iter().enumerate() {
            if !part.total.is_finite() || !part.divergence.is_finite() {
                let place = decoder.first_non_finite(&batch.packed, &adapter_set)?.unwrap_or_else(|| "the output head".to_owned());
                bail!(Invalid(format!(
                    "the loss is not finite; first seen in {place}, rows {}",
                    origins(windows[window].rows, window, &batch)
                )));
            }
            let sum = &mut sums[window];
            sum.0.merge(&part);
            for (site, gradient) in gradients {
                insert(&mut sum.1, site, gradient)?;
            }
        }
    }
    Ok(sums)
}

/// Runs one window towards its targets and updates the adapter.
pub fn train_step(
    decoder: &Decoder,
    adapter: &mut Adapter,
    optimizer: &mut AdamW,
    window: &[&TrainRow],
    learning_rate: f64,
    dropout_seed: u64,
    settings: StepSettings,
) -> Result<StepOutcome> {
    let own = Window { adapter, rows: window, dropout_seed, kl: 0.0 };
    let Some((loss, gradients)) = window_gradients(decoder, &[own], settings)?.pop() else { bail!("a step without a window") };
    apply(adapter, optimizer, window, loss, &gradients, learning_rate)
}

/// Clips a window's gradients and updates its adapter.
pub(super) fn apply(
    adapter: &mut Adapter,
    optimizer: &mut AdamW,
    window: &[&TrainRow],
    loss: LossSum,
    gradients: &Gradients,
    learning_rate: f64,
) -> Result<StepOutcome> {
    let norms = match GradientNorms::of(gradients)? {
        Ok(norms) => norms,
        Err(site) => {
            let rows: Vec<&str> = window.iter().map(|row| row.origin.as_str()).collect();
            bail!(Invalid(format!("the gradient of {site} is not finite, rows {}", rows.join(", "))));
        }
    };
    // torch.nn.utils.clip_grad_norm_
    let clip = (optimizer.config.max_grad_norm / (norms.total + 1e-6)).min(1.0);
    optimizer.update(adapter, gradients, clip, learning_rate)?;
    Ok(StepOutcome { loss, norms, tokens: window.iter().map(|row| row.encoded.ids.len()).sum() })
}

/// Where the rows of one window that are in a forward pass come from.
fn origins(rows: &[&TrainRow], window: usize, batch: &MicroBatch) -> String {
    let own = batch.rows.iter().filter(|(of, _)| *of == window);
    own.map(|(_, row)| rows[*row as usize].origin.as_str()).collect::<Vec<_>>().join(", ")
}
