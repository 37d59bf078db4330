//! `ballast calibrate`: the gate itself tested, by simulation or with a model.

use anyhow::{Context, Result, ensure};

use super::{fetched, print};
use crate::cli::CalibrateArgs;
use crate::gate::simulate::Draws;
use crate::report;

/// Suites simulated where none is named: shipped ones of different sizes, whose accuracy is gated.
const SIMULATED: [&str; 4] = ["fact-qa", "code", "reasoning-zh", "instructions"];

pub(super) fn calibrate(args: &CalibrateArgs) -> Result<()> {
    ensure!(args.margin > 0.0 && args.margin < 100.0, "--margin is {} points: it must lie between 0 and 100", args.margin);
    if args.simulate { simulate(args) } else { super::gate::calibrate(args) }
}

fn simulate(args: &CalibrateArgs) -> Result<()> {
    ensure!(args.draws >= 100, "--draws is {}: use at least 100", args.draws);
    let draws = Draws { count: args.draws, seed: args.seed, margin: args.margin / 100.0 };
    let files = report::calibration::simulated(&sizes(&args.suites)?, &draws)?;
    if let Some(folder) = &args.out {
        report::write(&files, folder)?;
    }
    let page = files.iter().find(|file| file.name == "calibration.md").context("the report has no page")?;
    print(&String::from_utf8_lossy(&page.bytes))
}

/// `NAME=ITEMS`, or the size of a suite by its name.
fn sizes(named: &[String]) -> Result<Vec<(String, usize)>> {
    let named: Vec<String> = if named.is_empty() { SIMULATED.map(str::to_owned).into() } else { named.to_vec() };
    let size = |text: &String| match text.rsplit_once('=') {
        Some((name, items)) => {
            let items: usize = items
                .parse()
                .ok()
                .filter(|items| *items > 0)
                .with_context(|| format!("--suite {text}: write NAME=ITEMS, as in fact-qa=320"))?;
            Ok((name.to_owned(), items))
        }
        None => Ok((text.clone(), fetched::suite(text)?.items.len())),
    };
    named.iter().map(size).collect()
}
