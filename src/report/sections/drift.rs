//! Proof that each adapter acts, how far it moved the model, and the warnings.

use crate::analysis::results::Results;
use crate::report::document::{Block, code, paragraph, strong, under};
use crate::report::table::{Cell, Table};
use crate::report::text::percent;
use crate::report::warnings::warnings;

/// The section.
pub(super) fn section(results: &Results) -> Vec<Block> {
    let table = Table::of(results.view.variants().iter().flat_map(|variant| &variant.cells))
        .words("variant", |cell| code(&cell.record.variant))
        .numbers("seed", |cell| cell.record.seed.map(|seed| seed.to_string()))
        .numbers("largest logit change", |cell| Cell::significant(cell.record.liveness.map(|proof| proof.largest_change)))
        .numbers("the same with the adapter off", |cell| Cell::significant(cell.record.liveness.map(|proof| proof.largest_change_off)))
        .numbers("drift KL, nats a token", |cell| Cell::fixed(cell.record.liveness.map(|proof| proof.kl), 4))
        .numbers("same first choice %, at step", |cell| cell.drift.last().map(|row| format!("{}, {}", percent(row.agreement), row.step)))
        .table();
    let mut blocks = table.explained("An adapter that acts changes logits; with it off, only rounding may remain. Drift is the mean KL(base || variant) on ordinary questions continued by the base's own answers; the last column is the share of tokens with the same most probable token, at the last measurement in training.", "Every cell");
    let warnings = warnings(results);
    if warnings.is_empty() {
        blocks.push(paragraph("No warnings."));
    } else {
        blocks.extend([paragraph(strong("Warnings")), Block::List(warnings)]);
    }
    under("Liveness, drift and warnings", blocks)
}
