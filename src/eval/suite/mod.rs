//! The questions of a suite as plain values. `read` makes them from a folder, `select` draws some of them.
//!
//! Nothing here knows how an answer is graded; that is `score`.

mod constant;
mod expected;
mod few_shot;
mod identity_kind;
mod item;
mod order;
mod parts;
mod read;
mod role;
mod select;

use serde::{Deserialize, Serialize};

pub use crate::data::language::Language;

pub use constant::Constant;
pub use few_shot::{FewShot, PromptFormat, Shot};
pub use identity_kind::IdentityKind;
pub use item::{Item, Program, SystemPrompt, Task, choice_letter};
pub use order::Order;
pub use parts::{Part, PartMode, Parts};
pub(super) use read::Grader;
pub use read::{load_suite, parse_suite};
pub use role::SuiteRole;

/// A set of questions that is reported as one number.
#[derive(Debug, Clone, PartialEq)]
pub struct Suite {
    /// Name, as in tables and on the command line.
    pub name: String,
    /// Raised when items change meaning.
    pub version: u32,
    /// One sentence for reports.
    pub description: String,
    /// What it is for.
    pub role: SuiteRole,
    /// Longest answer a model may give.
    pub max_new_tokens: usize,
    /// What a verdict rests on.
    pub scoring: Scoring,
    /// Accuracy of a random chooser.
    pub chance: f64,
    /// Accuracy of the best known answers without the skill, never below `chance`: see `constants`.
    pub floor: f64,
    /// Those answers, one per kind of question; empty where they were never looked for.
    pub constants: Vec<Constant>,
    /// In file order.
    pub items: Vec<Item>,
    /// sha256 over the values of `suite.toml` and the items in the order of their ids: two files with the same digest ask the same.
    pub digest: String,
}

/// What a verdict rests on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scoring {
    /// The answer the model generates.
    #[default]
    Generated,
    /// The option the model finds most probable; nothing is generated. For suites of choices only.
    Likelihood,
}

/// How a suite's items are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvalSettings {
    /// Longest answer.
    pub max_new_tokens: usize,
    /// What the verdict rests on.
    pub scoring: Scoring,
}

impl Suite {
    /// How its items are asked.
    pub fn asking(&self) -> EvalSettings {
        EvalSettings { max_new_tokens: self.max_new_tokens, scoring: self.scoring }
    }

    /// What an answer without the skill scores on some of its items: a random chooser, or the best known constants.
    pub fn floor_of(&self, items: &[Item]) -> f64 {
        let chance = items.iter().map(Item::chance).sum::<f64>() / items.len() as f64;
        let constants = constant::expected(&self.constants, items).filter(|_| !self.constants.is_empty());
        constants.unwrap_or(self.floor).max(chance)
    }
}
