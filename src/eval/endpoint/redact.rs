//! Texts of a server as they may be shown: without the key, and not longer than a message.

use serde_json::Value;

use super::Key;

/// Characters of a server's own words in an error.
const SHOWN: usize = 300;

/// Takes the key out of every text of a reply.
pub(super) fn hide(value: &mut Value, key: &Key) {
    match value {
        Value::String(text) => *text = key.hide(text),
        Value::Array(values) => values.iter_mut().for_each(|value| hide(value, key)),
        Value::Object(values) => values.values_mut().for_each(|value| hide(value, key)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What a server says of an error: the message in its JSON, or the beginning of whatever it is.
pub(super) fn said(body: &[u8], key: Option<&Key>) -> String {
    let text = String::from_utf8_lossy(body);
    let message = serde_json::from_slice::<Value>(body).ok().and_then(|value| message(&value));
    let text = message.unwrap_or_else(|| text.split_whitespace().collect::<Vec<_>>().join(" "));
    let text = key.map_or(text.clone(), |key| key.hide(&text));
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text,
    }
}

/// `{"error": {"message": ...}}` of OpenAI and most, `{"message": ...}`, `{"detail": ...}` of FastAPI.
pub(super) fn message(value: &Value) -> Option<String> {
    let error = value.get("error").filter(|error| !error.is_null());
    let found =
        error.and_then(|error| error.get("message").or(Some(error))).or_else(|| value.get("message")).or_else(|| value.get("detail"))?;
    Some(found.as_str().map_or_else(|| found.to_string(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_key_is_taken_out_of_all_that_a_server_says() {
        let key = Key::new("MY_KEY", "sk-0123456789".to_owned()).unwrap();
        let mut value = json!({"a": ["is sk-0123456789?", {"b": "sk-0123456789"}], "n": 1});
        hide(&mut value, &key);
        assert_eq!(value, json!({"a": ["is [the key in MY_KEY]?", {"b": "[the key in MY_KEY]"}], "n": 1}));
        let body = br#"{"error": {"message": "Incorrect API key provided: sk-0123456789"}}"#;
        assert_eq!(said(body, Some(&key)), "Incorrect API key provided: [the key in MY_KEY]");
        assert_eq!(said(b"<html>\n  sk-0123456789", Some(&key)), "<html> [the key in MY_KEY]");
        assert!(!format!("{key:?}").contains("0123"));
    }

    #[test]
    fn the_key_is_taken_out_before_a_text_is_cut_short() {
        let key = Key::new("MY_KEY", "sk-0123456789".to_owned()).unwrap();
        let text = said(format!("{}sk-0123456789", "x".repeat(SHOWN - 4)).as_bytes(), Some(&key));
        assert!(!text.contains("sk-"), "{text}");
    }

    #[test]
    fn servers_put_their_words_in_several_places() {
        for body in [r#"{"error": "no"}"#, r#"{"error": {"message": "no"}}"#, r#"{"message": "no"}"#, r#"{"detail": "no"}"#, "no"] {
            assert_eq!(said(body.as_bytes(), None), "no", "{body}");
        }
    }
}
