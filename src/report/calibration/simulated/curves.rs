//! The figure: how often each verdict falls, against the true loss.

use anyhow::Result;

use super::{CHURNS, Gates};
use crate::gate::simulate::DecisionCounts;
use crate::report::plot::power::{PowerPanel, power};
use crate::report::plot::{Point, Series, Titles};
use crate::report::text::percent;

/// Places of the churns that are drawn.
const DRAWN: [usize; 3] = [0, 1, 3];
/// Largest loss drawn, in points.
const LAST: usize = 20;

/// A share of gates.
type Rate = fn(DecisionCounts) -> f64;
/// What is counted, one dash each.
const COUNTED: [(&str, Rate); 2] = [("passes", |found| found.pass_rate()), ("regresses", |found| found.regress_rate())];

pub(super) fn figure(gates: &Gates) -> Result<String> {
    let panel = |(place, (suite, n)): (usize, &(String, usize))| {
        let line = |dash: usize, index: usize| {
            let at = |loss: usize| {
                let found = gates.alone(place, CHURNS[index], loss as f64 / 100.0);
                Point::new(loss as f64, found.map_or(f64::NAN, COUNTED[dash].1))
            };
            let label = format!("{}, churn {} %", COUNTED[dash].0, percent(CHURNS[index]));
            Series { label, variant_index: index + 1, dash, points: (0..=LAST).map(at).collect() }
        };
        let lines = [0, 1].into_iter().flat_map(|dash| DRAWN.map(|index| line(dash, index)));
        PowerPanel { title: format!("{suite}, {n} items"), lines: lines.collect() }
    };
    let titles = Titles {
        title: "What the gate can see at the size of each suite".to_owned(),
        subtitle: format!(
            "Share of {} simulated gates that pass and that regress, where only this suite is asked; margin {} points, seed {}",
            gates.draws.count,
            percent(gates.draws.margin),
            gates.draws.seed
        ),
    };
    power(&titles, 100.0 * gates.draws.margin, &gates.suites.iter().enumerate().map(panel).collect::<Vec<_>>())
}
