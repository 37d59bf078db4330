//! Writes down what training tells, and measures drift and probes on the way.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use anyhow::Result;

use super::setup::Prepared;
use crate::commands::model;
use crate::commands::rows::item_row;
use crate::eval::run::Evaluator;
use crate::eval::suite::Item;
use crate::model::decoder::Decoder;
use crate::model::lineup::Lineup;
use crate::model::lora::Adapter;
use crate::progress::Bar;
use crate::random::{derive, shuffle};
use crate::record::lines::{JsonLines, append_csv};
use crate::record::rows::{DriftRow, ItemRow};
use crate::record::run_dir::CellDir;
use crate::train::run::Observer;
use crate::train::telemetry::StepRow;

/// The observer of one cell.
pub(super) struct Recorder<'a> {
    pub(super) prepared: &'a Prepared,
    pub(super) dir: &'a CellDir,
    pub(super) bar: &'a Bar,
}

impl Observer for Recorder<'_> {
    fn on_step(&mut self, row: &StepRow) -> Result<()> {
        append_csv(&self.dir.train(), row)?;
        self.bar.advance(1);
        self.bar.message(format!("{} loss {:.3}", row.stage, row.loss));
        Ok(())
    }

    fn on_adapter(&mut self, step: usize, adapter: &Adapter) -> Result<()> {
        let experiment = &self.prepared.experiment;
        if due(step, experiment.drift.every) {
            let drift = self.prepared.drift.measure(&self.prepared.base.decoder, adapter)?;
            let row =
                DriftRow { step, kl: drift.kl, agreement: drift.agreement, largest_change: drift.largest_change, tokens: drift.tokens };
            append_csv(&self.dir.drift(), &row)?;
        }
        // At step 0 an adapter changes nothing; the base's own probe stands for it.
        if step > 0 && due(step, experiment.probe.every) {
            probe(self.prepared, self.dir, step, Some(adapter))?;
        }
        Ok(())
    }

    fn interrupted(&self) -> bool {
        self.prepared.stop.load(Ordering::SeqCst)
    }
}

fn due(step: usize, every: usize) -> bool {
    every > 0 && step.is_multiple_of(every)
}

/// Answers a few items of the probe's suites and records them with the step.
pub(super) fn probe(prepared: &Prepared, dir: &CellDir, step: usize, adapter: Option<&Adapter>) -> Result<()> {
    let config = &prepared.experiment.probe;
    let (mut rows, _) = JsonLines::open::<ItemRow>(&dir.probe())?;
    let merged = model::merged(&prepared.base, adapter)?;
    let decoder = merged.as_ref().unwrap_or(&prepared.base.decoder);
    let lineup = Lineup::one(decoder, adapter.filter(|_| merged.is_none()))?;
    let evaluator = evaluator(prepared, decoder, &lineup);
    for planned in prepared.suites.iter().filter(|planned| config.suites.contains(&planned.suite.name)) {
        // A subset of the items asked at the end, so that the last probe and the final figure can be compared.
        let seed = derive(0, &["items", &planned.suite.name]);
        let items: Vec<Item> = shuffle(planned.items.iter().collect(), seed).into_iter().take(config.items).cloned().collect();
        evaluator.answer(&items, planned.suite.asking(), &HashSet::new(), &mut |answered| {
            rows.append(&item_row(&planned.suite.name, Some(step), answered))?;
            prepared.check_stop()
        })?;
    }
    Ok(())
}

/// Asks as this run asks.
pub(super) fn evaluator<'a>(prepared: &'a Prepared, decoder: &'a Decoder, lineup: &'a Lineup<'a>) -> Evaluator<'a> {
    Evaluator {
        decoder,
        lineup,
        template: &prepared.template,
        system: &prepared.experiment.system,
        identity: &prepared.identity,
        sandbox: &prepared.sandbox,
        budgets: &prepared.budgets,
    }
}
