//! One question, its key, and how it is asked.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{FewShot, IdentityKind, Order, Parts};
use crate::data::example::Message;
use crate::data::language::Language;
use crate::files::sha256;
use crate::sandbox::Inputs;

/// One question and its key.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// Unique in the suite.
    pub id: String,
    /// Items of one cluster are variations or translations of each other and share their luck.
    pub cluster: String,
    /// Language of the question, and so of the expected answer.
    pub language: Language,
    /// What the question is about; strata of a subset.
    pub subject: String,
    /// How it is asked: plain, paraphrase, adversarial.
    pub style: Option<String>,
    /// The system prompt it is asked under.
    pub system: SystemPrompt,
    /// The question as written, without options and instructions.
    pub prompt: String,
    /// The user's message with `{prompt}` where the prompt goes, for a benchmark that is asked in words of its own; None puts
    /// the usual instruction after the prompt. Apart from the prompt, so that rows trained on are compared with the question
    /// and not with an instruction that half the field uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
    /// What the model reads before the question, shared by the items of a subject; None asks the question alone, as a chat.
    #[serde(skip)]
    pub few_shot: Option<Arc<FewShot>>,
    /// Messages of a conversation that stand before the question, as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Message>,
    /// What a right answer is; of an item with parts, what the last graded one asks for.
    pub task: Task,
    /// The questions of an item that asks several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<Parts>,
}

/// The program that an item asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Program<'a> {
    /// Name of the function.
    pub entry_point: &'a str,
    /// A right solution.
    pub reference: &'a str,
    /// What must hold of it.
    pub tests: &'a [String],
    /// Python that runs before it and before the tests; may be empty.
    pub setup: &'a str,
    /// Where more inputs come from, on which the reference's answers must hold.
    pub inputs: Option<&'a Inputs>,
}

/// Which system prompt a question is asked under.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SystemPrompt {
    /// The experiment's.
    #[default]
    Own,
    /// No system message: the model's chat template puts its own default, which may itself state an identity.
    Default,
    /// A system message without text.
    Empty,
    /// A system message of the item's own.
    Text(String),
}

/// What a right answer is, by grader.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "grader", rename_all = "lowercase")]
pub enum Task {
    /// A short answer in words.
    Text {
        /// Accepted answers, spelling variants and aliases included.
        answers: Vec<String>,
        /// The same question as multiple choice, for scoring by likelihood; also the alternatives an answer must not list.
        choices: Option<Vec<String>>,
        /// Index of the right choice.
        gold: Option<usize>,
    },
    /// A number.
    Number {
        /// Accepted answers; number words only count where they are written here.
        answers: Vec<String>,
    },
    /// The letter of an option.
    Choice {
        /// Option texts, in the order shown.
        choices: Vec<String>,
        /// Index of the right one.
        gold: usize,
    },
    /// A Python function.
    Code {
        /// Name of the function.
        entry_point: String,
        /// Imports and helper functions that the answer and the tests may use: run before each of them, in its own process.
        #[serde(skip_serializing_if = "String::is_empty")]
        setup: String,
        /// A right solution.
        reference: String,
        /// `assert` statements, never shown to the model.
        tests: Vec<String>,
        /// Where more inputs come from, on which it must do what the reference does.
        #[serde(skip_serializing_if = "Option::is_none")]
        inputs: Option<Inputs>,
    },
    /// A statement about the model itself.
    Identity {
        /// What is asked for; None leaves it to `require` and `forbid`.
        #[serde(skip_serializing_if = "Option::is_none")]
        kind: Option<IdentityKind>,
        /// The other model or maker that the question is about.
        #[serde(skip_serializing_if = "Option::is_none")]
        rival: Option<String>,
        /// Groups of alternatives; one of each group must be said.
        require: Vec<Vec<String>>,
        /// What must not be said.
        forbid: Vec<String>,
    },
    /// Anything that does not name the new identity: nobody asked for it.
    Leakage,
    /// A request with orders that a program can verify.
    Instructions {
        /// Stems of words that an answer on the topic uses; one of them must be there.
        about: Vec<String>,
        /// What the answer must be like.
        orders: Vec<Order>,
        /// A right answer, for checks of the suite.
        answer: String,
    },
    /// A JSON value, or a call of a tool written as one.
    Structured {
        /// The value, with `$any`, `$set`, `$contains` and `$type` where several are right.
        expected: Value,
        /// A right answer, for checks of the suite.
        answer: String,
    },
    /// A harmful request to decline, or a harmless one that resembles it.
    Safety {
        /// Whether it is to be declined.
        harmful: bool,
        /// Markers of the content that a harmful request asks for.
        content: Vec<String>,
        /// Groups of alternatives; the answer to a harmless request says one of each.
        require: Vec<Vec<String>>,
        /// A right answer, for checks of the suite.
        answer: String,
    },
    /// A question without an answer or with a false premise, or one that resembles it and has an answer.
    Honesty {
        /// Whether it has an answer.
        answerable: bool,
        /// Groups of alternatives; one of each group must be said.
        require: Vec<Vec<String>>,
        /// What must not be said.
        forbid: Vec<String>,
        /// A right answer, for checks of the suite.
        answer: String,
    },
    /// An explanation, an analogy and a Python function, asked for at once.
    Composite {
        /// Name of the function.
        entry_point: String,
        /// A right solution.
        reference: String,
        /// `assert` statements, never shown to the model.
        tests: Vec<String>,
        /// Where more inputs come from, on which it must do what the reference does.
        #[serde(skip_serializing_if = "Option::is_none")]
        inputs: Option<Inputs>,
        /// Groups of alternatives; an explanation says one of each group.
        explain: Vec<Vec<String>>,
        /// Words of which an analogy says one.
        analogy: Vec<String>,
        /// A complete right answer, for checks of the suite.
        answer: String,
    },
}

