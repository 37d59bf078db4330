//! Accuracy of base and variants, and the same by language.

use super::under;
use crate::analysis::results::Results;
use crate::analysis::share::Share;
use crate::analysis::view::View;
use crate::eval::suite::Language;
use crate::record::rows::ItemRow;
use crate::report::table::Table;
use crate::report::text::{code, or_none, share_text};

/// The section.
pub(super) fn section(results: &Results) -> Option<String> {
    let view = &results.view;
    if view.suites.is_empty() {
        return None;
    }
    let mut blocks = vec![note(view), by_suite(view).markdown()];
    let split = by_language(view);
    if !split.is_empty() {
        blocks.push("Suites with questions in both languages, apart:".to_owned());
        blocks.push(split.markdown());
    }
    under("Accuracy", &blocks)
}

fn note(view: &View) -> String {
    let interval = if view.seeds() > 1 {
        "The mean over seeds with its 95 % t interval over seeds, `n=items x seeds`: how other seeds would come out on these items, not how other items would. One cell, or seeds that agree exactly, have the Wilson interval over items."
    } else {
        "With 95 % Wilson intervals over items, taken as independent."
    };
    format!(
        "{interval} Unparsed, truncated and failed answers count as wrong. Intervals here are of one row alone: compare rows in the next section."
    )
}

fn by_suite(view: &View) -> Table {
    let header = std::iter::once(String::new()).chain(view.suites.iter().map(|suite| code(suite)));
    let mut table = Table::new(header, 1);
    for subject in &view.subjects {
        let cells = view.suites.iter().map(|suite| or_none(Share::accuracy(subject, suite), |share| share_text(&share)));
        table.push(std::iter::once(code(subject.name)).chain(cells).collect());
    }
    table
}

fn by_language(view: &View) -> Table {
    let asked = |suite: &str, lang| view.run.base.items.iter().any(|row| row.suite == suite && row.language == lang);
    let both: Vec<&str> = view.suites.iter().copied().filter(|suite| asked(suite, Language::En) && asked(suite, Language::Zh)).collect();
    let columns: Vec<(&str, Language)> = both.iter().flat_map(|suite| [(*suite, Language::En), (*suite, Language::Zh)]).collect();
    let header = std::iter::once(String::new()).chain(columns.iter().map(|(suite, lang)| format!("{} {}", code(suite), lang)));
    let mut table = Table::new(header, 1);
    for subject in view.subjects.iter().filter(|_| !columns.is_empty()) {
        let cells = columns.iter().map(|(suite, lang)| {
            or_none(Share::among(subject, |row| row.suite == *suite && row.language == *lang, ItemRow::is_correct), |share| {
                share_text(&share)
            })
        });
        table.push(std::iter::once(code(subject.name)).chain(cells).collect());
    }
    table
}
