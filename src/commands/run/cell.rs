//! One cell: train, evaluate, record. A finished cell is left alone; an unfinished one continues.

use std::collections::HashSet;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::observer::{Recorder, evaluator, probe};
use super::setup::Prepared;
use crate::commands::model;
use crate::commands::rows::item_row;
use crate::config::file::Variant;
use crate::error::Invalid;
use crate::files::write_json;
use crate::model::adapter;
use crate::model::decoder::Saving;
use crate::model::lineup::Lineup;
use crate::model::lora::Adapter;
use crate::plan::{self, PlannedStage};
use crate::progress::Bar;
use crate::random::derive;
use crate::record::lines::{JsonLines, read_csv, read_json_lines, retain_csv};
use crate::record::rows::{CellRecord, DriftRow, ItemRow, Liveness, SCHEMA};
use crate::record::run_dir::CellDir;
use crate::train::checkpoint;
use crate::train::run::{Stage, TrainSettings, train};
use crate::train::step::StepSettings;
use crate::train::telemetry::StepRow;

/// The base's folder, with its probe.
pub(super) fn open_base(prepared: &Prepared) -> Result<CellDir> {
    let dir = prepared.dir.base();
    if dir.record().exists() {
        return Ok(dir);
    }
    dir.create()?;
    if prepared.experiment.probe.every > 0 {
        remove_if_there(&dir.probe())?;
        probe(prepared, &dir, 0, None)?;
    }
    Ok(dir)
}

/// Evaluates the base.
pub(super) fn base(prepared: &Prepared) -> Result<()> {
    let dir = open_base(prepared)?;
    if dir.record().exists() {
        return Ok(());
    }
    let eval_seconds = evaluate(prepared, &dir, "base", None)?;
    record_base(prepared, &dir, eval_seconds)
}

/// The base is done.
pub(super) fn record_base(prepared: &Prepared, dir: &CellDir, eval_seconds: f64) -> Result<()> {
    let record = CellRecord {
        schema: SCHEMA,
        variant: "base".to_owned(),
        seed: None,
        description: prepared.experiment.model.clone(),
        stages: Vec::new(),
        derived: None,
        adapter_digest: None,
        rows_digest: None,
        liveness: None,
        train_seconds: 0.0,
        eval_seconds,
    };
    write_json(&dir.record(), &record)
}

/// Trains and evaluates one variant with one seed.
pub(super) fn variant(prepared: &Prepared, variant: &Variant, seed: u64) -> Result<()> {
    let dir = prepared.dir.cell(&variant.name, seed);
    if dir.record().exists() {
        return Ok(());
    }
    prepared.check_stop()?;
    dir.create()?;
    let title = title(variant, seed);
    let planned = prepared.stages.get(&(variant.name.clone(), seed));
    let adapter = match (&variant.of, planned) {
        (Some(of), _) => derived(prepared, of, variant.lambda.unwrap_or(1.0), seed)?,
        (None, Some(planned)) => trained(prepared, &dir, &title, planned, seed)?,
        (None, None) => bail!("variant `{}` was not planned", variant.name),
    };
    let liveness = liveness(prepared, &adapter).with_context(|| format!("variant `{}`", variant.name))?;
    let eval_seconds = evaluate(prepared, &dir, &title, Some(&adapter))?;
    record_variant(prepared, variant, seed, &adapter, liveness, eval_seconds)
}

/// A cell in words.
pub(super) fn title(variant: &Variant, seed: u64) -> String {
    format!("{} s{seed}", variant.name)
}

