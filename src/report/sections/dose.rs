//! What each variant was given.

use crate::analysis::dose::Dose;
use crate::analysis::results::Results;
use crate::analysis::view::View;
use crate::report::document::{Block, Text, code, list_of_some, paragraph, text, under};
use crate::report::table::{Cell, Table};
use crate::report::text::percent;

/// A row: a stage of a variant, or one that is another's adapter at some strength.
enum Row<'a> {
    Stage(&'a Dose<'a>),
    Derived(&'a str, Text),
}

/// The section; empty without variants.
pub(super) fn section(results: &Results) -> Vec<Block> {
    let view = &results.view;
    let doses = Dose::all(view);
    let rows: Vec<Row> = view
        .variants()
        .iter()
        .flat_map(|variant| {
            let derived = variant.cells[0].record.derived.as_ref().map(|(of, lambda)| {
                Row::Derived(variant.name, text!("{}'s adapter at {} of its strength, not trained", code(of), lambda.to_string()))
            });
            derived.into_iter().chain(doses.iter().filter(|dose| dose.variant == variant.name).map(Row::Stage))
        })
        .collect();
    let mut blocks = table(rows).explained(note(view), "Every stage of every variant");
    let calibration = doses.iter().filter(|dose| dose.calibration);
    let shares = list_of_some(calibration.map(|dose| text!("{} {} %", code(dose.variant), percent(dose.share))));
    blocks.extend(
        shares.map(|shares| paragraph(text!("Share of the calibration stage in all steps: {} (the recipe's limit is 15 %).", shares))),
    );
    under("Dose", blocks)
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

fn table(rows: Vec<Row>) -> Table {
    /// Of a stage; a derived variant has none of its own.
    fn stage<C: Into<Cell>>(cell: impl Fn(&Dose) -> C) -> impl Fn(&Row) -> Cell {
        move |row| match row {
            Row::Stage(dose) => cell(dose).into(),
            Row::Derived(..) => Cell::Empty,
        }
    }
    Table::of(rows)
        .words("variant", |row| match row {
            Row::Stage(dose) => code(dose.variant),
            Row::Derived(variant, _) => code(variant),
        })
        .words("stage", stage(|dose| code(dose.stage)))
        .words("sources: rows / label tokens", |row| match row {
            Row::Stage(dose) => {
                Text::join(dose.sources.iter().map(|(source, rows, tokens)| text!("{}: {} / {}", code(source), *rows, *tokens)), "; ")
            }
            Row::Derived(_, how) => how.clone(),
        })
        .numbers("steps", stage(|dose| dose.planned.map_or(dose.steps.to_string(), |planned| format!("{} of {planned}", dose.steps))))
        .numbers("peak rate", stage(|dose| format!("{:e}", dose.learning_rate)))
        .numbers("share of steps %", stage(|dose| Cell::percent(dose.share)))
        .numbers("loss at its last step", stage(|dose| Cell::fixed(dose.loss, 3)))
        .numbers("label tokens seen", stage(|dose| dose.seen))
        .table()
}
