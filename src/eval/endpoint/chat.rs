//! `/chat/completions`: messages in, one answer out.

use serde_json::{Value, json};

use super::redact::message;
use crate::data::example::Message;

/// Most probable first tokens that are asked for; more than 20 are refused by most servers.
pub(super) const TOP: usize = 20;

/// One answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub(super) text: String,
    /// It hit the token limit.
    pub(super) truncated: bool,
    /// As the server counts them, where it does.
    pub(super) prompt_tokens: Option<usize>,
    pub(super) answer_tokens: Option<usize>,
    /// The most probable first tokens with their log-probabilities in nats, where they were asked for and offered.
    pub(super) first: Vec<(String, f64)>,
}

/// The body of a request.
pub(super) fn body(model: &str, messages: &[Message], max_tokens: usize, top: bool) -> Value {
    let messages: Vec<Value> = messages.iter().map(|m| json!({"role": m.role.as_str(), "content": m.content})).collect();
    let mut body = json!({"model": model, "messages": messages, "max_tokens": max_tokens, "temperature": 0, "seed": 0, "stream": false});
    if top {
        body["logprobs"] = true.into();
        body["top_logprobs"] = TOP.into();
    }
    body
}

/// Reads a reply; the error says what is wrong with it.
pub(super) fn read(value: &Value) -> Result<Reply, String> {
    let choice = choice(value)?;
    let said = choice.get("message").ok_or("no message")?;
    let text = match said.get("content") {
        Some(Value::String(text)) => text.clone(),
        // A server that withholds an answer, or takes it for a call of a tool, has answered with nothing.
        None | Some(Value::Null) => String::new(),
        Some(_) => return Err("a message whose content is not text".to_owned()),
    };
    let first = choice.pointer("/logprobs/content/0/top_logprobs").and_then(Value::as_array);
    let first = first.into_iter().flatten().filter_map(|token| Some((token["token"].as_str()?.to_owned(), token["logprob"].as_f64()?)));
    let (prompt_tokens, answer_tokens) = usage(value);
    Ok(Reply { text, truncated: truncated(choice)?, prompt_tokens, answer_tokens, first: first.collect() })
}

/// The first choice of a reply.
pub(super) fn choice(value: &Value) -> Result<&Value, String> {
    if let Some(choice) = value.pointer("/choices/0") {
        return Ok(choice);
    }
    Err(message(value).map_or_else(|| "a reply without choices".to_owned(), |message| format!("an error in place of an answer: {message}")))
}

/// Whether the token limit ended the answer.
pub(super) fn truncated(choice: &Value) -> Result<bool, String> {
    match choice["finish_reason"].as_str() {
        Some("length") => Ok(true),
        Some("stop" | "eos_token" | "stop_sequence" | "content_filter" | "tool_calls" | "function_call") => Ok(false),
        Some(other) => Err(format!("the finish_reason `{other}`, which Ballast does not know")),
        None => Err("no finish_reason, so it is not known whether the answer was cut off".to_owned()),
    }
}

/// Tokens of prompt and answer, as the server counts them.
pub(super) fn usage(value: &Value) -> (Option<usize>, Option<usize>) {
    let count = |name: &str| value["usage"][name].as_u64().and_then(|n| usize::try_from(n).ok());
    // Zeros are what a server sends that does not count.
    (count("prompt_tokens").filter(|n| *n > 0), count("completion_tokens"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::example::Role;

    #[test]
    fn greedy_decoding_is_asked_for() {
        let body = body("m", &[Message::new(Role::User, "hi")], 7, false);
        let expected = json!({
            "model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 7, "temperature": 0, "seed": 0, "stream": false
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn a_reply_is_read_or_said_what_it_lacks() {
        let good = json!({
            "choices": [{"message": {"content": "yes"}, "finish_reason": "length",
                "logprobs": {"content": [{"token": "A", "top_logprobs": [{"token": "A", "logprob": -0.5}]}]}}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 1}
        });
        let reply = read(&good).unwrap();
        assert_eq!((reply.text.as_str(), reply.truncated, reply.prompt_tokens, reply.answer_tokens), ("yes", true, Some(5), Some(1)));
        assert_eq!(reply.first, [("A".to_owned(), -0.5)]);
        let null = json!({"choices": [{"message": {"content": null}, "finish_reason": "stop"}]});
        assert_eq!(read(&null).unwrap().text, "");
        for (bad, says) in [
            (json!({}), "without choices"),
            (json!({"error": {"message": "out of memory"}}), "out of memory"),
            (json!({"choices": [{"finish_reason": "stop"}]}), "no message"),
            (json!({"choices": [{"message": {"content": [1]}, "finish_reason": "stop"}]}), "not text"),
            (json!({"choices": [{"message": {"content": "x"}}]}), "no finish_reason"),
            (json!({"choices": [{"message": {"content": "x"}, "finish_reason": "abort"}]}), "`abort`"),
        ] {
            let error = read(&bad).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
