//! A gate's result written down: JSON for programs, JUnit XML for test reports, Markdown for people, a forest plot.

mod junit;
mod summary;
mod terminal;

use anyhow::Result;

use super::ReportFile;
use super::plot::Titles;
use super::plot::forest::{ForestRow, forest};
use crate::gate::decision::{Decision, LossTest};
use crate::gate::result::GateResult;

pub use junit::junit;
pub use summary::summary;
pub use terminal::terminal;

/// The result as JSON, one field a line. `docs/gate-json.md` says what each means.
pub fn json(result: &GateResult) -> Result<String> {
    Ok(serde_json::to_string_pretty(result)? + "\n")
}

/// Everything but the answers.
pub fn files(result: &GateResult) -> Result<Vec<ReportFile>> {
    let mut files = vec![
        ReportFile::new("gate.json", json(result)?),
        ReportFile::new("junit.xml", junit(result)?),
        ReportFile::new("summary.md", summary(result)),
    ];
    files.extend(ReportFile::pictures("forest", figure(result)?)?);
    Ok(files)
}

/// Every test of a loss against its margin, suite by suite.
fn figure(result: &GateResult) -> Result<String> {
    let row = |label, what, test: &LossTest| ForestRow { label, what, test: *test };
    let suites = result.suites.iter().flat_map(|suite| {
        let tests = [("accuracy", &suite.loss), ("well-formed", &suite.form)];
        tests.into_iter().filter_map(move |(what, test)| Some(row(&suite.suite, what, test.as_ref()?)))
    });
    let leakage = result.leakage.iter().map(|test| row("general suites", "no identity text", test));
    let title = match result.verdict {
        Decision::Pass => "Pass: every loss is shown to be smaller than its margin",
        Decision::Regress => "Regress: a loss is shown, and it reaches its margin",
        Decision::Inconclusive => "Inconclusive: not every loss is shown to be smaller than its margin",
        Decision::Invalid => "Invalid: the measurement cannot be trusted",
    };
    let subtitle = format!("{} against {}, base {}, 91 % intervals", result.adapter.folder, result.baseline, result.evidence.model);
    forest(&Titles { title: title.to_owned(), subtitle }, &suites.chain(leakage).collect::<Vec<_>>())
}
