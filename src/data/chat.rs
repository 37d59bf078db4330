//! Chat messages to token ids, in one place for training and evaluation.
//!
//! A prompt's ids are those of transformers' `apply_chat_template`: the whole text is tokenized at once. A training row is
//! its last answer's prompt, with the very ids that evaluation sends, and the answer after it; earlier answers in it are
//! labelled by where their text stands, and a token that is partly prompt is none. An answer ends with the first token that
//! ends generation after what the assistant says, which is a label; what the template writes after it belongs to the next
//! prompt, and after the last answer it is left out.

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::example::{Message, Role};
use super::thinking::{self, Marks, Thinking};
use crate::files::sha256;
use crate::model::template::{Rendering, Template, shipped};
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
    /// What the template is told of thinking; None where it does not ask.
    thinking: Option<bool>,
    marks: Marks,
    settings: ChatSettings,
}

/// How conversations are put for a model, where it is not the model's own way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChatSettings {
    /// A shipped template in place of the model's own, which base models do not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Of models that think.
    #[serde(skip_serializing_if = "Thinking::is_default")]
    pub thinking: Thinking,
}

impl ChatSettings {
    /// With this shipped template, and nothing else of its own.
    pub fn of(template: Option<&str>) -> Self {
        Self { template: template.map(str::to_owned), ..Self::default() }
    }

    /// Whether everything is the model's own way.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl ChatTemplate {
    /// Compiles the template of the given model, which is told not to think where it asks. One that does not write what the
    /// user says is refused.
    pub fn new(codec: TextCodec) -> Result<Self> {
        Self::with(codec, &ChatSettings::default())
    }

    /// Compiles the template that the settings name, or the given model's own.
    pub fn with(codec: TextCodec, settings: &ChatSettings) -> Result<Self> {
        const WORD: &str = "ballast";
        let codec = match &settings.template {
            Some(name) => codec.with_template(shipped::source(name)?),
            None => codec,
        };
        ensure!(
            !codec.template.is_empty(),
            "the model has no chat template, neither in tokenizer_config.json nor as chat_template.jinja (nor in a GGUF file's header), so it \
             is a base model: take its instruct model, or name a template with `template = \"...\"` in the experiment or --template: {}",
            shipped::names()
        );
        let template = Template::compile(&codec.template)?;
        let thinking = template.asks_whether_to_think().then_some(settings.thinking.enable);
        let marks = Marks::of(&codec);
        let compiled = Self { template, codec, thinking, marks, settings: settings.clone() };
        if let Ok(text) = compiled.render(&[Message::new(Role::User, WORD)], true) {
            ensure!(text.contains(WORD), "the model's chat template does not write what the user says");
        }
        if let Some(name) = &settings.template {
            let answered = [Message::new(Role::User, WORD), Message::new(Role::Assistant, WORD)];
            compiled.turns(&answered).with_context(|| format!("the chat template `{name}` does not fit this model: use another"))?;
        }
        Ok(compiled)
    }

    /// Whether the template was told to think or not to; None where it does not ask.
    pub fn thinking(&self) -> Option<bool> {
        self.thinking
    }

    /// The model's marks of thinking.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// What was asked for.
    pub fn settings(&self) -> &ChatSettings {
        &self.settings
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
            // A template would write an empty span of thinking before an answer without one, as if the model had said it.
            let thinking = self.thinking.map(|_| thinking::thinks(&message.content));
            let prompt = self.render_thinking(&messages[..i], true, thinking)?;
            let full = self.render_thinking(&messages[..=i], false, thinking)?;
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
        self.render_thinking(messages, ask, self.thinking)
    }

    fn render_thinking(&self, messages: &[Message], ask: bool, thinking: Option<bool>) -> Result<String> {
        let messages: Vec<(&str, &str)> = messages.iter().map(|m| (m.role.as_str(), m.content.as_str())).collect();
        self.template.render(Rendering { messages: &messages, ask, specials: self.codec.specials(), thinking })
    }
}
