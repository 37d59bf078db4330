//! A `.jsonl` file: one row object a line; empty lines are skipped.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Row, json::no_number, kind};

pub(super) fn rows(text: &str) -> Result<Vec<Row>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let rows = lines.map(|(index, line)| {
        let place = format!("line {}", index + 1);
        let value = match serde_json::from_str(line) {
            Ok(value) => value,
            Err(error) => match no_number(line, &error) {
                Some(reason) => bail!("{place}: {reason}"),
                None => return Err(error).with_context(|| format!("{place}: not JSON")),
            },
        };
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

    #[test]
    fn a_bad_line_is_named_by_its_place_in_the_file() {
        let error = rows("{}\n\n{\"query\": }\n").err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(error.starts_with("line 3: not JSON: "), "{error}");
        let error = rows("[]\n").err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert_eq!(error, "line 1: expected an object, found a list");
    }
}
