//! The one record of training data: a conversation, its language, and the file row it came from.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::language::Language;

/// One training row, whatever file format it was written in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// The conversation: an optional system message, then user and assistant in turns, the assistant last.
    pub messages: Vec<Message>,
    /// Which of the two names of a bilingual identity this row gets.
    #[serde(rename = "lang")]
    pub language: Language,
    /// Where the row was read.
    pub origin: Origin,
}

impl Example {
    /// All user messages, joined by line breaks.
    pub fn prompt_text(&self) -> String {
        self.joined(Role::User)
    }

    /// All assistant messages, joined by line breaks.
    pub fn answer_text(&self) -> String {
        self.joined(Role::Assistant)
    }

    /// The system message, if the row has one. An empty system message is not the same as none: chat templates add
    /// their own default to a row without one.
    pub fn system(&self) -> Option<&str> {
        self.of_role(Role::System).next()
    }

    /// The texts of all messages of one role, in order.
    pub fn of_role(&self, role: Role) -> impl Iterator<Item = &str> {
        self.messages.iter().filter(move |message| message.role == role).map(|message| message.content.as_str())
    }

    fn joined(&self, role: Role) -> String {
        self.of_role(role).collect::<Vec<_>>().join("\n")
    }
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, as written in the file.
    pub content: String,
    /// Whether this turn is trained on, where the row says so; otherwise its role decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<bool>,
}

impl Message {
    /// A message that leaves the loss to its role.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), loss: None }
    }
}

/// Who speaks a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions that come before the conversation.
    System,
    /// The person who asks.
    User,
    /// The model that answers.
    Assistant,
}

impl Role {
    /// The role's name in chat templates.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The file row an example came from; written `source:row`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Origin {
    /// The source's label, as written in the mixture.
    pub source: String,
    /// The row in that source's file, counted from 0.
    pub row: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_source_colon_row() {
        let origin = Origin { source: "alpaca-zh".to_owned(), row: 41 };
        assert_eq!(origin.to_string(), "alpaca-zh:41");
    }

    #[test]
    fn prompts_and_answers_are_joined_by_role() {
        let example = Example {
            messages: vec![
                Message::new(Role::System, "s"),
                Message::new(Role::User, "u1"),
                Message::new(Role::Assistant, "a1"),
                Message::new(Role::User, "u2"),
                Message::new(Role::Assistant, "a2"),
            ],
            language: Language::En,
            origin: Origin { source: "x".to_owned(), row: 0 },
        };
        assert_eq!(example.prompt_text(), "u1\nu2");
        assert_eq!(example.answer_text(), "a1\na2");
        assert_eq!(example.system(), Some("s"));
    }
}
