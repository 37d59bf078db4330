//! The value that a structured answer is compared with, as a suite writes it: which objects stand for several right values is
//! said where it is compared (`score::structured`).

use serde_json::Value;

/// What is wrong with an expected value as a suite states it; None where it can be compared with.
pub(super) fn fault(expected: &Value) -> Option<String> {
    match expected {
        Value::Object(object) => object.iter().find_map(|(key, value)| match (key.as_str(), value) {
            ("$any" | "$set", Value::Array(entries)) if !entries.is_empty() => entries.iter().find_map(fault),
            ("$contains", Value::String(text)) if !text.trim().is_empty() => None,
            ("$type", Value::String(name)) if ["string", "number", "integer", "boolean", "array", "object"].contains(&name.as_str()) => {
                None
            }
            (key, _) if key.starts_with('$') => Some(format!("`{key}` is not $any, $set, $contains or $type with what belongs to it")),
            _ => fault(value),
        }),
        Value::Array(entries) => entries.iter().find_map(fault),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unknown_or_half_written_stand_in_is_a_fault() {
        assert!(fault(&json!({"a": {"$kind": 1}})).is_some());
        assert!(fault(&json!({"a": {"$any": []}})).is_some());
        assert_eq!(fault(&json!({"a": {"$any": [1, {"$type": "string"}]}})), None);
    }
}
