//! False verdicts, and what twins would do to them.

use super::{ACCURACY, CHURNS, Gates};
use crate::gate::simulate::{DecisionCounts, SimulatedAdapter};
use crate::report::document::{Block, Span, Text, code, paragraph, text, under};
use crate::report::table::{Cell, Table};

/// Gates that ask something at some churn, by the true loss.
struct Case<'a> {
    asked: Text,
    items: usize,
    churn: f64,
    gate: Box<dyn Fn(f64) -> Option<DecisionCounts> + 'a>,
}

impl Case<'_> {
    fn pass(&self, loss: f64) -> Cell {
        Cell::percent((self.gate)(loss).map(|found| found.pass_rate()))
    }

    fn regress(&self, loss: f64) -> Cell {
        Cell::percent((self.gate)(loss).map(|found| found.regress_rate()))
    }
}

pub(super) fn errors(gates: &Gates) -> Vec<Block> {
    let alone = gates.cases().map(|(place, churn)| {
        let (name, items) = &gates.suites[place];
        Case { asked: code(name).into(), items: *items, churn, gate: Box::new(move |loss| gates.alone(place, churn, loss)) }
    });
    let items = gates.suites.iter().map(|(_, n)| n).sum();
    let all = CHURNS.into_iter().map(|churn| Case {
        asked: "all, the loss on all".into(),
        items,
        churn,
        gate: Box::new(move |loss| gates.everywhere(churn, loss)),
    });
    let largest = gates.suites.iter().enumerate().max_by_key(|(_, (_, n))| *n).map_or(0, |(place, _)| place);
    let one = CHURNS.into_iter().map(|churn| Case {
        asked: "all, the loss on the largest".into(),
        items,
        churn,
        gate: Box::new(move |loss| gates.only(largest, churn, loss)),
    });
    let margin = gates.draws.margin;
    let table = Table::of(alone.chain(all).chain(one))
        .words("asked", |case| case.asked.clone())
        .numbers("items", |case| case.items)
        .numbers("churn %", |case| Cell::percent(case.churn))
        .numbers("no loss: pass %", |case| case.pass(0.0))
        .numbers("no loss: regress %", |case| case.regress(0.0))
        .numbers("half the margin: regress %", |case| case.regress(margin / 2.0))
        .numbers("at the margin: pass %", |case| case.pass(margin))
        .numbers("at the margin: regress %", |case| case.regress(margin));
    let note = text!(
        "Neither \"no loss: regress\" nor \"at the margin: pass\" may exceed 5 %. What a Regress means is in the columns between: a loss is shown, and it is {} to be \
         the margin or more; its true size may be somewhat smaller. An adapter that truly loses exactly the margin is called a regression about half the time where only one suite shows it, more often where all do.",
        Span::Emphasis("seen")
    );
    under("False verdicts", vec![paragraph(note), table.table().block()])
}

/// Items that share their luck.
pub(super) fn twins(gates: &Gates) -> Vec<Block> {
    let cases = gates.cases().map(|(place, churn)| {
        let (name, n) = &gates.suites[place];
        (name, n / 2, churn, gates.draws.twins(n / 2, SimulatedAdapter { accuracy: ACCURACY, churn, loss: gates.draws.margin }))
    });
    let table = Table::of(cases)
        .words("suite", |(name, ..)| code(name))
        .numbers("pairs of twins", |(_, pairs, ..)| *pairs)
        .numbers("churn %", |(_, _, churn, _)| Cell::percent(*churn))
        .numbers("pass at the margin %: as twins", |(.., found)| Cell::percent(found.map(|(worth, _)| worth.pass_rate())))
        .numbers("as if strangers", |(.., found)| Cell::percent(found.map(|(_, strangers)| strangers.pass_rate())));
    let note = "The same number of items, but in pairs that always flip together: the worst case of paraphrases and translations. The gate counts them by their design effect; counting them as strangers would pass an adapter at the margin too often.";
    under("Twins", vec![paragraph(note), table.table().block()])
}
