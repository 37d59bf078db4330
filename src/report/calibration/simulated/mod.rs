//! How often the rule is wrong, and what it can see, at the sizes of the suites.

mod collapse;
mod curves;
mod errors;

use std::cell::RefCell;
use std::collections::BTreeMap;

use anyhow::Result;

use crate::gate::simulate::{DecisionCounts, Draws, SimulatedAdapter};
use crate::report::ReportFile;
use crate::report::document::{Block, Text, code, paragraph, strong, text};
use crate::report::render::markdown;
use crate::report::table::{Cell, Table};
use crate::report::text::percent;

/// Churns of adapters without loss: a change of batch, a careful fine-tune, a careless one, a heavy one.
const CHURNS: [f64; 4] = [0.02, 0.06, 0.12, 0.2];
/// Accuracy of the base. The rule sees flips only, so it matters where it leaves too little to lose.
const ACCURACY: f64 = 0.65;
/// The collapse that is planted.
const PLANTED: f64 = 0.1;
/// Highest rate of false verdicts, and lowest rate at which a collapse is to be caught.
const FALSE: f64 = 0.05;
const CAUGHT: f64 = 0.95;

/// Simulates everything: `calibration.md`, `power.svg` and `power.png`.
pub fn simulated(suites: &[(String, usize)], draws: &Draws) -> Result<Vec<ReportFile>> {
    let gates = Gates { suites, draws: *draws, known: RefCell::default() };
    let mut files = vec![ReportFile::new("calibration.md", markdown::document(&page(&gates)))];
    files.extend(ReportFile::pictures("power", curves::figure(&gates)?)?);
    Ok(files)
}

/// Gates that ask all suites, each with the margin of the draws.
struct Gates<'a> {
    suites: &'a [(String, usize)],
    draws: Draws,
    /// What was simulated already, by the losses of the suites that are asked.
    known: RefCell<BTreeMap<String, Option<DecisionCounts>>>,
}

impl Gates<'_> {
    /// The adapter loses as much on every suite.
    fn everywhere(&self, churn: f64, loss: f64) -> Option<DecisionCounts> {
        self.gate(churn, |_| loss)
    }

    /// The adapter loses on one suite alone.
    fn only(&self, place: usize, churn: f64, loss: f64) -> Option<DecisionCounts> {
        self.gate(churn, |i| if i == place { loss } else { 0.0 })
    }

    /// The suite is the only one that is asked.
    fn alone(&self, place: usize, churn: f64, loss: f64) -> Option<DecisionCounts> {
        self.of(&[(self.suites[place].1, SimulatedAdapter { accuracy: ACCURACY, churn, loss })])
    }

    fn gate(&self, churn: f64, loss: impl Fn(usize) -> f64) -> Option<DecisionCounts> {
        let adapter = |(i, (_, n)): (usize, &(String, usize))| (*n, SimulatedAdapter { accuracy: ACCURACY, churn, loss: loss(i) });
        self.of(&self.suites.iter().enumerate().map(adapter).collect::<Vec<_>>())
    }

    fn of(&self, suites: &[(usize, SimulatedAdapter)]) -> Option<DecisionCounts> {
        let key = format!("{suites:?}");
        if let Some(found) = self.known.borrow().get(&key) {
            return *found;
        }
        let found = self.draws.gate(suites);
        self.known.borrow_mut().insert(key, found);
        found
    }

    /// Every suite at every churn.
    fn cases(&self) -> impl Iterator<Item = (usize, f64)> {
        (0..self.suites.len()).flat_map(|place| CHURNS.map(|churn| (place, churn)))
    }
}

fn page(gates: &Gates) -> Vec<Block> {
    let head = text!(
        "{}, {} simulated gates for each number, seed {}, margin {} points on every suite. \
         Every number comes from the rule that judges real adapters, on made-up adapters whose true loss is known, at a churn of 2, 6, 12 or 20 % before any loss. \
         The simulation's own error is at most {} points. Guards (form, leakage) and floors are not simulated; they make a pass rarer.",
        code("ballast calibrate --simulate"),
        gates.draws.count,
        gates.draws.seed.to_string(),
        percent(gates.draws.margin),
        percent(1.96 * (0.25 / gates.draws.count as f64).sqrt())
    );
    let mut blocks = vec![Block::Title("The gate as an instrument".into()), paragraph(head)];
    blocks.extend(summary(gates));
    blocks.push(Block::Picture("How often the gate passes and regresses, against the true loss", "power.png"));
    blocks.extend(errors::errors(gates));
    blocks.extend(collapse::everywhere(gates));
    blocks.extend(collapse::one_suite(gates));
    blocks.extend(collapse::reach(gates));
    blocks.extend(errors::twins(gates));
    blocks
}

