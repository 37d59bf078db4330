//! What each variant was given.

use super::under;
use crate::analysis::dose::Dose;
use crate::analysis::results::Results;
use crate::analysis::view::View;
use crate::report::table::Table;
use crate::report::text::{code, fixed, list, or_none, percent};

/// The section; none without variants.
pub(super) fn section(results: &Results) -> Option<String> {
    let view = &results.view;
    let doses = Dose::all(view);
    let mut table = Table::new(
        [
            "variant",
            "stage",
            "sources: rows / label tokens",
            "steps",
            "peak rate",
            "share of steps %",
            "loss at its last step",
            "label tokens seen",
        ],
        3,
    );
    for variant in view.variants() {
        if let Some((of, lambda)) = &variant.cells[0].record.derived {
            let text = format!("{}'s adapter at {lambda} of its strength, not trained", code(of));
            table.push([code(variant.name), String::new(), text].into_iter().chain((0..5).map(|_| String::new())).collect());
        }
        for dose in doses.iter().filter(|dose| dose.variant == variant.name) {
            table.push(row(dose));
        }
    }
    if table.is_empty() {
        return None;
    }
    let mut blocks = vec![note(view), table.folded_if_long("Every stage of every variant")];
    let calibration: Vec<String> =
        doses.iter().filter(|dose| dose.calibration).map(|dose| format!("{} {} %", code(dose.variant), percent(dose.share))).collect();
    if !calibration.is_empty() {
        blocks.push(format!("Share of the calibration stage in all steps: {} (the recipe's limit is 15 %).", list(&calibration)));
    }
    under("Dose", &blocks)
}

fn note(view: &View) -> String {
    let training = &view.run.experiment.training;
    let lora = &view.run.experiment.lora;
    let seeds = if view.seeds() > 1 { " Rows and tokens are those of the first seed; the loss is the mean over seeds." } else { "" };
    format!(
        "Variants with different steps or rates differ by more than their data. One step is {} rows; LoRA rank {}, alpha {}, dropout {}. Label tokens seen count every repetition.{seeds}",
        training.window, lora.rank, lora.alpha, lora.dropout
    )
}

fn row(dose: &Dose) -> Vec<String> {
    let sources = dose.sources.iter().map(|(source, rows, tokens)| format!("{}: {rows} / {tokens}", code(source)));
    vec![
        code(dose.variant),
        code(dose.stage),
        sources.collect::<Vec<_>>().join("; "),
        dose.planned.map_or(dose.steps.to_string(), |planned| format!("{} of {planned}", dose.steps)),
        format!("{:e}", dose.learning_rate),
        percent(dose.share),
        or_none(dose.loss, |loss| fixed(loss, 3)),
        dose.seen.to_string(),
    ]
}
