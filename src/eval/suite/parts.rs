//! Items of several parts: right only where every graded part is.
//!
//! Parts asked apart are minimal pairs (who made you? who made that other one?) and rotations of options; parts asked in turn are
//! one conversation, in which the model's own answers stand between the questions. Either way the item is one unit for every
//! share, pair and test, so that whoever answers both sides of a pair alike is wrong.

use serde::{Deserialize, Serialize};

use super::{Item, Task};

/// How parts are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartMode {
    /// Each in a conversation of its own.
    Apart,
    /// One after the other in one conversation.
    InTurn,
}

/// The parts of an item.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Parts {
    /// How they are asked.
    pub asked: PartMode,
    /// At least one of them graded. Each is an item of its own, without parts.
    pub parts: Vec<Part>,
}

/// One question of several.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// The question and its key.
    pub item: Item,
    /// Whether its answer counts; one that does not only leads the conversation on.
    pub graded: bool,
}

impl Item {
    /// What is asked: the item itself, or each of its parts, in order.
    pub fn leaves(&self) -> Vec<&Self> {
        match &self.parts {
            None => vec![self],
            Some(parts) => parts.parts.iter().map(|part| &part.item).collect(),
        }
    }

    /// What is asked and graded.
    pub fn graded_leaves(&self) -> Vec<&Self> {
        match &self.parts {
            None => vec![self],
            Some(parts) => parts.parts.iter().filter(|part| part.graded).map(|part| &part.item).collect(),
        }
    }

    /// Whether its parts are one conversation.
    pub fn is_conversation(&self) -> bool {
        self.parts.as_ref().is_some_and(|parts| parts.asked == PartMode::InTurn)
    }

    /// Whether its parts are one choice with its options in other orders.
    pub fn is_rotated(&self) -> bool {
        let options = |leaf: &Self| {
            let Task::Choice { choices, .. } = &leaf.task else { return None };
            let mut sorted = choices.clone();
            sorted.sort_unstable();
            Some((leaf.prompt.clone(), sorted))
        };
        let mut all = self.leaves().into_iter().map(options);
        let first = all.next().flatten();
        self.parts.is_some() && first.is_some() && all.all(|other| other == first)
    }

    /// Whether a program has to be run to grade it.
    pub fn runs_programs(&self) -> bool {
        self.leaves().iter().any(|leaf| leaf.program().is_some())
    }

    /// A choice asked once for every rotation of its options, right only if right in all: a preference for a letter, whichever it
    /// is, is then right in none. Other items stay as they are.
    #[must_use]
    pub fn permuted(self) -> Self {
        let Task::Choice { choices, gold } = &self.task else { return self };
        let rotations = (0..choices.len()).map(|by| {
            let mut rotated = choices.clone();
            rotated.rotate_left(by);
            let gold = (gold + choices.len() - by) % choices.len();
            let id = format!("{}#{}", self.id, by + 1);
            Part { item: Self { id, task: Task::Choice { choices: rotated, gold }, ..self.clone() }, graded: true }
        });
        let parts = Parts { asked: PartMode::Apart, parts: rotations.collect() };
        Self { parts: Some(parts), ..self }
    }
}
