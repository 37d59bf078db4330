//! Knowledge against form: the same answers read strictly, as graded, and leniently, and what the model thinks of the
//! right answers.

use super::letters::letters;
use crate::analysis::results::Results;
use crate::analysis::share::Share;
use crate::analysis::view::Subject;
use crate::eval::likelihood::Likelihood;
use crate::record::rows::ItemRow;
use crate::report::document::{Block, Span, code, paragraph, text, under};
use crate::report::table::{Cell, Table};
use crate::report::text::{percent, share_text};

/// The readings from the strictest on.
const READINGS: [fn(&ItemRow) -> bool; 3] = [|row| row.strict, ItemRow::is_correct, |row| row.lenient];

/// The section.
pub(super) fn section(results: &Results) -> Vec<Block> {
    let view = &results.view;
    if view.suites.is_empty() {
        return Vec::new();
    }
    let table = Table::by_suite(&view.subjects, &view.suites, |subject, suite| {
        let read = READINGS.map(|hit| Share::among(subject, |row| row.suite == suite, hit).map(|share| percent(share.value)));
        read.into_iter().collect::<Option<Vec<String>>>().map(|read| read.join(" / "))
    });
    let note = "The same answers under three readings, in percent: right in the asked form / right as graded, which the tables above use / the right answer found anywhere sensible. A variant whose first number falls while its last one stays has lost the form, not the knowledge.";
    let mut blocks = vec![paragraph(note), table.block()];
    blocks.extend(letters(results));
    blocks.extend(likelihoods(results));
    under("Knowledge against form", blocks)
}

/// What a subject thinks of a suite's right answers, whatever it said.
struct Thought<'a> {
    suite: &'a str,
    subject: &'a Subject<'a>,
    rows: Vec<(&'a ItemRow, &'a Likelihood)>,
}

impl Thought<'_> {
    fn right(&self) -> Option<Share> {
        let chosen = |row: &ItemRow| row.suite == self.suite && row.likelihood.as_ref().is_some_and(|l| l.right.is_some());
        Share::among(self.subject, chosen, |row| row.likelihood.as_ref().and_then(|l| l.right) == Some(true))
    }

    fn nats_per_token(&self) -> f64 {
        let (nats, tokens) = self.rows.iter().fold((0.0, 0), |(nats, tokens), (_, l)| (nats + l.gold, tokens + l.tokens));
        nats / tokens as f64
    }

    /// Answers that were preferred or not, and given or not; None where no question had options.
    fn both(&self, knows: bool, says: bool) -> Option<usize> {
        let options = self.rows.iter().filter_map(|(row, l)| Some((*row, l.right?)));
        let count = options.clone().filter(|(row, right)| *right == knows && row.is_correct() == says).count();
        (options.count() > 0).then_some(count)
    }
}

fn likelihoods(results: &Results) -> Vec<Block> {
    let view = &results.view;
    let thoughts = view.suites.iter().flat_map(|suite| {
        view.subjects.iter().map(|subject| {
            let rows = subject.rows(suite).into_iter().flatten().filter_map(|row| Some((row, row.likelihood.as_ref()?)));
            Thought { suite, subject, rows: rows.collect() }
        })
    });
    let table = Table::of(thoughts.filter(|thought| !thought.rows.is_empty()))
        .words("suite", |thought| code(thought.suite))
        .words("", |thought| code(thought.subject.name))
        .numbers("n", |thought| thought.rows.len())
        .numbers("right by likelihood", |thought| thought.right().map(|share| share_text(&share)))
        .numbers("nats a token of the right answer", |thought| Cell::fixed(thought.nats_per_token(), 2))
        .numbers("knows, does not say", |thought| thought.both(true, false))
        .numbers("says, does not prefer", |thought| thought.both(false, true))
        .table();
    let note = text!(
        "The third score asks what the model thinks of answers it did not give. Right by likelihood: the right option is the most probable one, by its letter where the question shows letters, else by its text in nats a byte; chance is one over the options. {}: right by likelihood, not correct as generated; {}: the reverse. Items with a number for an answer have no options; for them only the log-probability of the right answer counts.",
        Span::Emphasis("Knows, does not say"),
        Span::Emphasis("says, does not prefer")
    );
    table.explained(note, "Likelihood of the right answers")
}
