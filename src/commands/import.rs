//! `ballast import`: the logs of another harness as item rows.

use std::fmt::Write as _;

use anyhow::Result;

use super::print;
use crate::cli::ImportArgs;
use crate::record::import::{Choice, ImportedFile, read, write};

pub(super) fn import(args: &ImportArgs) -> Result<()> {
    let choice = Choice { metric: args.metric.clone(), filter: args.filter.clone(), model: args.model.clone() };
    let imported = read(&args.files, &choice)?;
    write(&imported, &args.out)?;
    for source in &imported.meta.sources {
        print(&line(source)?)?;
    }
    print(&format!("items: {}\n", args.out.join("items.jsonl").display()))
}

/// `gsm8k            3 of 4 right by exact_match, strict-match (lm-eval)`
fn line(source: &ImportedFile) -> Result<String> {
    let filter = source.filter.as_deref().map(|filter| format!(", {filter}")).unwrap_or_default();
    let metric = if source.metric.is_empty() { "no metric" } else { &source.metric };
    let mut text = format!("{:<16} {} of {} right by {metric}{filter} ({})", source.task, source.correct, source.items, source.format);
    if source.left_out > 0 {
        write!(text, "; further answers to the same items left out: {} (the first one counts)", source.left_out)?;
    }
    text.push('\n');
    Ok(text)
}
