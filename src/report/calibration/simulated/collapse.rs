//! Planted collapses: how often they are called what they are, and how often that is possible at all.

use super::{CAUGHT, CHURNS, Gates, PLANTED};
use crate::gate::decision::{ALPHA, FAMILY};
use crate::gate::simulate::DecisionCounts;
use crate::report::document::{Block, code, paragraph, text, under};
use crate::report::table::{Cell, Columns, Table};
use crate::report::text::percent;
use crate::stats::bound::{best_power, items_for_loss};
use crate::stats::distribution::normal_quantile;
use crate::stats::power::{Rates, smallest_margin};

/// Largest loss tried, in points.
const MOST_LOST: usize = 40;

pub(super) fn everywhere(gates: &Gates) -> Vec<Block> {
    let table = Table::of(CHURNS).numbers("churn %", |churn| Cell::percent(*churn));
    let table = verdicts(table, |churn| gates.everywhere(*churn, PLANTED));
    let note = "What a harmful fine-tune usually does. Churn is that of the same adapter without the collapse.";
    under("A collapse of 10 points on every suite", vec![paragraph(note), table.table().block()])
}

/// How often each verdict falls.
fn verdicts<T>(table: Columns<T>, gate: impl Fn(&T) -> Option<DecisionCounts>) -> Columns<T> {
    let rate = |rate: fn(DecisionCounts) -> f64| {
        let gate = &gate;
        move |case: &T| Cell::percent(gate(case).map(rate))
    };
    table
        .numbers("regress %", rate(|found| found.regress_rate()))
        .numbers("inconclusive %", rate(|found| 1.0 - found.pass_rate() - found.regress_rate()))
        .numbers("pass %", rate(|found| found.pass_rate()))
}

/// Every suite at every churn.
fn cases(gates: &Gates) -> Columns<(usize, f64)> {
    let suite = |place: usize| &gates.suites[place];
    Table::of(gates.cases())
        .words("suite", |(place, _)| code(&suite(*place).0))
        .numbers("items", |(place, _)| suite(*place).1)
        .numbers("churn %", |(_, churn)| Cell::percent(*churn))
}

pub(super) fn one_suite(gates: &Gates) -> Vec<Block> {
    let level = FAMILY / (gates.suites.len() + usize::from(gates.suites.len() > 1)) as f64;
    let flips = |churn: f64| (churn / 2.0 + PLANTED, churn / 2.0);
    let items = |churn: f64, level: f64| {
        let (harmful, beneficial) = flips(churn);
        items_for_loss(harmful, beneficial, level, CAUGHT).map(|items| items.to_string())
    };
    let table = verdicts(cases(gates), |(place, churn)| gates.only(*place, *churn, PLANTED))
        .numbers("regress % where only it is asked", |(place, churn)| {
            Cell::percent(gates.alone(*place, *churn, PLANTED).map(|found| found.regress_rate()))
        })
        .numbers("most any test could %", |(place, churn)| {
            let (harmful, beneficial) = flips(*churn);
            Cell::percent(best_power(gates.suites[*place].1, harmful, beneficial, FAMILY))
        })
        .numbers("items for 95 %", |(_, churn)| items(*churn, level))
        .numbers("the same where only it is asked", |(_, churn)| items(*churn, FAMILY));
    let note = text!(
        "All suites are asked, and the adapter loses nothing on the others. \"Most any test could\" is the power of the best test of no loss at 5 % on this suite alone, \
         one that knows both flip rates ({}): no rule with at most 5 % false alarms finds more, and where it is below 95 % only more items help. \"Items for 95 %\" is what \
         this suite would need, by the normal approximation, at the level that correction leaves ({} %) and at 5 %.",
        code("stats::bound"),
        percent(level)
    );
    under("A collapse of 10 points on one suite alone", vec![paragraph(note), table.table().block()])
}

/// What each suite can see at all: the smallest loss that is caught, and the smallest margin that can be kept.
pub(super) fn reach(gates: &Gates) -> Vec<Block> {
    let table = cases(gates)
        .numbers("smallest loss called a regression in 95 %", |(place, churn)| {
            let seen = |loss: usize| gates.only(*place, *churn, loss as f64 / 100.0).is_some_and(|found| found.regress_rate() >= CAUGHT);
            smallest(seen).map(|loss| format!("{loss} points"))
        })
        .numbers("smallest margin that no loss keeps in 80 %", |(place, churn)| {
            let n = gates.suites[*place].1;
            let margin = smallest_margin(*churn, n as f64, Rates { alpha: ALPHA, power: 0.8 });
            margin.zip(zero_flip_margin(n)).map(|(margin, floor)| format!("{} points", percent(margin.max(floor))))
        });
    let note = text!(
        "Losses in whole points, on this suite alone while all are asked; margins by the formula of {}, never below what no flip at all would keep. A suite that is to catch less, or to keep less, needs more items: four times as many for half.",
        code("stats::power")
    );
    under("What each suite can see", vec![paragraph(note), table.table().block()])
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