/// An aim, the worst of all cases and whether it holds.
struct Aim {
    what: &'static str,
    words: String,
    worst: Option<f64>,
    holds: Text,
}

/// What was aimed at, and whether it holds.
fn summary(gates: &Gates) -> [Block; 2] {
    let mut aims = Vec::new();
    let mut push = |what: &'static str, most: bool, rates: Vec<f64>| {
        let aim = if most { FALSE } else { CAUGHT };
        let worst = rates.into_iter().reduce(if most { f64::max } else { f64::min });
        let error = worst.map_or(0.0, |rate| 1.96 * (rate * (1.0 - rate) / gates.draws.count as f64).sqrt());
        let holds = match worst.map(|rate| if most { rate - aim } else { aim - rate }) {
            Some(excess) if excess <= 0.0 => "holds".into(),
            Some(excess) if excess <= error => "holds within the simulation's error".into(),
            _ => strong("does not hold").into(),
        };
        aims.push(Aim { what, words: format!("at {} {} %", if most { "most" } else { "least" }, percent(aim)), worst, holds });
    };
    let by_churn = |of: &dyn Fn(f64) -> Option<f64>| -> Vec<f64> { CHURNS.iter().filter_map(|churn| of(*churn)).collect() };
    let by_case =
        |of: &dyn Fn(usize, f64) -> Option<f64>| -> Vec<f64> { gates.cases().filter_map(|(place, churn)| of(place, churn)).collect() };
    let margin = gates.draws.margin;
    let (pass, regress) = (|found: DecisionCounts| found.pass_rate(), |found: DecisionCounts| found.regress_rate());
    push(
        "an adapter without loss is called a regression: all suites asked",
        true,
        by_churn(&|churn| gates.everywhere(churn, 0.0).map(regress)),
    );
    push("the same: one suite asked", true, by_case(&|place, churn| gates.alone(place, churn, 0.0).map(regress)));
    push(
        "an adapter that loses exactly the margin passes: one suite asked",
        true,
        by_case(&|place, churn| gates.alone(place, churn, margin).map(pass)),
    );
    push("the same: all suites asked, the loss on one of them", true, by_case(&|place, churn| gates.only(place, churn, margin).map(pass)));
    push(
        "a loss of 10 points on every suite is called a regression",
        false,
        by_churn(&|churn| gates.everywhere(churn, PLANTED).map(regress)),
    );
    push(
        "a loss of 10 points on one suite alone is not passed",
        false,
        by_case(&|place, churn| gates.only(place, churn, PLANTED).map(|found| 1.0 - found.pass_rate())),
    );
    push(
        "a loss of 10 points on one suite alone is called a regression",
        false,
        by_case(&|place, churn| gates.only(place, churn, PLANTED).map(regress)),
    );
    let table = Table::of(aims)
        .words("what", |aim| aim.what)
        .words("aim", |aim| aim.words.clone())
        .numbers("worst of all cases", |aim| Cell::percent(aim.worst))
        .numbers("", |aim| aim.holds.clone());
    let note = "The last line is limited by the number of items, and by the correction for the number of suites: below, beside every rate, stand the rate without that correction, the most that any test with 5 % false alarms could reach on so many items, and the items that would be enough. Where a collapse is not called a regression the verdict is Inconclusive, which fails the gate too: it is not let through.";
    [table.table().block(), paragraph(note)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_whole_and_the_same_twice() {
        let suites = [("a".to_owned(), 60), ("b".to_owned(), 100)];
        let draws = Draws { count: 40, seed: 3, margin: 0.05 };
        let files = simulated(&suites, &draws).unwrap();
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["calibration.md", "power.png", "power.svg"]);
        assert!(simulated(&suites, &draws).unwrap() == files);
        let text = String::from_utf8(files[0].bytes.clone()).unwrap();
        for section in [
            "# The gate as an instrument",
            "## False verdicts",
            "## A collapse of 10 points on every suite",
            "## A collapse of 10 points on one suite alone",
            "## What each suite can see",
            "## Twins",
        ] {
            assert!(text.contains(section), "{section}");
        }
    }
}
