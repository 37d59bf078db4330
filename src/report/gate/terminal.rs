//! A gate's result as plain text, for the end of the command.

use std::fmt::Write;

use crate::gate::decision::{Decision, LossTest};
use crate::gate::result::GateResult;
use crate::report::text::{NONE, or_none, percent, point_range, points};

/// One line a suite, then the verdict.
pub fn terminal(result: &GateResult) -> String {
    let mut text = String::new();
    let line = |test: &LossTest| {
        format!("{:>7} points {}  margin {}", or_none(test.difference, points), or_none(test.interval, point_range), percent(test.margin))
    };
    let word = |verdict: Option<Decision>| verdict.map_or("not asked", Decision::word);
    for suite in &result.suites {
        let accuracy = format!("{} -> {} %", or_none(suite.before, percent), or_none(suite.after, percent));
        let test = suite.loss.map_or(String::new(), |test| line(&test));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:<16} {:<13} {accuracy:<16} n={:<5} {test}", suite.suite, word(suite.verdict), suite.n);
    }
    if let Some(test) = result.leakage {
        let _ = writeln!(text, "{:<16} {:<13} {:<16} n={:<5} {}", "leakage", word(Some(test.verdict)), "", test.n, line(&test));
    }
    let drift = or_none(result.liveness, |proof| format!("{:.4}", proof.kl));
    let _ = writeln!(text, "drift {} nats a token", if drift.is_empty() { NONE } else { &drift });
    let _ = writeln!(text, "{}", result.verdict.word());
    text
}
