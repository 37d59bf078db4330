//! What was learned against what was kept: one point a variant, with the interval of both.

use anyhow::Result;

use super::key::{Key, Sign};
use super::scale::{Frame, Scale};
use super::sheet::{Place, Rect, Sheet, figure};
use super::style::{AXIS, BODY, INK, MARGIN, MUTED, PX, SMALL, WIDTH, color, marker};
use super::{Estimate, Titles};
use plotters::style::RGBColor;

/// One variant.
#[derive(Debug, Clone, PartialEq)]
pub struct RetentionPoint {
    /// The variant's name.
    pub label: String,
    /// Its place in the experiment, base first.
    pub variant_index: usize,
    /// Accuracy on the identity suite.
    pub x: Estimate,
    /// Mean retention over the general suites: 1 is what the base knows.
    pub y: Estimate,
}

const PLOT: i32 = 380 * PX;
const ABOVE: i32 = 24 * PX;
const BELOW: i32 = 46 * PX;
const LEFT: i32 = MARGIN + 46 * PX;
/// Tints of the palette's green and orange, light enough for every line on them.
const KEEPS: RGBColor = RGBColor(0xEA, 0xF6, 0xF2);
const FORGETS: RGBColor = RGBColor(0xFD, 0xF3, 0xED);
/// A line of a name.
const LABEL_HEIGHT: i32 = 16 * PX;

/// With more points than this, names would cover the figure: a key has them instead.
const MOST_NAMES: usize = 8;

/// Draws the figure: one point a variant, base included. `margin` is the loss of retention that still counts as keeping: .05
/// draws the border at 95%.
pub fn retention(titles: &Titles, margin: f64, points: &[RetentionPoint]) -> Result<String> {
    let named = points.len() <= MOST_NAMES;
    let sign = |p: &RetentionPoint| (Sign::Marker(p.variant_index), p.label.clone());
    let key = Key::new(points.iter().filter(|_| !named).map(sign));
    figure(titles, key.height() + ABOVE + PLOT + BELOW, |sheet, top| {
        key.draw(sheet, MARGIN, top)?;
        let top = top + key.height();
        let rect = Rect { left: LEFT, right: WIDTH - MARGIN, top: top + ABOVE, bottom: top + ABOVE + PLOT };
        // A point at an end of the axis is a whole marker, not half of one.
        let frame = Frame { rect, x: Scale::percent(-0.04, 1.04, 0.25), y: y_scale(margin, points) };
        sheet.text("general retention: accuracy above chance, relative to the base", (MARGIN, top + 10 * PX), SMALL)?;
        let mut taken = draw_ground(sheet, &frame, margin)?;
        frame.name_x(sheet, "identity accuracy")?;
        let places: Vec<(Place, &RetentionPoint)> = points.iter().filter_map(|p| Some((frame.at(p.x.value, p.y.value)?, p))).collect();
        taken.extend(places.iter().map(|(at, _)| around(*at, 14 * PX, 14 * PX)));
        let mut bars: Vec<Rect> = places.iter().flat_map(|(at, point)| bars(&frame, *at, point)).collect();
        taken.extend(draw_reference(sheet, &frame, &taken, &bars)?);
        for y in [1.0, 1.0 - margin].into_iter().filter_map(|y| frame.up(y)) {
            bars.push(Rect { top: y - PX, bottom: y + PX, ..rect });
        }
        draw_points(sheet, &frame, &places)?;
        if named {
            draw_names(sheet, &frame, &places, taken, &bars)?;
        }
        draw_missing(sheet, &frame, points)
    })
}

/// From a little below the lowest interval to a little above the highest; 100% and the border are always inside.
fn y_scale(margin: f64, points: &[RetentionPoint]) -> Scale {
    let bounds = || points.iter().flat_map(|p| [p.y.value, p.y.low, p.y.high]).filter(|v| v.is_finite());
    let low = bounds().fold(1.0 - 2.0 * margin.clamp(0.02, 0.5), f64::min).max(-10.0);
    let high = bounds().fold(1.05, f64::max).min(10.0);
    let step = [0.05, 0.1, 0.25, 0.5, 1.0].into_iter().find(|step| (high - low) / step <= 9.0).unwrap_or(2.5);
    Scale::percent((low / step).floor() * step, high + 0.03 * (high - low), step)
}

