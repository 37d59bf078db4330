//! Answers that are data: a JSON value by a schema, or a call of the right tool with the right arguments.
//!
//! Strict: the value is the whole answer, a code fence around it left out. Verdict: the first value in the answer is right,
//! whatever is said around it. Lenient: any value in it is right.
//!
//! The expected value is compared key by key; a key that was not asked for is wrong. Texts are compared without regard to case
//! and surrounding spaces, numbers by value. In its place an expected value may hold one of these objects:
//! `{"$any": [...]}`, one of several; `{"$set": [...]}`, the entries of an array in any order; `{"$contains": TEXT}`, a text
//! that holds another; `{"$type": NAME}`, anything of a type.

use serde_json::{Map, Value};

use super::words::fold;
use super::{Level, Reading, json};

pub(super) fn read(expected: &Value, answer: &str) -> Reading {
    let found = json::all(answer);
    let strict = json::only(answer).is_some_and(|value| difference(expected, &value, "").is_none());
    let right = strict || found.first().is_some_and(|value| difference(expected, value, "").is_none());
    let lenient = right || found.iter().any(|value| difference(expected, value, "").is_none());
    let first = found.first();
    let detail = match first {
        None => Some("holds no JSON object or array".to_owned()),
        Some(_) if right => None,
        Some(value) => difference(expected, value, ""),
    };
    Reading { level: Level::of(strict, right, lenient), parsed: first.is_some(), extracted: first.map(ToString::to_string), detail }
}

/// Where and how a value differs from what is expected; None where it does not.
fn difference(expected: &Value, found: &Value, at: &str) -> Option<String> {
    let place = if at.is_empty() { "the value" } else { at };
    match (expected, found) {
        (Value::Object(wanted), _) if wanted.keys().any(|key| key.starts_with('$')) => {
            (!matches(wanted, found)).then(|| format!("{place} is {found}"))
        }
        (Value::Object(wanted), Value::Object(found)) => object_difference(wanted, found, at),
        (Value::Array(wanted), Value::Array(found)) => {
            if wanted.len() != found.len() {
                return Some(format!("{place} has {} entries, {} expected", found.len(), wanted.len()));
            }
            wanted.iter().zip(found).enumerate().find_map(|(i, (wanted, found))| difference(wanted, found, &format!("{at}[{i}]")))
        }
        (Value::String(wanted), Value::String(found)) => {
            (fold(wanted.trim()) != fold(found.trim())).then(|| format!("{place} is `{found}`, `{wanted}` expected"))
        }
        (Value::Number(wanted), Value::Number(found)) => {
            let same = wanted.as_f64().zip(found.as_f64()).is_some_and(|(a, b)| (a - b).abs() <= 1e-9 * a.abs().max(1.0));
            (!same).then(|| format!("{place} is {found}, {wanted} expected"))
        }
        _ => (expected != found).then(|| format!("{place} is {found}, {expected} expected")),
    }
}

fn object_difference(wanted: &Map<String, Value>, found: &Map<String, Value>, at: &str) -> Option<String> {
    if let Some(extra) = found.keys().find(|key| !wanted.contains_key(*key)) {
        return Some(format!("the key `{extra}` was not asked for"));
    }
    wanted.iter().find_map(|(key, value)| match found.get(key) {
        None => Some(format!("the key `{key}` is missing")),
        Some(found) => difference(value, found, &if at.is_empty() { key.clone() } else { format!("{at}.{key}") }),
    })
}

fn matches(wanted: &Map<String, Value>, found: &Value) -> bool {
    wanted.iter().all(|(key, wanted)| match (key.as_str(), wanted) {
        ("$any", Value::Array(options)) => options.iter().any(|option| difference(option, found, "").is_none()),
        ("$set", Value::Array(entries)) => found.as_array().is_some_and(|found| is_permutation(entries, found)),
        ("$contains", Value::String(part)) => found.as_str().is_some_and(|text| fold(text).contains(&fold(part))),
        ("$type", Value::String(name)) => has_type(found, name),
        _ => false,
    })
}

/// Whether each wanted entry can be given a found one of its own. Sets in suites are short and their entries differ, so the first
/// fitting one is taken.
fn is_permutation(wanted: &[Value], found: &[Value]) -> bool {
    let mut left: Vec<&Value> = found.iter().collect();
    let mut take = |wanted: &Value| {
        let at = left.iter().position(|found| difference(wanted, found, "").is_none());
        at.map(|at| left.swap_remove(at)).is_some()
    };
    wanted.len() == found.len() && wanted.iter().all(&mut take)
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "string" => value.as_str().is_some_and(|text| !text.trim().is_empty()),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn levels() {
        let expected = json!({"name": "get_weather", "arguments": {"city": {"$any": ["Paris", "paris, france"]}, "days": 3}});
        let level = |answer: &str| read(&expected, answer).level;
        let right = r#"{"name": "get_weather", "arguments": {"days": 3.0, "city": " PARIS "}}"#;
        assert_eq!(level(right), Level::Strict);
        assert_eq!(level(&format!("```json\n{right}\n```")), Level::Strict);
        assert_eq!(level(&format!("I call:\n{right}")), Level::Right);
        assert_eq!(level(&format!("Not {{\"name\": 1}} but {right}")), Level::Lenient);
        assert_eq!(level(r#"{"name": "get_weather", "arguments": {"days": 3, "city": "Lyon"}}"#), Level::Wrong);
        assert_eq!(level(r#"{"name": "get_weather", "arguments": {"days": "3", "city": "Paris"}}"#), Level::Wrong);
        assert_eq!(level(r#"{"name": "get_weather", "arguments": {"days": 3, "city": "Paris", "unit": "C"}}"#), Level::Wrong);
        assert_eq!(level("get_weather(Paris, 3)"), Level::Wrong);
    }

    #[test]
    fn the_first_difference_is_told() {
        let told = |expected: Value, answer: &str| read(&expected, answer).detail;
        assert_eq!(told(json!({"a": [1, 2]}), r#"{"a": [1]}"#).as_deref(), Some("a has 1 entries, 2 expected"));
        assert_eq!(told(json!({"a": {"b": "x"}}), r#"{"a": {"b": "y"}}"#).as_deref(), Some("a.b is `y`, `x` expected"));
        assert_eq!(told(json!({"a": 1}), "none").as_deref(), Some("holds no JSON object or array"));
        assert_eq!(told(json!({"a": 1}), r#"{"a": 1}"#), None);
    }

    #[test]
    fn sets_types_and_parts() {
        let same = |expected: Value, found: Value| difference(&expected, &found, "").is_none();
        assert!(same(json!({"$set": ["a", "b"]}), json!(["B", "a"])));
        assert!(!same(json!({"$set": ["a", "b"]}), json!(["a", "a"])));
        assert!(same(json!({"t": {"$type": "integer"}}), json!({"t": 4})));
        assert!(!same(json!({"t": {"$type": "integer"}}), json!({"t": "4"})));
        assert!(same(json!({"$contains": "rain"}), json!("Heavy RAIN")));
    }
}
