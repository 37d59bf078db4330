//! A comparison: differences, what was lost, what was given.

use super::document::{Block, code, foreign, paragraph, strong, strong_if, text};
use super::render;
use super::table::{Cell, Table};
use super::text::items;
use crate::analysis::versus::{TrainingSummary, Versus};

/// The page as Markdown.
pub fn markdown(versus: &Versus) -> String {
    render::markdown::document(&page(versus))
}

fn page(versus: &Versus) -> Vec<Block> {
    let mut blocks = vec![Block::Title(text!("Compared with {}", foreign(&versus.reference)))];
    blocks.extend(versus.notes.iter().map(|note| paragraph(foreign(note))));
    blocks.extend([
        paragraph(text!(
            "Differences are variant minus reference in percentage points, on the same items, with the 95 % interval of the paired difference. \
             {}: the interval excludes 0 and McNemar's mid-p stays below .05 after Holm's correction over this table.",
            strong("Bold")
        )),
        differences(versus).block(),
        Block::Heading("What was lost".to_owned()),
        paragraph("Harmful flips: the reference is right, the variant is not. Retention is the share of accuracy above chance that is left, with its paired-bootstrap interval."),
        losses(versus).block(),
    ]);
    let given = given(versus);
    if !given.is_empty() {
        blocks.push(Block::Heading("Dose and drift".to_owned()));
        blocks.push(paragraph("Of the first seed; drift is the mean over seeds."));
        blocks.push(given.block());
    }
    blocks
}

fn differences(versus: &Versus) -> Table {
    let seeds = versus.comparisons.iter().any(|found| found.interval_over_items.is_some());
    Table::of(&versus.comparisons)
        .words("suite", |found| code(&found.suite))
        .words("variant", |found| code(&found.variant))
        .numbers("n", |found| items(found.n, found.seeds))
        .numbers("reference %", |found| Cell::percent(found.before))
        .numbers("variant %", |found| Cell::percent(found.after))
        .numbers("difference", |found| strong_if(found.shown != "unclear", Cell::points(found.difference).text()))
        .numbers("95 % interval", |found| Cell::point_range(found.interval))
        .numbers("over", |found| found.over)
        .numbers_if(seeds, "interval over items", |found| Cell::point_range(found.interval_over_items))
        .numbers("mid-p", |found| Cell::p(found.p))
        .numbers("Holm p", |found| Cell::p(found.holm_p))
        .table()
}

fn losses(versus: &Versus) -> Table {
    Table::of(&versus.comparisons)
        .words("suite", |found| code(&found.suite))
        .words("variant", |found| code(&found.variant))
        .numbers("flips - / +", |found| format!("{} / {}", found.harmful, found.beneficial))
        .numbers("churn %", |found| Cell::percent(found.churn))
        .numbers("well-formed but wrong", |found| found.lost_knowledge)
        .numbers("lost to form or leaked", |found| found.lost_form)
        .numbers("retention %", |found| Cell::percent(found.retention))
        .numbers("95 % interval", |found| Cell::range(found.retention_interval))
        .table()
}

/// Only what something is known of.
fn given(versus: &Versus) -> Table {
    let known = |given: &&TrainingSummary| given.steps.is_some() || given.drift.is_some() || given.derived.is_some();
    Table::of(versus.variants.iter().filter(known))
        .words("variant", |given| {
            let derived = given.derived.as_ref().map(|(of, lambda)| text!(" ({} at {})", code(of), lambda.to_string()));
            text!("{}{}", code(&given.variant), derived.unwrap_or_default())
        })
        .numbers("seeds", |given| given.seeds)
        .numbers("steps", |given| given.steps)
        .numbers("peak rate", |given| given.learning_rate.map(|rate| format!("{rate:e}")))
        .numbers("label tokens seen", |given| given.label_tokens.map(|tokens| tokens.to_string()))
        .numbers("last loss", |given| Cell::fixed(given.last_loss, 3))
        .numbers("drift, nats a token", |given| Cell::fixed(given.drift, 4))
        .table()
}
