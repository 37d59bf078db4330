//! The training loop of one variant: stages in turn, windows in each epoch's order, one observer told of everything.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};

use super::batch::TrainRow;
use super::checkpoint::{self, Position};
use super::optim::{AdamW, AdamWConfig};
use super::schedule::{learning_rate, warmup_steps};
use super::step::{StepSettings, train_step};
use super::telemetry::{StepRow, resident_mib};
use crate::data::mix::epoch_order;
use crate::error::Interrupted;
use crate::model::decoder::Decoder;
use crate::model::lora::Adapter;
use crate::seeds::derive;

/// One pass over one mixture, with its own optimizer and schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// `anchor`, `generalize`, ...
    pub name: String,
    /// What it trains on.
    pub rows: Vec<TrainRow>,
    /// Optimizer steps.
    pub steps: usize,
    /// Peak rate.
    pub learning_rate: f64,
    /// Share of the steps that warm up.
    pub warmup_ratio: f64,
    /// Rows of a window.
    pub window: usize,
}

impl Stage {
    /// Windows in one epoch; the last may be short.
    pub fn steps_per_epoch(&self) -> usize {
        self.rows.len().div_ceil(self.window)
    }

    /// The rows of step `step`, from 0.
    fn window_rows(&self, step: usize, seed: u64) -> Vec<&TrainRow> {
        let (epoch, window) = (step / self.steps_per_epoch(), step % self.steps_per_epoch());
        let order = epoch_order(self.rows.len(), seed, epoch);
        order.iter().skip(window * self.window).take(self.window).map(|row| &self.rows[*row]).collect()
    }
}

/// Everything else a run is given.
#[derive(Debug, Clone)]
pub struct TrainSettings {
    /// Optimizer constants.
    pub optimizer: AdamWConfig,
    /// Division into forward passes and what they keep.
    pub step: StepSettings,
    /// Seed of row order and dropout.
    pub seed: u64,
    /// Where the state is kept between steps.
    pub checkpoint: PathBuf,
    /// Steps between two checkpoints.
    pub checkpoint_every: usize,
}

/// Who is told what happens.
pub trait Observer {
    /// After each step. Rows of steps that a kill lost are told again, equal but for their timing.
    fn on_step(&mut self, row: &StepRow) -> Result<()>;
    /// Before the first step and after each step, with the adapter as it then is.
    fn on_adapter(&mut self, step: usize, adapter: &Adapter) -> Result<()>;
    /// Asked between steps: stop, keeping the state?
    fn interrupted(&self) -> bool;
}

/// Trains the adapter through all stages, from the checkpoint where there is one.
pub fn train(
    decoder: &Decoder,
    mut adapter: Adapter,
    stages: &[Stage],
    settings: &TrainSettings,
    observer: &mut dyn Observer,
) -> Result<Adapter> {
    let mut position = Position { stage: 0, step: 0, total_steps: 0 };
    let mut resumed = None;
    if settings.checkpoint.exists() {
        let (optimizer, at) = checkpoint::load(&settings.checkpoint, &mut adapter, &settings.optimizer, decoder.device())?;
        position = at;
        resumed = Some(optimizer);
    } else {
        observer.on_adapter(0, &adapter)?;
    }
    while position.stage < stages.len() {
        let stage = &stages[position.stage];
        let mut optimizer = match resumed.take() {
            Some(optimizer) => optimizer,
            None => AdamW::new(&adapter, settings.optimizer.clone())?,
        };
        run_stage(decoder, &mut adapter, stage, &mut optimizer, settings, &mut position, observer)
            .with_context(|| format!("stage `{}` stopped", stage.name))?;
        position = Position { stage: position.stage + 1, step: 0, total_steps: position.total_steps };
    }
    Ok(adapter)
}

fn run_stage(
    decoder: &Decoder,
    adapter: &mut Adapter,
    stage: &Stage,
    optimizer: &mut AdamW,
    settings: &TrainSettings,
    position: &mut Position,
    observer: &mut dyn Observer,
) -> Result<()> {
    let warmup = warmup_steps(stage.steps, stage.warmup_ratio);
    let order_seed = derive(settings.seed, &["order", &stage.name]);
    while position.step < stage.steps {
        if observer.interrupted() {
            // Before the first step there is nothing to keep, and a checkpoint would pass for work that the observer saw.
            if position.total_steps > 0 {
                checkpoint::save(&settings.checkpoint, adapter, optimizer, *position)?;
            }
            return Err(Interrupted.into());
        }
        let started = Instant::now();
        let window = stage.window_rows(position.step, order_seed);
        let rate = learning_rate(position.step, stage.steps, warmup, stage.learning_rate);
        let dropout_seed = derive(settings.seed, &["dropout", &position.total_steps.to_string()]);
        let outcome = train_step(decoder, adapter, optimizer, &window, rate, dropout_seed, settings.step)
            .with_context(|| format!("step {}", position.total_steps + 1))?;
        position.step += 1;
        position.total_steps += 1;
        let seconds = started.elapsed().as_secs_f64();
        let mut row = StepRow {
            step: position.total_steps,
            stage: stage.name.clone(),
            epoch: position.step as f64 / stage.steps_per_epoch() as f64,
            loss: outcome.loss.total / outcome.loss.labels as f64,
            token_accuracy: outcome.loss.hits as f64 / outcome.loss.labels as f64,
            learning_rate: rate,
            grad_norm: 0.0,
            a_q: None,
            a_k: None,
            a_v: None,
            a_o: None,
            a_gate: None,
            a_up: None,
            a_down: None,
            b_q: None,
            b_k: None,
            b_v: None,
            b_o: None,
            b_gate: None,
            b_up: None,
            b_down: None,
            rows: window.len(),
            tokens: outcome.tokens,
            label_tokens: outcome.loss.labels,
            seconds,
            tokens_per_second: outcome.tokens as f64 / seconds,
            memory_mib: resident_mib(),
        };
        row.set_norms(&outcome.norms);
        observer.on_step(&row)?;
        observer.on_adapter(position.total_steps, adapter)?;
        if position.total_steps.is_multiple_of(settings.checkpoint_every) {
            checkpoint::save(&settings.checkpoint, adapter, optimizer, *position)?;
        }
    }
    Ok(())
}
