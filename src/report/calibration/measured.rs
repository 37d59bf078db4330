//! What the gate says of the base itself and of planted collapses, on a real model.

use crate::gate::result::GateResult;
use crate::report::table::Table;
use crate::report::text::{code, count, fixed, or_none, percent, plain, points, significant};

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
    let mut table = Table::new(["planted", "verdict", "largest logit change", "drift, nats a token", "differences by suite, points"], 2);
    for Measurement { name, result } in found {
        let suites = result.suites.iter().map(|suite| {
            let difference = or_none(suite.loss.and_then(|test| test.difference), points);
            format!("{} {difference} ({})", code(&suite.suite), suite.verdict.map_or("not asked", |verdict| verdict.word()))
        });
        let suites: Vec<String> = suites.collect();
        table.push(vec![
            name.clone(),
            format!("**{}**", result.verdict.word()),
            or_none(result.liveness, |proof| significant(proof.largest_change)),
            or_none(result.liveness, |proof| fixed(proof.kl, 4)),
            if suites.is_empty() { plain(&result.reasons.join("; ")) } else { suites.join("; ") },
        ]);
    }
    format!(
        "# The gate on {}\n\n{how}.\n\nEvery line is a gate through the code that judges real adapters, against a baseline blessed a moment before; margin {margin} points on every suite and guard. \
         Asked again in another order and in small batches, the base gave another text to {texts} and came to another verdict on {verdicts} of {} ({} %): churn that is arithmetic alone.\n\n{}\n",
        code(model),
        count(items, "item"),
        percent(verdicts as f64 / items.max(1) as f64),
        table.markdown()
    )
}
