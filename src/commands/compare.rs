//! `ballast compare`: any sets of answers to the same items, from their records alone.

use std::collections::BTreeMap;

use anyhow::Result;

use super::print;
use crate::cli::CompareArgs;
use crate::config::builtin;
use crate::record::source::{Source, read_sources};
use crate::report::versus::{markdown, versus};

pub(super) fn compare(args: &CompareArgs) -> Result<()> {
    let mut sources = Vec::new();
    for path in &args.runs {
        sources.extend(read_sources(path)?);
    }
    let found = versus(sources, &chance)?;
    print(&if args.json { serde_json::to_string_pretty(&found)? + "\n" } else { markdown(&found) })
}

/// Accuracy of a random chooser: as the run says, or of a shipped suite that has every item; otherwise not known.
fn chance(suite: &str, source: &Source) -> Option<f64> {
    if let Some(chance) = source.chance.get(suite) {
        return Some(*chance);
    }
    let shipped = builtin::suite_names().find(|name| *name == suite).and_then(|name| builtin::suite(name).ok())?;
    let known: BTreeMap<String, f64> = shipped.items.iter().map(|item| (item.content_hash(), item.chance())).collect();
    let asked = source.cell.items.iter().filter(|row| row.suite == suite);
    let chances: Vec<f64> = asked.map(|row| known.get(&row.hash).copied()).collect::<Option<_>>()?;
    Some(chances.iter().sum::<f64>() / chances.len().max(1) as f64)
}
