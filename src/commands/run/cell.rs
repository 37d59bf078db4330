//! One cell: what it begins with, what is kept of it, and what it says of itself once it is finished.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Result, bail};

use super::observer::probe_rows;
use super::setup::Prepared;
use super::work;
use crate::error::Invalid;
use crate::files::{self, read_json, remove_file, write_atomic, write_json};
use crate::model::adapter as adapter_folder;
use crate::model::decoder::Saving;
use crate::model::lora::Adapter;
use crate::plan::{self, PlannedCell, PlannedStage};
use crate::random::derive;
use crate::record::lines::{read_csv, read_json_lines, retain_csv, retain_json_lines, write_json_lines};
use crate::record::rows::{CellRecord, CellState, DriftRow, ItemRow, Liveness, SCHEMA, StageCount};
use crate::record::run_dir::CellDir;
use crate::train::interference::InterferenceRow;
use crate::train::run::TrainSettings;
use crate::train::step::StepSettings;
use crate::train::telemetry::StepRow;

/// The base's probe, which every variant's begins with.
pub(super) fn probe_base(prepared: &Prepared) -> Result<()> {
    let path = prepared.dir.base().probe();
    if prepared.experiment.probe.every == 0 || path.exists() {
        return Ok(());
    }
    write_json_lines(&path, &probe_rows(prepared, 0, None)?)
}

