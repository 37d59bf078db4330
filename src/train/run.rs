//! The training loop: stages in turn, windows in each epoch's order, one observer a variant told of everything. Several
//! variants over one base can take their steps together.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};

use super::batch::TrainRow;
use super::checkpoint::{self, Checkpoint, Position, State};
use super::optim::{AdamW, AdamWConfig};
use super::schedule::{learning_rate, warmup_steps};
use super::step::{StepSettings, Window, apply, window_gradients};
use super::telemetry::{StepRow, resident_mib};
use crate::data::mix::epoch_order;
use crate::error::Interrupted;
use crate::model::decoder::{Decoder, LossSum};
use crate::model::lora::Adapter;
use crate::model::lora::Gradients;
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
    /// Factor of the mean divergence from the base, for rows that are held to it.
    pub kl: f64,
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

/// How one adapter is trained.
#[derive(Debug, Clone)]
pub struct TrainSettings {
    /// Optimizer constants.
    pub optimizer: AdamWConfig,
    /// Division into forward passes and what they keep.
    pub step: StepSettings,
    /// Seed of row order and dropout.
    pub seed: u64,
}

/// A sum over a count; None where nothing was counted.
fn mean(sum: f64, count: usize) -> Option<f64> {
    (count > 0).then(|| sum / count as f64)
}

/// Where and how often the state is kept between steps.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    /// The file.
    pub path: PathBuf,
    /// Steps between two of them.
    pub every: usize,
}

/// Who is told what happens.
pub trait Observer {
    /// After each step. Rows of steps that a kill lost are told again, equal but for their timing.
    fn on_step(&mut self, row: &StepRow) -> Result<()>;
    /// Before the first step and after each step, with the adapter as it then is.
    fn on_adapter(&mut self, step: usize, adapter: &Adapter) -> Result<()>;
    /// Asked after each step's `on_adapter`: is this variant trained enough, whatever steps its stages still have?
    fn enough(&self) -> bool {
        false
    }
    /// Asked between steps: stop, keeping the state?
    fn interrupted(&self) -> bool;
}

/// An adapter about to be trained.
#[derive(Debug, Clone)]
pub struct Member<'a> {
    /// Its name in the checkpoint.
    pub name: String,
    /// As it begins.
    pub adapter: Adapter,
    /// What it goes through.
    pub stages: &'a [Stage],
    /// How.
    pub settings: TrainSettings,
}

/// An adapter being trained, and where in its stages it is.
struct Training<'a> {
    member: Member<'a>,
    position: Position,
    optimizer: AdamW,
}

/// Adapters trained in step: one, or several in shared forward passes.
pub struct Together<'a> {
    trainings: Vec<Training<'a>>,
    checkpoints: Checkpoints,
    /// Steps done of the longest.
    steps: usize,
}

/// The next step of a variant.
struct Next<'a> {
    rows: Vec<&'a TrainRow>,
    learning_rate: f64,
    dropout_seed: u64,
    kl: f64,
}

impl<'a> Training<'a> {
    /// Whether every step of every stage is done.
    fn is_done(&self) -> bool {
        self.position.stage == self.member.stages.len()
    }

    /// A stage starts from the weights alone: with a fresh optimizer and schedule.
    fn skip_finished_stages(&mut self) -> Result<()> {
        while self.member.stages.get(self.position.stage).is_some_and(|stage| self.position.step >= stage.steps) {
            self.position = Position { stage: self.position.stage + 1, step: 0, total_steps: self.position.total_steps };
            self.optimizer = AdamW::new(&self.member.adapter, self.member.settings.optimizer.clone())?;
        }
        Ok(())
    }

    fn next(&self) -> Next<'a> {
        let stages: &'a [Stage] = self.member.stages;
        let stage = &stages[self.position.stage];
        let warmup = warmup_steps(stage.steps, stage.warmup_ratio);
        Next {
            rows: stage.window_rows(self.position.step, derive(self.member.settings.seed, &["order", &stage.name])),
            learning_rate: learning_rate(self.position.step, stage.steps, warmup, stage.learning_rate),
            dropout_seed: derive(self.member.settings.seed, &["dropout", &self.position.total_steps.to_string()]),
            kl: stage.kl,
        }
    }

    /// Where it is, for errors.
    fn place(&self) -> String {
        let stage = self.member.stages.get(self.position.stage).map_or("", |stage| &stage.name);
        format!("stage `{stage}` stopped: step {}", self.position.total_steps + 1)
    }

    /// Updates the adapter and tells the observer. `share` is its part of the seconds of the common pass.
    fn step(&mut self, next: &Next<'_>, gradients: (LossSum, Gradients), share: f64, observer: &mut dyn Observer) -> Result<()> {
        let (loss, gradients) = gradients;
        let (started, place) = (Instant::now(), self.place());
        let outcome =
            apply(&mut self.member.adapter, &mut self.optimizer, &next.rows, loss, &gradients, next.learning_rate).context(place)?;
        let seconds = share + started.elapsed().as_secs_f64();
        let stage = &self.member.stages[self.position.stage];
        self.position.step += 1;
        self.position.total_steps += 1;
        let row = StepRow {
            step: self.position.total_steps,
            stage: stage.name.clone(),
            epoch: self.position.step as f64 / stage.steps_per_epoch() as f64,
            loss: mean(outcome.loss.total, outcome.loss.labels),
            token_accuracy: mean(outcome.loss.hits as f64, outcome.loss.labels),
            divergence: mean(outcome.loss.divergence, outcome.loss.held),
            learning_rate: next.learning_rate,
            norms: outcome.norms,
            rows: next.rows.len(),
            tokens: outcome.tokens,
            label_tokens: outcome.loss.labels,
            seconds,
            tokens_per_second: outcome.tokens as f64 / seconds,
            memory_mib: resident_mib(),
        };
        observer.on_step(&row)?;
        observer.on_adapter(self.position.total_steps, &self.member.adapter)?;
        if observer.enough() {
            self.position.stage = self.member.stages.len();
        }
        self.skip_finished_stages()
    }
}

