//! How answers ended, and where identity text leaked.

use crate::analysis::outcomes::{FLAGS, Outcomes, VERDICTS, leakage};
use crate::analysis::results::Results;
use crate::report::document::{Block, Span, code, paragraph, text, under};
use crate::report::table::Table;
use crate::report::text::share_text;

/// The section.
pub(super) fn section(results: &Results) -> Vec<Block> {
    let view = &results.view;
    let names = VERDICTS.iter().map(|(_, name)| *name).chain(FLAGS.iter().map(|(_, name)| *name));
    let table = Table::of(Outcomes::all(view))
        .words("suite", |outcome| code(outcome.suite))
        .words("", |outcome| code(outcome.subject))
        .across(
            names.enumerate(),
            |(_, name)| (*name).into(),
            |outcome, (place, _)| (outcome.answers > 0).then(|| outcome.counts().nth(*place)).flatten(),
        )
        .table();
    if table.is_empty() {
        return Vec::new();
    }
    let leaks = Table::of(&view.subjects)
        .words("", |subject| code(subject.name))
        .numbers("identity text in answers to unrelated questions", |subject| leakage(subject).map(|share| share_text(&share)))
        .table();
    let note = text!(
        "Each answer counts once from {} to {}; the marks from {} on are beside that, and one answer may bear several.{}",
        Span::Emphasis("correct"),
        Span::Emphasis("error"),
        Span::Emphasis("leak"),
        if view.seeds() > 1 { " All seeds together." } else { "" }
    );
    let leaked = "Identity leakage: the share of answers on all suites but identity that name the new identity, with its 95 % interval.";
    let outcomes = table.folded_if_long("Outcomes of every variant on every suite");
    under("Outcomes", vec![paragraph(note), outcomes, paragraph(leaked), leaks.block()])
}
