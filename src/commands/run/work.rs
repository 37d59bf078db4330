//! How much work each part of a run is, in tokens that pass through the model once: what the time left is reckoned from,
//! together with the rates measured so far. Only proportions matter.

use super::setup::Prepared;
use crate::eval::drift::DriftProbe;
use crate::eval::suite::{EvalSettings, Item, Scoring};
use crate::plan::{PlannedCell, PlannedInterference, PlannedStage, PlannedSuite, groups};

/// Names of kinds of work, each with a rate of its own; a suite's kind is its name.
pub(super) const TRAINING: &str = "training";
pub(super) const DRIFT: &str = "drift";
pub(super) const PROBES: &str = "probes";
pub(super) const INTERFERENCE: &str = "interference";

/// Backward costs about twice what forward does, and layers computed again once more.
pub(super) fn step(prepared: &Prepared, planned: &PlannedStage) -> f64 {
    let stage = &planned.stage;
    let tokens: usize = stage.rows.iter().map(|row| row.encoded.ids.len()).sum();
    let mean = tokens as f64 / stage.rows.len().max(1) as f64;
    let passes = if prepared.experiment.training.checkpoint_layers { 4.0 } else { 3.0 };
    passes * mean * stage.window.min(stage.rows.len()) as f64
}

/// A prompt, and half of the longest answer, or the options that are scored.
pub(super) fn item(item: &Item, asking: EvalSettings) -> f64 {
    // Bytes of English and of Chinese come to about as many tokens.
    let prompt = item.user_prompt().len() as f64 / 3.5;
    prompt + if asking.scoring == Scoring::Generated { asking.max_new_tokens as f64 / 2.0 } else { prompt / 2.0 }
}

/// One measurement of drift.
pub(super) fn drift(probe: &DriftProbe) -> f64 {
    probe.tokens() as f64
}

/// One measurement of interference: layers are computed again, and every weight gets a gradient.
pub(super) fn interference(planned: &PlannedInterference) -> f64 {
    let rows = planned.identity.iter().chain(&planned.general);
    5.0 * rows.map(|row| row.encoded.ids.len()).sum::<usize>() as f64
}

/// The items that one probe of training asks.
pub(super) fn probe(prepared: &Prepared) -> f64 {
    let config = &prepared.experiment.probe;
    let suites = prepared.suites.iter().filter(|planned| config.suites.contains(&planned.suite.name));
    suites.map(|planned| suite(planned) * config.items.min(planned.items.len()) as f64 / planned.items.len().max(1) as f64).sum()
}

/// All items of a suite.
fn suite(planned: &PlannedSuite) -> f64 {
    planned.items.iter().map(|asked| item(asked, planned.suite.asking())).sum()
}

/// Tells the display everything that is to be done.
pub(super) fn plan(prepared: &Prepared) {
    let (experiment, progress) = (&prepared.experiment, &prepared.progress);
    let every = |steps: usize, every: usize| steps.checked_div(every).unwrap_or(0) as f64;
    for cell in groups(experiment, 1).into_iter().flatten() {
        if prepared.cell(cell).record().exists() {
            continue;
        }
        for planned in &prepared.suites {
            progress.plan(&planned.suite.name, suite(planned));
        }
        if cell != PlannedCell::Base {
            // With the adapter and with it switched off.
            progress.plan(DRIFT, 2.0 * drift(&prepared.drift));
        }
        let trained = !prepared.cell(cell).adapter().join("adapter_config.json").exists();
        for stage in prepared.stages(cell).unwrap_or_default().iter().filter(|_| trained) {
            let steps = stage.stage.steps;
            progress.plan(TRAINING, steps as f64 * step(prepared, stage));
            progress.plan(DRIFT, every(steps, experiment.drift.every) * drift(&prepared.drift));
            progress.plan(PROBES, every(steps, experiment.probe.every) * probe(prepared));
            if let Some(planned) = &prepared.interference {
                progress.plan(INTERFERENCE, every(steps, experiment.interference.every) * interference(planned));
            }
        }
    }
}