/// A cell is done.
pub(super) fn record_variant(
    prepared: &Prepared,
    variant: &Variant,
    seed: u64,
    adapter: &Adapter,
    liveness: Liveness,
    eval_seconds: f64,
) -> Result<()> {
    let dir = prepared.dir.cell(&variant.name, seed);
    let planned = prepared.stages.get(&(variant.name.clone(), seed));
    let train_rows: Vec<StepRow> = read_csv(&dir.train())?;
    let record = CellRecord {
        schema: SCHEMA,
        variant: variant.name.clone(),
        seed: Some(seed),
        description: variant.description.clone(),
        stages: planned.map(|stages| stages.iter().map(|stage| stage.count.clone()).collect()).unwrap_or_default(),
        derived: variant.of.clone().zip(variant.lambda),
        adapter_digest: Some(adapter::digest(adapter)?),
        rows_digest: planned.map(|stages| plan::rows_digest(stages)),
        liveness: Some(liveness),
        train_seconds: train_rows.iter().map(|row| row.seconds).sum(),
        eval_seconds,
    };
    write_json(&dir.record(), &record)
}

/// The adapter of a trained variant: from its folder, or trained from the last checkpoint or the start.
fn trained(prepared: &Prepared, dir: &CellDir, title: &str, planned: &[PlannedStage], seed: u64) -> Result<Adapter> {
    if let Some(adapter) = already_trained(prepared, dir)? {
        return Ok(adapter);
    }
    let done = begin(prepared, dir)?;
    let stages: Vec<Stage> = planned.iter().map(|planned| planned.stage.clone()).collect();
    let bar = Bar::new(&format!("{title} train"), stages.iter().map(|stage| stage.steps).sum());
    bar.advance(done as u64);
    let mut recorder = Recorder { prepared, dir, bar: &bar };
    let decoder = &prepared.base.decoder;
    let adapter = train(decoder, fresh(prepared, seed)?, &stages, &settings(prepared, dir, seed)?, &mut recorder)
        .with_context(|| format!("training of {title} stopped"))?;
    bar.finish();
    keep(prepared, dir, &adapter)
}

/// A trained adapter that a former run left.
pub(super) fn already_trained(prepared: &Prepared, dir: &CellDir) -> Result<Option<Adapter>> {
    if !dir.adapter().join("adapter_config.json").exists() {
        return Ok(None);
    }
    // A kill between saving the adapter and this line leaves the last checkpoint behind.
    remove_if_there(&dir.checkpoint())?;
    Ok(Some(adapter::load(&dir.adapter(), &prepared.base.decoder.spec, &prepared.base.device)?))
}

/// Makes a cell's folder ready to train in; gives the steps that are done.
pub(super) fn begin(prepared: &Prepared, dir: &CellDir) -> Result<usize> {
    let done = forget_lost_steps(dir)?;
    if done == 0 && prepared.experiment.probe.every > 0 {
        std::fs::copy(prepared.dir.base().probe(), dir.probe()).context("failed to copy the base's probe")?;
    }
    Ok(done)
}

/// The adapter that a cell's training begins with.
pub(super) fn fresh(prepared: &Prepared, seed: u64) -> Result<Adapter> {
    Adapter::init(&prepared.base.decoder.spec, &prepared.experiment.lora, derive(seed, &["init"]), &prepared.base.device)
}

/// How a cell is trained.
pub(super) fn settings(prepared: &Prepared, dir: &CellDir, seed: u64) -> Result<TrainSettings> {
    let training = &prepared.experiment.training;
    Ok(TrainSettings {
        optimizer: training.optimizer.clone(),
        step: StepSettings {
            max_tokens: training.tokens_per_pass.max(prepared.base.decoder.pass_tokens()?),
            saving: if training.checkpoint_layers { Saving::Inputs } else { Saving::Activations },
        },
        seed,
        checkpoint: dir.checkpoint(),
        checkpoint_every: training.save_every,
    })
}

/// Saves a trained adapter, and gives it as read back from its folder, so that a continued run evaluates the very same
/// numbers.
pub(super) fn keep(prepared: &Prepared, dir: &CellDir, adapter: &Adapter) -> Result<Adapter> {
    adapter::save(adapter, &prepared.experiment.model, &dir.adapter())?;
    remove_if_there(&dir.checkpoint())?;
    adapter::load(&dir.adapter(), &prepared.base.decoder.spec, &prepared.base.device)
}