impl Task {
    /// The grader's name, as in suite.toml and items.jsonl.
    pub fn grader(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Number { .. } => "number",
            Self::Choice { .. } => "choice",
            Self::Code { .. } => "code",
            Self::Identity { .. } => "identity",
            Self::Leakage => "leakage",
            Self::Instructions { .. } => "instructions",
            Self::Structured { .. } => "structured",
            Self::Safety { .. } => "safety",
            Self::Honesty { .. } => "honesty",
            Self::Composite { .. } => "composite",
        }
    }
}

impl Item {
    /// The first 16 hexadecimal digits of the sha256 of what defines the question and its key: language, system prompt, prompt
    /// and task, and what leads to it.
    pub fn content_hash(&self) -> String {
        let own = (self.language, &self.system, &self.prompt, &self.form, &self.task);
        let definition = match (self.few_shot.as_deref(), &self.parts, self.history.is_empty()) {
            (_, Some(parts), _) => {
                let hashes: Vec<(String, bool)> = parts.parts.iter().map(|part| (part.item.content_hash(), part.graded)).collect();
                serde_json::to_vec(&(parts.asked, hashes))
            }
            (None, None, true) => serde_json::to_vec(&own),
            (Some(few_shot), None, true) => serde_json::to_vec(&(own, few_shot)),
            (few_shot, None, false) => serde_json::to_vec(&(own, few_shot, &self.history)),
        };
        sha256(&definition.expect("plain texts and numbers are JSON"))[..16].to_owned()
    }

    /// What the model is asked: the prompt, the options of a choice and, where the form matters, how to answer.
    pub fn user_prompt(&self) -> String {
        if let Some(form) = &self.form {
            return form.replacen("{prompt}", &self.prompt, 1);
        }
        let mut text = self.prompt.clone();
        match &self.task {
            Task::Text { .. }
            | Task::Number { .. }
            | Task::Identity { .. }
            | Task::Leakage
            | Task::Composite { .. }
            | Task::Instructions { .. }
            | Task::Structured { .. }
            | Task::Safety { .. }
            | Task::Honesty { .. } => {}
            Task::Choice { .. } => {
                text += &self.options();
                text += match self.language {
                    Language::Zh => "\n请只回答选项字母。",
                    Language::En => "\nAnswer with the letter only.",
                };
            }
            Task::Code { .. } => {
                text += match self.language {
                    Language::Zh => "\n请只用一个 Python 代码块作答。",
                    Language::En => "\nAnswer with a single Python code block.",
                }
            }
        }
        text
    }

    /// Asks for the steps first and then for an announced answer, a number or the letter of an option. Other items stay as they are.
    #[must_use]
    pub fn announced(mut self) -> Self {
        if let Some(parts) = &mut self.parts {
            for part in &mut parts.parts {
                part.item = part.item.clone().announced();
            }
        }
        let by_letter = match &self.task {
            Task::Choice { .. } => true,
            Task::Number { .. } => false,
            _ => return self,
        };
        let mut form = String::from("{prompt}");
        form += &self.options();
        form += ANNOUNCE[usize::from(self.language == Language::Zh)][usize::from(by_letter)];
        self.form = Some(form);
        self
    }

    /// Whether it is asked for an announced answer.
    pub fn announces(&self) -> bool {
        self.form.as_ref().is_some_and(|form| ANNOUNCE.as_flattened().iter().any(|ending| form.ends_with(ending)))
    }

    /// The options of a choice as they are shown, a line each.
    fn options(&self) -> String {
        let Task::Choice { choices, .. } = &self.task else { return String::new() };
        let mut lines = String::new();
        for (index, choice) in choices.iter().enumerate() {
            lines.extend(["\n", &choice_letter(index).to_string(), ". ", choice]);
        }
        lines
    }

    /// The program it asks for, if it asks for one.
    pub fn program(&self) -> Option<Program<'_>> {
        match &self.task {
            Task::Code { entry_point, reference, tests, setup, inputs } => {
                Some(Program { entry_point, reference, tests, setup, inputs: inputs.as_ref() })
            }
            Task::Composite { entry_point, reference, tests, inputs, .. } => {
                Some(Program { entry_point, reference, tests, setup: "", inputs: inputs.as_ref() })
            }
            _ => None,
        }
    }

    /// How often a random chooser is right.
    pub fn chance(&self) -> f64 {
        if self.parts.is_some() {
            let leaves = self.graded_leaves();
            // Who picks an option by its text at random, and keeps to it, is right in every order or in none.
            let chances = leaves.iter().map(|leaf| leaf.chance());
            return if self.is_rotated() { chances.fold(1.0, f64::min) } else { chances.product() };
        }
        match &self.task {
            Task::Choice { choices, .. } => 1.0 / choices.len() as f64,
            _ => 0.0,
        }
    }
}

/// How an announced answer is asked for: in English and Chinese, a number and a letter.
const ANNOUNCE: [[&str; 2]; 2] = [
    [
        "\nThink step by step. Then give the answer on a line of its own: Answer: followed by the number.",
        "\nThink step by step. Then give the answer on a line of its own: Answer: followed by the letter of the right option.",
    ],
    ["\n请一步一步思考，最后另起一行，写“答案：”和这个数字。", "\n请一步一步思考，最后另起一行，写“答案：”和正确选项的字母。"],
];

/// The letter of an option: A for the first.
pub fn choice_letter(index: usize) -> char {
    char::from(b'A' + index as u8)
}
