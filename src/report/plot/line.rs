//! Lines over optimizer steps: gaps where there is no value, a band for the interval, markers now and then.

use anyhow::Result;

use super::Series;
use super::scale::Frame;
use super::sheet::{Place, Sheet};
use super::style::{PX, color, dash, marker};

/// Distance between markers on a line of many points.
const MARKER_EVERY: i32 = 56 * PX;
/// Points closer than this on average are drawn as their medians.
const DENSE: i32 = 2 * PX;
/// Width over which a median is taken.
const COLUMN: i32 = 3 * PX;

/// Shades the interval around a line.
pub(super) fn draw_band(sheet: &Sheet, frame: &Frame, series: &Series) -> Result<()> {
    let bounds = series.points.iter().map(|p| {
        let interval = p.interval.filter(|_| p.y.is_finite())?;
        Some((frame.at(p.x, interval.low)?, frame.at(p.x, interval.high)?))
    });
    for run in runs(bounds) {
        if let [(low, high)] = run[..] {
            sheet.whisker(low.0, low.1, high.1, color(series.variant_index), 3 * PX)?;
        } else {
            let outline: Vec<Place> = run.iter().map(|(low, _)| *low).chain(run.iter().rev().map(|(_, high)| *high)).collect();
            sheet.polygon(&outline, color(series.variant_index), 0.12)?;
        }
    }
    Ok(())
}

/// Draws lines, and their markers over them all.
pub(super) fn draw_lines(sheet: &Sheet, frame: &Frame, lines: &[Series], thickness: i32, radius: i32) -> Result<()> {
    for line in lines {
        draw_line(sheet, frame, line, thickness)?;
    }
    for (turn, line) in lines.iter().enumerate() {
        draw_markers(sheet, frame, line, radius, turn)?;
    }
    Ok(())
}

/// Draws a line. Where its points are denser than can be seen, it runs through the medians of neighbours, and shading
/// shows how far they spread.
fn draw_line(sheet: &Sheet, frame: &Frame, series: &Series, thickness: i32) -> Result<()> {
    let ink = color(series.variant_index);
    for run in runs(places(frame, series)) {
        let columns = condense(&run);
        if columns.len() < run.len() {
            let upper = columns.iter().map(|column| (column.median.0, column.top));
            let lower = columns.iter().rev().map(|column| (column.median.0, column.bottom));
            sheet.polygon(&upper.chain(lower).collect::<Vec<_>>(), ink, 0.13)?;
        }
        let medians: Vec<Place> = columns.iter().map(|column| column.median).collect();
        sheet.dashed(&medians, ink, thickness, dash(series.dash))?;
    }
    Ok(())
}

/// Draws a line's markers, every one or as many as there is room for; `turn` moves them along, so that those of
/// neighbouring lines do not cover each other.
fn draw_markers(sheet: &Sheet, frame: &Frame, series: &Series, radius: i32, turn: usize) -> Result<()> {
    let mut next = i32::MIN;
    for run in runs(places(frame, series)) {
        let columns = condense(&run);
        let width = run[run.len() - 1].0 - run[0].0;
        let crowded = width < run.len() as i32 * MARKER_EVERY / 3;
        if crowded && run.len() > 1 {
            next = next.max(run[0].0 + MARKER_EVERY * (turn % 4) as i32 / 4);
        }
        for column in columns {
            if !crowded || column.median.0 >= next {
                sheet.marker(column.median, marker(series.variant_index), radius)?;
                next = column.median.0 + MARKER_EVERY;
            }
        }
    }
    Ok(())
}

/// Where a line ends: its last point that has a place.
pub(super) fn end(frame: &Frame, series: &Series) -> Option<Place> {
    series.points.iter().rev().find_map(|p| frame.at(p.x, p.y))
}

fn places(frame: &Frame, series: &Series) -> impl Iterator<Item = Option<Place>> {
    series.points.iter().map(|p| frame.at(p.x, p.y))
}

/// The unbroken runs of what is there.
fn runs<T>(items: impl Iterator<Item = Option<T>>) -> Vec<Vec<T>> {
    let mut runs = vec![Vec::new()];
    for item in items {
        match (item, runs.last_mut()) {
            (Some(item), Some(run)) => run.push(item),
            (None, Some(run)) if !run.is_empty() => runs.push(Vec::new()),
            _ => {}
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// Neighbouring points as one.
#[derive(Debug, PartialEq)]
struct Column {
    median: Place,
    top: i32,
    bottom: i32,
}

/// A run as it is, or column by column where it is dense.
fn condense(run: &[Place]) -> Vec<Column> {
    let dense = run[run.len() - 1].0 - run[0].0 < (run.len() as i32 - 1) * DENSE;
    run.chunk_by(|a, b| dense && a.0 / COLUMN == b.0 / COLUMN)
        .map(|column| {
            let mut heights: Vec<i32> = column.iter().map(|place| place.1).collect();
            heights.sort_unstable();
            let middle = column.iter().map(|place| place.0).sum::<i32>() / column.len() as i32;
            Column { median: (middle, heights[heights.len() / 2]), top: heights[0], bottom: heights[heights.len() - 1] }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_break_a_line() {
        let items = [None, Some(1), Some(2), None, None, Some(3)];
        assert_eq!(runs(items.into_iter()), [vec![1, 2], vec![3]]);
        assert!(runs([None::<u8>].into_iter()).is_empty());
    }

    #[test]
    fn dense_points_become_columns_that_keep_the_extremes() {
        let run: Vec<Place> = (0..1000).map(|i| (i, if i == 437 { -500 } else { i % 7 })).collect();
        let columns = condense(&run);
        assert_eq!(columns.len(), 34);
        assert_eq!(columns.iter().map(|column| column.top).min(), Some(-500));
        assert!(columns.iter().all(|column| (2..=4).contains(&column.median.1)));
    }

    #[test]
    fn sparse_points_stay_as_they_are() {
        let run = [(0, 5), (100, 7), (120, 6)];
        assert_eq!(condense(&run).iter().map(|column| column.median).collect::<Vec<_>>(), run);
        assert_eq!(condense(&run[..1]), [Column { median: (0, 5), top: 5, bottom: 5 }]);
    }
}
