//! What stands before a question: worked examples, and whether all of it is a chat or plain text.

use std::fmt;
use std::str::FromStr;

use anyhow::bail;
use serde::{Deserialize, Serialize};

/// How a question with its examples is put to the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PromptFormat {
    /// Examples as turns of a chat, in the model's template and under the system prompt.
    #[default]
    Chat,
    /// Text as it stands, without template and system prompt, which the answer continues: how base models are asked.
    Plain,
    /// Plain text that does not show the options: the most probable of their texts, in nats a byte, is the choice. It asks
    /// what a model knows without asking it to point at letters.
    Cloze,
}

/// What the model reads before an item's own question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FewShot {
    /// Chat or text.
    pub form: PromptFormat,
    /// First words of the text; empty in a chat.
    pub head: String,
    /// What stands between the cue that ends a question and the answer in the text; empty in a chat.
    pub gap: String,
    /// Worked examples, in order.
    pub shots: Vec<Shot>,
}

/// A question with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shot {
    /// As an item is asked.
    pub question: String,
    /// The right answer.
    pub answer: String,
}

impl FewShot {
    /// The whole text up to the answer of a question that is asked after the examples.
    pub fn text(&self, question: &str) -> String {
        let mut text = self.head.clone();
        for shot in &self.shots {
            text.extend([shot.question.as_str(), &self.gap, &shot.answer, "\n\n"]);
        }
        text + question
    }
}

impl fmt::Display for PromptFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chat => "chat",
            Self::Plain => "plain",
            Self::Cloze => "cloze",
        })
    }
}

impl FromStr for PromptFormat {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "chat" => Ok(Self::Chat),
            "plain" => Ok(Self::Plain),
            "cloze" => Ok(Self::Cloze),
            _ => bail!("`{text}` is not a prompt format: use chat, plain or cloze"),
        }
    }
}
