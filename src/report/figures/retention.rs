//! The figure of what was learned against what was kept.

use anyhow::{Context, Result};

use super::{Figure, estimate};
use crate::analysis::retention::{Kept, suites_in_the_mean};
use crate::analysis::share::Share;
use crate::analysis::view::View;
use crate::eval::suite::SuiteRole;
use crate::record::rows::ItemRow;
use crate::report::plot::Estimate;
use crate::report::plot::retention::{RetentionData, RetentionPoint, retention};
use crate::stats::Interval;

/// A mean loss of retention that still counts as keeping, in the figure alone: no verdict rests on it.
const MARGIN: f64 = 0.05;

/// Draws it.
pub(super) fn figure(view: &View) -> Result<Figure> {
    let points = view.subjects.iter().enumerate().filter_map(|(index, subject)| {
        let identity = Share::among(subject, |row| row.role() == SuiteRole::Identity, ItemRow::is_correct)?;
        // The base is what retention is measured by: exactly 1. A variant without retention is named in the figure.
        let kept = if index == 0 {
            Estimate::new(1.0, Interval::new(1.0, 1.0), view.run.base.items.len())
        } else {
            Kept::of(view, subject).map_or(Estimate::new(f64::NAN, Interval::new(f64::NAN, f64::NAN), 0), |kept| {
                Estimate::new(kept.value, kept.interval, kept.n)
            })
        };
        Some(RetentionPoint { label: subject.name.to_owned(), variant_index: index, x: estimate(identity), y: kept })
    });
    let suites = suites_in_the_mean(view).join(", ");
    let data = RetentionData {
        title: "Identity learned against general ability kept".to_owned(),
        subtitle: format!("{}; 95% intervals; retention is the mean over {suites}", view.subtitle()),
        margin: MARGIN,
        points: points.collect(),
    };
    Ok(Figure {
        name: "retention".to_owned(),
        caption: "Up is more general ability kept, right is more identity learned: the top right corner is the aim, the bottom right is collapse.",
        svg: retention(&data).context("failed to draw the retention figure")?,
        title: data.title,
    })
}
