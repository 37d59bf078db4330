//! JSON as Python writes it, and values out of it with errors that say where.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::keys::Table;

/// A line of a log.
pub(super) struct Line<'a> {
    path: &'a Path,
    /// From 1; None in a document that is no list of lines.
    number: Option<usize>,
    /// What it holds.
    pub(super) value: Value,
}

/// What Python's NaN and Infinity, which JSON does not have, begin with once read: a text that no log holds.
const CONSTANT: char = '\0';

/// A value; Python's NaN and Infinity are texts that [`constant`] knows.
pub(super) fn parse(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(text).or_else(|error| serde_json::from_str(&with_constants_as_texts(text)).map_err(|_| error))
}

/// The name of a number that is not finite, if the value is one.
pub(super) fn constant(value: &Value) -> Option<&str> {
    let text = value.as_str()?;
    text.strip_prefix(CONSTANT).or_else(|| Some(text).filter(|text| text.trim().parse().is_ok_and(|number: f64| !number.is_finite())))
}

/// Every line that is not empty.
pub(super) fn lines<'a>(path: &'a Path, text: &str) -> Result<Vec<Line<'a>>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| {
            let value = parse(line).with_context(|| format!("{} line {} is not JSON: was the log cut off?", path.display(), at + 1))?;
            Ok(Line { path, number: Some(at + 1), value })
        })
        .collect()
}

impl<'a> Line<'a> {
    /// A whole document, or a part of it.
    pub(super) fn document(path: &'a Path, value: Value) -> Self {
        Self { path, number: None, value }
    }

    /// Where this is, for an error.
    pub(super) fn place(&self) -> String {
        let line = self.number.map(|number| format!(" line {number}")).unwrap_or_default();
        format!("{}{line}", self.path.display())
    }

    /// A value that must be there, by its path of keys.
    pub(super) fn at(&self, keys: &[&str]) -> Result<&Value> {
        let found = keys.iter().try_fold(&self.value, |value, key| value.get(key));
        found.with_context(|| format!("{} has no {}: it is not what this format's harness writes", self.place(), keys.join(".")))
    }

    /// A text that must be there.
    pub(super) fn text(&self, keys: &[&str]) -> Result<String> {
        let found = self.at(keys)?;
        found.as_str().map(str::to_owned).with_context(|| format!("{}: {} is not text", self.place(), keys.join(".")))
    }
}

/// Checks the keys of a part of a log. What is no object has none; its reader says so.
pub(super) fn check(table: &Table, line: &Line, value: &Value) -> Result<()> {
    value.as_object().map_or(Ok(()), |object| table.check(line.place(), object))
}

/// A name or number as text.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| text.trim_start_matches(CONSTANT).to_owned())
}

/// Text of a message: a string, or a list of parts of which those of text count.
pub(super) fn content(value: &Value) -> String {
    match value {
        Value::Array(parts) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect::<Vec<_>>().join("\n"),
        Value::String(text) => text.clone(),
        _ => String::new(),
    }
}

/// What a chat asked: its one user message, or all messages before the answer with their roles.
pub(super) fn asked(messages: &[Value]) -> String {
    let role = |message: &Value| message.get("role").and_then(Value::as_str).unwrap_or_default().to_owned();
    let text = |message: &Value| message.get("content").map(content).unwrap_or_default();
    let end = messages.iter().rposition(|message| role(message) == "assistant").unwrap_or(messages.len());
    let before: Vec<&Value> = messages[..end].iter().filter(|message| role(message) != "system").collect();
    match before.as_slice() {
        [one] => text(one),
        several => several.iter().map(|message| format!("[{}]\n{}", role(message), text(message))).collect::<Vec<_>>().join("\n\n"),
    }
}

/// The last answer of a chat.
pub(super) fn answered(messages: &[Value]) -> Option<String> {
    let last = messages.iter().rfind(|message| message.get("role").and_then(Value::as_str) == Some("assistant"))?;
    last.get("content").map(content)
}

fn with_constants_as_texts(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    let (mut inside, mut escaped, mut rest) = (false, false, text);
    while let Some(letter) = rest.chars().next() {
        let constant = ["NaN", "-Infinity", "Infinity"].into_iter().find(|name| !inside && rest.starts_with(name));
        if let Some(name) = constant {
            write!(made, "\"\\u0000{name}\"").ok();
            rest = &rest[name.len()..];
            continue;
        }
        inside ^= letter == '"' && !escaped;
        escaped = inside && letter == '\\' && !escaped;
        made.push(letter);
        rest = &rest[letter.len_utf8()..];
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_constants_are_known_and_text_stays() {
        let value = parse(r#"{"a": NaN, "b": [-Infinity, Infinity], "c": "NaN \" Infinity \\", "d": 1}"#).unwrap();
        assert_eq!(
            (constant(&value["a"]), constant(&value["b"][0]), constant(&value["b"][1])),
            (Some("NaN"), Some("-Infinity"), Some("Infinity"))
        );
        assert_eq!((plain(&value["b"][0]), &value["c"], &value["d"]), ("-Infinity".to_owned(), &"NaN \" Infinity \\".into(), &1.into()));
        assert_eq!((constant(&value["c"]), constant(&"inf".into()), constant(&"1".into())), (None, Some("inf"), None));
        assert!(parse("{\"a\": nan}").is_err());
    }
}
