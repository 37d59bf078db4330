//! What the item browser reads: every item once, with the answer of every cell.
//!
//! Rows are arrays and names stand once in tables, since a report of a few thousand answers has to stay a file that can
//! be mailed. `page.js` reads this form and no one else, so that it may change with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::analysis::outcomes::{FLAGS, VERDICTS};
use crate::analysis::view::View;
use crate::record::rows::ItemRow;

/// Beyond this an extracted answer is worth a look for its place in the answer.
const SHORT: usize = 12;

/// The data as JSON that cannot end the element it stands in.
pub(super) fn json(view: &View) -> Result<String> {
    let cells: Vec<_> = view.subjects.iter().flat_map(|subject| subject.cells.iter().map(|cell| (subject.name, *cell))).collect();
    let mut by_key: Vec<BTreeMap<(&str, &str), &ItemRow>> = Vec::new();
    for (_, cell) in &cells {
        let mut rows = BTreeMap::new();
        for row in &cell.items {
            rows.entry((row.suite.as_str(), row.hash.as_str())).or_insert(row);
        }
        by_key.push(rows);
    }
    let mut suites: Vec<&str> = view.suites.clone();
    let mut items = Vec::new();
    let mut seen = BTreeSet::new();
    // The base's items first; what it was not asked follows.
    for row in cells.iter().flat_map(|(_, cell)| &cell.items) {
        let key = (row.suite.as_str(), row.hash.as_str());
        if !seen.insert(key) {
            continue;
        }
        let suite = suites.iter().position(|suite| *suite == row.suite).unwrap_or_else(|| {
            suites.push(&row.suite);
            suites.len() - 1
        });
        let answers: Vec<Value> = by_key.iter().map(|rows| rows.get(&key).map_or(Value::Null, |row| answer(row))).collect();
        items.push(json!([suite, row.item, row.language.as_str(), row.subject, row.prompt, answers]));
    }
    items.sort_by_key(|item| item[0].as_u64());
    let data = json!({
        "cells": cells.iter().map(|(name, cell)| json!([name, cell.record.seed])).collect::<Vec<_>>(),
        "suites": suites,
        "verdicts": VERDICTS.map(|(_, name)| name),
        "flags": FLAGS.map(|(_, name)| name),
        "items": items,
    });
    let text = serde_json::to_string(&data).context("failed to write the items of the page")?;
    Ok(contained(&text))
}

/// Verdict, readings (1: in the asked form, 2: somewhere in the text), flags, answer, extracted answer, why, tokens, and, of
/// a model that thought, what it thought.
fn answer(row: &ItemRow) -> Value {
    let verdict = VERDICTS.iter().position(|(verdict, _)| *verdict == row.verdict);
    let flags: Vec<usize> = row.flags.iter().filter_map(|flag| FLAGS.iter().position(|(known, _)| known == flag)).collect();
    let readings = u8::from(row.strict) + 2 * u8::from(row.lenient);
    let mut answer =
        vec![json!(verdict), json!(readings), json!(flags), json!(row.answer), extracted(row), json!(row.detail), json!(row.answer_tokens)];
    answer.extend(row.thought.as_ref().map(|thought| json!([thought.text, thought.tokens])));
    Value::Array(answer)
}

/// The extracted answer; a long one that stands in the answer as its place there, in UTF-16 units as scripts count.
fn extracted(row: &ItemRow) -> Value {
    let Some(extracted) = &row.extracted else { return Value::Null };
    match row.answer.find(extracted.as_str()) {
        Some(at) if extracted.len() > SHORT => {
            let units = |text: &str| text.encode_utf16().count();
            let start = units(&row.answer[..at]);
            json!([start, start + units(extracted)])
        }
        _ => json!(extracted),
    }
}

/// JSON without a character that HTML or a line-based reader could take for its own. All of them can stand in strings
/// alone, where an escape means the same.
fn contained(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            '<'
            | '>'
            | '&'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2066}'..='\u{2069}'
            | '\u{7F}'..='\u{9F}'
            | '\u{FEFF}' => {
                // A string takes every write.
                let _ = write!(text, "\\u{:04x}", u32::from(letter));
            }
            _ => text.push(letter),
        }
    }
    text
}
