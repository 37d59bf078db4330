//! Rows of programming tasks: HumanEval, MBPP and tables like them.
//!
//! What stands before a function (imports, `poly` of HumanEval/32, `encode_cyclic` of HumanEval/38) is the item's setup, since
//! an answer need not repeat it and some tests call it. A published test that is one function of many asserts is one test, and
//! is passed as a whole, as in pass@1.

use anyhow::{Result, anyhow, ensure};

use super::file::Code;
use super::item::present_texts;
use super::table::Record;
use crate::eval::suite::Task;

pub(super) fn task(keys: &Code, record: &Record) -> Result<Task> {
    let place = &record.place;
    let reference = keys.reference.fill_verbatim(record, &[])?;
    let named = keys.entry_point.as_ref().map(|column| record.text(&column.single("entry_point")?)).transpose()?;
    let own: Vec<(&str, &str)> = named.iter().map(|name| ("entry_point", name.as_str())).collect();
    let tests = match (&keys.tests, &keys.test) {
        (Some(column), _) => {
            let names = column.single("tests")?;
            let tests = if record.first(&names).is_some() { record.texts(&names, None)? } else { Vec::new() };
            ensure!(!tests.is_empty(), "{place}: `{}` is missing or empty", names[0]);
            tests
        }
        (None, Some(test)) => vec![test.fill(record, &own)?],
        (None, None) => Vec::new(),
    };
    if let Some(part) = &keys.test_has {
        ensure!(tests.iter().all(|test| test.contains(part.as_str())), "{place}: the test has no `{part}`");
    }
    let entry_point = match named {
        Some(name) => name,
        None => called_by_all(&reference, &tests)
            .ok_or_else(|| anyhow!("{place}: no function that the reference defines is called by every test"))?
            .to_owned(),
    };
    let setup = match (&keys.setup_before, &keys.setup) {
        (Some(column), _) => before(&record.text(&column.single("setup_before")?)?, &entry_point)
            .ok_or_else(|| anyhow!("{place}: `{}` does not define `{entry_point}`", column.0[0][0]))?,
        (None, Some(columns)) => present_texts(columns, record)?.join("\n"),
        (None, None) => String::new(),
    };
    Ok(Task::Code { entry_point, setup, reference, tests, inputs: None })
}

/// What stands before a function; of several of one name the last is the one to complete.
fn before(code: &str, entry_point: &str) -> Option<String> {
    let head = format!("def {entry_point}(");
    let start = code.rmatch_indices(head.as_str()).map(|(at, _)| at).find(|at| *at == 0 || code[..*at].ends_with('\n'))?;
    Some(code[..start].trim().to_owned())
}

/// The function that the tests are about: of those that the solution defines, the last that every test calls.
fn called_by_all<'a>(reference: &'a str, tests: &[String]) -> Option<&'a str> {
    let defined = reference.lines().filter_map(|line| line.strip_prefix("def ")?.split('(').next()).map(str::trim);
    defined.rev().find(|name| !name.is_empty() && tests.iter().all(|test| calls(test, name)))
}

/// Whether a text has `name(` or `name (` as a word of its own.
fn calls(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].trim_start_matches(' ');
        after.starts_with('(') && before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '.')
    })
}
