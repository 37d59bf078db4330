//! `ballast compare`: any sets of answers to the same items, from their records alone.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};

use super::answer_sets::read_answer_sets;
use super::print;
use crate::analysis::answer_set::AnswerSet;
use crate::analysis::versus::versus;
use crate::cli::{CompareArgs, OnInconclusive};
use crate::error::Invalid;
use crate::eval::suite::Item;
use crate::files::create_folder;
use crate::gate::answers::{Answers, judge_answers};
use crate::library;
use crate::report;
use crate::report::versus::markdown;

pub(super) fn compare(args: &CompareArgs) -> Result<()> {
    let mut sources = Vec::new();
    for path in &args.runs {
        sources.extend(read_answer_sets(path)?);
    }
    if let Some(points) = args.margin {
        return judge(args, &sources, points);
    }
    let found = versus(sources, &chance)?;
    print(&if args.json { serde_json::to_string_pretty(&found)? + "\n" } else { markdown(&found) })
}

/// The gate's rule on two sets of answers.
fn judge(args: &CompareArgs, sources: &[AnswerSet], points: f64) -> Result<()> {
    ensure!(points > 0.0 && points < 100.0, "--margin is {points} points: it must lie between 0 and 100");
    let [before, after] = sources else {
        bail!("--margin judges one set of answers against another, but got {}: name two files, or two folders of cells", sources.len());
    };
    let differences = before.differences(after);
    if !differences.is_empty() {
        bail!(Invalid(format!("{} cannot be judged against {}: {}", after.path, before.path, differences.join("; "))));
    }
    let result = judge_answers(answers(before), answers(after), points, &|suite| chance(suite, before));
    if let Some(folder) = &args.out {
        create_folder(folder)?;
        report::write(&report::gate::files(&result)?, folder)?;
    }
    print(&if args.json { report::gate::json(&result)? } else { report::gate::terminal(&result) })?;
    super::gate::finish(&result, OnInconclusive::Fail)
}

fn answers(source: &AnswerSet) -> Answers<'_> {
    Answers { label: &source.path, weights: source.weights.as_deref(), rows: &source.cell.items }
}

/// What an answer without the skill scores: as the run says, or of a shipped suite that has every item; otherwise not known.
fn chance(suite: &str, source: &AnswerSet) -> Option<f64> {
    if let Some(chance) = source.chance.get(suite) {
        return Some(*chance);
    }
    let shipped = library::suite_names().find(|name| *name == suite).and_then(|name| library::suite(name).ok())?;
    let known: BTreeMap<String, &Item> = shipped.items.iter().map(|item| (item.content_hash(), item)).collect();
    let asked = source.cell.items.iter().filter(|row| row.suite == suite);
    let items: Vec<Item> = asked.map(|row| known.get(&row.hash).map(|item| (*item).clone())).collect::<Option<_>>()?;
    Some(shipped.floor_of(&items))
}
