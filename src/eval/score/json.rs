//! JSON values in answers: alone, in a code fence, or somewhere in the text.

use serde_json::Value;

/// The value that is the whole answer, a code fence around it left out.
pub(super) fn only(answer: &str) -> Option<Value> {
    let answer = answer.trim();
    serde_json::from_str(answer).ok().or_else(|| serde_json::from_str(fenced(answer)?).ok())
}

/// The text in a code fence that is the whole answer.
fn fenced(answer: &str) -> Option<&str> {
    let inside = answer.strip_prefix("```")?.strip_suffix("```")?;
    let (info, body) = inside.split_once('\n')?;
    (info.trim().is_empty() || info.trim().eq_ignore_ascii_case("json")).then_some(body).filter(|body| !body.contains("```"))
}

/// Every object or array that stands in the answer, outermost ones only, in order.
pub(super) fn all(answer: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut rest = answer;
    while let Some(start) = rest.find(['{', '[']) {
        let mut values = serde_json::Deserializer::from_str(&rest[start..]).into_iter::<Value>();
        let end = match values.next() {
            Some(Ok(value)) => {
                found.push(value);
                start + values.byte_offset()
            }
            // An opening bracket in prose is one character, so the next byte begins the next one.
            _ => start + 1,
        };
        rest = &rest[end..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_alone_and_in_prose() {
        assert_eq!(only(" {\"a\": 1}\n"), Some(json!({"a": 1})));
        assert_eq!(only("```json\n[1, 2]\n```"), Some(json!([1, 2])));
        assert_eq!(only("```\n{}\n```"), Some(json!({})));
        assert_eq!(only("Here: {\"a\": 1}"), None);
        assert_eq!(only("```python\n{}\n```"), None);
        assert_eq!(only("```\n{}\n```\n```\n{}\n```"), None);
        assert_eq!(all("Use {this} or {\"a\": {\"b\": []}} and [1]"), [json!({"a": {"b": []}}), json!([1])]);
        assert_eq!(all("{{{{"), Vec::<Value>::new());
    }
}
