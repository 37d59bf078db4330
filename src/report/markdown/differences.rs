//! Paired differences: to the base, and to the variant of identity rows alone.

use super::under;
use crate::analysis::comparison::{Comparison, Direction, Over};
use crate::analysis::results::{ALONE, Results};
use crate::report::table::{Table, folded};
use crate::report::text::{code, or_none, p_value, percent, point_range, points};

/// The section.
pub(super) fn section(results: &Results) -> Option<String> {
    if results.to_base.is_empty() {
        return None;
    }
    let mut blocks = vec![
        note(&results.to_base),
        matrix(results, &results.to_base).markdown(),
        folded("Flips, p-values and retention of every comparison with the base", &full(&results.to_base, true).markdown()),
    ];
    if !results.to_alone.is_empty() {
        blocks.push(format!("The same against {}, variant minus {}:", code(ALONE), code(ALONE)));
        blocks.push(matrix(results, &results.to_alone).markdown());
        let summary = format!("Flips and p-values of every comparison with {ALONE}");
        blocks.push(folded(&summary, &full(&results.to_alone, false).markdown()));
    }
    under("Differences to the base", &blocks)
}

fn note(compared: &[Comparison]) -> String {
    let mut text =
        "Variant minus base in percentage points, on the same items, with the 95 % interval of the paired difference (Bonett-Price"
            .to_owned();
    let over = |over| compared.iter().any(|found| found.over == over);
    if over(Over::Clusters) {
        text.push_str(", widened to hold the clustered t interval where a suite has twins or paraphrases");
    }
    if over(Over::Seeds) {
        text.push_str("; with several seeds, Student's over the seeds' differences");
    }
    text.push_str("). **Bold**: the interval excludes 0 and McNemar's mid-p stays below .05 after Holm's correction over this table");
    if over(Over::Seeds) {
        text.push_str("; with several seeds the interval over items must exclude 0 too, and p is that of their average table");
    }
    text.push_str(". Anything else: no difference could be shown.");
    text
}

/// One cell a comparison.
fn matrix(results: &Results, compared: &[Comparison]) -> Table {
    let view = &results.view;
    let header = std::iter::once(String::new()).chain(view.suites.iter().map(|suite| code(suite)));
    let mut table = Table::new(header, 1);
    for variant in view.variants().iter().filter(|variant| compared.iter().any(|found| found.variant == variant.name)) {
        let cells = view.suites.iter().map(|suite| {
            let found = compared.iter().find(|found| found.variant == variant.name && found.suite == *suite);
            or_none(found, |found| {
                let bold = if found.corrected_direction() == Direction::Unclear { "" } else { "**" };
                let n = if found.seeds > 1 { format!("{} x {}", found.n, found.seeds) } else { found.n.to_string() };
                format!("{bold}{}{bold} {} n={n}", points(found.difference), point_range(found.interval))
            })
        });
        table.push(std::iter::once(code(variant.name)).chain(cells).collect());
    }
    table
}

/// One row a comparison.
fn full(compared: &[Comparison], retention: bool) -> Table {
    let seeds = compared.iter().any(|found| found.items.is_some());
    let mut header = vec!["suite", "variant", "n", "difference", "95 % interval", "over", "harmful / beneficial flips", "mid-p", "Holm p"];
    if seeds {
        header.insert(6, "interval over items");
    }
    if retention {
        header.push("retention %");
    }
    let mut table = Table::new(header, 2);
    for found in compared {
        let n = if found.seeds > 1 { format!("{} x {}", found.n, found.seeds) } else { found.n.to_string() };
        let mut row = vec![
            code(found.suite),
            code(found.variant),
            n,
            points(found.difference),
            point_range(found.interval),
            found.over.text().to_owned(),
            format!("{} / {}", found.harmful, found.beneficial),
            p_value(found.p),
            p_value(found.adjusted),
        ];
        if seeds {
            row.insert(6, or_none(found.items, point_range));
        }
        if retention {
            row.push(or_none(found.retention, percent));
        }
        table.push(row);
    }
    table
}
