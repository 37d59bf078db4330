//! The figure of training's course: what probes answered, and how far the model drifted.

use std::collections::BTreeMap;

use anyhow::Result;

use super::{Figure, intervals};
use crate::analysis::share::Share;
use crate::analysis::view::{Subject, View};
use crate::eval::suite::SuiteRole;
use crate::record::rows::ItemRow;
use crate::report::plot::trajectory::{TrajectoryData, trajectory};
use crate::report::plot::{Point, Series};

/// More lines than this in one panel cannot be told apart: then each group has its figure.
const MOST_LINES: usize = 8;
/// Groups of suites: name, and whether it is the identity suites.
const GROUPS: [(&str, bool); 2] = [("general", false), ("identity", true)];

/// One figure, or one a group of suites; none where nothing was measured in training.
pub(super) fn figures(view: &View) -> Result<Vec<Figure>> {
    let drift: Vec<Series> = each(view, |index, variant| drift(variant).map(|points| series(variant.name.to_owned(), index, 0, points)));
    let mut groups = [0, 1]
        .map(|dash| each(view, |index, variant| Some(series(variant.name.to_owned(), index, dash, probes(variant, GROUPS[dash].1)?))));
    let lines: usize = groups.iter().map(Vec::len).sum();
    if lines == 0 && drift.is_empty() {
        return Ok(Vec::new());
    }
    if lines <= MOST_LINES {
        for (lines, (name, _)) in groups.iter_mut().zip(GROUPS) {
            for line in lines {
                line.label = format!("{} {name}", line.label);
            }
        }
        return Ok(vec![figure(view, "trajectory", "", groups.concat(), drift)?]);
    }
    let several = groups.into_iter().zip(GROUPS).filter(|(lines, _)| !lines.is_empty());
    several.map(|(lines, (name, _))| figure(view, &format!("trajectory-{name}"), name, lines, drift.clone())).collect()
}

fn figure(view: &View, name: &str, group: &str, accuracy: Vec<Series>, drift: Vec<Series>) -> Result<Figure> {
    let of = if group.is_empty() { String::new() } else { format!(" ({group} questions)") };
    let data = TrajectoryData { accuracy, drift, stages: stages(view) };
    Figure::draw(
        name,
        format!("The course of training{of}"),
        format!("{}; probes of {}; {}", view.subtitle(), probed(view), intervals(view)),
        "Above, accuracy on a few items during training, with step 0 the base; below, drift from the base on ordinary questions, which rises before accuracy falls if it is the warning it is meant to be.",
        |titles| trajectory(titles, &data),
    )
}

fn each(view: &View, line: impl Fn(usize, &Subject) -> Option<Series>) -> Vec<Series> {
    view.subjects.iter().enumerate().skip(1).filter_map(|(index, variant)| line(index, variant)).collect()
}

fn series(label: String, variant_index: usize, dash: usize, points: Vec<Point>) -> Series {
    Series { label, variant_index, dash, points }
}

/// Accuracy of the probes at each step.
fn probes(variant: &Subject, identity: bool) -> Option<Vec<Point>> {
    let mut steps: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    for cell in &variant.cells {
        let mut counts: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        for row in cell.probe.iter().filter(|row| (row.role() == SuiteRole::Identity) == identity) {
            let count = counts.entry(row.step.unwrap_or(0)).or_default();
            *count = (count.0 + usize::from(row.is_correct()), count.1 + 1);
        }
        for (step, count) in counts {
            steps.entry(step).or_default().push(count);
        }
    }
    let points = steps.into_iter().filter_map(|(step, counts)| {
        let share = Share::of(&counts)?;
        Some(Point { x: step as f64, y: share.value, interval: Some(share.interval) })
    });
    Some(points.collect::<Vec<_>>()).filter(|points| !points.is_empty())
}

/// Drift at each step, mean over seeds.
fn drift(variant: &Subject) -> Option<Vec<Point>> {
    let mut steps: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for row in variant.cells.iter().flat_map(|cell| &cell.drift) {
        steps.entry(row.step).or_default().push(row.kl);
    }
    let points = steps.into_iter().map(|(step, kl)| Point::new(step as f64, kl.iter().sum::<f64>() / kl.len() as f64));
    Some(points.collect::<Vec<_>>()).filter(|points| !points.is_empty())
}

/// Items of a probe, in words.
fn probed(view: &View) -> String {
    let rows =
        view.variants().iter().flat_map(|variant| &variant.cells).find(|cell| !cell.probe.is_empty()).map(|cell| cell.probe.as_slice());
    let rows = rows.unwrap_or_default();
    let step = rows.last().and_then(|row| row.step);
    let at_end: Vec<&ItemRow> = rows.iter().filter(|row| row.step == step).collect();
    let suites = view.suites.iter().filter_map(|suite| {
        let n = at_end.iter().filter(|row| row.suite == *suite).count();
        (n > 0).then(|| format!("{n} {suite}"))
    });
    let suites: Vec<String> = suites.collect();
    if suites.is_empty() { "nothing".to_owned() } else { format!("{} items", suites.join(" and ")) }
}

/// Where stages begin, of variants that have several.
fn stages(view: &View) -> Vec<(f64, String)> {
    let mut begins: Vec<(f64, String)> = Vec::new();
    for variant in view.variants() {
        let stages = &variant.cells[0].record.stages;
        let mut step = 0;
        for stage in stages.iter().filter(|_| stages.len() > 1) {
            begins.push((step as f64, format!("{}: {}", variant.name, stage.stage)));
            step += stage.steps;
        }
    }
    begins.sort_by(|a, b| a.0.total_cmp(&b.0));
    begins
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample::{run, with_seeds};

    #[test]
    fn stages_begin_where_the_one_before_ends() {
        let run = run();
        let expected = [(0.0, "mixed: anchor"), (12.0, "mixed: generalize"), (36.0, "mixed: calibrate")];
        assert_eq!(stages(&View::new(&run)), expected.map(|(step, name)| (step, name.to_owned())));
    }

    #[test]
    fn seeds_make_one_line() {
        let run = with_seeds();
        let view = View::new(&run);
        let points = probes(view.variant("A").unwrap(), false).unwrap();
        assert_eq!(points.iter().map(|p| p.x).collect::<Vec<_>>(), [0.0, 10.0, 20.0, 30.0, 40.0]);
        assert!(drift(view.variant("A").unwrap()).unwrap().len() > 3);
        assert_eq!(probed(&view), "20 fact-qa and 20 identity items");
    }

    #[test]
    fn many_variants_are_drawn_in_a_figure_a_group() {
        let mut run = run();
        for name in ["C", "D"] {
            let mut variant = run.experiment.variants[0].clone();
            name.clone_into(&mut variant.name);
            run.experiment.variants.push(variant);
            let mut cell = run.cells[0].clone();
            name.clone_into(&mut cell.record.variant);
            run.cells.push(cell);
        }
        let names: Vec<String> = figures(&View::new(&run)).unwrap().into_iter().map(|figure| figure.name).collect();
        assert_eq!(names, ["trajectory-general", "trajectory-identity"]);
    }
}
