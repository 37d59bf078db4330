//! Whether a server reads the prompts that a local base would: the same tokens, or at least as many.
//!
//! A template that differs between training and serving changes every answer and no error says so. Some servers show what they
//! make of a conversation (vLLM's `/tokenize`, llama.cpp's `/apply-template` and `/tokenize`); all others say how many tokens
//! they read.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Client, Offers, Server};
use crate::counted::counted;
use crate::data::chat::ChatTemplate;
use crate::data::example::Message;
use crate::model::tokenizer::TextCodec;

/// How prompts were held against a base's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Held {
    /// Not at all: no base was named, or the server says nothing.
    #[default]
    Not,
    /// By the number of tokens.
    Counts,
    /// By every token's id.
    Ids,
}

/// What holding them together showed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compared {
    /// How.
    pub held: Held,
    /// Prompts.
    pub prompts: usize,
    /// Those that differ.
    pub differing: usize,
    /// The first difference, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.held {
            Held::Not => return f.write_str("not compared with any base's"),
            Held::Counts => "number of tokens",
            Held::Ids => "token ids",
        };
        match &self.first {
            None => write!(f, "{} compared by {how}, all equal", counted(self.prompts, "prompt")),
            Some(first) => write!(f, "{} of {} differ by {how}: {first}", self.differing, counted(self.prompts, "prompt")),
        }
    }
}

/// Numbers of tokens of all prompts that are asked, from any thread.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<Compared>);

impl Counts {
    /// Takes the local and the server's count of a prompt.
    pub(super) fn add(&self, item: &str, ours: usize, theirs: usize) {
        let mut compared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        compared.held = Held::Counts;
        compared.prompts += 1;
        if ours != theirs {
            compared.differing += 1;
            compared
                .first
                .get_or_insert_with(|| format!("item {item}: the server reads {theirs} tokens, the base's template makes {ours}"));
        }
    }

    pub(super) fn found(&self) -> Compared {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Holds conversations against a base's rendering by token ids, where the server shows them; None where it does not.
pub(super) fn by_ids(client: &Client, offers: &Offers, base: &ChatTemplate, talks: &[(String, Vec<Message>)]) -> Result<Option<Compared>> {
    let mut compared = Compared { held: Held::Ids, ..Compared::default() };
    for (item, messages) in talks {
        let Some((text, ids)) = shown(client, offers, switches(offers.server, base), messages)? else { return Ok(None) };
        compared.prompts += 1;
        let ours = base.prompt(messages)?;
        if ours == ids {
            continue;
        }
        compared.differing += 1;
        if compared.first.is_none() {
            let words = match text {
                Some(text) => text_difference(&base.render(messages, true)?, &text),
                None => None,
            };
            let words = words.unwrap_or_else(|| id_difference(base.codec(), &ours, &ids));
            compared.first = Some(format!("item {item}: {words}"));
        }
    }
    Ok((compared.prompts > 0).then_some(compared))
}

/// What a server's template is to be told so that it renders as the base's does, where both can be told.
pub(super) fn switches(server: Server, base: &ChatTemplate) -> Option<Value> {
    let told = matches!(server, Server::Vllm | Server::Sglang | Server::LlamaCpp);
    base.thinking().filter(|_| told).map(|think| json!({"enable_thinking": think, "thinking": think}))
}

/// What the server makes of a conversation: its text, where it shows that, and its token ids.
fn shown(client: &Client, offers: &Offers, switches: Option<Value>, messages: &[Message]) -> Result<Option<(Option<String>, Vec<u32>)>> {
    let messages: Vec<Value> = messages.iter().map(|m| json!({"role": m.role.as_str(), "content": m.content})).collect();
    match offers.server {
        Server::Vllm => {
            let mut body = json!({"model": offers.model, "messages": messages, "add_generation_prompt": true});
            if let Some(switches) = switches {
                body["chat_template_kwargs"] = switches;
            }
            let reply = client.optional(&client.address().own("tokenize"), Some(&body))?;
            Ok(reply.and_then(|reply| ids(&reply)).map(|ids| (None, ids)))
        }
        Server::LlamaCpp | Server::Other => {
            let mut body = json!({"model": offers.model, "messages": messages});
            if let Some(switches) = switches {
                body["chat_template_kwargs"] = switches;
            }
            let reply = client.optional(&client.address().own("apply-template"), Some(&body))?;
            let Some(text) = reply.and_then(|reply| Some(reply.get("prompt")?.as_str()?.to_owned())) else { return Ok(None) };
            // As the server tokenizes the prompt of a chat.
            let body = json!({"model": offers.model, "content": text, "add_special": true, "parse_special": true});
            let reply = client.optional(&client.address().own("tokenize"), Some(&body))?;
            Ok(reply.and_then(|reply| ids(&reply)).map(|ids| (Some(text), ids)))
        }
        Server::Sglang | Server::LlamaCppPython => Ok(None),
    }
}

fn ids(reply: &Value) -> Option<Vec<u32>> {
    reply.get("tokens")?.as_array()?.iter().map(|id| id.as_u64().and_then(|id| u32::try_from(id).ok())).collect()
}

/// Where two texts part; None where they do not.
fn text_difference(ours: &str, theirs: &str) -> Option<String> {
    if ours == theirs {
        return None;
    }
    let at = ours.chars().zip(theirs.chars()).take_while(|(a, b)| a == b).count();
    let from = |text: &str| text.chars().skip(at).take(24).collect::<String>();
    Some(format!(
        "from character {} on the base's template writes `{}` and the server's `{}`",
        at + 1,
        from(ours).escape_debug(),
        from(theirs).escape_debug()
    ))
}

fn id_difference(codec: &TextCodec, ours: &[u32], theirs: &[u32]) -> String {
    let at = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
    let token = |ids: &[u32]| match ids.get(at) {
        Some(id) => format!("{id} (`{}`)", codec.decode_all(&[*id]).unwrap_or_default().escape_debug()),
        None => "nothing".to_owned(),
    };
    format!("token {} of {} is {} for the base, and {} of {} for the server", at + 1, ours.len(), token(ours), token(theirs), theirs.len())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_difference_is_named_where_it_begins() {
        assert_eq!(text_difference("a\nb", "a\nb"), None);
        let text = text_difference("<|im_start|>system", "<s>[INST]").unwrap();
        assert_eq!(text, "from character 2 on the base's template writes `|im_start|>system` and the server's `s>[INST]`");
        let codec = TextCodec::from_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tiny/qwen2")).unwrap();
        let (a, ab) = (codec.encode("a").unwrap(), codec.encode("ab").unwrap());
        assert_eq!(
            id_difference(&codec, &a, &ab),
            format!("token 2 of 1 is nothing for the base, and {} (`b`) of 2 for the server", ab[1])
        );
    }

    #[test]
    fn counts_keep_the_first_difference() {
        let counts = Counts::default();
        assert_eq!(counts.found().to_string(), "not compared with any base's");
        counts.add("a", 5, 5);
        assert_eq!(counts.found().to_string(), "1 prompt compared by number of tokens, all equal");
        counts.add("b", 5, 6);
        counts.add("c", 5, 7);
        let words = counts.found().to_string();
        assert!(words.starts_with("2 of 3 prompts differ by number of tokens: item b: the server reads 6"), "{words}");
    }
}
