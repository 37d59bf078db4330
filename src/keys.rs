//! Keys of files that others wrote: each is used, harmless for a stated reason, or refused by name.
//!
//! Ballast's own TOML files refuse unknown keys through serde. A model's configuration, a tokenizer, an adapter, a training
//! row or another harness's log has keys that no type here can list in full, and a key that is passed over in silence can
//! change what the file means: a rotary base read from the wrong place damages every answer. So a reader of such a file
//! states what it knows in a [`Table`] and checks each object against it before it reads a value.
//!
//! A key whose value is null counts as absent, as in Python's `.get`.

use std::fmt::Display;

use anyhow::{Result, bail};
use serde_json::{Map, Value};

/// What a reader makes of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Read, and its value acted on or checked.
    Used,
    /// Not read, because it cannot change a result; the reason says why.
    Harmless(&'static str),
    /// Known, and refused: it changes what the file means. The text says what to do about it.
    Refused(&'static str),
}

/// The keys of one kind of object.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// What the object is, for errors: "the adapter configuration".
    pub what: &'static str,
    /// What to do about a key that is not listed: "merge the adapter into its base first".
    pub remedy: &'static str,
    /// Each key with its rule.
    pub rules: &'static [(&'static str, Rule)],
}

impl Table {
    /// The rule of a key, if it is listed.
    pub fn rule(&self, key: &str) -> Option<Rule> {
        self.rules.iter().find(|(name, _)| *name == key).map(|(_, rule)| *rule)
    }

    /// Fails on the first key, in the order of the alphabet, that is refused or not listed.
    ///
    /// `place` says where the object stands: a file's path, or a path with a line number.
    pub fn check(&self, place: impl Display, object: &Map<String, Value>) -> Result<()> {
        self.fault(object).map_or(Ok(()), |fault| bail!("{place}: {fault}"))
    }

    /// What [`Table::check`] says, for readers that name the place themselves.
    pub fn fault(&self, object: &Map<String, Value>) -> Option<String> {
        let mut keys: Vec<&String> = object.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key).collect();
        keys.sort();
        keys.into_iter().find_map(|key| match self.rule(key) {
            Some(Rule::Used | Rule::Harmless(_)) => None,
            Some(Rule::Refused(remedy)) => Some(format!("`{key}` in {} is not supported: {remedy}", self.what)),
            None => Some(format!("`{key}` in {} is not known to Ballast and may change what it means: {}", self.what, self.remedy)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table = Table {
        what: "the example",
        remedy: "remove it",
        rules: &[("a", Rule::Used), ("b", Rule::Harmless("a comment")), ("c", Rule::Refused("use `a`"))],
    };

    fn check(text: &str) -> Result<()> {
        TABLE.check("x.json", serde_json::from_str::<Value>(text).unwrap().as_object().unwrap())
    }

    #[test]
    fn known_keys_pass_and_null_is_absent() {
        check(r#"{"a": 1, "b": 2, "c": null, "z": null}"#).unwrap();
    }

    #[test]
    fn others_are_named_with_file_and_remedy() {
        assert_eq!(check(r#"{"c": 1}"#).unwrap_err().to_string(), "x.json: `c` in the example is not supported: use `a`");
        let unknown = check(r#"{"z": 1, "y": 1}"#).unwrap_err().to_string();
        assert_eq!(unknown, "x.json: `y` in the example is not known to Ballast and may change what it means: remove it");
    }
}
