//! What a run trains and asks, before anything is trained: the experiment once its files are read. And the run read back (`run`).
//!
//! `stages` has the rows of every stage, `groups` the cells and which of them run together; here are the items of every suite;
//! `doubts` says what can be trained but would teach little.

mod doubts;
mod groups;
mod interference;
pub mod run;
mod stages;

pub use doubts::{doubts, fits};
pub use groups::{PlannedCell, cells_together, groups};
pub use interference::{PlannedInterference, interference};
pub use stages::{Answers, PlannedStage, asked, rows_digest, stages};

use anyhow::{Result, bail};

use crate::config::file::Experiment;
use crate::eval::suite::{Item, Suite, SuiteRole};
use crate::random::derive;

/// A suite and the items of it that are asked.
#[derive(Debug, Clone)]
pub struct PlannedSuite {
    /// The whole suite.
    pub suite: Suite,
    /// Selected items, in file order.
    pub items: Vec<Item>,
}

/// The questions on which a model must stay what it was: those of every suite that does not ask who the model is. Drift is
/// measured on them.
pub fn general_items(suites: &[PlannedSuite]) -> Vec<&Item> {
    suites.iter().filter(|planned| planned.suite.role != SuiteRole::Identity).flat_map(|planned| &planned.items).collect()
}

/// Reads and selects the experiment's suites; `find` gives a suite by its source, fetched where it is not here.
pub fn suites(experiment: &Experiment, find: &dyn Fn(&str) -> Result<Suite>) -> Result<Vec<PlannedSuite>> {
    experiment
        .suites
        .iter()
        .map(|choice| {
            let mut suite = find(&choice.source()?)?;
            if choice.path.is_some() {
                suite.name.clone_from(&choice.name);
            }
            let seed = derive(0, &["items", &choice.name]);
            let items: Vec<Item> = suite.select(choice.language, choice.items, seed).into_iter().cloned().collect();
            if items.is_empty() {
                bail!("suite `{}` has no items in the requested language", choice.name);
            }
            Ok(PlannedSuite { suite, items })
        })
        .collect()
}
