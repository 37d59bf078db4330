//! The worst flips, with both answers to read.

use crate::analysis::flips::{Flip, worst};
use crate::analysis::results::Results;
use crate::report::document::{Block, Span, code, list, not_right, paragraph, quoted, text, under};

/// Flips shown.
const SHOWN: usize = 10;
/// Letters of a question or an answer.
const LETTERS: usize = 300;

/// The section; empty where nothing flipped.
pub(super) fn section(results: &Results) -> Vec<Block> {
    let flips = worst(&results.view, SHOWN);
    if flips.is_empty() {
        return Vec::new();
    }
    let variants = results.view.variants().len();
    let note = text!(
        "Items that the base answers and variants no longer do, those that most variants lost first, suites in turn. Questions and answers are cut at 300 letters; all of them, whole and with the answers of every variant, are in {}.",
        Span::Link("report.html", "report.html#items?flip=harmful")
    );
    under("Worst flips", std::iter::once(paragraph(note)).chain(flips.iter().map(|flip| block(flip, variants))).collect())
}

fn block(flip: &Flip, variants: usize) -> Block {
    let base = flip.base;
    let mut blocks =
        vec![paragraph("Question:"), quoted(&base.prompt, LETTERS), paragraph("The base, right:"), quoted(&base.answer, LETTERS)];
    if let Some((name, row)) = flip.wrong.first() {
        blocks.push(paragraph(not_right(code(name), row.detail.as_deref(), LETTERS)));
        blocks.push(quoted(&row.answer, LETTERS));
    }
    if flip.wrong.len() > 1 {
        blocks.push(paragraph(text!("Lost by {}.", list(flip.wrong.iter().map(|(name, _)| code(name))))));
    }
    Block::Folded(format!("{} {}: lost by {} of {variants}", base.suite, base.item, flip.wrong.len()), blocks)
}
