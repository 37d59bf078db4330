//! Proof that each adapter acts, how far it moved the model, and the warnings.

use super::under;
use crate::analysis::results::Results;
use crate::report::table::Table;
use crate::report::text::{code, fixed, or_none, percent, significant};
use crate::report::warnings::warnings;

/// The section.
pub(super) fn section(results: &Results) -> Option<String> {
    let mut table = Table::new(
        [
            "variant",
            "seed",
            "largest logit change",
            "the same with the adapter off",
            "drift KL, nats a token",
            "same first choice %, at step",
        ],
        1,
    );
    for cell in results.view.variants().iter().flat_map(|variant| &variant.cells) {
        let proof = cell.record.liveness;
        table.push(vec![
            code(&cell.record.variant),
            or_none(cell.record.seed, |seed| seed.to_string()),
            or_none(proof, |proof| significant(proof.largest_change)),
            or_none(proof, |proof| significant(proof.largest_change_off)),
            or_none(proof, |proof| fixed(proof.kl, 4)),
            or_none(cell.drift.last(), |row| format!("{}, {}", percent(row.agreement), row.step)),
        ]);
    }
    let mut blocks = Vec::new();
    if !table.is_empty() {
        blocks.push("An adapter that acts changes logits; with it off, only rounding may remain. Drift is the mean KL(base || variant) on ordinary questions continued by the base's own answers; the last column is the share of tokens with the same most probable token, at the last measurement in training.".to_owned());
        blocks.push(table.folded_if_long("Every cell"));
    }
    let warnings = warnings(results);
    blocks.push(if warnings.is_empty() {
        "No warnings.".to_owned()
    } else {
        format!("**Warnings**\n\n{}", warnings.iter().map(|line| format!("- {line}")).collect::<Vec<_>>().join("\n"))
    });
    under("Liveness, drift and warnings", &blocks)
}
