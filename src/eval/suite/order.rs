//! Orders whose keeping a program can verify, as instructions in a prompt give them.
//!
//! The kinds follow IFEval (J. Zhou et al., "Instruction-Following Evaluation for Large Language Models", arXiv 2311.07911, 2023),
//! each with bounds of its own; texts and code are Ballast's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Language;

/// One order of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Order {
    /// Number of words: runs of text between spaces that hold a letter or digit.
    Words {
        /// At least so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<usize>,
        /// At most so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<usize>,
    },
    /// Number of Chinese characters, each run of Latin letters or digits counted as one.
    Characters {
        /// At least so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<usize>,
        /// At most so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<usize>,
    },
    /// Number of sentences.
    Sentences {
        /// At least so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<usize>,
        /// At most so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<usize>,
    },
    /// Number of paragraphs: blocks with a blank line between them.
    Paragraphs {
        /// Exactly so many.
        exactly: usize,
    },
    /// Number of lines that begin with `- ` or `* `.
    Bullets {
        /// Exactly so many.
        exactly: usize,
    },
    /// Number of lines that begin with 1., 2. and so on, in order.
    Numbered {
        /// Exactly so many.
        exactly: usize,
    },
    /// Nothing but entries of a list.
    OnlyList,
    /// Each of these texts is there, as whole words.
    Include {
        /// The texts.
        words: Vec<String>,
        /// How often each at least; once if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        times: Option<usize>,
    },
    /// None of these texts is there, as whole words.
    Exclude {
        /// The texts.
        words: Vec<String>,
    },
    /// None of these characters is there.
    NoCharacters {
        /// The characters.
        characters: String,
    },
    /// The answer begins so.
    StartsWith {
        /// The beginning.
        text: String,
    },
    /// The answer ends so.
    EndsWith {
        /// The end.
        text: String,
    },
    /// The last line but blank ones begins so, and is not the only line.
    LineStartsWith {
        /// The beginning.
        text: String,
    },
    /// Nine of ten letters are of this language's script.
    Language {
        /// The language.
        language: Language,
    },
    /// No capital letter.
    Lowercase,
    /// The answer, a code fence around it left out, is one JSON object with just these keys.
    Json {
        /// `string`, `number`, or `strings:N` for an array of N strings, by key.
        keys: BTreeMap<String, String>,
    },
    /// A text in double angle brackets.
    Title,
    /// One Markdown table with just these columns, and nothing else that is a table.
    Table {
        /// Headers.
        columns: Vec<String>,
        /// Rows below the header, exactly.
        rows: usize,
    },
    /// Two different texts with a line of six asterisks between them.
    TwoAnswers,
    /// Double quotation marks around everything.
    Quoted,
}
