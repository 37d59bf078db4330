//! The worst flips, with both answers to read.

use super::under;
use crate::analysis::flips::{Flip, worst};
use crate::analysis::results::Results;
use crate::report::table::folded;
use crate::report::text::{code, fenced, list, trimmed};

/// Flips shown.
const SHOWN: usize = 10;
/// Letters of a question or an answer.
const LETTERS: usize = 300;

/// The section; none where nothing flipped.
pub(super) fn section(results: &Results) -> Option<String> {
    let flips = worst(&results.view, SHOWN);
    if flips.is_empty() {
        return None;
    }
    let variants = results.view.variants().len();
    let note = "Items that the base answers and variants no longer do, those that most variants lost first, suites in turn. Questions and answers are cut at 300 letters; all of them, whole and with the answers of every variant, are in [report.html](report.html#items?flip=harmful).";
    let blocks = std::iter::once(note.to_owned()).chain(flips.iter().map(|flip| block(flip, variants)));
    under("Worst flips", &blocks.collect::<Vec<_>>())
}

fn block(flip: &Flip, variants: usize) -> String {
    let base = flip.base;
    let summary = format!("{} {}: lost by {} of {variants}", base.suite, base.item, flip.wrong.len());
    let mut parts = vec!["Question:".to_owned(), quoted(&base.prompt), "The base, right:".to_owned(), quoted(&base.answer)];
    let names: Vec<String> = flip.wrong.iter().map(|(name, _)| code(name)).collect();
    if let Some((name, row)) = flip.wrong.first() {
        let why = row.detail.as_deref().map(|detail| format!(" ({})", code(&trimmed(detail, LETTERS)))).unwrap_or_default();
        parts.push(format!("{}, not right{why}:", code(name)));
        parts.push(quoted(&row.answer));
    }
    if names.len() > 1 {
        parts.push(format!("Lost by {}.", list(&names)));
    }
    folded(&summary, &parts.join("\n\n"))
}

fn quoted(text: &str) -> String {
    let text = trimmed(text, LETTERS);
    if text.is_empty() { "*(nothing)*".to_owned() } else { fenced(&text) }
}