/// The grid over shaded regions, what keeps and what forgets; returns where their names stand.
fn draw_ground(sheet: &Sheet, frame: &Frame, margin: f64) -> Result<Vec<Rect>> {
    let rect = frame.rect;
    let border = frame.up(1.0 - margin).unwrap_or(rect.top);
    sheet.rect(Rect { bottom: border, ..rect }, KEEPS, 1.0)?;
    sheet.rect(Rect { top: border, ..rect }, FORGETS, 1.0)?;
    frame.draw_y(sheet, true)?;
    frame.draw_x(sheet, true, true)?;
    sheet.dashed(&[(rect.left, border), (rect.right, border)], AXIS, 10, &[4 * PX, 4 * PX])?;
    let name = |name: &str, y: i32, ground: RGBColor| -> Result<Rect> {
        let left = rect.left + 8 * PX;
        let patch = Rect { left, right: left + BODY.width(name) + 4 * PX, top: y - 8 * PX, bottom: y + 8 * PX };
        sheet.rect(patch, ground, 1.0)?;
        sheet.text(name, (left, y), BODY.colored(MUTED))?;
        Ok(patch)
    };
    let keeps = format!("keeps (loses at most {:.0}%)", margin * 100.0);
    Ok(vec![name(&keeps, rect.top + 11 * PX, KEEPS)?, name("forgets", rect.bottom - 11 * PX, FORGETS)?])
}

/// The base's own level, named where nothing is in the way; returns where the name stands.
fn draw_reference(sheet: &Sheet, frame: &Frame, taken: &[Rect], bars: &[Rect]) -> Result<Option<Rect>> {
    let Some(y) = frame.up(1.0) else {
        return Ok(None);
    };
    let Rect { left, right, .. } = frame.rect;
    sheet.line(&[(left, y), (right, y)], INK, 12)?;
    let name = "as much as the base";
    let width = SMALL.width(name);
    let place = |share: i32| {
        let left = left + 6 * PX + (right - left - 12 * PX - width) * share / 20;
        Rect { left, right: left + width, top: y - 15 * PX, bottom: y - PX }
    };
    let covered = |rect: &Rect| taken.iter().chain(bars).map(|other| rect.overlap(*other)).sum::<i64>();
    let rect = (0..=20).rev().map(place).min_by_key(covered).unwrap_or(place(20));
    sheet.text(name, (rect.left, y - 8 * PX), SMALL)?;
    Ok(Some(rect))
}

fn draw_points(sheet: &Sheet, frame: &Frame, points: &[(Place, &RetentionPoint)]) -> Result<()> {
    for (at, point) in points {
        draw_cross(sheet, frame, *at, point)?;
    }
    for (at, point) in points {
        sheet.marker(*at, marker(point.variant_index), 58)?;
    }
    Ok(())
}

/// Each point's name beside it, where it covers nothing of what is taken.
fn draw_names(sheet: &Sheet, frame: &Frame, points: &[(Place, &RetentionPoint)], mut taken: Vec<Rect>, bars: &[Rect]) -> Result<()> {
    for (at, point) in points {
        let name = BODY.fit(&point.label, 240 * PX);
        let rect = place_name(*at, BODY.width(&name), frame.rect, &taken, bars);
        draw_leader(sheet, *at, rect, color(point.variant_index))?;
        sheet.text(&name, (rect.left + 2 * PX, rect.top + rect.height() / 2), BODY)?;
        taken.push(rect);
    }
    Ok(())
}

/// Names the variants that have no place in the figure.
fn draw_missing(sheet: &Sheet, frame: &Frame, points: &[RetentionPoint]) -> Result<()> {
    let missing: Vec<&str> = points.iter().filter(|p| frame.at(p.x.value, p.y.value).is_none()).map(|p| p.label.as_str()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let note = SMALL.fit(&format!("n/a: {}", missing.join(", ")), frame.rect.width() / 2);
    sheet.text(&note, (frame.rect.right - 6 * PX, frame.rect.bottom - 11 * PX), SMALL.right())
}

/// The areas that a point's two intervals cover.
fn bars(frame: &Frame, at: Place, point: &RetentionPoint) -> Vec<Rect> {
    let reach = 4 * PX;
    let upright = frame.up(point.y.low).zip(frame.up(point.y.high));
    let level = frame.across(point.x.low).zip(frame.across(point.x.high));
    let upright = upright.map(|(low, high)| Rect { top: high, bottom: low, left: at.0 - reach, right: at.0 + reach });
    let level = level.map(|(low, high)| Rect { left: low, right: high, top: at.1 - reach, bottom: at.1 + reach });
    upright.into_iter().chain(level).collect()
}

fn draw_cross(sheet: &Sheet, frame: &Frame, at: Place, point: &RetentionPoint) -> Result<()> {
    let ink = color(point.variant_index);
    if let Some((low, high)) = frame.up(point.y.low).zip(frame.up(point.y.high)) {
        sheet.whisker(at.0, low, high, ink, 4 * PX)?;
    }
    if let Some((low, high)) = frame.across(point.x.low).zip(frame.across(point.x.high)) {
        sheet.line(&[(low, at.1), (high, at.1)], ink, 14)?;
        for x in [low, high] {
            sheet.line(&[(x, at.1 - 4 * PX), (x, at.1 + 4 * PX)], ink, 14)?;
        }
    }
    Ok(())
}

/// The nearest place for a name that covers no other name or marker, and as little of the bars as can be.
pub(super) fn place_name(at: Place, width: i32, inside: Rect, taken: &[Rect], bars: &[Rect]) -> Rect {
    let (width, half) = (width + 4 * PX, LABEL_HEIGHT / 2);
    let mut best: Option<(i64, Rect)> = None;
    for distance in [9, 22, 36, 52, 70, 90, 115, 140].map(|d| d * PX) {
        for (dx, dy) in DIRECTIONS {
            let (x, y) = (at.0 + dx * distance / 100, at.1 + dy * distance / 100);
            let left = match dx {
                0 => x - width / 2,
                1.. => x,
                _ => x - width,
            };
            // A name above or below a marker begins where its line does, not at its middle.
            let y = if dx == 0 { y + dy.signum() * half } else { y };
            let rect = Rect { left, right: left + width, top: y - half, bottom: y + half };
            let outside = i64::from(rect.width()) * i64::from(rect.height()) - rect.overlap(inside);
            let on_names: i64 = taken.iter().map(|other| rect.overlap(*other)).sum();
            let on_bars: i64 = bars.iter().map(|other| rect.overlap(*other)).sum();
            let cost = 100 * (outside + on_names) + 12 * on_bars + i64::from(distance) * 120;
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, rect));
            }
        }
    }
    best.map_or(around(at, width, LABEL_HEIGHT), |(_, rect)| rect)
}

