//! What each variant was given: rows, tokens, steps and rate, and the loss it ended with.

use crate::record::run_dir::Cell;
use crate::train::telemetry::StepRow;

use super::view::{Subject, View};

/// One stage of one trained variant, as its first seed got it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dose<'a> {
    /// Variant.
    pub(crate) variant: &'a str,
    /// Stage.
    pub(crate) stage: &'a str,
    /// Source, rows, label tokens in them.
    pub(crate) sources: Vec<(&'a str, usize, usize)>,
    /// Rows left out as too long, and as like a row of an earlier stage.
    pub(crate) left_out: (usize, usize),
    /// Optimizer steps.
    pub(crate) steps: usize,
    /// Steps that were planned, where the variant stopped at its drift bound before the stage's last.
    pub(crate) planned: Option<usize>,
    /// Peak rate.
    pub(crate) learning_rate: f64,
    /// Share of the variant's steps.
    pub(crate) share: f64,
    /// Loss of the stage's last step, mean over seeds.
    pub(crate) loss: Option<f64>,
    /// Label tokens trained on, every repetition counted.
    pub(crate) seen: usize,
    /// Whether it is a calibration stage.
    pub(crate) calibration: bool,
}

impl<'a> Dose<'a> {
    /// Every stage of every trained variant.
    pub(crate) fn all(view: &View<'a>) -> Vec<Self> {
        view.variants().iter().flat_map(|variant| Self::of(view, variant)).collect()
    }

    fn of(view: &View<'a>, variant: &Subject<'a>) -> Vec<Self> {
        let first: &'a Cell = variant.cells[0];
        let config = view.run.experiment.variants.iter().find(|config| config.name == variant.name);
        let mut before = 0;
        let stages = first.record.stages.iter().enumerate().map(|(index, stage)| {
            // Two stages may bear one name; their places tell them apart.
            let steps = before + 1..=before + stage.steps;
            before += stage.steps;
            let last = variant.cells.iter().filter_map(|cell| rows(cell, &steps).filter_map(|row| row.loss).last());
            let losses: Vec<f64> = last.collect();
            Self {
                variant: variant.name,
                stage: &stage.stage,
                sources: stage.sources.iter().map(|s| (s.source.as_str(), s.rows, s.label_tokens)).collect(),
                left_out: (stage.sources.iter().map(|s| s.too_long).sum(), stage.sources.iter().map(|s| s.removed).sum()),
                steps: stage.steps,
                planned: stage.planned,
                learning_rate: stage.learning_rate,
                share: stage.share,
                loss: (!losses.is_empty()).then(|| losses.iter().sum::<f64>() / losses.len() as f64),
                seen: rows(first, &steps).map(|row| row.label_tokens).sum(),
                calibration: config.and_then(|config| config.stages.get(index)).is_some_and(|stage| stage.calibration),
            }
        });
        stages.collect()
    }
}

fn rows<'a>(cell: &'a Cell, steps: &std::ops::RangeInclusive<usize>) -> impl Iterator<Item = &'a StepRow> {
    cell.train.iter().filter(move |row| steps.contains(&row.step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample::run;

    #[test]
    fn stages_are_told_apart_by_their_steps() {
        let run = run();
        let doses = Dose::all(&View::new(&run));
        let named: Vec<(&str, &str, usize)> = doses.iter().map(|dose| (dose.variant, dose.stage, dose.steps)).collect();
        let expected =
            [("A", "identity", 40), ("B", "mixed", 40), ("mixed", "anchor", 12), ("mixed", "generalize", 24), ("mixed", "calibrate", 4)];
        assert_eq!(named, expected);
        assert!(doses[4].calibration && !doses[3].calibration);
        assert_eq!(doses[3].seen, 24 * 300);
        assert_eq!(doses[0].loss, run.cells[0].train[39].loss);
    }

    #[test]
    fn a_variant_without_training_rows_has_no_loss() {
        let mut run = run();
        run.cells[0].train.clear();
        let doses = Dose::all(&View::new(&run));
        assert_eq!((doses[0].loss, doses[0].seen), (None, 0));
    }
}
