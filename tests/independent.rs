//! The keys and graders of the shipped suites held against answers given by someone who saw the questions alone: choices,
//! short answers, numbers, talk in sentences, orders followed, JSON, and programs that run in the sandbox.
#![allow(
    clippy::unwrap_used,
    clippy::missing_docs_in_private_items,
    clippy::print_stdout,
    reason = "a failed unwrap is a failed test, and error rates are shown"
)]

use std::collections::{BTreeMap, BTreeSet};

use ballast::eval::budget::Budgets;
use ballast::eval::program::check_program;
use ballast::eval::score::{Answer, CodeRun, IdentityTerms, Verdict, extract_code, grade, grade_composite};
use ballast::eval::suite::{Item, Task};
use ballast::library;
use ballast::sandbox::{CodeOutcome, Sandbox};
use rayon::prelude::*;
use serde::Deserialize;

fn items(suites: &[&str]) -> BTreeMap<String, Item> {
    suites.iter().flat_map(|name| library::suite(name).unwrap().items).map(|item| (item.id.clone(), item)).collect()
}

#[derive(Deserialize)]
struct Given {
    id: String,
    answer: Option<String>,
    choice: Option<usize>,
}

fn given(text: &str) -> Vec<Given> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Choices must agree one by one; a short answer in other words than the key's may be missed by the grader now and then.
fn disagreements(items: &BTreeMap<String, Item>, given: &[Given]) -> (Vec<String>, Vec<String>) {
    let (mut keys, mut words) = (Vec::new(), Vec::new());
    for line in given {
        let item = &items[&line.id];
        if let (Some(choice), Task::Text { gold: Some(gold), .. } | Task::Choice { gold, .. }) = (line.choice, &item.task)
            && choice != *gold
        {
            keys.push(format!("{}: choice {choice}, key {gold}", line.id));
        }
        if let (Some(text), Task::Text { .. } | Task::Number { .. }) = (&line.answer, &item.task) {
            let graded = grade(item, &Answer { text, truncated: false }, &IdentityTerms::default());
            if graded.verdict != Verdict::Correct {
                words.push(format!("{}: {text} ({:?})", line.id, graded.detail));
            }
        }
    }
    (keys, words)
}

#[test]
fn facts() {
    let (items, given) = (items(&["fact-qa"]), given(include_str!("independent/fact-qa.jsonl")));
    assert_eq!(given.len(), items.len());
    let (keys, words) = disagreements(&items, &given);
    assert!(keys.is_empty(), "{keys:#?}");
    assert!(words.len() * 50 <= given.len(), "{words:#?}");
}

#[derive(Deserialize)]
struct Solution {
    id: String,
    code: String,
    explain: Option<String>,
    analogy: Option<String>,
}

