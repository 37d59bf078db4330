//! Accuracy of base and variants beside what no skill is needed for, the same of clean answers alone, and by language.

use crate::analysis::distinct::distinct_share;
use crate::analysis::results::Results;
use crate::analysis::share::Share;
use crate::analysis::view::{Subject, View};
use crate::eval::suite::{Constant, Language, SuiteRole};
use crate::record::rows::ItemRow;
use crate::report::document::{Block, Text, code, list, paragraph, text, under};
use crate::report::table::Table;
use crate::report::text::{percent, share_text, trimmed};

/// Letters of a constant answer.
const LETTERS: usize = 60;

/// The section.
pub(super) fn section(results: &Results) -> Vec<Block> {
    let view = &results.view;
    if view.suites.is_empty() {
        return Vec::new();
    }
    let mut blocks = vec![paragraph(note(view)), by_suite(view).block()];
    blocks.extend(floors(view));
    if let Some(clean) = clean(view) {
        blocks.push(paragraph(
            "The same answers, right and clean: those that also say neither the new identity nor an old one where nobody asked.",
        ));
        blocks.push(clean.block());
    }
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
        "{} Unparsed, truncated and failed answers count as wrong. Intervals here are of one row alone: compare rows in the next section. Where few answers to an identity suite differ, one sentence may stand for all.",
        interval
    )
}

/// A row: what is scored without the skill, or a subject.
enum Row<'a> {
    Floor,
    Of(&'a Subject<'a>),
}

fn by_suite(view: &View) -> Table {
    let known = |suite: &str| view.run.meta.suites.contains_key(suite);
    let floor = view.suites.iter().any(|suite| known(suite)).then_some(Row::Floor);
    let identity: Vec<&str> = view.identity().collect();
    Table::of(floor.into_iter().chain(view.subjects.iter().map(Row::Of)))
        .words("", |row| match row {
            Row::Floor => Text::from("without the skill"),
            Row::Of(subject) => code(subject.name).into(),
        })
        .across(
            &view.suites,
            |suite| code(suite).into(),
            |row, suite| match row {
                Row::Floor => known(suite).then(|| format!("{} %", percent(view.floor(suite)))),
                Row::Of(subject) => Share::accuracy(subject, suite).map(|share| share_text(&share)),
            },
        )
        .across(
            &identity,
            |suite| text!("different answers, {}", code(suite)),
            |row, suite| match row {
                Row::Floor => None,
                Row::Of(subject) => distinct_share(subject, suite).map(|share| format!("{} %", percent(share))),
            },
        )
        .table()
}

/// The answers by which no skill is needed.
fn floors(view: &View) -> Option<Block> {
    let kind = |constant: &&Constant| {
        let answer = code(&trimmed(&constant.answer, LETTERS));
        text!("{} ({} of {} {} {})", answer, constant.right, constant.of, constant.language.as_str(), constant.grader.as_str())
    };
    let lines: Vec<Text> = view
        .suites
        .iter()
        .filter_map(|suite| {
            let constants = view.constants(suite);
            (!constants.is_empty()).then(|| text!("{}: {}", code(suite), list(constants.iter().map(kind))))
        })
        .collect();
    (!lines.is_empty()).then(|| {
        let head = "Without the skill: a random chooser, or the best known answers that never look at the question, one for each language and kind of question, with how many of the suite's questions of that kind each is right on.";
        Block::Folded("The answers behind the first row".to_owned(), vec![paragraph(head), Block::List(lines)])
    })
}

/// None where no suite but identity is asked.
fn clean(view: &View) -> Option<Table> {
    let suites: Vec<&str> = view.suites.iter().copied().filter(|suite| view.role(suite) != SuiteRole::Identity).collect();
    let share = |subject: &Subject, suite: &str| Share::clean(subject, suite).map(|share| share_text(&share));
    (!suites.is_empty()).then(|| Table::by_suite(&view.subjects, &suites, share))
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
