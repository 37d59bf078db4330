//! All cells side by side, on a GPU: variants train in shared forward passes, and base and variants answer each suite in
//! one batch. The frozen weights, which are nearly all of the work, then see many more rows at a time.
//!
//! What is written down is what `cell.rs` writes, cell by cell; a continued run has the same cells side by side again, so
//! it comes to the same rows.

use std::collections::HashSet;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::cell;
use super::observer::{Recorder, evaluator};
use super::setup::Prepared;
use crate::commands::rows::item_row;
use crate::config::file::Variant;
use crate::eval::run::Asker;
use crate::model::lineup::Lineup;
use crate::model::lora::Adapter;
use crate::progress::Bar;
use crate::record::lines::JsonLines;
use crate::record::rows::ItemRow;
use crate::record::run_dir::CellDir;
use crate::train::run::{Observer, Stage, Training, step_together};

pub(super) fn run(prepared: &Prepared) -> Result<()> {
    let base = cell::open_base(prepared)?;
    let cells: Vec<(&Variant, u64)> = prepared.experiment.cells().collect();
    for (variant, seed) in &cells {
        prepared.dir.cell(&variant.name, *seed).create()?;
    }
    train_all(prepared, &cells)?;
    let adapters: Vec<Adapter> = cells.iter().map(|(variant, seed)| adapter(prepared, variant, *seed)).collect::<Result<_>>()?;
    let dirs: Vec<CellDir> =
        std::iter::once(base).chain(cells.iter().map(|(variant, seed)| prepared.dir.cell(&variant.name, *seed))).collect();
    let liveness = cells.iter().zip(&adapters).map(|((variant, seed), adapter)| {
        cell::liveness(prepared, adapter).with_context(|| format!("variant `{}`, seed {seed}", variant.name))
    });
    let liveness = liveness.collect::<Result<Vec<_>>>()?;
    // Everyone's share of the common time.
    let seconds = evaluate_all(prepared, &dirs, &adapters)? / dirs.len() as f64;
    for dir in &dirs {
        cell::check_complete(prepared, dir)?;
    }
    if !dirs[0].record().exists() {
        cell::record_base(prepared, &dirs[0], seconds)?;
    }
    for (((variant, seed), adapter), liveness) in cells.iter().zip(&adapters).zip(liveness) {
        if !prepared.dir.cell(&variant.name, *seed).record().exists() {
            cell::record_variant(prepared, variant, *seed, adapter, liveness, seconds)?;
        }
    }
    Ok(())
}

/// A finished cell's adapter.
fn adapter(prepared: &Prepared, variant: &Variant, seed: u64) -> Result<Adapter> {
    if let Some(of) = &variant.of {
        return cell::derived(prepared, of, variant.lambda.unwrap_or(1.0), seed);
    }
    let dir = prepared.dir.cell(&variant.name, seed);
    cell::already_trained(prepared, &dir)?.with_context(|| format!("{} has no adapter", cell::title(variant, seed)))
}

/// Trains every cell that has no adapter yet.
fn train_all(prepared: &Prepared, cells: &[(&Variant, u64)]) -> Result<()> {
    let mut missing = Vec::new();
    for (variant, seed) in cells.iter().filter(|(variant, _)| variant.of.is_none()) {
        let dir = prepared.dir.cell(&variant.name, *seed);
        if cell::already_trained(prepared, &dir)?.is_some() {
            continue;
        }
        let Some(planned) = prepared.stages.get(&(variant.name.clone(), *seed)) else {
            bail!("variant `{}` was not planned", variant.name);
        };
        let stages: Vec<Stage> = planned.iter().map(|planned| planned.stage.clone()).collect();
        missing.push((dir, stages, *seed, cell::title(variant, *seed)));
    }
    let bar = Bar::new("train", missing.iter().flat_map(|(_, stages, ..)| stages).map(|stage| stage.steps).sum());
    let mut recorders: Vec<Recorder<'_>> = missing.iter().map(|(dir, ..)| Recorder { prepared, dir, bar: &bar }).collect();
    let mut trainings = Vec::new();
    for ((dir, stages, seed, title), recorder) in missing.iter().zip(&mut recorders) {
        bar.advance(cell::begin(prepared, dir)? as u64);
        let settings = cell::settings(prepared, dir, *seed)?;
        let training = Training::open(&prepared.base.decoder, cell::fresh(prepared, *seed)?, stages, &settings, recorder);
        trainings.push(training.with_context(|| format!("training of {title} stopped"))?);
    }
    let mut kept = HashSet::new();
    loop {
        for (i, training) in trainings.iter().enumerate().filter(|(_, training)| training.is_done()) {
            if kept.insert(i) {
                cell::keep(prepared, &missing[i].0, &training.adapter)?;
            }
        }
        if kept.len() == trainings.len() {
            bar.finish();
            return Ok(());
        }
        let mut observers: Vec<&mut dyn Observer> = recorders.iter_mut().map(|recorder| recorder as &mut dyn Observer).collect();
        let names = || missing.iter().map(|(.., title)| title.as_str()).collect::<Vec<_>>().join(", ");
        step_together(&prepared.base.decoder, &mut trainings, &mut observers)
            .with_context(|| format!("training of {} side by side stopped", names()))?;
    }
}

/// Base and variants answer every suite's missing items. Gives the seconds it took.
fn evaluate_all(prepared: &Prepared, dirs: &[CellDir], adapters: &[Adapter]) -> Result<f64> {
    let started = Instant::now();
    let mut files = Vec::new();
    let mut before = Vec::new();
    for dir in dirs {
        let (file, rows) = JsonLines::open::<ItemRow>(&dir.items())?;
        files.push(file);
        before.push(rows);
    }
    let total: usize = prepared.suites.iter().map(|planned| planned.items.len()).sum();
    let bar = Bar::new("eval", total * dirs.len());
    bar.advance(before.iter().map(Vec::len).sum::<usize>() as u64);
    let lineup = Lineup::new(&prepared.base.decoder, adapters.iter().collect())?;
    let evaluator = evaluator(prepared, &prepared.base.decoder, &lineup);
    for planned in &prepared.suites {
        let suite = &planned.suite;
        bar.message(suite.name.clone());
        let of_suite = |rows: &Vec<ItemRow>| rows.iter().filter(|row| row.suite == suite.name).map(|row| row.item.clone()).collect();
        let done: Vec<HashSet<String>> = before.iter().map(of_suite).collect();
        // The first is the base.
        let askers: Vec<Asker<'_>> = done.iter().enumerate().map(|(i, done)| Asker { adapter: i.checked_sub(1), done }).collect();
        evaluator.answer_all(&planned.items, suite.asking(), &askers, &mut |asker, answered| {
            files[asker].append(&item_row(&suite.name, None, answered))?;
            bar.advance(1);
            prepared.check_stop()
        })?;
    }
    bar.finish();
    Ok(started.elapsed().as_secs_f64())
}
