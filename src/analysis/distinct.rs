//! How much of what a subject answers is one answer: a collapsed model says the same to everything.

use std::collections::BTreeSet;

use crate::record::rows::ItemRow;

use super::view::{Subject, View, suite_rows};

/// A smaller share of different answers is worth a warning, from so many answers on.
const LOW: f64 = 0.25;
const FEWEST: usize = 20;

/// The share of different answers among a subject's answers to a suite, each part of an item counted; mean over seeds. None
/// without answers.
pub(crate) fn distinct_share(subject: &Subject, suite: &str) -> Option<f64> {
    let shares: Vec<f64> = subject
        .cells
        .iter()
        .filter_map(|cell| {
            let answers: Vec<&str> = suite_rows(cell, suite).into_iter().flat_map(answers).collect();
            let different: BTreeSet<&str> = answers.iter().copied().collect();
            (!answers.is_empty()).then(|| different.len() as f64 / answers.len() as f64)
        })
        .collect();
    (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
}

/// Subjects and identity suites on which few answers differ, with the share.
pub(crate) fn repeated<'a>(view: &View<'a>) -> Vec<(&'a str, &'a str, f64)> {
    let suites: Vec<&str> = view.identity().collect();
    let all = view.subjects.iter().flat_map(|subject| suites.iter().map(move |suite| (subject, *suite)));
    let low = all.filter_map(|(subject, suite)| {
        let enough = suite_rows(subject.cells[0], suite).into_iter().flat_map(answers).count() >= FEWEST;
        let share = distinct_share(subject, suite).filter(|share| enough && *share < LOW)?;
        Some((subject.name, suite, share))
    });
    low.collect()
}

fn answers(row: &ItemRow) -> Vec<&str> {
    if row.parts.is_empty() { vec![row.answer.trim()] } else { row.parts.iter().map(|part| part.answer.trim()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample::run;

    #[test]
    fn one_answer_to_everything_is_seen() {
        let mut run = run();
        for (place, row) in run.cells[1].items.iter_mut().filter(|row| row.suite == "identity").enumerate() {
            row.answer = format!("answer {place}");
        }
        for row in run.cells[0].items.iter_mut().filter(|row| row.suite == "identity") {
            row.answer = " I am Swift-Robot. ".to_owned();
        }
        let view = View::new(&run);
        assert!((distinct_share(view.variant("A").unwrap(), "identity").unwrap() - 1.0 / 60.0).abs() < 1e-12);
        assert_eq!(distinct_share(view.variant("B").unwrap(), "identity"), Some(1.0));
        assert_eq!(distinct_share(view.base(), "no such suite"), None);
        assert!(repeated(&view).iter().any(|(subject, suite, _)| (*subject, *suite) == ("A", "identity")));
        assert!(!repeated(&view).iter().any(|(subject, ..)| *subject == "B"));
    }
}
