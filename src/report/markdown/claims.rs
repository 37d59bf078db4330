//! What the article claims and what this run says to it.

use super::under;
use crate::analysis::results::Results;
use crate::report::claims::{Beside, Verdict, beside, findings};
use crate::report::table::Table;
use crate::report::text::{code, list, or_none, percent, range};

/// The section; none where the experiment is another.
pub(super) fn section(results: &Results) -> Option<String> {
    let findings = findings(results);
    if findings.is_empty() {
        return None;
    }
    let mut table = Table::new(["the article's claim", "verdict", "article", "this run"], 2);
    for found in &findings {
        table.push(vec![found.claim.clone(), found.verdict.text().to_owned(), found.theirs.clone(), found.ours.clone()]);
    }
    let kinds = [
        Verdict::Reproduced,
        Verdict::Larger,
        Verdict::Smaller,
        Verdict::Later,
        Verdict::NotShown,
        Verdict::Opposite,
        Verdict::NotMeasured,
    ];
    let tally = kinds.into_iter().filter_map(|kind| {
        let n = findings.iter().filter(|found| found.verdict == kind).count();
        (n > 0).then(|| format!("{n} {}", kind.text()))
    });
    let note = format!(
        "Of {} claims: {}. The article measured Qwen2.5-7B-Instruct on questions of its own, without intervals; this run measured {} on its own suites and at the dose below, so a claim that is not reproduced here may still hold there. Rules: a difference is *reproduced* if its 95 % interval excludes 0 on the claimed side and holds the article's number, *not shown* if the interval holds 0; *stays within* is reproduced if the whole interval is above the limit, not shown if the limit lies in it; where the base itself is not shown to be above chance neither is measured; a norm is near 0 from epoch 4 on if its median in epochs 4 to 10, where the article stopped, is at most 5 % of its peak before, and *later* if it only ends there. The article's limits are its 96 % for the base less its number for the variant.",
        findings.len(),
        list(&tally.collect::<Vec<_>>()),
        code(&results.view.run.meta.model),
    );
    let all = beside(results);
    let introduction = "The article's accuracies beside this run's, in percent: article / this run [95 % interval]. Its base has one number for all questions, and none on identity.".to_owned();
    let fates = "Claim by claim:".to_owned();
    under("What reproduced and what did not", &[note, introduction, accuracies(&all).markdown(), fates, table.markdown()])
}

/// One row a subject, one column a suite.
fn accuracies(all: &[Beside]) -> Table {
    let mut suites: Vec<&str> = all.iter().map(|one| one.suite).collect();
    suites.dedup();
    let mut table = Table::new(std::iter::once(String::new()).chain(suites.iter().map(|suite| code(suite))), 1);
    for first in all.iter().filter(|one| Some(&one.suite) == suites.first()) {
        let cells = all.iter().filter(|one| one.subject == first.subject).map(|one| {
            let ours = or_none(one.ours, |share| format!("{} {}", percent(share.value), range(share.interval)));
            format!("{} / {ours}", or_none(one.theirs, percent))
        });
        table.push(std::iter::once(code(first.subject)).chain(cells).collect());
    }
    table
}
