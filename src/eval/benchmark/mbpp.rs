//! MBPP: `text` (or `prompt`) says what to write, `test_list` (or `test`) has three asserts, `code` is a solution.
//!
//! Asked as in the paper, with all three asserts, since the words alone do not say the function's name. Setup code of
//! tests (`test_setup_code`, `test_imports`) is the item's setup.

use anyhow::{Result, anyhow, ensure};

use super::record::Record;
use crate::eval::suite::{Item, Language, SystemPrompt, Task};

const INTRODUCTION: &str = "You are an expert Python programmer, and here is your task: {prompt} Your code should pass these tests:";
const INSTRUCTION: &str = "Answer with a single Python code block.";

/// Tasks whose tests pass trees of a class of their own. Only plain data crosses into the candidate's process, so no answer
/// could be right.
const LEFT_OUT: [&str; 2] = ["367", "927"];

pub(super) fn item(record: &Record) -> Result<Option<Item>> {
    let number = record.text(&["task_id"])?;
    if LEFT_OUT.contains(&number.as_str()) {
        return Ok(None);
    }
    let prompt = record.text(&["text", "prompt"])?.trim().to_owned();
    let reference = record.text(&["code"])?;
    let tests = record.texts(&["test_list", "test"])?;
    ensure!(!tests.is_empty(), "{}: `test_list` is missing or empty", record.place);
    let entry_point = entry_point(&reference, &tests)
        .ok_or_else(|| anyhow!("{}: no function that `code` defines is called by every test", record.place))?
        .to_owned();
    let mut setup = record.texts(&["test_imports"])?;
    if let Ok(code) = record.text(&["test_setup_code"]) {
        setup.push(code);
    }
    let id = format!("MBPP/{number}");
    Ok(Some(Item {
        cluster: id.clone(),
        id,
        language: Language::En,
        subject: "python".to_owned(),
        style: None,
        system: SystemPrompt::Own,
        form: Some(format!("{INTRODUCTION}\n\n{}\n\n{INSTRUCTION}", tests.join("\n"))),
        few_shot: None,
        history: Vec::new(),
        parts: None,
        prompt,
        task: Task::Code { entry_point, setup: setup.join("\n"), reference, tests, inputs: None },
    }))
}

/// The function that the tests are about: of those that the solution defines, the last that every test calls.
fn entry_point<'a>(reference: &'a str, tests: &[String]) -> Option<&'a str> {
    let defined = reference.lines().filter_map(|line| line.strip_prefix("def ")?.split('(').next()).map(str::trim);
    let called: Vec<&str> = defined.filter(|name| !name.is_empty() && tests.iter().all(|test| calls(test, name))).collect();
    called.last().copied()
}

/// Whether a text has `name(` or `name (` as a word of its own.
fn calls(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].trim_start_matches(' ');
        after.starts_with('(') && before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '.')
    })
}
