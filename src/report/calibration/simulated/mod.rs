//! How often the rule is wrong, and what it can see, at the sizes of the suites.

use anyhow::{Context, Result};

use crate::gate::decision::ALPHA;
use crate::gate::simulate::{Adapter, Draws, Verdicts};
use crate::report::plot::power::{PowerData, PowerPanel, power};
use crate::report::plot::{Point, Series, raster};
use crate::report::table::Table;
use crate::report::text::{code, or_none, percent};
use crate::report::{ReportFile, SCALE};
use crate::stats::distribution::normal_quantile;
use crate::stats::power::{Rates, smallest_margin};

/// Churns of adapters without loss: a change of batch, a careful fine-tune, a careless one, a heavy one.
const CHURNS: [f64; 4] = [0.02, 0.06, 0.12, 0.2];
/// Accuracies of the base.
const ACCURACIES: [f64; 3] = [0.4, 0.65, 0.9];
/// What power curves and whole gates are drawn with.
const ACCURACY: f64 = 0.65;
/// The collapse that is planted.
const PLANTED: f64 = 0.1;
/// Largest loss tried, in points.
const MOST_LOST: usize = 40;
/// Highest rate of false verdicts, and lowest rate at which a collapse is to be caught.
const FALSE: f64 = 0.05;
const CAUGHT: f64 = 0.95;

/// Simulates everything: `calibration.md`, `power.svg` and `power.png`.
pub fn simulated(suites: &[(String, usize)], draws: &Draws) -> Result<Vec<ReportFile>> {
    let svg = power(&curves(suites, draws))?;
    let png = raster::png(&svg, SCALE).context("failed to draw power.png")?;
    let file = |name: &str, bytes: Vec<u8>| ReportFile { name: name.to_owned(), bytes };
    Ok(vec![file("calibration.md", page(suites, draws).into_bytes()), file("power.png", png), file("power.svg", svg.into_bytes())])
}

/// One suite at one true loss, over all churns and accuracies.
struct Cases<'a> {
    suite: &'a str,
    n: usize,
    cases: Vec<(Adapter, Verdicts)>,
}

impl Cases<'_> {
    fn worst(&self, count: Count) -> Option<(Adapter, Verdicts)> {
        self.cases.iter().max_by_key(|(_, verdicts)| count(verdicts)).copied()
    }
}

fn cases<'a>(suites: &'a [(String, usize)], draws: &Draws, loss: f64) -> Vec<Cases<'a>> {
    let grid: Vec<Adapter> =
        ACCURACIES.iter().flat_map(|accuracy| CHURNS.map(|churn| Adapter { accuracy: *accuracy, churn, loss })).collect();
    let of = |(suite, n): &'a (String, usize)| Cases {
        suite,
        n: *n,
        cases: grid.iter().filter_map(|adapter| Some((*adapter, draws.suite(*n, *adapter)?))).collect(),
    };
    suites.iter().map(of).collect()
}

fn page(suites: &[(String, usize)], draws: &Draws) -> String {
    let margin = percent(draws.margin);
    let head = format!(
        "# The gate as an instrument\n\n`ballast calibrate --simulate`, {} simulated gates for each number, seed {}, margin {margin} points. \
         Every number comes from the rule that judges real adapters, on made-up adapters whose true loss is known: base accuracy 40, 65 or 90 %, \
         churn 2, 6, 12 or 20 % before any loss. The simulation's own error is at most {} points. Guards (form, leakage) and floors are not simulated; they make a pass rarer.",
        draws.count,
        draws.seed,
        percent(1.96 * (0.25 / draws.count as f64).sqrt())
    );
    let equal = cases(suites, draws, 0.0);
    let at_margin = cases(suites, draws, draws.margin);
    let planted = cases(suites, draws, PLANTED);
    [
        head,
        summary(&equal, &at_margin, &planted),
        "![How often the gate passes and regresses, against the true loss](power.png)".to_owned(),
        errors(&equal, &at_margin),
        caught(&planted),
        reach(suites, draws),
        whole(suites, draws),
        twins(suites, draws),
    ]
    .join("\n\n")
        + "\n"
}

/// One of the counts of a simulation.
type Count = fn(&Verdicts) -> usize;

