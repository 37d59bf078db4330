//! Values of a row: found by the name of a column or a path into a nested one, and read as texts.

use anyhow::{Result, anyhow, bail, ensure};
use serde_json::Value;

use super::table::{Record, keys};

impl Record {
    /// What stands under a name: of the column that is called so, in any case; or below a column, where a dot leads from an
    /// object to one of its keys. A key of a list of objects gives the list of their values. Null and an empty text count as absent.
    pub(super) fn get(&self, name: &str) -> Option<Value> {
        let column = |name: &str| {
            let exact = self.fields.get(name);
            exact.or_else(|| self.fields.iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value))
        };
        let found = column(name).cloned().or_else(|| {
            let (head, rest) = name.split_once('.')?;
            rest.split('.').try_fold(column(head)?.clone(), |value, key| below(&value, key))
        });
        found.filter(|value| !value.is_null() && value != "")
    }

    /// The first of several names that the row has a value for.
    pub(super) fn first(&self, names: &[String]) -> Option<Value> {
        names.iter().find_map(|name| self.get(name))
    }

    /// The same, which must be there.
    pub(super) fn need(&self, names: &[String]) -> Result<Value> {
        self.first(names).ok_or_else(|| self.lacks(names))
    }

    /// A text that must be there and is not blank.
    pub(super) fn text(&self, names: &[String]) -> Result<String> {
        let text = plain(&self.need(names)?).ok_or_else(|| anyhow!("{}: `{}` is not a text", self.place, names[0]))?;
        ensure!(!text.trim().is_empty(), "{}: `{}` is empty", self.place, names[0]);
        Ok(text)
    }

    /// A list of texts. A cell of a csv file holds one as JSON, or parted by a separator.
    pub(super) fn texts(&self, names: &[String], separator: Option<&str>) -> Result<Vec<String>> {
        let not_a_list = || {
            let how = "a list, one written as JSON, or with `separator` a text that it parts";
            anyhow!("{}: `{}` is not a list of texts: give {how}", self.place, names[0])
        };
        let list = match self.need(names)? {
            Value::Array(list) => list,
            Value::String(text) => match separator {
                Some(separator) => {
                    text.split(separator).map(|part| Value::String(part.trim().to_owned())).filter(|part| part != "").collect()
                }
                None if text.trim_start().starts_with('[') => serde_json::from_str(&text).map_err(|_| not_a_list())?,
                None => return Err(not_a_list()),
            },
            _ => return Err(not_a_list()),
        };
        list.iter().map(plain).collect::<Option<Vec<_>>>().ok_or_else(not_a_list)
    }

    /// That a value is absent, or an empty cell.
    fn lacks(&self, names: &[String]) -> anyhow::Error {
        let of_column =
            |name: &String| self.fields.keys().any(|key| key.trim().eq_ignore_ascii_case(name.split('.').next().unwrap_or(name)));
        let known = names.iter().find(|name| of_column(name));
        match known {
            Some(name) => anyhow!("{}: `{name}` is missing: the cell is empty or null", self.place),
            None => anyhow!("{}: `{}` is missing: the columns are {}", self.place, names.join("` or `"), keys(&self.fields)),
        }
    }
}

fn below(value: &Value, key: &str) -> Option<Value> {
    match value {
        Value::Object(object) => object.get(key).cloned(),
        Value::Array(list) => list.iter().map(|entry| entry.as_object()?.get(key).cloned()).collect::<Option<Vec<_>>>().map(Value::Array),
        _ => None,
    }
}

/// A text, or a number or truth value written as one.
pub(super) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.replace("\r\n", "\n")),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// A whole number, which some writers give as a float or a text.
pub(super) fn whole(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| text.parse::<f64>().ok().filter(|x| x.fract() == 0.0 && x.abs() < 1e9).map(|x| x as i64))
}

/// Names written as `a, b`; several alternatives are parted by `|`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Columns(pub(super) Vec<Vec<String>>);

impl TryFrom<String> for Columns {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Self> {
        let names = |part: &str| part.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>();
        let alternatives: Vec<Vec<String>> = text.split('|').map(names).collect();
        if alternatives.iter().flatten().any(String::is_empty) {
            bail!("`{text}` does not name columns: write `a`, `a, b` for several, or `a | b` for the first that is there");
        }
        Ok(Self(alternatives))
    }
}

impl Columns {
    /// Alternatives that are one column each.
    pub(super) fn single(&self, key: &str) -> Result<Vec<String>> {
        let one = |names: &Vec<String>| match names.as_slice() {
            [name] => Ok(name.clone()),
            _ => bail!("`{key}` takes one column, or alternatives parted by |"),
        };
        self.0.iter().map(one).collect()
    }

    /// Of the alternatives the first whose first column the row has; the first of all where it has none.
    pub(super) fn present(&self, record: &Record) -> &[String] {
        self.0.iter().find(|names| record.get(&names[0]).is_some()).unwrap_or(&self.0[0])
    }
}
