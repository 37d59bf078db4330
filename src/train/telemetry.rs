//! What each optimizer step reports: one row of `train.csv`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::model::decoder::Gradients;
use crate::model::lora::{Module, Site};
use crate::model::ops::elementwise::square_sums;

/// Pre-clip gradient norms (L2) of the A and B matrices of each kind of linear, all layers together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GradientNorms {
    /// (A, B) by kind.
    pub by_module: BTreeMap<Module, (f64, f64)>,
    /// Of all together: what clipping looks at.
    pub total: f64,
}

impl GradientNorms {
    /// Norms of the given gradients. The first site whose gradient is not finite is returned as the error.
    pub fn of(gradients: &Gradients) -> Result<std::result::Result<Self, Site>> {
        let mut squares: BTreeMap<Module, (f64, f64)> = BTreeMap::new();
        let tensors: Vec<&Tensor> = gradients.values().flat_map(|gradient| [&gradient.a, &gradient.b]).collect();
        let sums = square_sums(&tensors)?;
        for (site, sums) in gradients.keys().zip(sums.chunks_exact(2)) {
            let (a, b) = (sums[0], sums[1]);
            if !a.is_finite() || !b.is_finite() {
                return Ok(Err(*site));
            }
            let sum = squares.entry(site.module).or_default();
            *sum = (sum.0 + a, sum.1 + b);
        }
        let total = squares.values().map(|(a, b)| a + b).sum::<f64>().sqrt();
        let by_module = squares.into_iter().map(|(module, (a, b))| (module, (a.sqrt(), b.sqrt()))).collect();
        Ok(Ok(Self { by_module, total }))
    }
}

/// One optimizer step, as a row of `train.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRow {
    /// Step of the variant, from 1, over all stages.
    pub step: usize,
    /// Stage it belongs to.
    pub stage: String,
    /// Epochs of the stage completed after this step.
    pub epoch: f64,
    /// Mean cross-entropy of the window's label tokens before the update, nats.
    pub loss: f64,
    /// Share of label tokens that were the most probable token.
    pub token_accuracy: f64,
    /// Rate of this update.
    pub learning_rate: f64,
    /// Pre-clip L2 norm of all gradients.
    pub grad_norm: f64,
    /// Norms of A, by kind of linear; empty for kinds that are not adapted.
    pub a_q: Option<f64>,
    /// See `a_q`.
    pub a_k: Option<f64>,
    /// See `a_q`.
    pub a_v: Option<f64>,
    /// See `a_q`.
    pub a_o: Option<f64>,
    /// See `a_q`.
    pub a_gate: Option<f64>,
    /// See `a_q`.
    pub a_up: Option<f64>,
    /// See `a_q`.
    pub a_down: Option<f64>,
    /// Norms of B, by kind of linear.
    pub b_q: Option<f64>,
    /// See `b_q`.
    pub b_k: Option<f64>,
    /// See `b_q`.
    pub b_v: Option<f64>,
    /// See `b_q`.
    pub b_o: Option<f64>,
    /// See `b_q`.
    pub b_gate: Option<f64>,
    /// See `b_q`.
    pub b_up: Option<f64>,
    /// See `b_q`.
    pub b_down: Option<f64>,
    /// Rows of the window.
    pub rows: usize,
    /// Tokens of the window.
    pub tokens: usize,
    /// Label tokens of the window.
    pub label_tokens: usize,
    /// Wall time of the step. Differs between runs; every column before it does not.
    pub seconds: f64,
    /// Tokens over seconds.
    pub tokens_per_second: f64,
    /// Resident memory of the process after the step, MiB; empty where the system does not say.
    pub memory_mib: Option<f64>,
}

impl StepRow {
    /// Puts the norms into their columns.
    pub fn set_norms(&mut self, norms: &GradientNorms) {
        self.grad_norm = norms.total;
        for (module, (a, b)) in &norms.by_module {
            let (column_a, column_b) = match module {
                Module::Q => (&mut self.a_q, &mut self.b_q),
                Module::K => (&mut self.a_k, &mut self.b_k),
                Module::V => (&mut self.a_v, &mut self.b_v),
                Module::O => (&mut self.a_o, &mut self.b_o),
                Module::Gate => (&mut self.a_gate, &mut self.b_gate),
                Module::Up => (&mut self.a_up, &mut self.b_up),
                Module::Down => (&mut self.a_down, &mut self.b_down),
            };
            (*column_a, *column_b) = (Some(*a), Some(*b));
        }
    }

    /// The norm of one kind of linear's A (`true`) or B.
    pub fn norm(&self, module: Module, a: bool) -> Option<f64> {
        match (module, a) {
            (Module::Q, true) => self.a_q,
            (Module::K, true) => self.a_k,
            (Module::V, true) => self.a_v,
            (Module::O, true) => self.a_o,
            (Module::Gate, true) => self.a_gate,
            (Module::Up, true) => self.a_up,
            (Module::Down, true) => self.a_down,
            (Module::Q, false) => self.b_q,
            (Module::K, false) => self.b_k,
            (Module::V, false) => self.b_v,
            (Module::O, false) => self.b_o,
            (Module::Gate, false) => self.b_gate,
            (Module::Up, false) => self.b_up,
            (Module::Down, false) => self.b_down,
        }
    }
}

/// Resident memory of this process in MiB; None where the system does not say.
pub fn resident_mib() -> Option<f64> {
    status_mib("VmRSS:").ok()
}

/// Largest resident memory of this process so far in MiB; None where the system does not say.
pub fn peak_mib() -> Option<f64> {
    status_mib("VmHWM:").ok()
}

fn status_mib(key: &str) -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(key)).context("no such line")?;
    let kib: f64 = line.split_whitespace().next().context("no number")?.parse()?;
    Ok(kib / 1024.0)
}
