//! Why variants forget: how identity rows and general rows pulled at the weights while each was trained.

use crate::analysis::interference::pulls;
use crate::analysis::results::Results;
use crate::model::lora::Module;
use crate::report::document::{Block, code, paragraph, under};
use crate::report::table::{Cell, Table};

/// The section; empty where nothing was measured.
pub(super) fn section(results: &Results) -> Vec<Block> {
    let kinds = [(None, "all"), (Some(Module::Q), "q"), (Some(Module::V), "v"), (Some(Module::Down), "down")];
    let measured = results.view.variants().iter().flat_map(|variant| &variant.cells).filter(|cell| !cell.interference.is_empty());
    let rows = measured.flat_map(|cell| {
        kinds.into_iter().flat_map(move |(module, name)| pulls(cell, module).into_iter().map(move |pull| (cell, name, pull)))
    });
    let table = Table::of(rows)
        .words("variant", |(cell, ..)| code(&cell.record.variant))
        .numbers("seed", |(cell, ..)| cell.record.seed.map(|seed| seed.to_string()))
        .words("linears", |(_, name, _)| *name)
        .numbers("step", |(.., pull)| pull.step.to_string())
        .numbers("cosine", |(.., pull)| Cell::fixed(pull.cosine, 3))
        .numbers("of the pairs", |(.., pull)| Cell::fixed(pull.pair_cosine, 3))
        .numbers("norm, identity rows", |(.., pull)| Cell::significant(pull.identity_norm))
        .numbers("norm, general rows", |(.., pull)| Cell::significant(pull.general_norm))
        .numbers("ratio", |(.., pull)| Cell::significant(pull.ratio()))
        .numbers("directions in common %", |(.., pull)| Cell::percent(pull.overlap))
        .numbers("by chance %", |(.., pull)| Cell::percent(pull.overlap_by_chance))
        .table();
    if table.is_empty() {
        return Vec::new();
    }
    let about = "Rows that teach the identity and general rows went through each adapter as it was at the given step. Cosine: between the \
        gradients that the two would give the whole weights; below 0, a step that teaches the identity undoes what general rows teach. Of \
        the pairs: the mean of the same over the low-rank pairs, which are what moves. Norm: of the gradient of the whole weights, of the \
        mean loss of a label. Directions in common: of the 8 principal directions of a linear's inputs on general rows, the share that its \
        inputs on identity rows span too, without the tokens that all rows begin with; random subspaces have as much in common as the \
        last column says. These numbers are of the rows that were measured; they have no interval.";
    under("Why it forgets: gradients and inputs of both kinds of rows", vec![paragraph(about), table.folded_if_long("Every step")])
}
