//! Planted collapses: how often they are called what they are, and how often that is possible at all.

use super::{CAUGHT, CHURNS, Gates, PLANTED};
use crate::gate::decision::{ALPHA, FAMILY};
use crate::report::table::Table;
use crate::report::text::{code, or_none, percent};
use crate::stats::bound::{best_power, items_for_loss};
use crate::stats::distribution::normal_quantile;
use crate::stats::power::{Rates, smallest_margin};

/// Largest loss tried, in points.
const MOST_LOST: usize = 40;

pub(super) fn everywhere(gates: &Gates) -> String {
    let mut table = Table::new(["churn %", "regress %", "inconclusive %", "pass %"], 0);
    for churn in CHURNS {
        let found = gates.everywhere(churn, PLANTED);
        table.push(vec![
            percent(churn),
            or_none(found, |found| percent(found.regress_rate())),
            or_none(found, |found| percent(1.0 - found.pass_rate() - found.regress_rate())),
            or_none(found, |found| percent(found.pass_rate())),
        ]);
    }
    format!(
        "## A collapse of 10 points on every suite\n\nWhat a harmful fine-tune usually does. Churn is that of the same adapter without the collapse.\n\n{}",
        table.markdown()
    )
}

pub(super) fn one_suite(gates: &Gates) -> String {
    let header = [
        "suite",
        "items",
        "churn %",
        "regress %",
        "inconclusive %",
        "pass %",
        "regress % where only it is asked",
        "most any test could %",
        "items for 95 %",
        "the same where only it is asked",
    ];
    let mut table = Table::new(header, 1);
    let level = FAMILY / (gates.suites.len() + usize::from(gates.suites.len() > 1)) as f64;
    for (place, churn) in gates.cases() {
        let (name, n) = &gates.suites[place];
        let (found, alone) = (gates.only(place, churn, PLANTED), gates.alone(place, churn, PLANTED));
        let (harmful, beneficial) = (churn / 2.0 + PLANTED, churn / 2.0);
        let items = |level| or_none(items_for_loss(harmful, beneficial, level, CAUGHT), |items| items.to_string());
        table.push(vec![
            code(name),
            n.to_string(),
            percent(churn),
            or_none(found, |found| percent(found.regress_rate())),
            or_none(found, |found| percent(1.0 - found.pass_rate() - found.regress_rate())),
            or_none(found, |found| percent(found.pass_rate())),
            or_none(alone, |found| percent(found.regress_rate())),
            or_none(best_power(*n, harmful, beneficial, FAMILY), percent),
            items(level),
            items(FAMILY),
        ]);
    }
    format!(
        "## A collapse of 10 points on one suite alone\n\nAll suites are asked, and the adapter loses nothing on the others. \"Most any test could\" is the power of the best test of no loss at 5 % on this suite alone, \
         one that knows both flip rates (`stats::bound`): no rule with at most 5 % false alarms finds more, and where it is below 95 % only more items help. \"Items for 95 %\" is what \
         this suite would need, by the normal approximation, at the level that correction leaves ({} %) and at 5 %.\n\n{}",
        percent(level),
        table.markdown()
    )
}

/// What each suite can see at all: the smallest loss that is caught, and the smallest margin that can be kept.
pub(super) fn reach(gates: &Gates) -> String {
    let header = ["suite", "items", "churn %", "smallest loss called a regression in 95 %", "smallest margin that no loss keeps in 80 %"];
    let mut table = Table::new(header, 1);
    for (place, churn) in gates.cases() {
        let (name, n) = &gates.suites[place];
        let seen = |loss: usize| gates.only(place, churn, loss as f64 / 100.0).is_some_and(|found| found.regress_rate() >= CAUGHT);
        let margin = smallest_margin(churn, *n as f64, Rates { alpha: ALPHA, power: 0.8 });
        table.push(vec![
            code(name),
            n.to_string(),
            percent(churn),
            or_none(smallest(seen), |loss| format!("{loss} points")),
            or_none(margin.zip(zero_flip_margin(*n)), |(margin, floor)| format!("{} points", percent(margin.max(floor)))),
        ]);
    }
    format!(
        "## What each suite can see\n\nLosses in whole points, on this suite alone while all are asked; margins by the formula of `stats::power`, never below what no flip at all would keep. A suite that is to catch less, or to keep less, needs more items: four times as many for half.\n\n{}",
        table.markdown()
    )
}

/// The smallest of 1 to [`MOST_LOST`] points that is seen, by halving: a larger loss is never seen more rarely.
fn smallest(seen: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut unseen, mut known) = (0, MOST_LOST + 1);
    while known - unseen > 1 {
        let middle = usize::midpoint(unseen, known);
        if seen(middle) { known = middle } else { unseen = middle }
    }
    (known <= MOST_LOST).then_some(known)
}

/// The smallest margin that `n` items without any flip keep: the zero-flip floor solved for the margin.
fn zero_flip_margin(n: usize) -> Option<f64> {
    let z = normal_quantile(1.0 - ALPHA)?;
    Some(z * z / (n as f64 + z * z))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_that_is_seen_is_found() {
        assert_eq!(smallest(|loss| loss >= 13), Some(13));
        assert_eq!(smallest(|loss| loss >= 1), Some(1));
        assert_eq!(smallest(|loss| loss >= MOST_LOST), Some(MOST_LOST));
        assert_eq!(smallest(|_| false), None);
    }
}
