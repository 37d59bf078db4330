//! Knowledge against form: the same answers read strictly, as graded, and leniently, and what the model thinks of the
//! right answers.

use super::letters::letters;
use super::under;
use crate::analysis::results::Results;
use crate::analysis::share::Share;
use crate::eval::likelihood::Likelihood;
use crate::record::rows::ItemRow;
use crate::report::table::Table;
use crate::report::text::{NONE, code, fixed, or_none, percent, share_text};

/// The readings from the strictest on.
const READINGS: [fn(&ItemRow) -> bool; 3] = [|row| row.strict, ItemRow::is_correct, |row| row.lenient];

/// The section.
pub(super) fn section(results: &Results) -> Option<String> {
    let view = &results.view;
    if view.suites.is_empty() {
        return None;
    }
    let header = std::iter::once(String::new()).chain(view.suites.iter().map(|suite| code(suite)));
    let mut table = Table::new(header, 1);
    for subject in &view.subjects {
        let cells = view.suites.iter().map(|suite| {
            let read = READINGS.map(|hit| Share::among(subject, |row| row.suite == *suite, hit).map(|share| percent(share.value)));
            let read: Option<Vec<String>> = read.into_iter().collect();
            read.map_or_else(|| NONE.to_owned(), |read| read.join(" / "))
        });
        table.push(std::iter::once(code(subject.name)).chain(cells).collect());
    }
    let note = "The same answers under three readings, in percent: right in the asked form / right as graded, which the tables above use / the right answer found anywhere sensible. A variant whose first number falls while its last one stays has lost the form, not the knowledge.";
    let blocks: Vec<String> = [note.to_owned(), table.markdown()].into_iter().chain(letters(results)).chain(likelihoods(results)).collect();
    under("Knowledge against form", &blocks)
}

/// What each subject thinks of the right answers, whatever it said.
fn likelihoods(results: &Results) -> Vec<String> {
    let view = &results.view;
    let mut table = Table::new(
        ["suite", "", "n", "right by likelihood", "nats a token of the right answer", "knows, does not say", "says, does not prefer"],
        2,
    );
    for suite in &view.suites {
        for subject in &view.subjects {
            let rows: Vec<(&ItemRow, &Likelihood)> =
                subject.rows(suite).into_iter().flatten().filter_map(|row| Some((row, row.likelihood.as_ref()?))).collect();
            if rows.is_empty() {
                continue;
            }
            let chosen = |row: &ItemRow| row.suite == **suite && row.likelihood.as_ref().is_some_and(|l| l.right.is_some());
            let right = Share::among(subject, chosen, |row| row.likelihood.as_ref().and_then(|l| l.right) == Some(true));
            let (nats, tokens) = rows.iter().fold((0.0, 0), |(nats, tokens), (_, l)| (nats + l.gold, tokens + l.tokens));
            let both = |knows: bool, says: bool| {
                let options = rows.iter().filter_map(|(row, l)| Some((*row, l.right?)));
                let count = options.clone().filter(|(row, right)| *right == knows && row.is_correct() == says).count();
                if options.count() == 0 { NONE.to_owned() } else { count.to_string() }
            };
            table.push(vec![
                code(suite),
                code(subject.name),
                rows.len().to_string(),
                or_none(right, |share| share_text(&share)),
                fixed(nats / tokens as f64, 2),
                both(true, false),
                both(false, true),
            ]);
        }
    }
    if table.is_empty() {
        return Vec::new();
    }
    let note = "The third score asks what the model thinks of answers it did not give. Right by likelihood: the right option is the most probable one, by its letter where the question shows letters, else by its text in nats a byte; chance is one over the options. *Knows, does not say*: right by likelihood, not correct as generated; *says, does not prefer*: the reverse. Items with a number for an answer have no options; for them only the log-probability of the right answer counts.";
    vec![note.to_owned(), table.folded_if_long("Likelihood of the right answers")]
}
