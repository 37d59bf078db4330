//! The article's claim about gradients: with identity rows alone, the norms of q_proj and v_proj are volatile for three
//! epochs, and from the fourth on near 0.

use super::{Finding, Replication};
use crate::analysis::results::ALONE;
use crate::analysis::view::View;
use crate::model::site::Module;
use crate::record::run_dir::Cell;
use crate::report::text::{or_none, percent, significant};

/// Epochs of volatility.
const EARLY: f64 = 3.0;
/// Epochs that the article trained.
const LAST: f64 = 10.0;
/// At most this share of the early peak is near 0.
const NEAR_ZERO: f64 = 0.05;
/// At most this share of the early peak is at least a fall.
const FALLEN: f64 = 0.5;

/// One finding a module.
pub(super) fn findings(view: &View) -> Vec<Finding> {
    [Module::Q, Module::V].into_iter().map(|module| finding(view, module)).collect()
}

fn finding(view: &View, module: Module) -> Finding {
    let cells = view.variant(ALONE).map(|subject| subject.cells.as_slice()).unwrap_or_default();
    let courses: Vec<Course> = cells.iter().filter_map(|cell| Course::of(cell, module)).collect();
    // Of several seeds, the one in which it falls least.
    let worst = courses.iter().max_by(|a, b| a.ratio().total_cmp(&b.ratio()));
    Finding {
        claim: format!("{ALONE}'s gradient norm of {}_proj peaks in epochs 1 to 3 and is near 0 from epoch 4 on", module.name()),
        theirs: "near 0".to_owned(),
        ours: or_none(worst, Course::text),
        verdict: worst.map_or(Replication::NotMeasured, Course::verdict),
    }
}

/// A norm before and after the third epoch.
struct Course {
    /// Lowest and highest in the early epochs.
    lowest: f64,
    peak: f64,
    /// Median from there to the article's last epoch.
    later: f64,
    /// First epoch from which on it stays near 0.
    settled: Option<f64>,
}

impl Course {
    fn of(cell: &Cell, module: Module) -> Option<Self> {
        let stage = &cell.train.first()?.stage;
        let norms = cell.train.iter().filter(|row| row.stage == *stage).filter_map(|row| {
            let norm = row.norm(module, true).unwrap_or(0.0).hypot(row.norm(module, false)?);
            norm.is_finite().then_some((row.epoch, norm))
        });
        let norms: Vec<(f64, f64)> = norms.collect();
        let early = || norms.iter().filter(|(epoch, _)| *epoch <= EARLY).map(|(_, norm)| *norm);
        let peak = early().fold(0.0, f64::max);
        let later = median(norms.iter().filter(|(epoch, _)| *epoch > EARLY && *epoch <= LAST).map(|(_, norm)| *norm).collect())?;
        let near = norms.iter().rev().take_while(|(_, norm)| *norm <= NEAR_ZERO * peak).last();
        (peak > 0.0).then_some(Self {
            lowest: early().fold(f64::INFINITY, f64::min),
            peak,
            later,
            settled: near.map(|(epoch, _)| epoch.ceil()),
        })
    }

    fn ratio(&self) -> f64 {
        self.later / self.peak
    }

    fn text(&self) -> String {
        let [lowest, peak, later] = [self.lowest, self.peak, self.later].map(significant);
        let settled =
            self.settled.map_or_else(|| "never near 0 to stay".to_owned(), |epoch| format!("near 0 to stay from epoch {epoch:.0} on"));
        format!("{lowest} to {peak} in epochs 1 to 3; median {later} in epochs 4 to 10, {} % of the peak; {settled}", percent(self.ratio()))
    }

    fn verdict(&self) -> Replication {
        match self.ratio() {
            ratio if ratio <= NEAR_ZERO => Replication::Reproduced,
            _ if self.settled.is_some() => Replication::Later,
            ratio if ratio <= FALLEN => Replication::Smaller,
            ratio if ratio <= 1.0 => Replication::NotShown,
            _ => Replication::Opposite,
        }
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len().is_multiple_of(2) { f64::midpoint(values[middle - 1], upper) } else { upper })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample::run;

    fn with_later(later: f64) -> Finding {
        let mut run = run();
        for row in &mut run.cells[0].train {
            row.norms.by_module.insert(Module::Q, (0.0, if row.epoch <= 3.0 { row.epoch } else { later }));
        }
        finding(&View::new(&run), Module::Q)
    }

    #[test]
    fn the_later_median_is_held_against_the_early_peak() {
        let found = with_later(0.03);
        assert_eq!(
            found.ours,
            "1.00 to 3.00 in epochs 1 to 3; median 0.0300 in epochs 4 to 10, 1.0 % of the peak; near 0 to stay from epoch 4 on"
        );
        let verdicts = [0.03, 1.0, 2.0, 4.0].map(|later| with_later(later).verdict);
        assert_eq!(verdicts, [Replication::Reproduced, Replication::Smaller, Replication::NotShown, Replication::Opposite]);
    }

    #[test]
    fn a_norm_that_falls_after_the_article_stopped_falls_later() {
        let mut run = run();
        for row in &mut run.cells[0].train {
            row.norms.by_module.insert(Module::Q, (0.0, if row.epoch <= 13.0 { 1.0 } else { 0.01 }));
        }
        let found = finding(&View::new(&run), Module::Q);
        assert_eq!(found.verdict, Replication::Later);
        assert!(found.ours.ends_with("100.0 % of the peak; near 0 to stay from epoch 14 on"), "{}", found.ours);
    }

    #[test]
    fn three_epochs_or_no_rows_measure_nothing() {
        let mut run = run();
        run.cells[0].train.retain(|row| row.epoch <= 3.0);
        assert_eq!(finding(&View::new(&run), Module::Q).verdict, Replication::NotMeasured);
        run.cells[0].train.clear();
        assert_eq!(finding(&View::new(&run), Module::V).ours, "n/a");
    }
}
