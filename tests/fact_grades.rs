//! The grader of facts held against verdicts given by hand on answers that models gave (40 cells of two bases, collapsed ones
//! among them): those on which this version of the grader and the one before it differ or are in doubt, and a random sample
//! of the others.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;

use ballast::eval::score::{Answer, IdentityTerms, Verdict, grade};
use ballast::eval::suite::Item;
use ballast::library;
use serde::Deserialize;

#[derive(Deserialize)]
struct Line {
    item: String,
    answer: String,
    truncated: bool,
    right: bool,
}

#[test]
fn answers_are_graded_as_a_person_would() {
    let items: BTreeMap<String, Item> = library::suite("fact-qa").unwrap().items.into_iter().map(|item| (item.id.clone(), item)).collect();
    let (mut counts, mut missed) = ([0; 4], Vec::new());
    for line in include_str!("fact_verdicts.jsonl").lines() {
        let line: Line = serde_json::from_str(line).unwrap();
        let answer = Answer { text: &line.answer, truncated: line.truncated };
        let graded = grade(&items[&line.item], &answer, &IdentityTerms::default());
        let accepted = graded.verdict == Verdict::Correct;
        let at = if line.right { 0 } else { 2 };
        counts[at] += 1;
        if accepted != line.right {
            counts[at + 1] += 1;
            let what = if accepted { "accepted" } else { "rejected" };
            missed.push(format!("{what}: {} => {} ({:?})", line.item, line.answer, graded.detail));
        }
    }
    let [right, rejected, wrong, accepted] = counts;
    println!("{rejected} of {right} right answers rejected, {accepted} of {wrong} wrong ones accepted\n{}", missed.join("\n"));
    assert!(right >= 60 && wrong >= 60);
    assert!(rejected * 100 <= 3 * right && accepted * 100 <= 3 * wrong, "{}", missed.join("\n"));
}

/// Items on which a base model is meant to be right in 25 to 50 of 100 stand under subjects of their own.
#[test]
fn long_tail_items_can_be_read_alone() {
    let suite = library::suite("fact-qa").unwrap();
    let (hard, easy): (Vec<&Item>, Vec<&Item>) = suite.items.iter().partition(|item| item.style.as_deref() == Some("hard"));
    assert_eq!((hard.len(), easy.len()), (120, 320));
    assert!(
        hard.iter().all(|item| item.subject.starts_with("long-tail-")) && !easy.iter().any(|item| item.subject.starts_with("long-tail"))
    );
}
