//! Writes down what training tells, and measures drift and probes on the way.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use anyhow::Result;

use super::setup::Prepared;
use super::{cell, work};
use crate::commands::model;
use crate::commands::rows::item_row;
use crate::eval::run::Evaluator;
use crate::eval::suite::Item;
use crate::model::adapter_set::AdapterSet;
use crate::model::decoder::Decoder;
use crate::model::lora::Adapter;
use crate::plan::PlannedCell;
use crate::random::{derive, shuffle};
use crate::record::lines::{JsonLines, append_csv, read_csv};
use crate::record::rows::{DriftRow, ItemRow};
use crate::record::run_dir::CellDir;
use crate::train::interference;
use crate::train::run::Observer;
use crate::train::telemetry::StepRow;

/// The observer of one cell.
pub(super) struct Recorder<'a> {
    pub(super) prepared: &'a Prepared,
    pub(super) cell: PlannedCell<'a>,
    pub(super) dir: &'a CellDir,
    /// Whether anything is to be written: a cell that has its adapter already may be trained again beside others.
    pub(super) writes: bool,
    /// Whether its drift passed the variant's bound.
    pub(super) stopped: bool,
}

impl Recorder<'_> {
    /// The largest drift that the variant may have, nats.
    fn bound(&self) -> Option<f64> {
        match self.cell {
            PlannedCell::Base => None,
            PlannedCell::Variant(variant, _) => variant.stop_at_drift,
        }
    }
}

impl Observer for Recorder<'_> {
    fn on_step(&mut self, row: &StepRow) -> Result<()> {
        let stages = self.prepared.stages(self.cell).unwrap_or_default();
        let work = stages.iter().find(|planned| planned.stage.name == row.stage).map_or(0.0, |stage| work::step(self.prepared, stage));
        let loss = row.loss.map_or(String::new(), |loss| format!(", loss {loss:.3}"));
        self.prepared.progress.doing(&format!("{}: training, {}{loss}", self.cell, row.stage));
        self.prepared.progress.done(work::TRAINING, work);
        if self.writes { append_csv(&self.dir.train(), std::slice::from_ref(row)) } else { Ok(()) }
    }

    fn on_adapter(&mut self, step: usize, adapter: &Adapter) -> Result<()> {
        let experiment = &self.prepared.experiment;
        if !self.writes {
            // It ends where it ended when it was recorded.
            let recorded: Vec<StepRow> = if self.bound().is_some() { read_csv(&self.dir.train())? } else { Vec::new() };
            self.stopped = recorded.last().is_some_and(|last| last.step <= step);
            return Ok(());
        }
        if due(step, experiment.drift.every) {
            let drift = self.prepared.drift.measure(&self.prepared.base.decoder, adapter)?;
            self.prepared.progress.done(work::DRIFT, work::drift(&self.prepared.drift));
            let row =
                DriftRow { step, kl: drift.kl, agreement: drift.agreement, largest_change: drift.largest_change, tokens: drift.tokens };
            append_csv(&self.dir.drift(), &[row])?;
            if self.bound().is_some_and(|bound| drift.kl > bound) {
                self.stopped = true;
                let left = cell::work_after(self.prepared, self.cell, step);
                self.prepared.progress.skip(work::TRAINING, left);
            }
        }
        if let Some(planned) = self.prepared.interference.as_ref().filter(|_| due(step, experiment.interference.every)) {
            let [identity, general] = [&planned.identity, &planned.general].map(|rows| rows.iter().collect::<Vec<_>>());
            let rows = interference::measure(&self.prepared.base.decoder, adapter, step, &identity, &general)?;
            self.prepared.progress.done(work::INTERFERENCE, work::interference(planned));
            append_csv(&self.dir.interference(), &rows)?;
        }
        // At step 0 an adapter changes nothing; the base's own probe stands for it.
        if step > 0 && due(step, experiment.probe.every) {
            let rows = probe_rows(self.prepared, step, Some(adapter))?;
            let (mut file, _) = JsonLines::open::<ItemRow>(&self.dir.probe())?;
            rows.iter().try_for_each(|row| file.append(row))?;
            file.flush()?;
        }
        Ok(())
    }

    fn enough(&self) -> bool {
        self.stopped
    }

    fn interrupted(&self) -> bool {
        self.prepared.stop.load(Ordering::SeqCst)
    }
}

fn due(step: usize, every: usize) -> bool {
    every > 0 && step.is_multiple_of(every)
}

/// Answers to a few items of the probe's suites.
pub(super) fn probe_rows(prepared: &Prepared, step: usize, adapter: Option<&Adapter>) -> Result<Vec<ItemRow>> {
    let config = &prepared.experiment.probe;
    let mut rows = Vec::new();
    let merged = model::merged(&prepared.base, adapter)?;
    let decoder = merged.as_ref().unwrap_or(&prepared.base.decoder);
    let adapter_set = AdapterSet::one(decoder, adapter.filter(|_| merged.is_none()))?;
    let evaluator = evaluator(prepared, decoder, &adapter_set);
    for planned in prepared.suites.iter().filter(|planned| config.suites.contains(&planned.suite.name)) {
        // A subset of the items asked at the end, so that the last probe and the final figure can be compared.
        let seed = derive(0, &["items", &planned.suite.name]);
        let items: Vec<Item> = shuffle(planned.items.iter().collect(), seed).into_iter().take(config.items).cloned().collect();
        evaluator.answer(&items, planned.suite.asking(), &HashSet::new(), &mut |answered| {
            rows.push(item_row(&planned.suite, Some(step), answered));
            prepared.check_stop()
        })?;
    }
    prepared.progress.done(work::PROBES, work::probe(prepared));
    Ok(rows)
}

/// Asks questions the way this run does.
pub(super) fn evaluator<'a>(prepared: &'a Prepared, decoder: &'a Decoder, adapter_set: &'a AdapterSet<'a>) -> Evaluator<'a> {
    Evaluator {
        decoder,
        adapter_set,
        template: &prepared.template,
        system: &prepared.experiment.system,
        identity: &prepared.identity,
        sandbox: &prepared.sandbox,
        budgets: &prepared.budgets,
    }
}
