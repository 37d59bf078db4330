//! Answers in letters without the preference for a letter.

use crate::analysis::results::Results;
use crate::analysis::share::Share;
use crate::eval::score::Verdict;
use crate::record::rows::ItemRow;
use crate::report::table::Table;
use crate::report::text::{NONE, code, fixed, or_none, share_text};
use crate::stats::letters::{Lettered, score};

/// A suite with fewer answers in letters says nothing of a preference.
const FEWEST: usize = 12;

/// For every suite that asks for letters, the accuracy on these items and what is left without the liking for letters.
pub(super) fn letters(results: &Results) -> Vec<String> {
    let view = &results.view;
    let mut table = Table::new(["suite", "", "n", "right", "without the liking for letters", "most frequent letter"], 2);
    for suite in &view.suites {
        for subject in &view.subjects {
            let answers: Vec<Lettered> = subject.rows(suite).into_iter().flatten().filter_map(lettered).collect();
            if answers.len() < FEWEST {
                continue;
            }
            let right = Share::among(subject, |row| row.suite == **suite && lettered(row).is_some(), ItemRow::is_correct);
            table.push(vec![
                code(suite),
                code(subject.name),
                answers.len().to_string(),
                or_none(right, |share| share_text(&share)),
                score(&answers).map_or_else(|| NONE.to_owned(), |score| fixed(score, 3)),
                favourite(&answers),
            ]);
        }
    }
    if table.is_empty() {
        return Vec::new();
    }
    let note = "Answers in letters: right as graded, which a model that always says one letter is as often as this letter is right; and the same without what the liking for letters earns, where always one letter is 0 and all right is 1. How often a letter is said where another is right shows the liking.";
    vec![note.to_owned(), table.folded_if_long("Letters")]
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
