//! How often models thought before they answered, and how much of it came to an end.

use crate::analysis::results::Results;
use crate::analysis::share::Share;
use crate::analysis::view::{Subject, View};
use crate::data::thinking::Thought;
use crate::record::rows::ItemRow;
use crate::report::document::{Block, Text, code, list, paragraph, text, under};
use crate::report::table::{Cell, Table};
use crate::report::text::share_text;

/// The section; empty where no answer thought and nothing was said of thinking.
pub(super) fn section(results: &Results) -> Vec<Block> {
    let view = &results.view;
    let anybody = view.subjects.iter().any(|subject| thoughts(subject).next().is_some());
    if !anybody && view.run.experiment.thinking.is_default() && taken_out(view).is_empty() {
        return Vec::new();
    }
    let table = Table::of(&view.subjects)
        .words("", |subject| code(subject.name))
        .numbers("answers that think", |subject| share(subject, |row| row.thought.is_some()))
        .numbers("answers that never close", |subject| share(subject, |row| row.thought.as_ref().is_some_and(|thought| !thought.closed)))
        .numbers("tokens of thinking per answer that thinks", |subject| Cell::fixed(mean_tokens(subject), 1))
        .table();
    under("Thinking", vec![paragraph(note(view)), table.block()])
}

fn note(view: &View) -> Text {
    let thinking = &view.run.experiment.thinking;
    let asked = if thinking.enable {
        "Thinking was asked for where the chat template has a switch for it"
    } else {
        "Chat templates with a switch for thinking had it off"
    };
    let rows = taken_out(view);
    let trained = match (rows.is_empty(), thinking.keep) {
        (true, _) => Text::default(),
        (false, true) => text!(" Training rows with thinking, which was trained on: {}.", list(rows)),
        (false, false) => text!(" Training rows whose thinking was taken out: {}.", list(rows)),
    };
    text!(
        "{}; an answer may think for {} tokens. What stands between a model's marks of thinking is counted here and kept out of grading. An answer that never closes its thinking is no answer and counts as wrong. Shares are of all answers, with their 95 % intervals.{}",
        asked,
        thinking.budget,
        trained
    )
}

fn thoughts<'a>(subject: &Subject<'a>) -> impl Iterator<Item = &'a Thought> {
    subject.cells.iter().flat_map(|cell| &cell.items).filter_map(|row| row.thought.as_ref())
}

fn share(subject: &Subject, hit: impl Fn(&ItemRow) -> bool) -> Option<String> {
    Share::among(subject, |_| true, hit).map(|share| share_text(&share))
}

fn mean_tokens(subject: &Subject) -> Option<f64> {
    let (answers, tokens) = thoughts(subject).fold((0_usize, 0_usize), |(answers, tokens), thought| (answers + 1, tokens + thought.tokens));
    (answers > 0).then(|| tokens as f64 / answers as f64)
}

/// Training rows that hold thinking, by variant and source; those of the first seed, as the dose has them.
fn taken_out(view: &View) -> Vec<Text> {
    let sources = view.variants().iter().flat_map(|variant| {
        let stages = variant.cells.first().into_iter().flat_map(|cell| &cell.record.stages);
        stages.flat_map(|stage| &stage.sources).map(|source| (variant.name, source))
    });
    let found = sources.filter(|(_, source)| source.thinking > 0);
    found.map(|(variant, source)| text!("{} of {} in {}", source.thinking, code(&source.source), code(variant))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample::run;
    use crate::plan::run::Run;
    use crate::report::render::markdown::document;

    fn written(run: &Run) -> String {
        document(&section(&Results::new(View::new(run))))
    }

    #[test]
    fn a_run_without_any_thinking_has_no_section() {
        assert!(section(&Results::new(View::new(&run()))).is_empty());
    }

    #[test]
    fn answers_that_think_and_never_close_are_counted() {
        let mut run = run();
        run.experiment.thinking.enable = true;
        let thought = |tokens: usize, closed: bool| Some(Thought { text: "Hm.".to_owned(), tokens, closed });
        let all = run.cells[0].items.len();
        run.cells[0].items[0].thought = thought(10, true);
        run.cells[0].items[1].thought = thought(31, false);
        let text = written(&run);
        assert!(text.contains("Thinking was asked for") && text.contains("think for 1024 tokens"), "{text}");
        let row = |name: &str| text.lines().find(|line| line.starts_with(&format!("| `{name}` |"))).unwrap().to_owned();
        let of = |hits: usize| share_text(&Share::of(&[(hits, all)]).unwrap());
        assert_eq!(row(&run.cells[0].record.variant), format!("| `A` | {} | {} | 20.5 |", of(2), of(1)));
        assert!(row("base").ends_with("| n/a |"), "{}", row("base"));
    }

    #[test]
    fn rows_that_lost_their_thinking_are_named() {
        let mut run = run();
        run.cells[0].record.stages[0].sources[0].thinking = 3;
        let text = written(&run);
        assert!(text.contains("had it off") && text.contains("whose thinking was taken out: 3 of "), "{text}");
        run.experiment.thinking.keep = true;
        assert!(written(&run).contains("which was trained on: 3 of "));
    }
}
