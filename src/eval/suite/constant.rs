//! The best that an answer scores which never looks at its question, by what anyone sees of a question without understanding it.

use serde::{Deserialize, Serialize};

use super::{Item, Language};

/// The best known answer without the skill to one kind of question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    /// Language of the questions.
    pub language: Language,
    /// Their grader, as in items.jsonl.
    pub grader: String,
    /// Questions of this language and grader on which it is right.
    pub right: usize,
    /// All questions of this language and grader in the suite.
    pub of: usize,
    /// The answer. `{{NAME}}` and `{{AUTHOR}}` stand for the new identity, `{{PROMPT}}` for the question, given back.
    pub answer: String,
}

impl Constant {
    /// Whether it is an answer to this kind of question.
    pub fn fits(&self, item: &Item) -> bool {
        self.language == item.language && self.grader == item.task.grader()
    }

    /// Share of its questions on which it is right.
    pub fn share(&self) -> f64 {
        self.right as f64 / self.of.max(1) as f64
    }
}

/// What these answers are expected to score on some items: each by the share of its kind, 0 where no answer is right on any of
/// a kind. None without items.
pub(super) fn expected(constants: &[Constant], items: &[Item]) -> Option<f64> {
    let share = |item: &Item| constants.iter().find(|constant| constant.fits(item)).map_or(0.0, Constant::share);
    (!items.is_empty()).then(|| items.iter().map(share).sum::<f64>() / items.len() as f64)
}
