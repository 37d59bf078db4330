//! What an endpoint offers: which model, by which server, and whether log-probabilities.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Client, chat, completion};
use crate::data::example::{Message, Role};

/// A server, as far as its list of models tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// vLLM.
    Vllm,
    /// SGLang.
    Sglang,
    /// llama.cpp's own server.
    LlamaCpp,
    /// The server of llama-cpp-python.
    LlamaCppPython,
    /// Any other.
    Other,
}

impl Server {
    fn of(model: &Value) -> Self {
        match model["owned_by"].as_str() {
            Some("vllm") => Self::Vllm,
            Some("sglang") => Self::Sglang,
            Some("llamacpp") => Self::LlamaCpp,
            Some("me") if model.get("permissions").is_some() => Self::LlamaCppPython,
            _ => Self::Other,
        }
    }

    /// As records name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vllm => "vLLM",
            Self::Sglang => "SGLang",
            Self::LlamaCpp => "llama.cpp",
            Self::LlamaCppPython => "llama-cpp-python",
            Self::Other => "not known",
        }
    }

    /// The server's own name for the penalty on repeated tokens. vLLM and SGLang take its value from the model's
    /// `generation_config.json` unless they are told otherwise, and with it temperature 0 is not greedy decoding.
    pub fn penalty(self) -> Option<&'static str> {
        match self {
            Self::Vllm | Self::Sglang => Some("repetition_penalty"),
            Self::LlamaCpp | Self::LlamaCppPython => Some("repeat_penalty"),
            Self::Other => None,
        }
    }
}

/// What an endpoint offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offers {
    /// The model's name in requests.
    pub model: String,
    /// Who serves it.
    pub server: Server,
}

/// Where log-probabilities come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logits {
    /// `/completions` echoes a text with those of all its tokens.
    Echo,
    /// `/chat/completions` gives those of the most probable first tokens: enough to choose a letter.
    First,
}

impl Offers {
    /// Asks the endpoint for its models; `asked` is the one to use, which need not be told where there is only one.
    pub fn of(client: &Client, asked: Option<&str>) -> Result<Self> {
        let list = client.optional(&client.address().api("models"), None).context("the endpoint cannot be asked")?;
        let models: Vec<&Value> = list.iter().filter_map(|list| list["data"].as_array()).flatten().collect();
        let names: Vec<&str> = models.iter().filter_map(|model| model["id"].as_str()).collect();
        let server_of = |name: &str| models.iter().find(|model| model["id"] == name).map_or(Server::Other, |model| Server::of(model));
        match (asked, names.as_slice()) {
            // A server need not list what it takes: llama.cpp's answers to any name.
            (Some(name), _) => Ok(Self { model: name.to_owned(), server: server_of(name) }),
            (None, [only]) => Ok(Self { model: (*only).to_owned(), server: server_of(only) }),
            (None, []) => bail!("{} lists no model: name the one to ask with --served-model", client.address().base()),
            (None, several) => {
                let shown = several.iter().take(8).copied().collect::<Vec<_>>().join(", ");
                let more = if several.len() > 8 { ", ..." } else { "" };
                bail!("{} serves {} models: name one with --served-model: {shown}{more}", client.address().base(), several.len())
            }
        }
    }

    /// Asks for the log-probabilities of a short text in either way.
    pub(super) fn logits(&self, client: &Client) -> Result<Option<Logits>> {
        let echoed = client.optional(&client.address().api("completions"), Some(&completion::body(&self.model, "one two three")))?;
        let scores = echoed.as_ref().and_then(|reply| reply.pointer("/choices/0/logprobs/token_logprobs")?.as_array());
        if scores.is_some_and(|scores| scores.len() >= 3 && scores[1..].iter().all(|score| score.as_f64().is_some())) {
            return Ok(Some(Logits::Echo));
        }
        let body = chat::body(&self.model, &[Message::new(Role::User, "Say A or B.")], 1, true);
        let reply = client.optional(&client.address().api("chat/completions"), Some(&body))?;
        let first = reply.and_then(|reply| chat::read(&reply).ok()).map(|reply| reply.first.len());
        Ok(first.filter(|n| *n > 1).map(|_| Logits::First))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_server_is_known_by_its_list_of_models() {
        assert_eq!(Server::of(&json!({"id": "m", "owned_by": "vllm", "max_model_len": 5})), Server::Vllm);
        assert_eq!(Server::of(&json!({"id": "m", "owned_by": "llamacpp"})), Server::LlamaCpp);
        assert_eq!(Server::of(&json!({"id": "m", "owned_by": "me", "permissions": []})), Server::LlamaCppPython);
        assert_eq!(Server::of(&json!({"id": "m", "owned_by": "me"})), Server::Other);
        assert_eq!(Server::of(&json!({"id": "m"})).penalty(), None);
    }
}