/// What was aimed at, and whether it holds.
fn summary(equal: &[Cases], at_margin: &[Cases], planted: &[Cases]) -> String {
    let worst = |cases: &[Cases], count: Count| cases.iter().filter_map(|cases| cases.worst(count)).map(|(_, v)| v).max_by_key(count);
    let holds = |found: Option<Verdicts>, count: Count| {
        let rate = found.map(|found| count(&found) as f64 / found.draws.max(1) as f64);
        let low = found.and_then(|found| found.interval(count(&found))).map(|interval| interval.low);
        match (rate, low) {
            (Some(rate), _) if rate <= FALSE => "holds",
            (_, Some(low)) if low <= FALSE => "holds within the simulation's error",
            _ => "**does not hold**",
        }
    };
    let rate = |found: Option<Verdicts>, count: Count| or_none(found, |found| percent(count(&found) as f64 / found.draws as f64));
    let regress: Count = |found| found.regress;
    let pass: Count = |found| found.pass;
    let (false_regress, false_pass) = (worst(equal, regress), worst(at_margin, pass));
    let missed = worst(planted, pass);
    let always: Vec<String> = planted
        .iter()
        .filter(|cases| cases.cases.iter().all(|(_, verdicts)| verdicts.regress_rate() >= CAUGHT))
        .map(|cases| code(cases.suite))
        .collect();
    let mut table = Table::new(["what", "aim", "worst of all cases", ""], 2);
    let mut push = |what: &str, aim: &str, rate: String, holds: &str| {
        table.push(vec![what.to_owned(), aim.to_owned(), rate, holds.to_owned()]);
    };
    push("an adapter without loss is called a regression", "at most 5 %", rate(false_regress, regress), holds(false_regress, regress));
    push("an adapter that loses exactly the margin passes", "at most 5 %", rate(false_pass, pass), holds(false_pass, pass));
    push("an adapter that loses 10 points passes", "at most 5 %", rate(missed, pass), holds(missed, pass));
    let named = if always.is_empty() { "no suite at every churn".to_owned() } else { always.join(", ") };
    format!(
        "{}\n\nThe test is asymptotic: its true level at these sizes is about 5 %, not exactly; the tables below show every case. A planted collapse of 10 points is called a *regression* in at least 95 % of gates on: {named}; \
         the table below says how often elsewhere. Where it is not, the verdict is Inconclusive, which fails the gate too: it is not let through.",
        table.markdown()
    )
}

fn errors(equal: &[Cases], at_margin: &[Cases]) -> String {
    let mut table = Table::new(
        ["suite", "items", "churn %", "no loss: pass %", "no loss: regress %", "at the margin: pass %", "at the margin: regress %"],
        1,
    );
    for (equal, at_margin) in equal.iter().zip(at_margin) {
        for churn in CHURNS {
            let of = |cases: &Cases, count: fn(&Verdicts) -> f64| {
                let rates: Vec<f64> = cases.cases.iter().filter(|(a, _)| same(a.churn, churn)).map(|(_, v)| count(v)).collect();
                span(&rates)
            };
            table.push(vec![
                code(equal.suite),
                equal.n.to_string(),
                percent(churn),
                of(equal, Verdicts::pass_rate),
                of(equal, Verdicts::regress_rate),
                of(at_margin, Verdicts::pass_rate),
                of(at_margin, Verdicts::regress_rate),
            ]);
        }
    }
    format!(
        "## False verdicts\n\nFrom the lowest to the highest over the base's accuracies. Neither column of regressions without loss nor of passes at the margin may exceed 5 %.\n\n{}",
        table.markdown()
    )
}

fn caught(planted: &[Cases]) -> String {
    let mut table = Table::new(["suite", "items", "churn %", "regress %", "inconclusive %", "pass %"], 1);
    for cases in planted {
        for churn in CHURNS {
            let of = |count: fn(&Verdicts) -> f64| {
                let rates: Vec<f64> = cases.cases.iter().filter(|(a, _)| same(a.churn, churn)).map(|(_, v)| count(v)).collect();
                span(&rates)
            };
            table.push(vec![
                code(cases.suite),
                cases.n.to_string(),
                percent(churn),
                of(Verdicts::regress_rate),
                of(|v| 1.0 - v.pass_rate() - v.regress_rate()),
                of(Verdicts::pass_rate),
            ]);
        }
    }
    format!(
        "## A planted collapse of 10 points\n\nOn one suite alone. Churn is that of the same adapter without the collapse.\n\n{}",
        table.markdown()
    )
}

/// What each suite can see at all: the smallest loss that is caught, and the smallest margin that can be kept.
fn reach(suites: &[(String, usize)], draws: &Draws) -> String {
    let mut table = Table::new(
        ["suite", "items", "churn %", "smallest loss called a regression in 95 %", "smallest margin that no loss keeps in 80 %"],
        1,
    );
    for (suite, n) in suites {
        for churn in CHURNS {
            let first = (draws.margin * 100.0).ceil() as usize..=MOST_LOST;
            let seen = first.into_iter().find(|loss| {
                let found = draws.suite(*n, Adapter { accuracy: ACCURACY, churn, loss: *loss as f64 / 100.0 });
                found.is_some_and(|found| found.regress_rate() >= CAUGHT)
            });
            let margin = smallest_margin(churn, *n as f64, Rates { alpha: ALPHA, power: 0.8 });
            let floor = zero_flip_margin(*n);
            table.push(vec![
                code(suite),
                n.to_string(),
                percent(churn),
                or_none(seen, |loss| format!("{loss} points")),
                or_none(margin.zip(floor), |(margin, floor)| format!("{} points", percent(margin.max(floor)))),
            ]);
        }
    }
    format!(
        "## What each suite can see\n\nLosses in whole points, base accuracy 65 %; margins by the formula of `stats::power`, never below what no flip at all would keep. A suite that is to catch less, or to keep less, needs more items: four times as many for half.\n\n{}",
        table.markdown()
    )
}

