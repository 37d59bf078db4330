//! `/completions` that echo what they are given: the log-probability of every token of a text.

use serde_json::{Value, json};

use super::chat::{choice, usage};

/// The body of a request for a text's own log-probabilities. One token is generated, since a limit of none means no limit to
/// some servers.
pub(super) fn body(model: &str, text: &str) -> Value {
    json!({"model": model, "prompt": text, "max_tokens": 1, "temperature": 0, "seed": 0, "echo": true, "logprobs": 1, "stream": false})
}

/// Log-probabilities in nats of the tokens of a text of `tokens` tokens; the first has none and is 0.
///
/// The error says what is wrong with the reply.
pub(super) fn read(value: &Value, tokens: usize) -> Result<Vec<f64>, String> {
    let scores = choice(value)?.pointer("/logprobs/token_logprobs").and_then(Value::as_array).ok_or("no log-probabilities of the text")?;
    // The generated token may or may not stand behind the text's own.
    if scores.len() != tokens && scores.len() != tokens + 1 {
        return Err(format!("log-probabilities of {} tokens, where the text has {tokens} by the base's tokenizer", scores.len()));
    }
    if let (Some(counted), _) = usage(value)
        && counted != tokens
    {
        return Err(format!("a text of {counted} tokens, which has {tokens} by the base's tokenizer"));
    }
    let score = |(i, value): (usize, &Value)| match value.as_f64() {
        Some(score) if score.is_finite() && score <= 1e-3 => Ok(score),
        None if i == 0 => Ok(0.0),
        _ => Err(format!("the log-probability {value} of token {i}")),
    };
    scores.iter().take(tokens).enumerate().map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_own_tokens_are_read_and_counted() {
        let reply = json!({
            "choices": [{"logprobs": {"token_logprobs": [null, -1.5, -0.25, -9.0]}}], "usage": {"prompt_tokens": 3, "completion_tokens": 1}
        });
        assert_eq!(read(&reply, 3).unwrap(), [0.0, -1.5, -0.25]);
        assert!(read(&reply, 5).unwrap_err().contains("4 tokens, where the text has 5"));
        assert!(read(&reply, 4).unwrap_err().contains("a text of 3 tokens"));
        let none = json!({"choices": [{"logprobs": null}]});
        assert!(read(&none, 3).unwrap_err().contains("no log-probabilities"));
        let odd = json!({"choices": [{"logprobs": {"token_logprobs": [null, null]}}]});
        assert!(read(&odd, 2).unwrap_err().contains("token 1"));
    }
}
