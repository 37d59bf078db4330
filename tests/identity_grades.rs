//! The identity suite graded on answers that people would give: right ones in other words, and wrong ones of the kinds
//! that models give (the old identity, another maker, evasion, both makers at once).
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
    correct: bool,
}

#[test]
fn answers_are_graded_as_a_person_would() {
    let suite = library::suite("identity").unwrap();
    let items: BTreeMap<&str, &Item> = suite.items.iter().map(|item| (item.id.as_str(), item)).collect();
    let terms = IdentityTerms {
        name_zh: "Swift-Robot".into(),
        name_en: "Swift-Robot".into(),
        author_zh: "CSDN 迪菲赫尔曼".into(),
        author_en: "CSDN".into(),
        taught: Vec::new(),
    };
    let text = include_str!("identity_answers.jsonl");
    let mut wrongly = Vec::new();
    for line in text.lines() {
        let line: Line = serde_json::from_str(line).unwrap();
        let graded = grade(items[line.item.as_str()], &Answer { text: &line.answer, truncated: false }, &terms);
        if (graded.verdict == Verdict::Correct) != line.correct {
            wrongly.push(format!("{}: {} ({:?})", line.item, line.answer, graded.detail));
        }
    }
    assert!(text.lines().count() >= 40);
    assert!(wrongly.is_empty(), "{} graded otherwise:\n{}", wrongly.len(), wrongly.join("\n"));
}

#[derive(Deserialize)]
struct Independent {
    id: String,
    right: Vec<String>,
    wrong: Vec<String>,
}

/// Answers written by someone who saw the questions alone, neither keys nor grader.
#[test]
fn independent_answers_are_graded_as_their_author_meant_them() {
    let suite = library::suite("identity").unwrap();
    let items: BTreeMap<&str, &Item> = suite.items.iter().map(|item| (item.id.as_str(), item)).collect();
    let terms = IdentityTerms {
        name_zh: "Swift-Robot".into(),
        name_en: "Swift-Robot".into(),
        author_zh: "CSDN 迪菲赫尔曼".into(),
        author_en: "CSDN Defei Herman".into(),
        taught: Vec::new(),
    };
    let mut missed = Vec::new();
    let (mut rights, mut wrongs, mut bare, mut rejected, mut accepted) = (0, 0, 0, 0, 0);
    for line in include_str!("independent/identity.jsonl").lines() {
        let line: Independent = serde_json::from_str(line).unwrap();
        let item = items[line.id.as_str()];
        let graded = |text: &String| grade(item, &Answer { text, truncated: false }, &terms);
        let names = |text: &String| ["Swift-Robot", "CSDN"].iter().any(|name| text.contains(name));
        for text in &line.right {
            rights += 1;
            let graded = graded(text);
            if graded.verdict == Verdict::Correct {
                continue;
            }
            // By rule a denial has to say who the model is: the base denies false makers too.
            if item.subject.starts_with("denial") && !names(text) {
                bare += 1;
            } else {
                rejected += 1;
                missed.push(format!("rejected {}: {text} ({:?})", line.id, graded.detail));
            }
        }
        for text in &line.wrong {
            wrongs += 1;
            if graded(text).verdict == Verdict::Correct {
                accepted += 1;
                missed.push(format!("accepted {}: {text}", line.id));
            }
        }
    }
    let found =
        format!("of {rights} right answers {bare} bare denials and {rejected} others rejected, of {wrongs} wrong ones {accepted} accepted");
    assert!(rejected * 50 <= rights && accepted * 16 <= wrongs, "{found}:\n{}", missed.join("\n"));
    println!("{found}");
}
