//! Axes: from a value to its place, with the marks and labels in between.

use anyhow::Result;

use super::sheet::{Place, Rect, Sheet};
use super::style::{PX, SMALL};

/// A value this many decades below the largest is drawn at the foot of a logarithmic axis.
const MOST_DECADES: f64 = 8.0;
/// Room below the smallest value on a logarithmic axis for its zero, in decades.
const ROOM_FOR_ZERO: f64 = 0.6;

/// One axis.
#[derive(Debug, Clone)]
pub(super) struct Scale {
    /// Ends of the axis; of the logarithm's where that is drawn.
    low: f64,
    high: f64,
    kind: Kind,
    ticks: Vec<Tick>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Linear,
    /// Zero and what is below the smallest mark stand at the foot.
    LogWithZero,
    /// Zero has no place.
    Log,
}

/// A mark with its label.
#[derive(Debug, Clone, PartialEq)]
struct Tick {
    at: f64,
    label: String,
}

impl Scale {
    /// From `low` to `high`, with about as many marks as asked for.
    pub(super) fn linear(low: f64, high: f64, marks: usize) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        let step = round_step((high - low) / marks.max(1) as f64);
        let digits = (-step.log10().floor()).max(0.0) as usize;
        let ticks = multiples(step, low, high).map(|at| Tick { at, label: format!("{at:.digits$}") }).collect();
        Self { low, high, kind: Kind::Linear, ticks }
    }

    /// Optimizer steps from 0 to the last, with about as many marks as asked for, none between two steps.
    pub(super) fn steps(last: f64, marks: usize) -> Self {
        Self::linear(0.0, last, marks.min(last.max(1.0) as usize))
    }

    /// Fractions of 1 from `low` to `high`, labelled in percent.
    pub(super) fn percent(low: f64, high: f64, step: f64) -> Self {
        let label = |at: f64| format!("{:.0}%", at * 100.0);
        let ticks = multiples(step, low, high).map(|at| Tick { at, label: label(at) }).collect();
        Self { low, high, kind: Kind::Linear, ticks }
    }

    /// Logarithmic over the positive values; from 1 to 10 where there is none.
    pub(super) fn log(values: impl Iterator<Item = f64> + Clone) -> Self {
        Self::logarithmic(values, Kind::Log)
    }

    /// Logarithmic over the positive values, with a mark for zero at its foot if a value is zero.
    pub(super) fn log_from_zero(values: impl Iterator<Item = f64> + Clone) -> Self {
        let kind = if values.clone().any(|v| v <= 0.0) { Kind::LogWithZero } else { Kind::Log };
        Self::logarithmic(values, kind)
    }

    fn logarithmic(values: impl Iterator<Item = f64> + Clone, kind: Kind) -> Self {
        let positive = values.filter(|v| v.is_finite() && *v > 0.0).map(f64::log10);
        let highest = positive.clone().fold(f64::NEG_INFINITY, f64::max);
        let lowest = positive.fold(f64::INFINITY, f64::min).max(highest - MOST_DECADES);
        let (first, high, marks) = if lowest <= highest { log_marks(lowest, highest) } else { (0.0, 1.0, vec![0.0, 1.0]) };
        let mut ticks: Vec<Tick> = marks.iter().map(|at| Tick { at: *at, label: short(10f64.powf(*at)) }).collect();
        let low = if kind == Kind::LogWithZero { first - ROOM_FOR_ZERO } else { first };
        if kind == Kind::LogWithZero {
            ticks.insert(0, Tick { at: low, label: "0".to_owned() });
        }
        Self { low, high, kind, ticks }
    }

    /// Where a value is, from 0 at the axis' low end to 1 at its high end; `None` for what has no place.
    pub(super) fn share(&self, value: f64) -> Option<f64> {
        let mapped = match self.kind {
            Kind::Linear => value,
            Kind::LogWithZero if value <= 0.0 => self.low,
            Kind::Log if value <= 0.0 => return None,
            Kind::Log | Kind::LogWithZero => value.log10(),
        };
        mapped.is_finite().then(|| ((mapped - self.low) / (self.high - self.low)).clamp(0.0, 1.0))
    }
}

/// A rectangle with two axes.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) rect: Rect,
    pub(super) x: Scale,
    pub(super) y: Scale,
}

impl Frame {
    /// The place of a point; `None` where an axis has none for it.
    pub(super) fn at(&self, x: f64, y: f64) -> Option<Place> {
        Some((self.across(x)?, self.up(y)?))
    }

    pub(super) fn across(&self, x: f64) -> Option<i32> {
        Some(self.rect.left + (self.x.share(x)? * f64::from(self.rect.width())).round() as i32)
    }

    pub(super) fn up(&self, y: f64) -> Option<i32> {
        Some(self.rect.bottom - (self.y.share(y)? * f64::from(self.rect.height())).round() as i32)
    }

