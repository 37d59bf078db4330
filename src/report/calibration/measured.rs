//! What the gate says of the base itself and of planted collapses, on a real model.

use crate::counted::counted;
use crate::gate::result::GateResult;
use crate::report::document::{Block, Text, code, foreign, paragraph, strong, text};
use crate::report::render::markdown;
use crate::report::table::{Cell, Table};
use crate::report::text::{or_none, percent, points};

/// One gate of a calibration with a model.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// What was planted.
    pub name: String,
    /// What the gate said.
    pub result: GateResult,
}

/// The page of a calibration with a model. `how`: device, date and seed; `changed` is how many texts and verdicts other batches changed, of how many items.
pub fn measured(model: &str, how: &str, margin: f64, changed: (usize, usize, usize), found: &[Measurement]) -> String {
    let (texts, verdicts, items) = changed;
    let table = Table::of(found)
        .words("planted", |found| found.name.as_str())
        .words("verdict", |found| strong(found.result.verdict.word()))
        .numbers("largest logit change", |found| Cell::significant(found.result.liveness.map(|proof| proof.largest_change)))
        .numbers("drift, nats a token", |found| Cell::fixed(found.result.liveness.map(|proof| proof.kl), 4))
        .numbers("differences by suite, points", |found| {
            let suites = found.result.suites.iter().map(|suite| {
                let difference = or_none(suite.loss.and_then(|test| test.difference), points);
                text!("{} {} ({})", code(&suite.suite), difference, suite.verdict.map_or("not asked", |verdict| verdict.word()))
            });
            if found.result.suites.is_empty() { foreign(&found.result.reasons.join("; ")).into() } else { Text::join(suites, "; ") }
        });
    markdown::document(&[
        Block::Title(text!("The gate on {}", code(model))),
        paragraph(format!("{how}.")),
        paragraph(format!(
            "Every line is a gate through the code that judges real adapters, against a baseline blessed a moment before; margin {margin} points on every suite and guard. \
             Asked again in another order and in small batches, the base gave another text to {texts} and came to another verdict on {verdicts} of {} ({} %): churn that is arithmetic alone.",
            counted(items, "item"),
            percent(verdicts as f64 / items.max(1) as f64)
        )),
        table.table().block(),
    ])
}
