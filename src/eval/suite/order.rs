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
    /// How often a text is there, in any case, inside words too.
    Occurrences {
        /// The text.
        text: String,
        /// At least so many times.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<usize>,
        /// At most so many times.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<usize>,
    },
    /// Number of parts with a mark between them.
    Divided {
        /// The mark.
        by: String,
        /// Exactly so many parts, none of them empty.
        exactly: usize,
    },
    /// The first word of one of several paragraphs, in any case.
    ParagraphStart {
        /// Paragraphs, exactly: blocks with a blank line between them.
        of: usize,
        /// Which of them, counted from 1.
        nth: usize,
        /// The word.
        word: String,
    },
    /// Number of texts in square brackets.
    Placeholders {
        /// At least so many.
        min: usize,
    },
    /// Number of texts between asterisks, or pairs of asterisks.
    Highlights {
        /// At least so many.
        min: usize,
    },
    /// Number of parts that begin with a word and a number, as in `Section 1`.
    Headed {
        /// The word.
        by: String,
        /// At least so many.
        min: usize,
    },
    /// One of these texts is there.
    OneOf {
        /// The texts.
        texts: Vec<String>,
    },
    /// The answer, a code fence around it left out, is JSON.
    AnyJson,
    /// Number of words in capital letters throughout.
    Capitals {
        /// At least so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<usize>,
        /// At most so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<usize>,
    },
    /// No small letter.
    Uppercase,
    /// The request's own words come first, in any case, and then the answer.
    Repeat {
        /// The words.
        text: String,
    },
    /// The answer ends so, in any case; quotation marks around it are left out.
    Closes {
        /// The end.
        text: String,
    },
}
