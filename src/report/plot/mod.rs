//! The figures of a report, one a file, each a pure function from its data to SVG text.
//!
//! Nothing here computes a statistic: values, intervals and counts come in, shapes come out, the same bytes for the
//! same data. Every figure is as wide as a Markdown page on GitHub and readable in grey: what a colour says, a marker,
//! a dash or a hatch says again. Labels are Latin; the font that [`raster`] embeds has no other letters.
//!
//! Plotters writes the shapes; places are computed here, in tenths of a pixel. Its own charts take neither zeros on a
//! logarithmic axis nor labels that keep out of each other's way.

#![expect(clippy::cast_possible_wrap, reason = "counts of rows, columns and letters are far below what i32 holds")]

pub mod accuracy;
pub mod forest;
pub mod gradients;
pub mod heat;
pub mod pareto;
pub mod power;
pub mod raster;
pub mod retention;
pub mod taxonomy;
pub mod trajectory;

mod key;
mod line;
#[cfg(test)]
mod samples;
mod scale;
mod sheet;
mod style;

use crate::stats::Interval;

/// What stands over a figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Titles {
    /// What is shown, as a sentence.
    pub title: String,
    /// Size, seed and device of the measurement.
    pub subtitle: String,
}

/// A measured value with its interval and the number of items behind it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The value, as a fraction of 1.
    pub value: f64,
    /// Lower bound of its interval.
    pub low: f64,
    /// Upper bound of its interval.
    pub high: f64,
    /// Items it was measured on.
    pub n: usize,
}

impl Estimate {
    /// A value with the interval that the statistics gave it.
    pub fn new(value: f64, interval: Interval, n: usize) -> Self {
        Self { value, low: interval.low, high: interval.high, n }
    }
}

/// One line of a figure over optimizer steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name in the figure.
    pub label: String,
    /// Which colour and marker: the variant's place in the experiment, base first.
    pub variant_index: usize,
    /// Which dash: 0 is solid.
    pub dash: usize,
    /// In the order of x.
    pub points: Vec<Point>,
}

/// One point of a line; a y that is not finite is a gap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Optimizer step.
    pub x: f64,
    /// The value there.
    pub y: f64,
    /// Its interval, where there is one.
    pub interval: Option<Interval>,
}

impl Point {
    /// A value without an interval.
    pub fn new(x: f64, y: f64) -> Self {
        Self { x, y, interval: None }
    }
}
