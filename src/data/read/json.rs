//! A `.json` file: one array of row objects.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Row, kind};

pub(super) fn rows(text: &str) -> Result<Vec<Row>> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let value = serde_json::from_str(text).context("not one JSON value; if each line of the file is a row, name the file .jsonl")?;
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
    }
}