#[test]
fn programs() {
    let items = items(&["code", "composite"]);
    let lines: Vec<Solution> = include_str!("independent/code.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Items that came later wait for a second author.
    assert!(lines.len() >= 80, "{} programs", lines.len());
    let sandbox = Sandbox { helper: env!("CARGO_BIN_EXE_ballast").into(), allow_missing_layers: false };
    let budgets = Budgets::default();
    let failed: Vec<String> = lines
        .par_iter()
        .filter_map(|line| {
            let item = &items[&line.id];
            let limits = budgets.limits(&sandbox, item).unwrap();
            let checked = check_program(&sandbox, item.program().unwrap(), &line.code, &limits).unwrap();
            if checked.outcome != CodeOutcome::Passed {
                return Some(format!("{}: {:?} {}", line.id, checked.outcome, checked.detail));
            }
            let (Some(explain), Some(analogy)) = (&line.explain, &line.analogy) else { return None };
            let text = format!("1. {explain}\n2. {analogy}\n3. ```python\n{}```", line.code);
            let run = CodeRun { code: line.code.clone(), outcome: CodeOutcome::Passed, detail: None };
            let graded = grade_composite(item, &Answer { text: &text, truncated: false }, &IdentityTerms::default(), Some(run));
            (graded.verdict != Verdict::Correct).then(|| format!("{}: {:?}", line.id, graded.detail))
        })
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn no_number_that_is_asked_for_stands_in_its_question() {
    let is_digit = |c: char| c.is_ascii_digit();
    for item in items(&["reasoning-zh", "reasoning-en"]).values() {
        let Task::Number { answers } = &item.task else { continue };
        let shown: Vec<&str> = item.prompt.split(|c| !is_digit(c)).collect();
        assert!(!answers.iter().any(|answer| shown.contains(&answer.as_str())), "{}: {}", item.id, item.prompt);
        assert!(item.announces(), "{}", item.id);
    }
}

#[test]
fn reasoning() {
    let items = items(&["reasoning-zh", "reasoning-en"]);
    let given = given(include_str!("independent/reasoning.jsonl"));
    // Hand-written items in both languages, generated ones in either, or in both.
    assert_eq!(given.len(), 386);
    let (keys, words) = disagreements(&items, &given);
    assert!(keys.is_empty() && words.is_empty(), "{keys:#?} {words:#?}");
}

/// Answers of the reader that are wrong by their own fault, and why; the key and the grader stay as they are.
const READERS_FAULTS: [(&str, &str); 1] =
    [("composite-en-016", "the analogy (\"A clock on the wall does this\") neither says that it compares nor sets a scene")];

#[derive(Deserialize)]
struct Talk {
    id: String,
    /// To an item asked at once.
    answer: Option<String>,
    /// To an item of parts, one each.
    parts: Option<Vec<String>>,
}

fn terms() -> IdentityTerms {
    IdentityTerms {
        name_zh: "Swift-Robot".into(),
        name_en: "Swift-Robot".into(),
        author_zh: "CSDN 迪菲赫尔曼".into(),
        author_en: "CSDN Defei Herman".into(),
        taught: Vec::new(),
    }
}

/// Every answer of the reader is right to the suite's grader, but for the reader's own faults; every item is answered.
fn read_alone(suite: &str, answers: &str) {
    let items = items(&[suite]);
    let lines: Vec<Talk> = answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let answered: BTreeSet<&str> = lines.iter().map(|line| line.id.as_str()).collect();
    assert!(answered.into_iter().eq(items.keys().map(String::as_str)), "every item is answered");
    let refusals = lines.par_iter().map(|line| refusals(&items[&line.id], line)).collect::<Vec<_>>();
    let asked: usize = items.values().map(|item| item.graded_leaves().len()).sum();
    let (faults, refused): (Vec<String>, Vec<String>) =
        refusals.into_iter().flatten().partition(|refused| READERS_FAULTS.iter().any(|(id, _)| refused.starts_with(&format!("{id}:"))));
    println!("{suite}: {} of {asked} right answers refused, {} answers wrong by the reader's fault", refused.len(), faults.len());
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

/// The graded answers to an item that are not right to the grader.
fn refusals(item: &Item, line: &Talk) -> Vec<String> {
    let answers: Vec<&str> = line.answer.iter().chain(line.parts.iter().flatten()).map(String::as_str).collect();
    assert_eq!(answers.len(), item.leaves().len(), "{}", line.id);
    let graded = item.graded_leaves();
    let asked = item.leaves().into_iter().zip(answers).filter(|(leaf, _)| graded.iter().any(|other| std::ptr::eq(*other, *leaf)));
    let terms = terms();
    asked
        .filter_map(|(leaf, answer)| {
            grade_anything(leaf, answer, &terms).map(|detail| format!("{}: {} => {answer} ({detail})", line.id, leaf.prompt))
        })
        .collect()
}

/// Why an answer is not right; None if it is.
fn grade_anything(item: &Item, text: &str, terms: &IdentityTerms) -> Option<String> {
    let answer = Answer { text, truncated: false };
    let graded = match item.program() {
        None => grade(item, &answer, terms),
        Some(program) => {
            let code = extract_code(text, program.entry_point).unwrap();
            let sandbox = Sandbox { helper: env!("CARGO_BIN_EXE_ballast").into(), allow_missing_layers: false };
            let checked = check_program(&sandbox, program, &code, &Budgets::default().limits(&sandbox, item).unwrap()).unwrap();
            let run = CodeRun { code, outcome: checked.outcome, detail: Some(checked.detail) };
            grade_composite(item, &answer, terms, Some(run))
        }
    };
    (graded.verdict != Verdict::Correct).then(|| format!("{:?}: {:?}", graded.verdict, graded.detail))
}

#[test]
fn honesty() {
    read_alone("honesty", include_str!("independent/honesty.jsonl"));
}

#[test]
fn safety() {
    read_alone("safety", include_str!("independent/safety.jsonl"));
}

#[test]
fn structured() {
    read_alone("structured", include_str!("independent/structured.jsonl"));
}

#[test]
fn instructions() {
    read_alone("instructions", include_str!("independent/instructions.jsonl"));
}

#[test]
fn composite() {
    read_alone("composite", include_str!("independent/composite.jsonl"));
}

#[test]
fn identity() {
    read_alone("identity", include_str!("independent/identity.jsonl"));
}
