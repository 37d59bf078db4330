//! Answers of any number of runs, imported logs and files as one frame of item rows, and shares of it by group.
//!
//! The frame's columns are a format that other programs read: their names and meanings do not change, new ones are added at
//! the end. `docs/table.md` describes each.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::answer_set::AnswerSet;
use crate::analysis::share::Share;
use crate::frame::{Cells, Column, group_by};
use crate::record::rows::ItemRow;

/// Columns that rows can be grouped by.
pub const KEYS: [&str; 7] = ["model", "run", "variant", "seed", "suite", "subject", "language"];

/// One row per answered item of every source, in the order given. The same cell in two sources is an error: its items would
/// count twice.
pub fn frame(sources: &[AnswerSet]) -> Result<Vec<Column>> {
    let mut seen = BTreeMap::new();
    for source in sources {
        let record = &source.cell.record;
        if let Some(other) = seen.insert((source.canonical_run(), &record.variant, record.seed), &source.path) {
            bail!("{} and {other} hold the same cell: name it once", source.path);
        }
    }
    let rows: Vec<(&AnswerSet, &ItemRow)> =
        sources.iter().flat_map(|source| source.cell.items.iter().map(move |row| (source, row))).collect();
    let text = |name: &str, cell: &dyn Fn(&AnswerSet, &ItemRow) -> Option<String>| Column {
        name: name.to_owned(),
        cells: Cells::Text(rows.iter().map(|(source, row)| cell(source, row)).collect()),
    };
    let whole = |name: &str, cell: &dyn Fn(&AnswerSet, &ItemRow) -> Option<i64>| Column {
        name: name.to_owned(),
        cells: Cells::Whole(rows.iter().map(|(source, row)| cell(source, row)).collect()),
    };
    let real = |name: &str, cell: &dyn Fn(&AnswerSet, &ItemRow) -> Option<f64>| Column {
        name: name.to_owned(),
        cells: Cells::Real(rows.iter().map(|(source, row)| cell(source, row)).collect()),
    };
    let flag = |name: &str, cell: &dyn Fn(&AnswerSet, &ItemRow) -> Option<bool>| Column {
        name: name.to_owned(),
        cells: Cells::Flag(rows.iter().map(|(source, row)| cell(source, row)).collect()),
    };
    Ok(vec![
        text("model", &|source, _| source.model.clone()),
        text("model_digest", &|source, _| source.weights.clone()),
        text("run", &|source, _| Some(source.run.clone())),
        text("variant", &|source, _| Some(source.cell.record.variant.clone())),
        whole("seed", &|source, _| source.cell.record.seed.and_then(|seed| i64::try_from(seed).ok())),
        text("adapter_digest", &|source, _| source.cell.record.adapter_digest.clone()),
        real("lambda", &|source, _| source.cell.record.derived.as_ref().map(|(_, lambda)| *lambda)),
        text("suite", &|_, row| Some(row.suite.clone())),
        text("role", &|_, row| Some(row.role().to_string())),
        text("item", &|_, row| Some(row.item.clone())),
        text("item_hash", &|_, row| Some(row.hash.clone())),
        text("cluster", &|_, row| Some(row.cluster.clone())),
        text("language", &|_, row| Some(row.language.to_string())),
        text("subject", &|_, row| Some(row.subject.clone())),
        text("verdict", &|_, row| serde_json::to_value(row.verdict).ok()?.as_str().map(str::to_owned)),
        flag("correct", &|_, row| Some(row.is_correct())),
        flag("strict", &|_, row| Some(row.strict)),
        flag("lenient", &|_, row| Some(row.lenient)),
        text("flags", &|_, row| Some(flags(row))),
        text("extracted", &|_, row| row.extracted.clone()),
        text("detail", &|_, row| row.detail.clone()),
        text("prompt", &|_, row| Some(row.prompt.clone())),
        text("answer", &|_, row| Some(row.answer.clone())),
        whole("prompt_tokens", &|_, row| i64::try_from(row.prompt_tokens).ok()),
        whole("answer_tokens", &|_, row| i64::try_from(row.answer_tokens).ok()),
        real("log_likelihood", &|_, row| row.likelihood.as_ref().map(|likelihood| likelihood.gold)),
        flag("likelihood_correct", &|_, row| row.likelihood.as_ref().and_then(|likelihood| likelihood.right)),
        whole("thinking_tokens", &|_, row| row.thought.as_ref().and_then(|thought| i64::try_from(thought.tokens).ok())),
        flag("thinking_closed", &|_, row| row.thought.as_ref().map(|thought| thought.closed)),
        flag("clean", &|_, row| Some(row.is_clean())),
    ])
}

