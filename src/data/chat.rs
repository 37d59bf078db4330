//! Chat messages to token ids, in one place for training and evaluation.
//!
//! A prompt's ids are those of transformers' `apply_chat_template`: the whole text is tokenized at once. A training row is
//! its last answer's prompt, with the very ids that evaluation sends, and the answer after it; earlier answers in it are
//! labelled by where their text stands, and a token that is partly prompt is none. An answer ends with the first token that
//! ends generation after what the assistant says, which is a label; what the template writes after it belongs to the next
//! prompt, and after the last answer it is left out.

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use super::example::{Message, Role};
use crate::files::sha256;
use crate::model::template::{Rendering, Template};
use crate::model::tokenizer::TextCodec;

/// A rendered piece of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChatSegment {
    /// Text, special tokens written out.
    pub text: String,
    /// The model must learn to say it.
    pub label: bool,
}

/// A conversation as token ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Token ids.
    pub ids: Vec<u32>,
    /// For each token, whether it is a label.
    pub mask: Vec<bool>,
}

impl Encoded {
    /// Label tokens: those that carry loss.
    pub fn labels(&self) -> usize {
        self.mask.iter().filter(|label| **label).count()
    }
}

/// Renders and tokenizes conversations for one model.
pub struct ChatTemplate {
    template: Template,
    codec: TextCodec,
}

impl ChatTemplate {
    /// Compiles the template of the given model. One that does not write what the user says is refused.
    pub fn new(codec: TextCodec) -> Result<Self> {
        const WORD: &str = "ballast";
        let compiled = Self { template: Template::compile(&codec.template)?, codec };
        if let Ok(text) = compiled.render(&[Message::new(Role::User, WORD)], true) {
            ensure!(text.contains(WORD), "the model's chat template does not write what the user says");
        }
        Ok(compiled)
    }

    /// The tokenizer.
    pub fn codec(&self) -> &TextCodec {
        &self.codec
    }

    /// sha256 of the template's source.
    pub fn digest(&self) -> String {
        sha256(self.codec.template.as_bytes())
    }

    /// Token ids that ask for the next answer of the assistant.
    pub fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>> {
        self.codec.encode(&self.render(messages, true)?)
    }

    /// A conversation that ends with an answer, as ids and loss mask.
    pub fn training_row(&self, messages: &[Message]) -> Result<Encoded> {
        ensure!(messages.last().is_some_and(|m| m.role == Role::Assistant), "a training row must end with an assistant message");
        let segments = self.turns(messages)?;
        let (answer, shown) = segments.split_last().context("a conversation without an answer")?;
        let (mut prompt, mut labels) = (String::new(), Vec::new());
        for segment in shown {
            let start = prompt.len();
            prompt.push_str(&segment.text);
            if segment.label {
                labels.push(start..prompt.len());
            }
        }
        let places = self.codec.encode_with_places(&prompt)?;
        let label =
            |place: &std::ops::Range<usize>| labels.iter().any(|of| of.start <= place.start && place.end <= of.end && !place.is_empty());
        let mut encoded =
            Encoded { ids: places.iter().map(|(id, _)| *id).collect(), mask: places.iter().map(|(_, place)| label(place)).collect() };
        // The answer as it stands in the whole text, unless tokens would join over its border: the model goes on from the prompt.
        let whole = self.codec.encode(&format!("{prompt}{}", answer.text))?;
        let ids = match whole.strip_prefix(encoded.ids.as_slice()) {
            Some(ids) => ids.to_vec(),
            None => self.codec.encode_on(&answer.text)?,
        };
        encoded.mask.extend(std::iter::repeat_n(answer.label, ids.len()));
        encoded.ids.extend(ids);
        Ok(encoded)
    }

    /// Prompt and answer segments in turn, up to the last answer.
    pub fn turns(&self, messages: &[Message]) -> Result<Vec<ChatSegment>> {
        let mut segments = Vec::new();
        let mut said = String::new();
        for (i, message) in messages.iter().enumerate() {
            if message.role != Role::Assistant {
                continue;
            }
            let prompt = self.render(&messages[..i], true)?;
            let full = self.render(&messages[..=i], false)?;
            let (Some(unlabelled), Some(answer)) = (prompt.strip_prefix(said.as_str()), full.strip_prefix(prompt.as_str())) else {
                bail!("the chat template does not append turns one after another, so answers cannot be told from prompts");
            };
            let answer = &answer[..self.end(answer, &message.content)?];
            segments.push(ChatSegment { text: unlabelled.to_owned(), label: false });
            // A row can say which of its answers carry loss; without a word they all do.
            segments.push(ChatSegment { text: answer.to_owned(), label: message.loss.unwrap_or(true) });
            said = format!("{prompt}{answer}");
        }
        Ok(segments)
    }

    /// Where an answer ends: after the first stop token behind what the assistant says, or after the last one where the
    /// template writes that otherwise.
    fn end(&self, answer: &str, content: &str) -> Result<usize> {
        let stops = self.codec.stop_texts();
        let said = answer.rfind(content.trim()).map_or(0, |at| at + content.trim().len());
        let after = |from: usize| stops.iter().filter_map(move |stop| Some(from + answer[from..].find(stop)? + stop.len())).min();
        let first = if content.trim().is_empty() { after(0) } else { Some(said).filter(|said| *said > 0).and_then(after) };
        let last = || stops.iter().filter_map(|stop| Some(answer.rfind(stop)? + stop.len())).max();
        first.or_else(last).with_context(|| format!("the chat template does not end an answer with {}", stops.join(" or ")))
    }

    /// The whole conversation as text.
    pub fn render(&self, messages: &[Message], ask: bool) -> Result<String> {
        let messages: Vec<(&str, &str)> = messages.iter().map(|m| (m.role.as_str(), m.content.as_str())).collect();
        self.template.render(Rendering { messages: &messages, ask, specials: self.codec.specials() })
    }
}
