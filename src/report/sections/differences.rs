//! Paired differences: to the base, and to the variant of identity rows alone.

use crate::analysis::comparison::{Comparison, Direction, Over};
use crate::analysis::results::{ALONE, Results};
use crate::report::document::{Block, Text, code, paragraph, strong, strong_if, text, under};
use crate::report::table::{Cell, Table};
use crate::report::text::{items, point_range, points};

/// The section.
pub(super) fn section(results: &Results) -> Vec<Block> {
    if results.to_base.is_empty() {
        return Vec::new();
    }
    let mut blocks = vec![
        paragraph(note(&results.to_base)),
        matrix(results, &results.to_base).block(),
        full(&results.to_base, true).folded("Flips, p-values and retention of every comparison with the base"),
    ];
    if !results.to_alone.is_empty() {
        blocks.push(paragraph(text!("The same against {}, variant minus {}:", code(ALONE), code(ALONE))));
        blocks.push(matrix(results, &results.to_alone).block());
        blocks.push(full(&results.to_alone, false).folded(&format!("Flips and p-values of every comparison with {ALONE}")));
    }
    under("Differences to the base", blocks)
}

fn note(compared: &[Comparison]) -> Text {
    let mut how =
        "Variant minus base in percentage points, on the same items, with the 95 % interval of the paired difference (Bonett-Price"
            .to_owned();
    let over = |over| compared.iter().any(|found| found.over == over);
    if over(Over::Clusters) {
        how.push_str(", widened to hold the clustered t interval where a suite has twins or paraphrases");
    }
    if over(Over::Seeds) {
        how.push_str("; with several seeds, Student's over the seeds' differences");
    }
    let seeds = if over(Over::Seeds) {
        "; with several seeds the interval over items must exclude 0 too, and p is that of their average table"
    } else {
        ""
    };
    text!(
        "{}). {}: the interval excludes 0 and McNemar's mid-p stays below .05 after Holm's correction over this table{}. Anything else: no difference could be shown.",
        how,
        strong("Bold"),
        seeds
    )
}

/// One cell per comparison.
fn matrix(results: &Results, compared: &[Comparison]) -> Table {
    let view = &results.view;
    let variants = view.variants().iter().filter(|variant| compared.iter().any(|found| found.variant == variant.name));
    Table::by_suite(variants, &view.suites, |variant, suite| {
        let found = compared.iter().find(|found| found.variant == variant.name && found.suite == suite)?;
        let difference = strong_if(found.corrected_direction() != Direction::Unclear, points(found.difference));
        Some(text!("{} {} n={}", difference, point_range(found.interval), items(found.n, found.seeds)))
    })
}

/// One row per comparison.
fn full(compared: &[Comparison], retention: bool) -> Table {
    let seeds = compared.iter().any(|found| found.items.is_some());
    Table::of(compared)
        .words("suite", |found| code(found.suite))
        .words("variant", |found| code(found.variant))
        .numbers("n", |found| items(found.n, found.seeds))
        .numbers("difference", |found| Cell::points(found.difference))
        .numbers("95 % interval", |found| Cell::point_range(found.interval))
        .numbers("over", |found| found.over.text())
        .numbers_if(seeds, "interval over items", |found| Cell::point_range(found.items))
        .numbers("harmful / beneficial flips", |found| format!("{} / {}", found.harmful, found.beneficial))
        .numbers("mid-p", |found| Cell::p(found.p))
        .numbers("Holm p", |found| Cell::p(found.adjusted))
        .numbers_if(retention, "retention %", |found| Cell::percent(found.retention))
        .table()
}
