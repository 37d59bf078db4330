//! A gate's result written down: JSON for programs, JUnit XML for test reports, Markdown for people, a forest plot.

mod junit;
mod summary;
mod terminal;

use anyhow::{Context, Result};

use super::plot::forest::{ForestData, ForestRow, forest};
use super::plot::raster;
use super::{ReportFile, SCALE};
use crate::gate::decision::Decision;
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
    let svg = forest(&forest_data(result))?;
    let png = raster::png(&svg, SCALE).context("failed to draw forest.png")?;
    let file = |name: &str, bytes: Vec<u8>| ReportFile { name: name.to_owned(), bytes };
    Ok(vec![
        file("gate.json", json(result)?.into_bytes()),
        file("junit.xml", junit(result)?.into_bytes()),
        file("summary.md", summary(result).into_bytes()),
        file("forest.svg", svg.into_bytes()),
        file("forest.png", png),
    ])
}

/// Every test of a loss against its margin, suite by suite.
fn forest_data(result: &GateResult) -> ForestData {
    let mut rows = Vec::new();
    for suite in &result.suites {
        for (what, test) in [("accuracy", suite.loss), ("well-formed", suite.form)] {
            rows.extend(test.map(|test| ForestRow::new(&suite.suite, what, &test)));
        }
    }
    rows.extend(result.leakage.map(|test| ForestRow::new("general suites", "no identity text", &test)));
    let title = match result.verdict {
        Decision::Pass => "Pass: every loss is shown to be smaller than its margin",
        Decision::Regress => "Regress: a loss is shown, and it reaches its margin",
        Decision::Inconclusive => "Inconclusive: not every loss is shown to be smaller than its margin",
        Decision::Invalid => "Invalid: the measurement cannot be trusted",
    };
    let subtitle = format!("{} against {}, base {}, 91 % intervals", result.adapter.folder, result.baseline, result.evidence.model);
    ForestData { title: title.to_owned(), subtitle, rows }
}