impl<'a> Together<'a> {
    /// From the checkpoint where there is one of exactly these, else from the start. One observer for each.
    pub fn open(
        decoder: &Decoder,
        members: Vec<Member<'a>>,
        checkpoints: Checkpoints,
        observers: &mut [&mut dyn Observer],
    ) -> Result<Self> {
        let mut checkpoint = Checkpoint::read(&checkpoints.path, decoder.device())?
            .filter(|checkpoint| checkpoint.is_of(members.iter().map(|member| member.name.as_str())));
        let mut trainings = Vec::new();
        for (mut member, observer) in members.into_iter().zip(observers) {
            let (optimizer, position) = if let Some(checkpoint) = &mut checkpoint {
                checkpoint.restore(&member.name, &mut member.adapter, &member.settings.optimizer)?
            } else {
                observer.on_adapter(0, &member.adapter)?;
                (AdamW::new(&member.adapter, member.settings.optimizer.clone())?, Position { stage: 0, step: 0, total_steps: 0 })
            };
            let mut training = Training { member, position, optimizer };
            training.skip_finished_stages()?;
            trainings.push(training);
        }
        let steps = trainings.iter().map(|training| training.position.total_steps).max().unwrap_or(0);
        Ok(Self { trainings, checkpoints, steps })
    }

    /// Whether all are trained.
    pub fn is_done(&self) -> bool {
        self.trainings.iter().all(Training::is_done)
    }

    /// The adapters, in the order of the members.
    pub fn into_adapters(self) -> Vec<Adapter> {
        self.trainings.into_iter().map(|training| training.member.adapter).collect()
    }

    /// One step of every adapter that is not done, in shared forward passes. Each makes the update that it would make alone,
    /// up to the rounding of larger batches: so all of them continue from the same step.
    pub fn step(&mut self, decoder: &Decoder, observers: &mut [&mut dyn Observer]) -> Result<()> {
        if observers.iter().any(|observer| observer.interrupted()) {
            self.save()?;
            return Err(Interrupted.into());
        }
        let started = Instant::now();
        let taking_part: Vec<usize> = (0..self.trainings.len()).filter(|i| !self.trainings[*i].is_done()).collect();
        let Some(first) = taking_part.first() else { return Ok(()) };
        let next: Vec<Next<'_>> = taking_part.iter().map(|i| self.trainings[*i].next()).collect();
        let windows: Vec<Window<'_>> = taking_part
            .iter()
            .zip(&next)
            .map(|(i, next)| Window {
                adapter: &self.trainings[*i].member.adapter,
                rows: &next.rows,
                dropout_seed: next.dropout_seed,
                kl: next.kl,
            })
            .collect();
        let settings = self.trainings[*first].member.settings.step;
        let gradients = window_gradients(decoder, &windows, settings).with_context(|| self.trainings[*first].place())?;
        let share = started.elapsed().as_secs_f64() / taking_part.len() as f64;
        for ((i, next), gradients) in taking_part.iter().zip(&next).zip(gradients) {
            self.trainings[*i].step(next, gradients, share, observers[*i])?;
        }
        self.steps += 1;
        if self.steps.is_multiple_of(self.checkpoints.every) { self.save() } else { Ok(()) }
    }

    /// Keeps the state between two steps.
    fn save(&self) -> Result<()> {
        // Before the first step there is nothing to keep, and a checkpoint would pass for work that the observer saw.
        if self.steps == 0 {
            return Ok(());
        }
        let states = self.trainings.iter().map(|training| State {
            name: &training.member.name,
            adapter: &training.member.adapter,
            optimizer: &training.optimizer,
            position: training.position,
        });
        checkpoint::save(&self.checkpoints.path, &states.collect::<Vec<_>>())
    }
}

/// Trains one adapter through all stages, from the checkpoint where there is one.
pub fn train(decoder: &Decoder, member: Member<'_>, checkpoints: Checkpoints, observer: &mut dyn Observer) -> Result<Adapter> {
    let mut together = Together::open(decoder, vec![member], checkpoints, &mut [&mut *observer])?;
    while !together.is_done() {
        together.step(decoder, &mut [&mut *observer])?;
    }
    together.into_adapters().pop().context("one adapter was trained")
}
