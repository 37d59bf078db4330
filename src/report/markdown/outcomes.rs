//! How answers ended, and where identity text leaked.

use super::under;
use crate::analysis::outcomes::{FLAGS, Outcomes, VERDICTS, leakage};
use crate::analysis::results::Results;
use crate::report::table::Table;
use crate::report::text::{NONE, code, or_none, share_text};

/// The section.
pub(super) fn section(results: &Results) -> Option<String> {
    let view = &results.view;
    let head = ["suite", ""].into_iter().chain(VERDICTS.iter().map(|(_, name)| *name)).chain(FLAGS.iter().map(|(_, name)| *name));
    let mut table = Table::new(head, 2);
    for outcome in Outcomes::all(view) {
        let counts =
            outcome.verdicts.iter().chain(&outcome.flags).map(|n| if outcome.answers == 0 { NONE.to_owned() } else { n.to_string() });
        table.push([code(outcome.suite), code(outcome.subject)].into_iter().chain(counts).collect());
    }
    if table.is_empty() {
        return None;
    }
    let mut leaks = Table::new(["", "identity text in answers to unrelated questions"], 1);
    for subject in &view.subjects {
        leaks.push(vec![code(subject.name), or_none(leakage(subject), |share| share_text(&share))]);
    }
    let seeds = if view.seeds() > 1 { " All seeds together." } else { "" };
    let note = format!(
        "Each answer counts once from *correct* to *error*; the marks from *leak* on are beside that, and one answer may bear several.{seeds}"
    );
    let leaked = "Identity leakage: the share of answers on all suites but identity that name the new identity, with its 95 % interval.";
    under("Outcomes", &[note, table.folded_if_long("Outcomes of every variant on every suite"), leaked.to_owned(), leaks.markdown()])
}
