//! Chat messages to token ids, in one place for training and evaluation.
//!
//! The model's own Jinja template is rendered as transformers renders it. The text is then cut into segments at the
//! borders between what the model is shown and what it must say, and each segment is tokenized alone, so that prompt
//! and answer never share a token and training sees the very prompt ids that evaluation sends. An answer's segment
//! ends with the end-of-turn token, which is a label; what the template writes after it belongs to the next prompt,
//! and after the last answer it is left out.

use anyhow::{Context, Result, bail, ensure};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, Value, context};
use serde::Serialize;

use super::example::{Message, Role};
use crate::files::sha256;
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
    environment: Environment<'static>,
    codec: TextCodec,
}

const NAME: &str = "chat";

impl ChatTemplate {
    /// Compiles the template of the given model.
    pub fn new(codec: TextCodec) -> Result<Self> {
        let mut environment = Environment::new();
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        // Templates that print today's date would make a run depend on the day: they get a fixed one.
        environment.add_function("strftime_now", |_format: String| "2024-01-01".to_owned());
        environment.add_template_owned(NAME, codec.template.clone()).context("the model's chat template does not compile")?;
        Ok(Self { environment, codec })
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
        // Earlier answers were separate segments in training, so they are here.
        let mut segments = self.turns(messages)?;
        let shown = self.render(messages, true)?;
        let said: usize = segments.iter().map(|segment| segment.text.len()).sum();
        ensure!(shown.is_char_boundary(said.min(shown.len())) && said <= shown.len(), "the chat template rewrites earlier turns");
        segments.push(ChatSegment { text: shown[said..].to_owned(), label: false });
        Ok(self.tokenize(&segments)?.ids)
    }

    /// A conversation that ends with an answer, as ids and loss mask.
    pub fn training_row(&self, messages: &[Message]) -> Result<Encoded> {
        ensure!(messages.last().is_some_and(|m| m.role == Role::Assistant), "a training row must end with an assistant message");
        self.tokenize(&self.turns(messages)?)
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
            let end = answer
                .rfind(self.codec.eos_token.as_str())
                .with_context(|| format!("the chat template does not end an answer with `{}`", self.codec.eos_token))?
                + self.codec.eos_token.len();
            let answer = &answer[..end];
            segments.push(ChatSegment { text: unlabelled.to_owned(), label: false });
            // A row can say which of its answers carry loss; without a word they all do.
            segments.push(ChatSegment { text: answer.to_owned(), label: message.loss.unwrap_or(true) });
            said = format!("{prompt}{answer}");
        }
        Ok(segments)
    }

    fn tokenize(&self, segments: &[ChatSegment]) -> Result<Encoded> {
        let mut encoded = Encoded { ids: Vec::new(), mask: Vec::new() };
        for segment in segments {
            let ids = self.codec.encode(&segment.text)?;
            encoded.mask.extend(std::iter::repeat_n(segment.label, ids.len()));
            encoded.ids.extend(ids);
        }
        Ok(encoded)
    }

    /// The whole conversation as text.
    pub fn render(&self, messages: &[Message], ask: bool) -> Result<String> {
        let turns: Vec<Value> = messages.iter().map(|m| context! { role => m.role.as_str(), content => m.content.as_str() }).collect();
        let template = self.environment.get_template(NAME)?;
        let (bos, eos) = (&self.codec.bos_token, &self.codec.eos_token);
        template
            .render(context! { messages => turns, add_generation_prompt => ask, bos_token => bos, eos_token => eos })
            .context("the model's chat template refuses this conversation")
    }
}