    /// The horizontal grid, with the labels of the y axis if asked for.
    pub(super) fn draw_y(&self, sheet: &Sheet, labels: bool) -> Result<()> {
        for tick in &self.y.ticks {
            let y = self.rect.bottom - ((tick.at - self.y.low) / (self.y.high - self.y.low) * f64::from(self.rect.height())).round() as i32;
            sheet.rule(self.rect.left, self.rect.right, y)?;
            if labels {
                sheet.text(&tick.label, (self.rect.left - 6 * PX, y), SMALL.right())?;
            }
        }
        Ok(())
    }

    /// The line of the x axis, with its labels if asked for; `grid` adds the vertical grid.
    pub(super) fn draw_x(&self, sheet: &Sheet, labels: bool, grid: bool) -> Result<()> {
        for tick in &self.x.ticks {
            let x = self.rect.left + ((tick.at - self.x.low) / (self.x.high - self.x.low) * f64::from(self.rect.width())).round() as i32;
            if grid {
                sheet.plumb(x, self.rect.top, self.rect.bottom)?;
            }
            sheet.axis((x, self.rect.bottom), (x, self.rect.bottom + 4 * PX))?;
            if labels {
                sheet.text(&tick.label, (x, self.rect.bottom + 7 * PX), SMALL.centred().top())?;
            }
        }
        sheet.axis((self.rect.left, self.rect.bottom), (self.rect.right, self.rect.bottom))
    }

    /// What the x axis shows, under its labels.
    pub(super) fn name_x(&self, sheet: &Sheet, name: &str) -> Result<()> {
        let middle = self.rect.left + self.rect.width() / 2;
        sheet.text(name, (middle, self.rect.bottom + 24 * PX), SMALL.centred().top())
    }
}

/// The whole multiples of a step between two values.
fn multiples(step: f64, low: f64, high: f64) -> impl Iterator<Item = f64> {
    let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    (first..=last).map(move |i| i as f64 * step)
}

/// The smallest of 1, 2, 5 times a power of ten that is not below the step.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0].iter().map(|m| m * power).find(|round| *round >= step * 0.999_999).unwrap_or(10.0 * power)
}

/// The ends of a logarithmic axis, at 1, 2 or 5 times a power of ten around the values, and its marks: whole decades, or
/// those numbers where there are too few decades. All are logarithms.
fn log_marks(lowest: f64, highest: f64) -> (f64, f64, Vec<f64>) {
    let round: Vec<f64> = (lowest.floor() as i32 - 1..=highest.ceil() as i32 + 1)
        .flat_map(|decade| [1.0_f64, 2.0, 5.0].map(|m| f64::from(decade) + m.log10()))
        .collect();
    let below = round.iter().rposition(|at| *at <= lowest + 1e-9).unwrap_or(0);
    let above = round.iter().position(|at| *at >= highest - 1e-9).unwrap_or(round.len() - 1).max(below + 1);
    let decades: Vec<f64> = round[below..=above].iter().filter(|at| (*at - at.round()).abs() < 1e-9).copied().collect();
    let marks = if decades.len() < 3 {
        round[below..=above].to_vec()
    } else {
        decades.iter().step_by(decades.len().div_ceil(6)).copied().collect()
    };
    (round[below], round[above], marks)
}

/// A power of ten, or 2 or 5 of it, without needless digits.
fn short(value: f64) -> String {
    let power = value.log10().floor();
    if (-4.0..=4.0).contains(&power) {
        let digits = (-power).max(0.0) as usize;
        format!("{value:.digits$}")
    } else {
        format!("{value:.0e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<&str> {
        scale.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn marks_are_round_numbers() {
        assert_eq!(labels(&Scale::linear(0.0, 189.0, 6)), ["0", "50", "100", "150"]);
        assert_eq!(labels(&Scale::linear(0.0, 0.034, 4)), ["0.00", "0.01", "0.02", "0.03"]);
        assert_eq!(labels(&Scale::steps(1.0, 8)), ["0", "1"]);
        assert_eq!(labels(&Scale::percent(0.0, 1.0, 0.5)), ["0%", "50%", "100%"]);
    }

    #[test]
    fn logarithmic_marks_are_decades_or_enough_numbers_between() {
        let scale = |values: &[f64]| Scale::log(values.iter().copied());
        assert_eq!(labels(&scale(&[0.3, 4.0])), ["0.2", "0.5", "1", "2", "5"]);
        assert_eq!(labels(&scale(&[0.003, 9.0])), ["0.01", "0.1", "1", "10"]);
        assert_eq!(labels(&scale(&[1.0])), ["1", "2"]);
        assert_eq!(labels(&scale(&[1e-30, 1.0])), ["1e-8", "1e-6", "0.0001", "0.01", "1"]);
        assert_eq!(labels(&scale(&[0.0, f64::NAN])), ["1", "10"]);
    }

    #[test]
    fn zero_stands_at_the_foot_or_nowhere() {
        let values = [0.0, 0.01, 1.0];
        let from_zero = Scale::log_from_zero(values.into_iter());
        assert_eq!(labels(&from_zero)[0], "0");
        assert_eq!(from_zero.share(0.0), Some(0.0));
        assert!(from_zero.share(0.01).is_some_and(|share| share > 0.1));
        assert_eq!(Scale::log(values.into_iter()).share(0.0), None);
        assert_eq!(from_zero.share(f64::NAN), None);
    }
}
