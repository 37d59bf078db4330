//! Cells of a group, trained and asked together: one on a CPU, all on a GPU, where the frozen weights, which are nearly all
//! of the work, then see many more rows at a time. A finished cell is left alone; an unfinished one continues, with the same
//! cells beside it again, so that it comes to the same rows.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::observer::{Recorder, evaluator};
use super::setup::Prepared;
use super::{cell, work};
use crate::commands::model;
use crate::commands::rows::item_row;
use crate::eval::run::Asker;
use crate::files::{remove_file, write_json};
use crate::model::adapter_set::AdapterSet;
use crate::model::lora::Adapter;
use crate::plan::{PlannedCell, PlannedStage};
use crate::progress::Pace;
use crate::record::lines::JsonLines;
use crate::record::rows::{CellState, ItemRow};
use crate::record::run_dir::CellDir;
use crate::train::checkpoint::Checkpoint;
use crate::train::run::{Checkpoints, Member, Observer, Stage, Together};
use crate::train::weights::weigh;

/// Time between two notes of how long an evaluation has taken.
const NOTE: Duration = Duration::from_secs(5);

/// Trains, asks and records the cells of one group.
pub(super) fn run(prepared: &Prepared, cells: &[PlannedCell<'_>]) -> Result<()> {
    let dirs: Vec<CellDir> = cells.iter().map(|cell| prepared.cell(*cell)).collect();
    let unfinished: Vec<bool> = dirs.iter().map(|dir| !dir.record().exists()).collect();
    if !unfinished.contains(&true) {
        return Ok(());
    }
    prepared.check_stop()?;
    for (dir, _) in dirs.iter().zip(&unfinished).filter(|(_, unfinished)| **unfinished) {
        dir.create()?;
    }
    if cells.contains(&PlannedCell::Base) {
        cell::probe_base(prepared)?;
    }
    train(prepared, cells)?;
    let adapters = cells.iter().map(|cell| cell::adapter(prepared, *cell)).collect::<Result<Vec<_>>>()?;
    let mut liveness = Vec::new();
    for ((cell, adapter), unfinished) in cells.iter().zip(&adapters).zip(&unfinished) {
        prepared.progress.doing(&format!("{cell}: checking that the adapter acts"));
        let adapter = adapter.as_ref().filter(|_| *unfinished);
        liveness.push(adapter.map(|adapter| cell::liveness(prepared, adapter)).transpose().with_context(|| format!("cell {cell}"))?);
    }
    let seconds = evaluate(prepared, cells, &dirs, &adapters)?;
    for (((i, cell), adapter), liveness) in cells.iter().enumerate().zip(&adapters).zip(liveness) {
        if unfinished[i] {
            cell::check_complete(prepared, &dirs[i])?;
            cell::record(prepared, *cell, adapter.as_ref(), liveness, seconds[i])?;
        }
    }
    Ok(())
}

/// Trains every cell that has no adapter yet.
///
/// Where some have theirs, they are trained again beside the others without a word: alone, a cell's numbers would be
/// rounded otherwise than in the group that it belongs to.
fn train(prepared: &Prepared, cells: &[PlannedCell<'_>]) -> Result<()> {
    let cells: Vec<PlannedCell<'_>> = cells.iter().copied().filter(|cell| cell.is_trained()).collect();
    let mut missing = Vec::new();
    for cell in &cells {
        missing.push(!cell::is_trained(prepared, *cell)?);
    }
    let checkpoints = Checkpoints { path: prepared.dir.checkpoint(), every: prepared.experiment.training.save_every };
    if !missing.contains(&true) {
        // A kill between the last adapter and this line leaves the last checkpoint behind.
        return remove_file(&checkpoints.path);
    }
    let names: Vec<String> = cells.iter().map(|cell| cell::name(prepared, *cell)).collect();
    let checkpoint = Checkpoint::read(&checkpoints.path, &prepared.base.device)?;
    let checkpoint = checkpoint.filter(|checkpoint| checkpoint.is_of(names.iter().map(String::as_str)));
    if checkpoint.is_none() {
        remove_file(&checkpoints.path)?;
    }
    let dirs: Vec<CellDir> = cells.iter().map(|cell| prepared.cell(*cell)).collect();
    let stages = cells.iter().map(|cell| weighed(prepared, *cell)).collect::<Result<Vec<Vec<Stage>>>>()?;
    let mut to_do = 0.0;
    let mut members = Vec::new();
    let mut recorders = Vec::new();
    for (i, cell) in cells.iter().enumerate() {
        let done = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.steps_done(&names[i]));
        if missing[i] {
            cell::begin(prepared, &dirs[i], done)?;
            to_do += cell::work_left(prepared, *cell, done);
        }
        let settings = cell::settings(prepared, *cell)?;
        members.push(Member { name: names[i].clone(), adapter: cell::fresh(prepared, *cell)?, stages: &stages[i], settings });
        recorders.push(Recorder { prepared, cell: *cell, dir: &dirs[i], writes: missing[i], stopped: false });
    }
    drop(checkpoint);
    prepared.progress.begin(work::TRAINING, to_do, Pace::Steady);
    let title = || cells.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let stopped = || format!("training of {} stopped", title());
    let mut observers: Vec<&mut dyn Observer> = recorders.iter_mut().map(|recorder| recorder as &mut dyn Observer).collect();
    let mut together = Together::open(&prepared.base.decoder, members, checkpoints.clone(), &mut observers).with_context(stopped)?;
    while !together.is_done() {
        together.step(&prepared.base.decoder, &mut observers).with_context(stopped)?;
    }
    for ((dir, adapter), _) in dirs.iter().zip(together.into_adapters()).zip(&missing).filter(|(_, missing)| **missing) {
        cell::keep(prepared, dir, &adapter)?;
    }
    remove_file(&checkpoints.path)
}

/// The stages of a cell, their labels weighed by the base where the experiment says so.
fn weighed(prepared: &Prepared, cell: PlannedCell<'_>) -> Result<Vec<Stage>> {
    let weighed = |planned: &PlannedStage| -> Result<Stage> {
        let mut stage = planned.stage.clone();
        if let Some(weights) = planned.weights {
            prepared.progress.doing(&format!("{cell}: weighing the labels of {}", stage.name));
            let decoder = &prepared.base.decoder;
            let most = prepared.experiment.training.tokens_per_pass;
            weigh(decoder, &mut stage.rows, weights, most).with_context(|| format!("{cell}, stage `{}`", stage.name))?;
        }
        Ok(stage)
    };
    prepared.stages(cell).unwrap_or_default().iter().map(weighed).collect()
}

/// Every cell answers every suite's missing items. Gives each one's seconds, all continuations together.
fn evaluate(prepared: &Prepared, cells: &[PlannedCell<'_>], dirs: &[CellDir], adapters: &[Option<Adapter>]) -> Result<Vec<f64>> {
    let mut files = Vec::new();
    let mut before = Vec::new();
    let mut states = Vec::new();
    for dir in dirs {
        let (file, rows) = JsonLines::open::<ItemRow>(&dir.items())?;
        files.push(file);
        before.push(rows);
        states.push(cell::state(dir)?);
    }
    // One alone on the host is asked with its adapter folded into the weights, which is as fast as the base.
    let merged = if prepared.together == 1 { model::merged(&prepared.base, adapters[0].as_ref())? } else { None };
    let decoder = merged.as_ref().unwrap_or(&prepared.base.decoder);
    let apart: Vec<&Adapter> = adapters.iter().flatten().filter(|_| merged.is_none()).collect();
    let mut number = 0..apart.len();
    let adapter_set = AdapterSet::new(decoder, apart)?;
    let numbers: Vec<Option<usize>> = adapters.iter().map(|adapter| adapter.as_ref().and_then(|_| number.next())).collect();
    let evaluator = evaluator(prepared, decoder, &adapter_set);
    let (mut started, share) = (Instant::now(), 1.0 / cells.len() as f64);
    let mut note = |states: &mut [CellState], last: bool| -> Result<()> {
        if !last && started.elapsed() < NOTE {
            return Ok(());
        }
        for (state, dir) in states.iter_mut().zip(dirs).filter(|(_, dir)| !dir.record().exists()) {
            state.eval_seconds += share * started.elapsed().as_secs_f64();
            if !last {
                write_json(&dir.state(), state)?;
            }
        }
        started = Instant::now();
        Ok(())
    };
    let titles = cells.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    for planned in &prepared.suites {
        let (suite, asking) = (&planned.suite, planned.suite.asking());
        prepared.progress.doing(&format!("{titles}: {}", suite.name));
        let of_suite = |rows: &Vec<ItemRow>| rows.iter().filter(|row| row.suite == suite.name).map(|row| row.item.clone()).collect();
        let done: Vec<HashSet<String>> = before.iter().map(of_suite).collect();
        let mut missing = 0.0;
        for item in &planned.items {
            let unfinished = dirs.iter().zip(&done).filter(|(dir, _)| !dir.record().exists());
            let (there, not_there): (Vec<_>, Vec<_>) = unfinished.partition(|(_, done)| done.contains(&item.id));
            prepared.progress.skip(&suite.name, there.len() as f64 * work::item(item, asking));
            missing += not_there.len() as f64 * work::item(item, asking);
        }
        prepared.progress.begin(&suite.name, missing, Pace::Late);
        let askers: Vec<Asker<'_>> = done.iter().zip(&numbers).map(|(done, adapter)| Asker { adapter: *adapter, done }).collect();
        evaluator.answer_all(&planned.items, asking, &askers, &mut |asker, answered| {
            prepared.progress.done(&suite.name, work::item(answered.item, asking));
            files[asker].append(&item_row(suite, None, answered))?;
            note(&mut states, false)?;
            prepared.check_stop()
        })?;
    }
    note(&mut states, true)?;
    for file in &mut files {
        file.flush()?;
    }
    Ok(states.iter().map(|state| state.eval_seconds).collect())
}