/// Flags of a row by their names in records, joined by `|`.
fn flags(row: &ItemRow) -> String {
    let names = row.flags.iter().filter_map(|flag| Some(serde_json::to_value(flag).ok()?.as_str()?.to_owned()));
    names.collect::<Vec<_>>().join("|")
}

/// Rows that share the values of the columns grouped by.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// One value per column grouped by; None where the rows have none, such as the seed of a base.
    pub keys: Vec<Option<String>>,
    /// Cells whose answers are in it.
    pub cells: usize,
    /// Answered items, over all cells.
    pub answers: usize,
    /// Share of right answers: over items with one cell, over cells with several.
    pub accuracy: Option<Share>,
    /// Answers that hit the token limit, could not be read or could not be run: they count as wrong.
    pub failures: usize,
}

/// Accuracy by group, in the order in which groups first occur. A name that is no column of [`KEYS`] is an error.
pub fn grouped(frame: &[Column], by: &[&str]) -> Result<Vec<Group>> {
    if let Some(unknown) = by.iter().find(|name| !KEYS.contains(name)) {
        bail!("--by names `{unknown}`, which is no column to group by: choose from {}", KEYS.join(", "));
    }
    let named = |name: &&str| frame.iter().find(|column| column.name == **name);
    let (cells, keys): (Vec<&Column>, Vec<&Column>) =
        (["run", "variant", "seed"].iter().filter_map(named).collect(), by.iter().filter_map(named).collect());
    let verdicts = named(&"verdict");
    let groups = group_by(frame, by)?.into_iter().map(|rows| {
        let mut counts: BTreeMap<Vec<Option<String>>, (usize, usize)> = BTreeMap::new();
        let mut failures = 0;
        for row in &rows {
            let (right, all) = counts.entry(cells.iter().map(|column| column.text(*row)).collect()).or_default();
            let verdict = verdicts.and_then(|column| column.text(*row));
            *right += usize::from(verdict.as_deref() == Some("correct"));
            failures += usize::from(!matches!(verdict.as_deref(), Some("correct" | "wrong")));
            *all += 1;
        }
        let keys = keys.iter().map(|column| column.text(*rows.first()?)).collect();
        let counts: Vec<(usize, usize)> = counts.into_values().collect();
        Group { keys, cells: counts.len(), answers: rows.len(), accuracy: Share::of(&counts), failures }
    });
    Ok(groups.collect())
}

/// Groups as columns, for files.
pub fn group_columns(groups: &[Group], by: &[&str]) -> Vec<Column> {
    let whole = |count: usize| i64::try_from(count).ok();
    let real = |name: &str, cell: &dyn Fn(&Share) -> f64| Column {
        name: name.to_owned(),
        cells: Cells::Real(groups.iter().map(|group| group.accuracy.as_ref().map(cell)).collect()),
    };
    let keys = by.iter().enumerate().map(|(index, name)| Column {
        name: (*name).to_owned(),
        cells: Cells::Text(groups.iter().map(|group| group.keys[index].clone()).collect()),
    });
    let rest = [
        Column { name: "cells".to_owned(), cells: Cells::Whole(groups.iter().map(|group| whole(group.cells)).collect()) },
        Column { name: "answers".to_owned(), cells: Cells::Whole(groups.iter().map(|group| whole(group.answers)).collect()) },
        Column { name: "failures".to_owned(), cells: Cells::Whole(groups.iter().map(|group| whole(group.failures)).collect()) },
        real("accuracy", &|share| share.value),
        real("interval_low", &|share| share.interval.low),
        real("interval_high", &|share| share.interval.high),
        Column {
            name: "interval_over".to_owned(),
            cells: Cells::Text(
                groups
                    .iter()
                    .map(|group| group.accuracy.as_ref().map(|s| if s.over_seeds { "cells" } else { "items" }.to_owned()))
                    .collect(),
            ),
        },
    ];
    keys.chain(rest).collect()
}
