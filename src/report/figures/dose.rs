//! Heat maps of dose: what steps and rate do to variants that differ in nothing else.

use std::collections::BTreeMap;

use anyhow::Result;

use super::Figure;
use crate::analysis::dose::Dose;
use crate::analysis::interference::mean;
use crate::analysis::retention::Kept;
use crate::analysis::share::Share;
use crate::analysis::view::{Subject, View};
use crate::config::file::StageConfig;
use crate::eval::suite::SuiteRole;
use crate::record::rows::ItemRow;
use crate::report::plot::heat::{HeatPanel, HeatScale, heat};

/// Variants of one stage on the same rows: which number of steps and which rate each was given.
struct Grid<'a> {
    steps: Vec<usize>,
    rates: Vec<f64>,
    variants: Vec<(usize, f64, &'a str)>,
}

impl<'a> Grid<'a> {
    /// The largest such set of at least two steps and two rates; None where there is none.
    fn of(view: &View<'a>) -> Option<Self> {
        let mut sets: BTreeMap<String, Vec<(usize, f64, &'a str)>> = BTreeMap::new();
        for dose in Dose::all(view) {
            let Some(config) = view.run.experiment.variants.iter().find(|config| config.name == dose.variant) else { continue };
            let [stage] = config.stages.as_slice() else { continue };
            // Everything that two variants can differ in but the dose.
            let undosed = StageConfig { epochs: None, steps: None, learning_rate: 0.0, ..stage.clone() };
            let same = format!("{undosed:?} {:?} {:?}", config.lora, config.stop_at_drift);
            sets.entry(same).or_default().push((dose.steps, dose.learning_rate, dose.variant));
        }
        let variants = sets.into_values().max_by_key(Vec::len)?;
        let mut steps: Vec<usize> = variants.iter().map(|(steps, ..)| *steps).collect();
        steps.sort_unstable();
        steps.dedup();
        let mut rates: Vec<f64> = variants.iter().map(|(_, rate, _)| *rate).collect();
        rates.sort_by(f64::total_cmp);
        rates.dedup();
        // Two variants at one place, or a grid that is mostly empty, is no grid.
        let places = steps.len() * rates.len();
        let filled = variants.len() <= places && 2 * variants.len() > places;
        (steps.len() > 1 && rates.len() > 1 && filled).then_some(Self { steps, rates, variants })
    }

    fn panel(&self, view: &View<'a>, name: &str, scale: HeatScale, value: impl Fn(&Subject<'a>) -> Option<f64>) -> HeatPanel {
        let at = |steps: usize, rate: f64| {
            let of = self.variants.iter().find(|(of_steps, of_rate, _)| *of_steps == steps && of_rate.total_cmp(&rate).is_eq());
            of.and_then(|(.., variant)| value(view.variant(variant)?))
        };
        HeatPanel {
            name: name.to_owned(),
            scale,
            columns: self.rates.iter().map(|rate| format!("{rate:e}")).collect(),
            rows: self.steps.iter().map(ToString::to_string).collect(),
            values: self.steps.iter().map(|steps| self.rates.iter().map(|rate| at(*steps, *rate)).collect()).collect(),
        }
    }
}

/// Draws it; none where variants are no grid of doses.
pub(super) fn figure(view: &View) -> Result<Option<Figure>> {
    let Some(grid) = Grid::of(view) else { return Ok(None) };
    let drift = |subject: &Subject| mean(subject.cells.iter().filter_map(|cell| cell.record.liveness.map(|proof| proof.kl)));
    let largest = view.variants().iter().filter_map(drift).fold(0.0, f64::max);
    let identity =
        |subject: &Subject| Share::among(subject, |row| row.role() == SuiteRole::Identity, ItemRow::is_correct).map(|share| share.value);
    let panels = [
        grid.panel(view, "identity %, by rate", HeatScale::Share, identity),
        grid.panel(view, "retention %, by rate", HeatScale::Share, |subject| Kept::of(view, subject).map(|kept| kept.value)),
        grid.panel(view, "drift, nats per token, by rate", HeatScale::Harm(largest.max(f64::MIN_POSITIVE)), drift),
    ];
    let figure = Figure::draw(
        "dose",
        "What dose does: identity learned, ability kept, drift",
        view.subtitle(),
        "Each place is one variant: its steps by row, its peak rate by column. A dose is worth giving where identity is dark and retention is too; drift rises before either falls.",
        |titles| heat(titles, "steps", &panels),
    )?;
    Ok(Some(figure))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample::run;

    #[test]
    fn variants_of_one_stage_on_the_same_rows_are_a_grid() {
        let mut run = run();
        assert!(figure(&View::new(&run)).unwrap().is_none(), "two variants of one stage on other rows");
        let (mut variant, cell) = (run.experiment.variants[0].clone(), run.cells[0].clone());
        variant.stages.truncate(1);
        (run.experiment.variants, run.cells) = (Vec::new(), Vec::new());
        for (steps, rate) in [(8, 1e-4), (8, 1e-3), (24, 1e-4)] {
            let (mut variant, mut cell) = (variant.clone(), cell.clone());
            variant.name = format!("A-{steps}-{rate:e}");
            cell.record.variant.clone_from(&variant.name);
            cell.record.stages.truncate(1);
            (cell.record.stages[0].steps, cell.record.stages[0].learning_rate) = (steps, rate);
            run.experiment.variants.push(variant);
            run.cells.push(cell);
        }
        let view = View::new(&run);
        let grid = Grid::of(&view).unwrap();
        let panel = grid.panel(&view, "n", HeatScale::Share, |subject| {
            subject.cells[0].record.stages[0].steps.try_into().ok().map(|n: u32| f64::from(n))
        });
        assert_eq!((panel.rows, panel.columns), (vec!["8".to_owned(), "24".to_owned()], vec!["1e-4".to_owned(), "1e-3".to_owned()]));
        assert_eq!(panel.values, [[Some(8.0), Some(8.0)], [Some(24.0), None]]);
        assert_eq!(figure(&view).unwrap().unwrap().name, "dose");
    }
}
