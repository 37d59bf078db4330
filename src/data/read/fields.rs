//! The keys of a row and what stands under them, each under any of its usual names.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

use super::kind;

/// One role of a row under several possible column names.
pub(super) struct Alias {
    pub(super) what: &'static str,
    /// Wins over all others, so that renaming a column to it settles any doubt.
    pub(super) preferred: &'static str,
    pub(super) others: &'static [&'static str],
    /// Looked at only when nothing else is there: such columns often hold the whole conversation again.
    pub(super) last: &'static [&'static str],
}

impl Alias {
    pub(super) fn find<'a>(&self, fields: &'a Fields) -> Result<&'a str> {
        if let Some((key, _)) = fields.get(self.preferred) {
            let text = fields.text(self.preferred)?.unwrap_or_default();
            ensure!(!text.trim().is_empty(), "the {} in `{key}` is empty", self.what);
            return Ok(text);
        }
        let Self { what, preferred, others, last } = self;
        for names in [others, last] {
            let present: Vec<(&str, &Value)> = names.iter().filter_map(|name| fields.get(name)).collect();
            let mut filled = present.iter().filter_map(|&(key, value)| Some((key, value.as_str()?))).filter(|(_, t)| !t.trim().is_empty());
            match (filled.next(), filled.next()) {
                (Some((_, text)), None) => return Ok(text),
                (Some((first, _)), Some((second, _))) => {
                    bail!("`{first}` and `{second}` could both be the {what}; rename the right one to `{preferred}`")
                }
                (None, _) => {}
            }
            match present.first() {
                Some((key, Value::String(_))) => bail!("the {what} in `{key}` is empty"),
                Some((key, other)) => bail!("the {what} in `{key}`: expected text, found {}", kind(other)),
                None => {}
            }
        }
        let names: Vec<String> = others.iter().chain(*last).map(|name| format!("`{name}`")).collect();
        bail!("no {what}: expected `{preferred}` or one of {}; found the keys {}", names.join(", "), fields.keys())
    }
}

/// The keys and values of one row or one turn.
pub(super) struct Fields(pub(super) Map<String, Value>);

impl Fields {
    /// The value under `key`, or under the same word in other letter case; null counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<(&str, &Value)> {
        let exact = self.0.get_key_value(key);
        let found = exact.or_else(|| self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)));
        found.map(|(name, value)| (name.as_str(), value)).filter(|(_, value)| !value.is_null())
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&str>> {
        match self.get(key) {
            None => Ok(None),
            Some((_, Value::String(text))) => Ok(Some(text)),
            Some((name, other)) => bail!("key `{name}`: expected text, found {}", kind(other)),
        }
    }

    /// The text under one of two names; under both, it must be the same.
    pub(super) fn either(&self, one: &str, other: &str) -> Result<Option<&str>> {
        let (first, second) = (self.text(one)?, self.text(other)?);
        ensure!(first.is_none() || second.is_none() || first == second, "`{one}` and `{other}` differ; keep one of them");
        Ok(first.or(second))
    }

    /// The row's own word for its language: `lang`, `language`, or ms-swift's `tag`.
    pub(super) fn tag(&self) -> Option<&str> {
        ["lang", "language", "tag"].iter().find_map(|key| self.get(key)?.1.as_str())
    }

    pub(super) fn keys(&self) -> String {
        let keys: Vec<String> = self.0.keys().map(|key| format!("`{key}`")).collect();
        if keys.is_empty() { "(none)".to_owned() } else { keys.join(", ") }
    }
}

/// A list, or the text of one: CSV cells hold lists as JSON.
pub(super) fn list(value: &Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(values) => Ok(values.clone()),
        Value::String(text) => serde_json::from_str(text).context("expected a list, written as JSON"),
        other => bail!("expected a list, found {}", kind(other)),
    }
}