/// Directions in hundredths, the preferred first: beside the marker above its bar, then below, above, under.
const DIRECTIONS: [(i32, i32); 12] = [
    (70, -110),
    (70, 110),
    (-70, -110),
    (-70, 110),
    (100, 0),
    (-100, 0),
    (0, -100),
    (0, 100),
    (100, -50),
    (100, 50),
    (-100, -50),
    (-100, 50),
];

/// A line from a marker to a name that stands apart from it.
pub(super) fn draw_leader(sheet: &Sheet, at: Place, label: Rect, ink: RGBColor) -> Result<()> {
    let nearest = (at.0.clamp(label.left, label.right), at.1.clamp(label.top + 3 * PX, label.bottom - 3 * PX));
    let (dx, dy) = (f64::from(nearest.0 - at.0), f64::from(nearest.1 - at.1));
    let distance = dx.hypot(dy);
    if distance < f64::from(18 * PX) {
        return Ok(());
    }
    let from = 7.0 * f64::from(PX) / distance;
    let start = (at.0 + (dx * from) as i32, at.1 + (dy * from) as i32);
    sheet.line(&[start, nearest], ink, 7)
}

pub(super) fn around(at: Place, width: i32, height: i32) -> Rect {
    Rect { left: at.0 - width / 2, right: at.0 + width / 2, top: at.1 - height / 2, bottom: at.1 + height / 2 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::samples;

    fn draw(points: usize, margin: f64, place: impl Fn(usize) -> (f64, f64)) -> Result<String> {
        let point = |i| {
            let (x, y) = place(i);
            RetentionPoint { label: samples::name(i), variant_index: i, x: samples::estimate(x), y: samples::estimate(y) }
        };
        retention(&samples::titles(), margin, &(0..points).map(point).collect::<Vec<_>>())
    }

    #[test]
    fn any_data_is_drawn_as_valid_svg() {
        samples::check(|| draw(4, 0.05, |i| (i as f64 / 3.0, 1.0 - i as f64 / 6.0)));
        samples::check(|| draw(1, 0.05, |_| (0.0, 1.0)));
        samples::check(|| draw(4, 0.05, |_| (0.0, 0.0)));
        samples::check(|| draw(12, 0.0, |_| (1.0, 1.0)));
        samples::check(|| draw(3, 0.05, |i| (0.5, [f64::NAN, -0.4, 1e9][i])));
        samples::check(|| draw(0, 1.0, |_| (0.0, 0.0)));
    }

    #[test]
    fn names_of_points_in_one_place_stand_apart() {
        let inside = Rect { left: 0, right: 8000, top: 0, bottom: 4000 };
        let mut taken = vec![around((4000, 2000), 140, 140)];
        for _ in 0..12 {
            let rect = place_name((4000, 2000), 600, inside, &taken, &[]);
            assert!(taken.iter().all(|other| rect.overlap(*other) == 0), "{rect:?} covers one of {taken:?}");
            taken.push(rect);
        }
    }

    #[test]
    fn a_variant_without_retention_is_named() -> Result<()> {
        let svg = draw(2, 0.05, |i| (0.5, if i == 0 { 1.0 } else { f64::NAN }))?;
        assert!(svg.contains("n/a: "));
        Ok(())
    }
}
