//! Answers in letters without the preference for a letter.

use crate::analysis::results::Results;
use crate::analysis::share::Share;
use crate::analysis::view::Subject;
use crate::eval::score::Verdict;
use crate::record::rows::ItemRow;
use crate::report::document::{Block, code};
use crate::report::table::{Cell, Table};
use crate::report::text::{NONE, share_text};
use crate::stats::letters::{Lettered, score};

/// A suite with fewer answers in letters says nothing of a preference.
const FEWEST: usize = 12;

/// What a subject answers in letters on one suite.
struct Letters<'a> {
    suite: &'a str,
    subject: &'a Subject<'a>,
    answers: Vec<Lettered>,
}

impl Letters<'_> {
    fn right(&self) -> Option<Share> {
        Share::among(self.subject, |row| row.suite == self.suite && lettered(row).is_some(), ItemRow::is_correct)
    }
}

/// For every suite that asks for letters, the accuracy on these items and what is left without the liking for letters.
pub(super) fn letters(results: &Results) -> Vec<Block> {
    let view = &results.view;
    let found = view.suites.iter().flat_map(|suite| {
        view.subjects.iter().map(|subject| Letters {
            suite,
            subject,
            answers: subject.rows(suite).into_iter().flatten().filter_map(lettered).collect(),
        })
    });
    let table = Table::of(found.filter(|letters| letters.answers.len() >= FEWEST))
        .words("suite", |letters| code(letters.suite))
        .words("", |letters| code(letters.subject.name))
        .numbers("n", |letters| letters.answers.len())
        .numbers("right", |letters| letters.right().map(|share| share_text(&share)))
        .numbers("without the liking for letters", |letters| Cell::fixed(score(&letters.answers), 3))
        .numbers("most frequent letter", |letters| favourite(&letters.answers))
        .table();
    let note = "Answers in letters: right as graded, which a model that always says one letter is as often as this letter is right; and the same without what the liking for letters earns, where always one letter is 0 and all right is 1. How often a letter is said where another is right shows the liking.";
    table.explained(note, "Letters")
}

/// The letters of a row that answers a choice; None for other rows, and for those asked in several orders.
fn lettered(row: &ItemRow) -> Option<Lettered> {
    let one = |text: &str| {
        let mut chars = text.chars();
        chars.next().filter(|c| c.is_ascii_uppercase() && chars.next().is_none()).map(|c| c as usize - 'A' as usize)
    };
    let given = row.extracted.as_deref().and_then(one);
    let key = row.detail.as_deref().and_then(|detail| detail.rsplit_once("not ")).and_then(|(_, letter)| one(letter));
    match row.verdict {
        _ if !row.parts.is_empty() => None,
        Verdict::Correct => given.map(|letter| (Some(letter), Some(letter))),
        _ => key.map(|key| (given, Some(key))),
    }
}

/// The letter said most often, with its share of the letters said.
fn favourite(answers: &[Lettered]) -> String {
    let given: Vec<usize> = answers.iter().filter_map(|(given, _)| *given).collect();
    let count = |letter: usize| given.iter().filter(|other| **other == letter).count();
    let most = given.iter().copied().max_by_key(|letter| (count(*letter), std::cmp::Reverse(*letter)));
    most.map_or_else(|| NONE.to_owned(), |letter| format!("{} {} of {}", char::from(b'A' + letter as u8), count(letter), given.len()))
}
