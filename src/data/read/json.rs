//! A `.json` file: one array of row objects.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Row, kind};

/// Names a number that Python writes and JSON does not have, where `error` stopped at one.
pub(super) fn no_number(text: &str, error: &serde_json::Error) -> Option<String> {
    let line = text.lines().nth(error.line().saturating_sub(1))?;
    let mut end = error.column().min(line.len());
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    let start = line[..end].trim_end_matches(|c: char| c.is_ascii_alphabetic()).len();
    let word = ["NaN", "Infinity"].into_iter().find(|word| line[start..].starts_with(word))?;
    Some(format!("{word} is not a number in JSON: write null, or the number that is meant"))
}

pub(super) fn rows(text: &str) -> Result<Vec<Row>> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => match no_number(text, &error) {
            Some(reason) => bail!("line {}: {reason}", error.line()),
            None => return Err(error).context("not one JSON value; if each line of the file is a row, name the file .jsonl"),
        },
    };
    let Value::Array(values) = value else {
        bail!("expected a list of rows, found {}", kind(&value));
    };
    let rows = values.into_iter().enumerate().map(|(index, value)| {
        let place = format!("row {index} (the first is row 0)");
        match value {
            Value::Object(fields) => Ok(Row { place, fields }),
            other => bail!("{place}: expected an object, found {}", kind(&other)),
        }
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(text: &str) -> String {
        rows(text).err().map(|error| format!("{error:#}")).unwrap_or_default()
    }

    #[test]
    fn other_json_is_refused() {
        assert_eq!(error_of(r#"{"query": "a"}"#), "expected a list of rows, found an object");
        assert_eq!(error_of("[{}, 3]"), "row 1 (the first is row 0): expected an object, found a number");
        let lines = error_of("{\"query\": \"a\"}\n{\"query\": \"b\"}\n");
        assert!(lines.contains("name the file .jsonl") && lines.contains("line 2"), "{lines}");
        for (text, word) in [("[{\"a\":\n  NaN}]", "line 2: NaN"), ("[-Infinity]", "line 1: Infinity"), ("[\"你\", NaN, 1]", "line 1: NaN")]
        {
            assert!(error_of(text).starts_with(word), "{}", error_of(text));
        }
    }
}
