//! A comparison as Markdown: differences, what was lost, what was given.

use crate::analysis::versus::{Compared, TrainingSummary, Versus};
use crate::report::table::Table;
use crate::report::text::{code, fixed, or_none, p_value, percent, plain, point_range, points, range};

/// The page.
pub fn markdown(versus: &Versus) -> String {
    let mut blocks = vec![format!("# Compared with {}", plain(&versus.reference))];
    blocks.extend(versus.notes.iter().map(|note| plain(note)));
    blocks.push(
        "Differences are variant minus reference in percentage points, on the same items, with the 95 % interval of the paired difference. \
         **Bold**: the interval excludes 0 and McNemar's mid-p stays below .05 after Holm's correction over this table."
            .to_owned(),
    );
    blocks.push(differences(versus).markdown());
    blocks.push("## What was lost\n\nHarmful flips: the reference is right, the variant is not. Retention is the share of accuracy above chance that is left, with its paired-bootstrap interval.".to_owned());
    blocks.push(losses(versus).markdown());
    let given = given(versus);
    if !given.is_empty() {
        blocks.push("## Dose and drift\n\nOf the first seed; drift is the mean over seeds.".to_owned());
        blocks.push(given.markdown());
    }
    blocks.join("\n\n") + "\n"
}

fn differences(versus: &Versus) -> Table {
    let seeds = versus.comparisons.iter().any(|found| found.interval_over_items.is_some());
    let mut header = vec!["suite", "variant", "n", "reference %", "variant %", "difference", "95 % interval", "over", "mid-p", "Holm p"];
    if seeds {
        header.insert(8, "interval over items");
    }
    let mut table = Table::new(header, 2);
    for found in &versus.comparisons {
        let bold = if found.shown == "unclear" { "" } else { "**" };
        let mut row = vec![
            code(&found.suite),
            code(&found.variant),
            if found.seeds > 1 { format!("{} x {}", found.n, found.seeds) } else { found.n.to_string() },
            percent(found.before),
            percent(found.after),
            format!("{bold}{}{bold}", points(found.difference)),
            point_range(found.interval),
            found.over.to_owned(),
            p_value(found.p),
            p_value(found.holm_p),
        ];
        if seeds {
            row.insert(8, or_none(found.interval_over_items, point_range));
        }
        table.push(row);
    }
    table
}

fn losses(versus: &Versus) -> Table {
    let header =
        ["suite", "variant", "flips - / +", "churn %", "well-formed but wrong", "lost to form or leaked", "retention %", "95 % interval"];
    let mut table = Table::new(header, 2);
    for found in &versus.comparisons {
        table.push(loss(found));
    }
    table
}

fn loss(found: &Compared) -> Vec<String> {
    vec![
        code(&found.suite),
        code(&found.variant),
        format!("{} / {}", found.harmful, found.beneficial),
        or_none(found.churn, percent),
        found.lost_knowledge.to_string(),
        found.lost_form.to_string(),
        or_none(found.retention, percent),
        or_none(found.retention_interval, range),
    ]
}

/// Only what something is known of.
fn given(versus: &Versus) -> Table {
    let mut table = Table::new(["variant", "seeds", "steps", "peak rate", "label tokens seen", "last loss", "drift, nats a token"], 1);
    let known = |given: &&TrainingSummary| given.steps.is_some() || given.drift.is_some() || given.derived.is_some();
    for given in versus.variants.iter().filter(known) {
        let derived = given.derived.as_ref().map_or(String::new(), |(of, lambda)| format!(" ({} at {lambda})", code(of)));
        table.push(vec![
            format!("{}{derived}", code(&given.variant)),
            given.seeds.to_string(),
            or_none(given.steps, |steps| steps.to_string()),
            or_none(given.learning_rate, |rate| format!("{rate:e}")),
            or_none(given.label_tokens, |tokens| tokens.to_string()),
            or_none(given.last_loss, |loss| fixed(loss, 3)),
            or_none(given.drift, |kl| fixed(kl, 4)),
        ]);
    }
    table
}