/// The name of a cell's folder.
pub(super) fn name(prepared: &Prepared, cell: PlannedCell<'_>) -> String {
    prepared.cell(cell).0.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether a cell has its adapter, which must then be the one that was kept.
pub(super) fn is_trained(prepared: &Prepared, cell: PlannedCell<'_>) -> Result<bool> {
    let dir = prepared.cell(cell);
    if !dir.adapter().join("adapter_config.json").exists() {
        return Ok(false);
    }
    if dir.record().exists() {
        return Ok(true);
    }
    let state = state(&dir)?;
    if state.adapter.is_empty() {
        // A kill came between the two.
        write_json(&dir.state(), &CellState { adapter: dir.adapter_digests()?, ..state })?;
    } else {
        dir.verify_adapter(&state.adapter)?;
    }
    Ok(true)
}

/// What an unfinished cell says of itself; nothing yet where it says nothing.
pub(super) fn state(dir: &CellDir) -> Result<CellState> {
    if dir.state().exists() { read_json(&dir.state()) } else { Ok(CellState::default()) }
}

/// Makes a cell's folder ready to train in: the rows of steps after the last checkpoint are made again.
pub(super) fn begin(prepared: &Prepared, dir: &CellDir, done: usize) -> Result<()> {
    retain_csv(&dir.train(), |row: &StepRow| row.step <= done)?;
    retain_csv(&dir.drift(), |row: &DriftRow| row.step <= done && done > 0)?;
    retain_csv(&dir.interference(), |row: &InterferenceRow| row.step <= done && done > 0)?;
    if done > 0 {
        return retain_json_lines(&dir.probe(), |row: &ItemRow| row.step.is_some_and(|step| step <= done));
    }
    if prepared.experiment.probe.every == 0 {
        return Ok(());
    }
    let base = prepared.dir.base().probe();
    let bytes = files::read(&base, files::ROWS)?;
    write_atomic(&dir.probe(), &bytes)
}

/// How much of a cell's training is left; what a checkpoint holds of it is not to be done.
pub(super) fn work_left(prepared: &Prepared, cell: PlannedCell<'_>, done: usize) -> f64 {
    let left = work_after(prepared, cell, done);
    prepared.progress.skip(work::TRAINING, work_after(prepared, cell, 0) - left);
    left
}

/// The work of the steps after `done`.
pub(super) fn work_after(prepared: &Prepared, cell: PlannedCell<'_>, mut done: usize) -> f64 {
    let mut left = 0.0;
    for stage in prepared.stages(cell).unwrap_or_default() {
        let of_stage = done.min(stage.stage.steps);
        done -= of_stage;
        left += (stage.stage.steps - of_stage) as f64 * work::step(prepared, stage);
    }
    left
}

/// The stages as they were trained: a variant that stopped at its drift bound has fewer steps than were planned.
fn trained(planned: &[PlannedStage], mut steps: usize) -> Vec<StageCount> {
    let total = steps as f64;
    let count = |planned: &PlannedStage| {
        let done = planned.stage.steps.min(steps);
        steps -= done;
        if done == planned.stage.steps {
            return planned.count.clone();
        }
        StageCount { steps: done, planned: Some(planned.stage.steps), ..planned.count.clone() }
    };
    let mut counts: Vec<StageCount> = planned.iter().map(count).collect();
    if counts.iter().any(|count| count.planned.is_some()) {
        for count in &mut counts {
            count.share = count.steps as f64 / total;
        }
    }
    counts
}

/// The adapter that a cell's training begins with.
pub(super) fn fresh(prepared: &Prepared, cell: PlannedCell<'_>) -> Result<Adapter> {
    let experiment = &prepared.experiment;
    let config = match cell {
        PlannedCell::Base => &experiment.lora,
        PlannedCell::Variant(variant, _) => experiment.lora_of(variant),
    };
    Adapter::init(&prepared.base.decoder.spec, config, derive(seed(cell), &["init"]), &prepared.base.device)
}

fn seed(cell: PlannedCell<'_>) -> u64 {
    match cell {
        PlannedCell::Base => 0,
        PlannedCell::Variant(_, seed) => seed,
    }
}

/// How a cell is trained.
pub(super) fn settings(prepared: &Prepared, cell: PlannedCell<'_>) -> Result<TrainSettings> {
    let training = &prepared.experiment.training;
    Ok(TrainSettings {
        optimizer: training.optimizer.clone(),
        step: StepSettings {
            max_tokens: training.tokens_per_pass.max(prepared.base.decoder.pass_tokens()?),
            saving: if training.checkpoint_layers { Saving::Inputs } else { Saving::Activations },
        },
        seed: seed(cell),
    })
}

/// Saves a trained adapter, with its digests beside it.
pub(super) fn keep(prepared: &Prepared, dir: &CellDir, adapter: &Adapter) -> Result<()> {
    adapter_folder::save(adapter, &prepared.base.decoder.spec, &prepared.experiment.model, &dir.adapter())?;
    write_json(&dir.state(), &CellState { adapter: dir.adapter_digests()?, eval_seconds: 0.0 })
}

/// The adapter of a cell as read from its folder, so that a continued run evaluates the very same numbers; another variant's
/// at another strength; None for the base.
pub(super) fn adapter(prepared: &Prepared, cell: PlannedCell<'_>) -> Result<Option<Adapter>> {
    let PlannedCell::Variant(variant, seed) = cell else { return Ok(None) };
    let load = |folder: &Path| adapter_folder::load(folder, &prepared.base.decoder.spec, &prepared.base.device);
    Ok(Some(match &variant.of {
        Some(of) => load(&prepared.dir.cell(of, seed).adapter())?.scaled(variant.lambda.unwrap_or(1.0)),
        None => load(&prepared.cell(cell).adapter())?,
    }))
}

/// A row for each item, and no other.
pub(super) fn check_complete(prepared: &Prepared, dir: &CellDir) -> Result<()> {
    let rows: Vec<ItemRow> = read_json_lines(&dir.items())?;
    let mut asked: HashSet<(&str, &str, String)> = HashSet::new();
    for planned in &prepared.suites {
        asked.extend(planned.items.iter().map(|item| (planned.suite.name.as_str(), item.id.as_str(), item.content_hash())));
    }
    let wrong = |what: String| Invalid(format!("{} {what}: delete the folder {} and run again", dir.items().display(), dir.0.display()));
    for (i, row) in rows.iter().enumerate() {
        if !asked.remove(&(row.suite.as_str(), row.item.as_str(), row.hash.clone())) {
            bail!(wrong(format!("line {} answers {} of {}, which was not asked or already has a row", i + 1, row.item, row.suite)));
        }
    }
    match asked.iter().min() {
        Some((suite, item, _)) => bail!(wrong(format!("has no row for {item} of {suite}"))),
        None => Ok(()),
    }
}

/// An adapter that changes nothing, or a base that is not the base, would make every comparison meaningless.
pub(super) fn liveness(prepared: &Prepared, adapter: &Adapter) -> Result<Liveness> {
    let measure = |adapter: &Adapter| {
        let measured = prepared.drift.measure(&prepared.base.decoder, adapter);
        prepared.progress.done(work::DRIFT, work::drift(&prepared.drift));
        measured
    };
    let (on, off) = (measure(adapter)?, measure(&adapter.scaled(0.0))?);
    if on.largest_change == 0.0 {
        bail!(Invalid("the adapter changes no logit: nothing was learned, or it was not applied".to_owned()));
    }
    if off.largest_change > 1e-2 {
        bail!(Invalid(format!("with the adapter off, logits differ from the base's by {}", off.largest_change)));
    }
    Ok(Liveness { largest_change: on.largest_change, largest_change_off: off.largest_change, kl: on.kl })
}

/// A cell is done.
pub(super) fn record(
    prepared: &Prepared,
    cell: PlannedCell<'_>,
    adapter: Option<&Adapter>,
    liveness: Option<Liveness>,
    eval_seconds: f64,
) -> Result<()> {
    let dir = prepared.cell(cell);
    let planned = prepared.stages(cell);
    let train_rows: Vec<StepRow> = read_csv(&dir.train())?;
    let (variant, seed, description, derived) = match cell {
        PlannedCell::Base => ("base", None, &prepared.experiment.model, None),
        PlannedCell::Variant(variant, seed) => {
            (variant.name.as_str(), Some(seed), &variant.description, variant.of.clone().zip(variant.lambda))
        }
    };
    let record = CellRecord {
        schema: SCHEMA,
        variant: variant.to_owned(),
        seed,
        description: description.clone(),
        stages: trained(planned.unwrap_or_default(), train_rows.len()),
        derived,
        adapter_digest: adapter.map(adapter_folder::digest).transpose()?,
        rows_digest: planned.map(plan::rows_digest),
        liveness,
        train_seconds: train_rows.iter().fold(0.0, |sum, row| sum + row.seconds),
        eval_seconds,
        files: dir.digests()?,
    };
    write_json(&dir.record(), &record)?;
    remove_file(&dir.state())
}
