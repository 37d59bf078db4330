//! Which figures a report has, and the data of each. `plot` draws them.

mod dose;
mod gradients;
mod interference;
mod retention;
mod trajectory;

use anyhow::{Context, Result};

use super::plot::accuracy::accuracy;
use super::plot::taxonomy::{TaxonomyBar, taxonomy};
use super::plot::{Estimate, Titles};
use crate::analysis::outcomes::{Outcomes, VERDICTS};
use crate::analysis::retention::suites_in_the_mean;
use crate::analysis::share::Share;
use crate::analysis::view::View;

/// A figure, drawn.
#[derive(Debug, Clone)]
pub(super) struct Figure {
    /// File name without extension.
    pub(super) name: String,
    /// What it shows, for those who cannot see it.
    pub(super) title: String,
    /// How to read it.
    pub(super) caption: &'static str,
    /// The picture.
    pub(super) svg: String,
}

impl Figure {
    pub(super) fn draw(
        name: &str,
        title: impl Into<String>,
        subtitle: String,
        caption: &'static str,
        draw: impl FnOnce(&Titles) -> Result<String>,
    ) -> Result<Self> {
        let titles = Titles { title: title.into(), subtitle };
        let svg = draw(&titles).with_context(|| format!("failed to draw {name}.svg"))?;
        Ok(Self { name: name.to_owned(), title: titles.title, caption, svg })
    }
}

/// Every figure that the run has data for, in the page's order.
pub(super) fn all(view: &View) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    if !view.suites.is_empty() {
        figures.push(accuracy_figure(view)?);
    }
    if !suites_in_the_mean(view).is_empty() && view.identity().next().is_some() && !view.variants().is_empty() {
        figures.push(retention::figure(view)?);
    }
    figures.extend(dose::figure(view)?);
    figures.extend(trajectory::figures(view)?);
    figures.extend(gradients::figure(view)?);
    figures.extend(interference::figures(view)?);
    figures.push(outcomes_figure(view)?);
    Ok(figures)
}

/// How intervals came about, in the words of a subtitle.
fn intervals(view: &View) -> &'static str {
    if view.seeds() > 1 { "95% intervals: t over seeds, else Wilson" } else { "95% Wilson intervals" }
}

fn estimate(share: Share) -> Estimate {
    Estimate::new(share.value, share.interval, share.n)
}

fn accuracy_figure(view: &View) -> Result<Figure> {
    let subjects: Vec<&str> = view.subjects.iter().map(|subject| subject.name).collect();
    let of_suite = |suite: &&str| view.subjects.iter().map(|subject| Share::accuracy(subject, suite).map(estimate)).collect();
    let cells: Vec<Vec<Option<Estimate>>> = view.suites.iter().map(of_suite).collect();
    Figure::draw(
        "accuracy",
        "Accuracy of base and variants",
        format!("{}; {}", view.subtitle(), intervals(view)),
        "Each marker is a variant's accuracy on a suite with its interval; intervals of two markers may overlap although their paired difference is shown, so differences are to be read in the tables.",
        |titles| accuracy(titles, &view.suites, &subjects, &cells),
    )
}

fn outcomes_figure(view: &View) -> Result<Figure> {
    let outcomes = Outcomes::all(view);
    let count = |count: &usize| u32::try_from(*count).unwrap_or(u32::MAX);
    let bars = outcomes.iter().map(|outcome| TaxonomyBar {
        group: outcome.suite,
        label: outcome.subject,
        counts: outcome.verdicts.iter().map(count).collect(),
    });
    let bars: Vec<TaxonomyBar> = bars.collect();
    Figure::draw(
        "outcomes",
        "How answers ended",
        format!("{}{}", view.subtitle(), if view.seeds() > 1 { "; answers of all seeds together" } else { "" }),
        "Each bar is all answers of a variant on a suite: a growing \"wrong\" part is lost knowledge, growing parts right of it are lost form.",
        |titles| taxonomy(titles, &VERDICTS.map(|(_, name)| name), &bars),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample::{run, with_seeds};

    fn names(run: &crate::plan::run::Run) -> Vec<String> {
        all(&View::new(run)).unwrap().into_iter().map(|figure| figure.name).collect()
    }

    #[test]
    fn a_full_run_has_all_five() {
        assert_eq!(names(&run()), ["accuracy", "retention", "trajectory", "gradients", "outcomes"]);
        assert_eq!(names(&with_seeds()), ["accuracy", "retention", "trajectory", "gradients", "outcomes"]);
    }

    #[test]
    fn what_has_no_data_has_no_figure() {
        let mut run = run();
        for cell in &mut run.cells {
            (cell.train, cell.drift, cell.probe) = (Vec::new(), Vec::new(), Vec::new());
        }
        run.experiment.suites.retain(|suite| suite.name != "identity");
        assert_eq!(names(&run), ["accuracy", "outcomes"]);
        run.cells.clear();
        run.base.items.clear();
        assert_eq!(names(&run), ["accuracy", "outcomes"]);
    }
}
