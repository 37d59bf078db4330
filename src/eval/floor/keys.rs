//! A floor from the keys alone, for suites of others: no answer is graded.

use std::collections::{BTreeMap, BTreeSet};

use super::super::suite::{Item, Task, choice_letter};

/// What the keys alone show: the share of the commonest right letter, of the accepted answer that most items share, or of
/// declining or never declining where nothing else is asked of an answer.
pub fn floor_of_keys(items: &[Item]) -> f64 {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for item in items.iter().filter(|item| item.parts.is_none()) {
        let right: BTreeSet<String> = match &item.task {
            Task::Choice { gold, .. } => BTreeSet::from([choice_letter(*gold).to_string()]),
            Task::Text { answers, .. } | Task::Number { answers } => answers.iter().map(|answer| answer.trim().to_lowercase()).collect(),
            Task::Safety { harmful, content, require, .. } if content.is_empty() && require.is_empty() => {
                BTreeSet::from([if *harmful { "declined" } else { "not declined" }.to_owned()])
            }
            _ => BTreeSet::new(),
        };
        for answer in right {
            *counts.entry(answer).or_default() += 1;
        }
    }
    counts.into_values().max().map_or(0.0, |most| most as f64 / items.len() as f64)
}
