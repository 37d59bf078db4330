//! Accuracy of base and variants, and the same by language.

use crate::analysis::results::Results;
use crate::analysis::share::Share;
use crate::analysis::view::View;
use crate::eval::suite::Language;
use crate::record::rows::ItemRow;
use crate::report::document::{Block, Text, code, paragraph, text, under};
use crate::report::table::Table;
use crate::report::text::share_text;

/// The section.
pub(super) fn section(results: &Results) -> Vec<Block> {
    let view = &results.view;
    if view.suites.is_empty() {
        return Vec::new();
    }
    let mut blocks = vec![paragraph(note(view)), by_suite(view).block()];
    if let Some(split) = by_language(view) {
        blocks.push(paragraph("Suites with questions in both languages, apart:"));
        blocks.push(split.block());
    }
    under("Accuracy", blocks)
}

fn note(view: &View) -> Text {
    let interval = if view.seeds() > 1 {
        text!(
            "The mean over seeds with its 95 % t interval over seeds, {}: how other seeds would come out on these items, not how other items would. One cell, or seeds that agree exactly, have the Wilson interval over items.",
            code("n=items x seeds")
        )
    } else {
        "With 95 % Wilson intervals over items, taken as independent.".into()
    };
    text!(
        "{} Unparsed, truncated and failed answers count as wrong. Intervals here are of one row alone: compare rows in the next section.",
        interval
    )
}

fn by_suite(view: &View) -> Table {
    Table::by_suite(&view.subjects, &view.suites, |subject, suite| Share::accuracy(subject, suite).map(|share| share_text(&share)))
}

/// None where no suite has questions in both.
fn by_language(view: &View) -> Option<Table> {
    let asked = |suite: &str, lang| view.run.base.items.iter().any(|row| row.suite == suite && row.language == lang);
    let both = view.suites.iter().copied().filter(|suite| asked(suite, Language::En) && asked(suite, Language::Zh));
    let columns: Vec<(&str, Language)> = both.flat_map(|suite| [(suite, Language::En), (suite, Language::Zh)]).collect();
    let table = Table::of(&view.subjects).words("", |subject| code(subject.name)).across(
        &columns,
        |(suite, lang)| text!("{} {}", code(suite), lang.as_str()),
        |subject, (suite, lang)| {
            let share = Share::among(subject, |row| row.suite == *suite && row.language == *lang, ItemRow::is_correct);
            share.map(|share| share_text(&share))
        },
    );
    (!columns.is_empty()).then(|| table.table())
}
