//! The two languages of rows and questions, and how one is told from the other.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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
    /// Of a row to train on: Chinese if the text holds any Chinese character, since that decides which of two names it gets.
    pub fn detect(text: &str) -> Self {
        if text.chars().any(is_cjk) { Self::Zh } else { Self::En }
    }

    /// Of a question that others wrote: the language that most of it is in. A Chinese character says about as much as three
    /// Latin letters.
    pub fn of_most(text: &str) -> Self {
        let chinese = text.chars().filter(|c| is_cjk(*c)).count();
        let latin = text.chars().filter(char::is_ascii_alphabetic).count();
        if 3 * chinese > latin { Self::Zh } else { Self::En }
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
        f.pad(self.as_str())
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "zh" => Ok(Self::Zh),
            "en" => Ok(Self::En),
            _ => Err("use zh or en".to_owned()),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_chinese_character_makes_a_text_chinese() {
        assert_eq!(Language::detect("Translate 猫 into English."), Language::Zh);
        assert_eq!(Language::detect("Who are you?"), Language::En);
        assert_eq!(Language::of_most("Translate 猫 into English."), Language::En);
        assert_eq!(Language::of_most("把 cat 译成中文"), Language::Zh);
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
}