/// The smallest margin that `n` items without any flip keep: the zero-flip floor solved for the margin.
fn zero_flip_margin(n: usize) -> Option<f64> {
    let z = normal_quantile(1.0 - ALPHA)?;
    Some(z * z / (n as f64 + z * z))
}

/// All suites together, as a gate asks them.
fn whole(suites: &[(String, usize)], draws: &Draws) -> String {
    let mut table = Table::new(["adapter", "churn %", "pass %", "inconclusive %", "regress %"], 1);
    let largest = suites.iter().map(|(_, n)| *n).max().unwrap_or(0);
    for churn in CHURNS {
        let adapter = |loss| Adapter { accuracy: ACCURACY, churn, loss };
        let everywhere = |loss| -> Vec<(usize, Adapter)> { suites.iter().map(|(_, n)| (*n, adapter(loss))).collect() };
        let mut one = everywhere(0.0);
        if let Some(suite) = one.iter_mut().find(|(n, _)| *n == largest) {
            suite.1.loss = draws.margin;
        }
        let rows = [
            ("loses nothing", everywhere(0.0)),
            ("loses exactly the margin on the largest suite alone", one),
            ("loses exactly the margin everywhere", everywhere(draws.margin)),
            ("loses 10 points everywhere", everywhere(PLANTED)),
        ];
        for (name, suites) in rows {
            let found = draws.gate(&suites);
            table.push(vec![
                name.to_owned(),
                percent(churn),
                or_none(found, |v| percent(v.pass_rate())),
                or_none(found, |v| percent(1.0 - v.pass_rate() - v.regress_rate())),
                or_none(found, |v| percent(v.regress_rate())),
            ]);
        }
    }
    format!("## All suites together\n\nEvery suite must pass; base accuracy 65 %.\n\n{}", table.markdown())
}

/// Items that share their luck.
fn twins(suites: &[(String, usize)], draws: &Draws) -> String {
    let mut table = Table::new(["suite", "pairs of twins", "churn %", "pass at the margin %: as twins", "as if strangers"], 1);
    for (suite, n) in suites {
        for churn in CHURNS {
            let found = draws.twins(n / 2, Adapter { accuracy: ACCURACY, churn, loss: draws.margin });
            table.push(vec![
                code(suite),
                (n / 2).to_string(),
                percent(churn),
                or_none(found, |(worth, _)| percent(worth.pass_rate())),
                or_none(found, |(_, strangers)| percent(strangers.pass_rate())),
            ]);
        }
    }
    format!(
        "## Twins\n\nThe same number of items, but in pairs that always flip together: the worst case of paraphrases and translations. The gate counts them by their design effect; counting them as strangers would pass an adapter at the margin too often.\n\n{}",
        table.markdown()
    )
}

fn curves(suites: &[(String, usize)], draws: &Draws) -> PowerData {
    let panel = |(suite, n): &(String, usize)| {
        let line = |index: usize, churn: f64, regress: bool| {
            let point = |loss: usize| {
                let found = draws.suite(*n, Adapter { accuracy: ACCURACY, churn, loss: loss as f64 / 100.0 });
                let rate = found.map_or(f64::NAN, |found| if regress { found.regress_rate() } else { found.pass_rate() });
                Point::new(loss as f64, rate)
            };
            let what = if regress { "regresses" } else { "passes" };
            Series {
                label: format!("{what}, churn {} %", percent(churn)),
                variant_index: index + 1,
                dash: usize::from(regress),
                points: (0..=20).map(point).collect(),
            }
        };
        let drawn = [0, 1, 3];
        let lines = [false, true].into_iter().flat_map(|regress| drawn.map(|index| line(index, CHURNS[index], regress))).collect();
        PowerPanel { title: format!("{suite}, {n} items"), lines }
    };
    PowerData {
        title: "What the gate can see at the size of each suite".to_owned(),
        subtitle: format!(
            "Share of {} simulated gates that pass and that regress, margin {} points, base accuracy 65 %, seed {}",
            draws.count,
            percent(draws.margin),
            draws.seed
        ),
        margin: 100.0 * draws.margin,
        panels: suites.iter().map(panel).collect(),
    }
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

/// `1.2` or `1.2 to 3.4`.
fn span(rates: &[f64]) -> String {
    let (Some(low), Some(high)) = (rates.iter().copied().reduce(f64::min), rates.iter().copied().reduce(f64::max)) else {
        return crate::report::text::NONE.to_owned();
    };
    let (low, high) = (percent(low), percent(high));
    if low == high { low } else { format!("{low} to {high}") }
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
            "## A planted collapse",
            "## What each suite can see",
            "## All suites together",
            "## Twins",
        ] {
            assert!(text.contains(section), "{section}");
        }
    }
}
