//! Knowledge against form: the same answers read strictly, as graded, and leniently.

use super::under;
use crate::record::rows::ItemRow;
use crate::report::results::Results;
use crate::report::share::{Share, correct};
use crate::report::table::Table;
use crate::report::text::{NONE, code, percent};

/// The readings from the strictest on.
const READINGS: [fn(&ItemRow) -> bool; 3] = [|row| row.strict, correct, |row| row.lenient];

/// The section.
pub(super) fn section(results: &Results) -> Option<String> {
    let view = &results.view;
    if view.suites.is_empty() {
        return None;
    }
    let header = std::iter::once(String::new()).chain(view.suites.iter().map(|suite| code(suite)));
    let mut table = Table::new(header, 1);
    for subject in &view.subjects {
        let cells = view.suites.iter().map(|suite| {
            let read = READINGS.map(|hit| Share::among(subject, |row| row.suite == *suite, hit).map(|share| percent(share.value)));
            let read: Option<Vec<String>> = read.into_iter().collect();
            read.map_or_else(|| NONE.to_owned(), |read| read.join(" / "))
        });
        table.push(std::iter::once(code(subject.name)).chain(cells).collect());
    }
    let note = "The same answers under three readings, in percent: right in the asked form / right as graded, which the tables above use / the right answer found anywhere sensible. A variant whose first number falls while its last one stays has lost the form, not the knowledge.";
    under("Knowledge against form", &[note.to_owned(), table.markdown()])
}
