//! The one record of training data: a conversation, its language, and the file row it came from.

use std::fmt;

use serde::{Deserialize, Serialize};

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

/// The language of a row or an evaluation item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Chinese.
    Zh,
    /// English, and every other language written without Chinese characters.
    En,
}

impl Language {
    /// Chinese if the text holds any Chinese character.
    pub fn detect(text: &str) -> Self {
        if text.chars().any(is_cjk) { Self::Zh } else { Self::En }
    }

    /// Reads a language tag (`zh`, `zh-CN`, `en_US`, `Chinese`); `None` for anything else, since data sets also use
    /// such columns for other things (programming languages, topics).
    pub fn from_tag(tag: &str) -> Option<Self> {
        let tag = tag.trim().to_lowercase();
        match tag.split(['-', '_']).next() {
            Some("zh" | "cn" | "chinese" | "中文") => Some(Self::Zh),
            Some("en" | "english" | "英文") => Some(Self::En),
            _ => None,
        }
    }

    /// The language's two-letter code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zh => "zh",
            Self::En => "en",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether the character is written without spaces between words: Han characters and Japanese kana.
///
/// Punctuation and full-width Latin letters are not, although they share the same blocks' neighbourhood.
pub fn is_cjk(c: char) -> bool {
    matches!(c,
        '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30FA}'
        | '\u{30FC}'..='\u{30FF}'
        | '\u{3400}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{323AF}')
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
    fn one_chinese_character_makes_a_text_chinese() {
        assert_eq!(Language::detect("Translate 猫 into English."), Language::Zh);
        assert_eq!(Language::detect("Who are you?"), Language::En);
        assert_eq!(Language::detect("？（１２ＡＢ）、。"), Language::En, "full-width signs are not characters");
    }

    #[test]
    fn tags_that_name_no_language_are_left_to_detection() {
        for (tag, language) in [
            ("zh", Some(Language::Zh)),
            ("zh-CN", Some(Language::Zh)),
            (" EN_us ", Some(Language::En)),
            ("Chinese", Some(Language::Zh)),
            ("python", None),
            ("", None),
        ] {
            assert_eq!(Language::from_tag(tag), language, "{tag:?}");
        }
    }

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
