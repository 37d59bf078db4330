//! Texts with `{column}` in them.
//!
//! `{a|b}` takes the first of the columns that has a value, `{a?}` may be empty, `{{` and `}}` are braces. Empty braces, as of
//! LaTeX's `\boxed{}`, stay as they are.

use anyhow::{Result, bail, ensure};
use serde::Deserialize;

use super::table::Record;

/// A text with places for values of a row.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Columns { names: Vec<String>, optional: bool },
}

/// A value that does not come from a column.
pub(super) type Own<'a> = (&'a str, &'a str);

impl TryFrom<String> for Template {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Self> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(brace) = ["{{", "}}", "{}"].into_iter().find(|brace| rest.starts_with(brace)) {
                plain.push_str(if brace == "{}" { brace } else { &brace[1..] });
                rest = &rest[2..];
                continue;
            }
            let Some(end) = rest.find('}').filter(|_| rest.starts_with('{')) else {
                bail!("`{text}` has a single brace: write {{{{ or }}}} for a brace, {{column}} for a value");
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            let inside = &rest[1..end];
            let (inside, optional) = inside.strip_suffix('?').map_or((inside, false), |inside| (inside, true));
            let names: Vec<String> = inside.split('|').map(|name| name.trim().to_owned()).collect();
            ensure!(!names.iter().any(String::is_empty), "`{text}` has {{{inside}}}, which names no column");
            pieces.push(Piece::Columns { names, optional });
            rest = &rest[end + 1..];
        }
        plain.push_str(rest);
        if !plain.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }
}

impl Template {
    /// The text for a row, each value without the blanks around it; `own` are values beside the row's.
    pub(super) fn fill(&self, record: &Record, own: &[Own]) -> Result<String> {
        self.write(record, own, |value| value.trim().to_owned())
    }

    /// The text for a row, each value to the letter.
    pub(super) fn fill_verbatim(&self, record: &Record, own: &[Own]) -> Result<String> {
        self.write(record, own, |value| value)
    }

    fn write(&self, record: &Record, own: &[Own], value: fn(String) -> String) -> Result<String> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Columns { names, optional } => {
                    let is_own = |name: &String| own.iter().find(|(own, _)| own == name).map(|(_, text)| *text);
                    let found = names.iter().find(|name| is_own(name).is_some() || record.get(name).is_some());
                    match found.and_then(is_own) {
                        Some(own) => text.push_str(own),
                        None if *optional && record.first(names).is_none_or(|value| value == "") => {}
                        None => text.push_str(&value(record.text(names)?)),
                    }
                }
            }
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let fields = serde_json::json!({"a": " x ", "n": 2, "empty": null, "deep": {"list": [{"t": "y"}]}});
        Record { place: "t:1".to_owned(), fields: fields.as_object().unwrap().clone() }
    }

    fn filled(text: &str) -> Result<String, String> {
        Template::try_from(text.to_owned())
            .and_then(|template| template.fill(&record(), &[("row", "7")]))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn values_stand_in_their_places() {
        assert_eq!(filled("{a}-{n}-{row}").unwrap(), "x-2-7");
        assert_eq!(filled("{missing|A}").unwrap(), "x", "names in any case, the first that is there");
        assert_eq!(filled("[{empty?}]").unwrap(), "[]");
        assert_eq!(filled(r"\boxed{} {{a}}").unwrap(), r"\boxed{} {a}");
        assert_eq!(Template::try_from("{a}".to_owned()).unwrap().fill_verbatim(&record(), &[]).unwrap(), " x ");
    }

    #[test]
    fn what_has_no_value_is_named() {
        assert!(filled("{b}").unwrap_err().contains("t:1: `b` is missing: the columns are a, "));
        assert!(filled("{empty}").unwrap_err().contains("`empty` is missing: the cell is empty or null"));
        assert!(filled("{deep.list.t}").unwrap_err().contains("`deep.list.t` is not a text"));
        assert!(filled("{a").unwrap_err().contains("single brace"));
        assert!(filled("{ }").unwrap_err().contains("names no column"));
    }
}
