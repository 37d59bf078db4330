//! What the article claims and what this run says to it.

use crate::analysis::results::Results;
use crate::report::claims::{Replication, beside, findings};
use crate::report::document::{Block, Span, code, list, paragraph, text, under};
use crate::report::table::Table;
use crate::report::text::{or_none, percent, range};

/// The section; empty where the experiment is another.
pub(super) fn section(results: &Results) -> Vec<Block> {
    let findings = findings(results);
    if findings.is_empty() {
        return Vec::new();
    }
    let kinds = [
        Replication::Reproduced,
        Replication::Larger,
        Replication::Smaller,
        Replication::Later,
        Replication::NotShown,
        Replication::Opposite,
        Replication::NotMeasured,
    ];
    let tally = kinds.into_iter().filter_map(|kind| {
        let n = findings.iter().filter(|found| found.verdict == kind).count();
        (n > 0).then(|| format!("{n} {}", kind.text()))
    });
    let note = text!(
        "Of {} claims: {}. The article measured Qwen2.5-7B-Instruct on questions of its own, without intervals; this run measured {} on its own suites and at the dose below, so a claim that is not reproduced here may still hold there. Rules: a difference is {} if its 95 % interval excludes 0 on the claimed side and holds the article's number, {} if the interval holds 0; {} is reproduced if the whole interval is above the limit, not shown if the limit lies in it; where the base itself is not shown to be above chance neither is measured; a norm is near 0 from epoch 4 on if its median in epochs 4 to 10, where the article stopped, is at most 5 % of its peak before, and {} if it only ends there. The article's limits are its 96 % for the base less its number for the variant.",
        findings.len(),
        list(tally),
        code(&results.view.run.meta.model),
        Span::Emphasis("reproduced"),
        Span::Emphasis("not shown"),
        Span::Emphasis("stays within"),
        Span::Emphasis("later"),
    );
    let fates = Table::of(&findings)
        .words("the article's claim", |found| found.claim.as_str())
        .words("verdict", |found| found.verdict.text())
        .numbers("article", |found| found.theirs.as_str())
        .numbers("this run", |found| found.ours.as_str());
    let blocks = vec![
        paragraph(note),
        paragraph(
            "The article's accuracies beside this run's, in percent: article / this run [95 % interval]. Its base has one number for all questions, and none on identity.",
        ),
        accuracies(results).block(),
        paragraph("Claim by claim:"),
        fates.table().block(),
    ];
    under("What reproduced and what did not", blocks)
}

/// The article's and this run's.
fn accuracies(results: &Results) -> Table {
    let all = beside(results);
    let mut suites: Vec<&str> = all.iter().map(|one| one.suite).collect();
    suites.dedup();
    let subjects = results.view.subjects.iter().filter(|subject| all.iter().any(|one| one.subject == subject.name));
    Table::by_suite(subjects, &suites, |subject, suite| {
        let one = all.iter().find(|one| one.subject == subject.name && one.suite == suite)?;
        let ours = or_none(one.ours, |share| format!("{} {}", percent(share.value), range(share.interval)));
        Some(format!("{} / {ours}", or_none(one.theirs, percent)))
    })
}
