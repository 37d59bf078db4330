//! The training loop: stages in turn, windows in each epoch's order, one observer a variant told of everything. Several
//! variants over one base can take their steps together.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};

use super::batch::TrainRow;
use super::checkpoint::{self, Position};
use super::optim::{AdamW, AdamWConfig};
use super::schedule::{learning_rate, warmup_steps};
use super::step::{StepSettings, Window, apply, window_gradients};
use super::telemetry::{StepRow, resident_mib};
use crate::data::mix::epoch_order;
use crate::error::Interrupted;
use crate::model::decoder::{Decoder, Gradients, LossSum};
use crate::model::lora::Adapter;
use crate::random::derive;

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

/// One variant being trained: its adapter, and where in its stages it is.
pub struct Training<'a> {
    /// What is trained.
    pub adapter: Adapter,
    stages: &'a [Stage],
    settings: TrainSettings,
    position: Position,
    optimizer: AdamW,
}

/// The next step of a variant.
struct Next<'a> {
    rows: Vec<&'a TrainRow>,
    learning_rate: f64,
    dropout_seed: u64,
}

impl<'a> Training<'a> {
    /// From the checkpoint where there is one, else from the start.
    pub fn open(
        decoder: &Decoder,
        mut adapter: Adapter,
        stages: &'a [Stage],
        settings: &TrainSettings,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let mut position = Position { stage: 0, step: 0, total_steps: 0 };
        let optimizer = if settings.checkpoint.exists() {
            let (optimizer, at) = checkpoint::load(&settings.checkpoint, &mut adapter, &settings.optimizer, decoder.device())?;
            position = at;
            optimizer
        } else {
            observer.on_adapter(0, &adapter)?;
            AdamW::new(&adapter, settings.optimizer.clone())?
        };
        let mut training = Self { adapter, stages, settings: settings.clone(), position, optimizer };
        training.skip_finished_stages()?;
        Ok(training)
    }

    /// Whether every step of every stage is done.
    pub fn is_done(&self) -> bool {
        self.position.stage == self.stages.len()
    }

    /// Steps that are done.
    pub fn steps_done(&self) -> usize {
        self.position.total_steps
    }

    /// A stage starts from the weights alone: with a fresh optimizer and schedule.
    fn skip_finished_stages(&mut self) -> Result<()> {
        while self.stages.get(self.position.stage).is_some_and(|stage| self.position.step >= stage.steps) {
            self.position = Position { stage: self.position.stage + 1, step: 0, total_steps: self.position.total_steps };
            self.optimizer = AdamW::new(&self.adapter, self.settings.optimizer.clone())?;
        }
        Ok(())
    }

    fn next(&self) -> Next<'a> {
        let stages: &'a [Stage] = self.stages;
        let stage = &stages[self.position.stage];
        let warmup = warmup_steps(stage.steps, stage.warmup_ratio);
        Next {
            rows: stage.window_rows(self.position.step, derive(self.settings.seed, &["order", &stage.name])),
            learning_rate: learning_rate(self.position.step, stage.steps, warmup, stage.learning_rate),
            dropout_seed: derive(self.settings.seed, &["dropout", &self.position.total_steps.to_string()]),
        }
    }

    /// Keeps the state between two steps.
    fn save(&self) -> Result<()> {
        // Before the first step there is nothing to keep, and a checkpoint would pass for work that the observer saw.
        if self.position.total_steps > 0 && !self.is_done() {
            checkpoint::save(&self.settings.checkpoint, &self.adapter, &self.optimizer, self.position)?;
        }
        Ok(())
    }

    /// Where it is, for errors.
    fn place(&self) -> String {
        let stage = self.stages.get(self.position.stage).map_or("", |stage| &stage.name);
        format!("stage `{stage}` stopped: step {}", self.position.total_steps + 1)
    }

    /// Updates the adapter and tells the observer. `share` is its part of the seconds of the common pass.
    fn step(&mut self, next: &Next<'_>, gradients: (LossSum, Gradients), share: f64, observer: &mut dyn Observer) -> Result<()> {
        let (loss, gradients) = gradients;
        let (started, place) = (Instant::now(), self.place());
        let outcome = apply(&mut self.adapter, &mut self.optimizer, &next.rows, loss, &gradients, next.learning_rate).context(place)?;
        let seconds = share + started.elapsed().as_secs_f64();
        let stage = &self.stages[self.position.stage];
        self.position.step += 1;
        self.position.total_steps += 1;
        let mut row = StepRow {
            step: self.position.total_steps,
            stage: stage.name.clone(),
            epoch: self.position.step as f64 / stage.steps_per_epoch() as f64,
            loss: outcome.loss.total / outcome.loss.labels as f64,
            token_accuracy: outcome.loss.hits as f64 / outcome.loss.labels as f64,
            learning_rate: next.learning_rate,
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
            rows: next.rows.len(),
            tokens: outcome.tokens,
            label_tokens: outcome.loss.labels,
            seconds,
            tokens_per_second: outcome.tokens as f64 / seconds,
            memory_mib: resident_mib(),
        };
        row.set_norms(&outcome.norms);
        observer.on_step(&row)?;
        observer.on_adapter(self.position.total_steps, &self.adapter)?;
        if self.position.total_steps.is_multiple_of(self.settings.checkpoint_every) {
            self.save()?;
        }
        self.skip_finished_stages()
    }
}

/// Trains the adapter through all stages, from the checkpoint where there is one.
pub fn train(
    decoder: &Decoder,
    adapter: Adapter,
    stages: &[Stage],
    settings: &TrainSettings,
    observer: &mut dyn Observer,
) -> Result<Adapter> {
    let mut training = [Training::open(decoder, adapter, stages, settings, observer)?];
    while !training[0].is_done() {
        step_together(decoder, &mut training, &mut [&mut *observer])?;
    }
    let [training] = training;
    Ok(training.adapter)
}

/// One step of every variant that is not done, in shared forward passes. Each makes the update that it would make alone,
/// up to the rounding of larger batches.
pub fn step_together(decoder: &Decoder, trainings: &mut [Training<'_>], observers: &mut [&mut dyn Observer]) -> Result<()> {
    if observers.iter().any(|observer| observer.interrupted()) {
        for training in trainings.iter() {
            training.save()?;
        }
        return Err(Interrupted.into());
    }
    let started = Instant::now();
    // Variants that a kill left behind the others catch up first.
    let behind = trainings.iter().filter(|training| !training.is_done()).map(Training::steps_done).min();
    let taking_part: Vec<usize> =
        (0..trainings.len()).filter(|i| !trainings[*i].is_done() && Some(trainings[*i].steps_done()) == behind).collect();
    let Some(first) = taking_part.first() else { return Ok(()) };
    let next: Vec<Next<'_>> = taking_part.iter().map(|i| trainings[*i].next()).collect();
    let windows: Vec<Window<'_>> = taking_part
        .iter()
        .zip(&next)
        .map(|(i, next)| Window { adapter: &trainings[*i].adapter, rows: &next.rows, dropout_seed: next.dropout_seed })
        .collect();
    let settings = trainings[*first].settings.step;
    let gradients = window_gradients(decoder, &windows, settings).with_context(|| trainings[*first].place())?;
    let share = started.elapsed().as_secs_f64() / taking_part.len() as f64;
    for ((i, next), gradients) in taking_part.iter().zip(&next).zip(gradients) {
        trainings[*i].step(next, gradients, share, observers[*i])?;
    }
    Ok(())
}
