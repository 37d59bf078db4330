//! The figure of what was learned against what was kept.

use anyhow::Result;

use super::{Figure, estimate};
use crate::analysis::retention::{Kept, suites_in_the_mean};
use crate::analysis::share::Share;
use crate::analysis::view::View;
use crate::eval::suite::SuiteRole;
use crate::record::rows::ItemRow;
use crate::report::plot::Estimate;
use crate::report::plot::retention::{RetentionPoint, retention};
use crate::stats::Interval;

/// A mean loss of retention that still counts as keeping, in the figure alone: no verdict rests on it.
const MARGIN: f64 = 0.05;

/// Draws it.
pub(super) fn figure(view: &View) -> Result<Figure> {
    let points = view.subjects.iter().enumerate().filter_map(|(index, subject)| {
        let identity = Share::among(subject, |row| row.role() == SuiteRole::Identity, ItemRow::is_correct)?;
        // The base is what retention is measured by: exactly 1. A variant without retention is named in the figure.
        let exactly = |value, n| Estimate::new(value, Interval::new(value, value), n);
        let kept = match Kept::of(view, subject) {
            _ if index == 0 => exactly(1.0, view.run.base.items.len()),
            Some(kept) => Estimate::new(kept.value, kept.interval, kept.n),
            None => exactly(f64::NAN, 0),
        };
        Some(RetentionPoint { label: subject.name.to_owned(), variant_index: index, x: estimate(identity), y: kept })
    });
    let suites = suites_in_the_mean(view).join(", ");
    let points: Vec<RetentionPoint> = points.collect();
    Figure::draw(
        "retention",
        "Identity learned against general ability kept",
        format!("{}; 95% intervals; retention is the mean over {suites}", view.subtitle()),
        "Up is more general ability kept, right is more identity learned: the top right corner is the aim, the bottom right is collapse.",
        |titles| retention(titles, MARGIN, &points),
    )
}
