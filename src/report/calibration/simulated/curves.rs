//! The figure: how often each verdict falls, against the true loss.

use super::{CHURNS, Gates};
use crate::report::plot::power::{PowerData, PowerPanel};
use crate::report::plot::{Point, Series};
use crate::report::text::percent;

/// Places of the churns that are drawn.
const DRAWN: [usize; 3] = [0, 1, 3];
/// Largest loss drawn, in points.
const LAST: usize = 20;

pub(super) fn curves(gates: &Gates) -> PowerData {
    let panel = |(place, (suite, n)): (usize, &(String, usize))| {
        let by_churn = DRAWN.map(|index| {
            let at = |loss: usize| {
                let found = gates.alone(place, CHURNS[index], loss as f64 / 100.0);
                (loss as f64, found.map_or(f64::NAN, |found| found.pass_rate()), found.map_or(f64::NAN, |found| found.regress_rate()))
            };
            (index, (0..=LAST).map(at).collect::<Vec<_>>())
        });
        let line = |regress: bool| {
            by_churn.iter().map(move |(index, rates)| Series {
                label: format!("{}, churn {} %", if regress { "regresses" } else { "passes" }, percent(CHURNS[*index])),
                variant_index: index + 1,
                dash: usize::from(regress),
                points: rates.iter().map(|(loss, pass, regressed)| Point::new(*loss, if regress { *regressed } else { *pass })).collect(),
            })
        };
        PowerPanel { title: format!("{suite}, {n} items"), lines: line(false).chain(line(true)).collect() }
    };
    PowerData {
        title: "What the gate can see at the size of each suite".to_owned(),
        subtitle: format!(
            "Share of {} simulated gates that pass and that regress, where only this suite is asked; margin {} points, seed {}",
            gates.draws.count,
            percent(gates.draws.margin),
            gates.draws.seed
        ),
        margin: 100.0 * gates.draws.margin,
        panels: gates.suites.iter().enumerate().map(panel).collect(),
    }
}