/// Another variant's adapter at another strength.
pub(super) fn derived(prepared: &Prepared, of: &str, lambda: f64, seed: u64) -> Result<Adapter> {
    let folder = prepared.dir.cell(of, seed).adapter();
    Ok(adapter::load(&folder, &prepared.base.decoder.spec, &prepared.base.device)?.scaled(lambda))
}

/// Removes the rows of steps after the last checkpoint: they are made again. Gives the steps that are done.
fn forget_lost_steps(dir: &CellDir) -> Result<usize> {
    let done = checkpoint::steps_done(&dir.checkpoint())?;
    retain_csv(&dir.train(), |row: &StepRow| row.step <= done)?;
    retain_csv(&dir.drift(), |row: &DriftRow| row.step <= done && done > 0)?;
    if dir.probe().exists() {
        let (_, rows) = JsonLines::open::<ItemRow>(&dir.probe())?;
        remove_if_there(&dir.probe())?;
        let (mut file, _) = JsonLines::open::<ItemRow>(&dir.probe())?;
        for row in rows.iter().filter(|row| done > 0 && row.step.is_some_and(|step| step <= done)) {
            file.append(row)?;
        }
    }
    Ok(done)
}

/// Answers every suite's missing items. Gives the seconds it took.
fn evaluate(prepared: &Prepared, dir: &CellDir, title: &str, adapter: Option<&Adapter>) -> Result<f64> {
    let started = Instant::now();
    let (mut rows, before) = JsonLines::open::<ItemRow>(&dir.items())?;
    let total = prepared.suites.iter().map(|planned| planned.items.len()).sum();
    let bar = Bar::new(&format!("{title} eval"), total);
    bar.advance(before.len() as u64);
    let merged = model::merged(&prepared.base, adapter)?;
    let decoder = merged.as_ref().unwrap_or(&prepared.base.decoder);
    let lineup = Lineup::one(decoder, adapter.filter(|_| merged.is_none()))?;
    let evaluator = evaluator(prepared, decoder, &lineup);
    for planned in &prepared.suites {
        let suite = &planned.suite;
        let done: HashSet<String> = before.iter().filter(|row| row.suite == suite.name).map(|row| row.item.clone()).collect();
        bar.message(suite.name.clone());
        evaluator.answer(&planned.items, suite.asking(), &done, &mut |answered| {
            rows.append(&item_row(&suite.name, None, answered))?;
            bar.advance(1);
            prepared.check_stop()
        })?;
    }
    bar.finish();
    check_complete(prepared, dir)?;
    Ok(started.elapsed().as_secs_f64())
}

/// A row for each item.
pub(super) fn check_complete(prepared: &Prepared, dir: &CellDir) -> Result<()> {
    let total: usize = prepared.suites.iter().map(|planned| planned.items.len()).sum();
    let complete: Vec<ItemRow> = read_json_lines(&dir.items())?;
    if complete.len() != total {
        bail!(Invalid(format!(
            "{} holds {} rows for {total} items: delete the cell's folder and run again",
            dir.items().display(),
            complete.len()
        )));
    }
    Ok(())
}

/// An adapter that changes nothing, or a base that is not the base, would make every comparison meaningless.
pub(super) fn liveness(prepared: &Prepared, adapter: &Adapter) -> Result<Liveness> {
    let decoder = &prepared.base.decoder;
    let on = prepared.drift.measure(decoder, adapter)?;
    let off = prepared.drift.measure(decoder, &adapter.scaled(0.0))?;
    if on.largest_change == 0.0 {
        bail!(Invalid("the adapter changes no logit: nothing was learned, or it was not applied".to_owned()));
    }
    if off.largest_change > 1e-2 {
        bail!(Invalid(format!("with the adapter off, logits differ from the base's by {}", off.largest_change)));
    }
    Ok(Liveness { largest_change: on.largest_change, largest_change_off: off.largest_change, kl: on.kl })
}

fn remove_if_there(path: &std::path::Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
