//! Identity against retention: every candidate of a search as a point, the front that none of them beats as a line.

use anyhow::Result;
use plotters::style::RGBColor;

use super::Titles;
use super::key::{Key, Sign};
use super::retention::{around, draw_leader, place_name};
use super::scale::{Frame, Scale};
use super::sheet::{Place, Rect, Sheet, figure};
use super::style::{AXIS, BODY, INK, MARGIN, MUTED, PX, SMALL, WIDTH, marker};

/// What the figure shows.
#[derive(Debug, Clone, PartialEq)]
pub struct ParetoData {
    /// The identity accuracy that is to be kept: what lies left of it has lost more than the margin.
    pub keeps: Option<f64>,
    /// Names of the kinds of candidates, in the order of their markers.
    pub kinds: Vec<String>,
    /// The candidates.
    pub points: Vec<ParetoPoint>,
}

/// One candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct ParetoPoint {
    /// Its name, shown where it stands out.
    pub label: Option<String>,
    /// Its kind's place in [`ParetoData::kinds`].
    pub kind: usize,
    /// Identity accuracy.
    pub x: f64,
    /// Retention.
    pub y: f64,
    /// No other candidate is as good in both and better in one.
    pub front: bool,
    /// It is the choice.
    pub chosen: bool,
}

const PLOT: i32 = 380 * PX;
const ABOVE: i32 = 24 * PX;
const BELOW: i32 = 46 * PX;
const LEFT: i32 = MARGIN + 46 * PX;
/// Radius of the ring around the choice.
const RING: i32 = 11 * PX;
/// The part of the figure where more of the identity is lost than the margin.
const LOST: RGBColor = RGBColor(0xF5, 0xF5, 0xF5);

/// Draws the figure.
pub fn pareto(titles: &Titles, data: &ParetoData) -> Result<String> {
    // Marker 0 is the base's in every figure.
    let signs = data.kinds.iter().enumerate().filter(|(kind, _)| data.points.iter().any(|point| point.kind == *kind));
    let key = Key::new(signs.map(|(kind, name)| (Sign::Marker(kind + 1), name.clone())));
    figure(titles, key.height() + ABOVE + PLOT + BELOW, |sheet, top| {
        key.draw(sheet, MARGIN, top)?;
        let top = top + key.height();
        let rect = Rect { left: LEFT, right: WIDTH - MARGIN, top: top + ABOVE, bottom: top + ABOVE + PLOT };
        let frame = Frame { rect, x: Scale::percent(-0.04, 1.04, 0.25), y: y_scale(data) };
        sheet.text("general retention: accuracy above chance, relative to the base", (MARGIN, top + 10 * PX), SMALL)?;
        let mut taken = draw_ground(sheet, &frame, data.keeps)?;
        frame.name_x(sheet, "identity accuracy")?;
        let places: Vec<(Place, &ParetoPoint)> = data.points.iter().filter_map(|p| Some((frame.at(p.x, p.y)?, p))).collect();
        draw_front(sheet, &places)?;
        for (at, point) in &places {
            sheet.marker(*at, marker(point.kind + 1), 50)?;
            taken.push(around(*at, 12 * PX, 12 * PX));
        }
        for (at, _) in places.iter().filter(|(_, point)| point.chosen) {
            sheet.line(&circle(*at), INK, 18)?;
            taken.push(around(*at, 2 * RING, 2 * RING));
        }
        for (at, point) in &places {
            let Some(label) = &point.label else { continue };
            let name = BODY.fit(label, 300 * PX);
            let place = place_name(*at, BODY.width(&name), rect, &taken, &[]);
            draw_leader(sheet, *at, place, INK)?;
            sheet.text(&name, (place.left + 2 * PX, place.top + place.height() / 2), BODY)?;
            taken.push(place);
        }
        draw_missing(sheet, rect, data.points.len() - places.len())
    })
}

/// From a little below the lowest point to a little above the highest, 100 % inside.
fn y_scale(data: &ParetoData) -> Scale {
    let values = || data.points.iter().map(|point| point.y).filter(|y| y.is_finite());
    let low = values().fold(0.9, f64::min).max(-10.0);
    let high = values().fold(1.05, f64::max).min(10.0);
    let step = [0.05, 0.1, 0.25, 0.5, 1.0].into_iter().find(|step| (high - low) / step <= 9.0).unwrap_or(2.5);
    Scale::percent((low / step).floor() * step - 0.02 * (high - low), high + 0.03 * (high - low), step)
}

/// The grid, the base's own level, and where too much of the identity is lost; returns where their names stand.
fn draw_ground(sheet: &Sheet, frame: &Frame, keeps: Option<f64>) -> Result<Vec<Rect>> {
    let rect = frame.rect;
    let mut names = Vec::new();
    let border = keeps.and_then(|keeps| frame.across(keeps));
    if let Some(border) = border {
        sheet.rect(Rect { right: border, ..rect }, LOST, 1.0)?;
    }
    frame.draw_y(sheet, true)?;
    frame.draw_x(sheet, true, true)?;
    let mut name = |name: &str, left: i32, y: i32| -> Result<()> {
        sheet.text(name, (left, y), SMALL.colored(MUTED))?;
        names.push(Rect { left, right: left + SMALL.width(name), top: y - 8 * PX, bottom: y + 8 * PX });
        Ok(())
    };
    if let Some(border) = border {
        sheet.dashed(&[(border, rect.top), (border, rect.bottom)], AXIS, 10, &[4 * PX, 4 * PX])?;
        let words = "identity kept";
        let fits = border + 6 * PX + SMALL.width(words) < rect.right;
        let left = if fits { border + 6 * PX } else { border - 6 * PX - SMALL.width("identity lost") };
        name(if fits { words } else { "identity lost" }, left, rect.bottom - 11 * PX)?;
    }
    if let Some(y) = frame.up(1.0) {
        sheet.line(&[(rect.left, y), (rect.right, y)], INK, 12)?;
        let words = "as much as the base";
        name(words, rect.right - 6 * PX - SMALL.width(words), y - 8 * PX)?;
    }
    Ok(names)
}

/// A stair through the front: what lies under it is beaten in both numbers.
fn draw_front(sheet: &Sheet, places: &[(Place, &ParetoPoint)]) -> Result<()> {
    let mut front: Vec<Place> = places.iter().filter(|(_, point)| point.front).map(|(at, _)| *at).collect();
    front.sort_unstable();
    front.dedup();
    let mut stair: Vec<Place> = Vec::new();
    for at in front {
        if let Some(last) = stair.last().copied() {
            stair.push((last.0, at.1));
        }
        stair.push(at);
    }
    sheet.line(&stair, MUTED, 14)
}

fn circle(at: Place) -> Vec<Place> {
    let place = |step: i32| {
        let angle = f64::from(step) * std::f64::consts::TAU / 48.0;
        let along = |part: f64| (part * f64::from(RING)).round() as i32;
        (at.0 + along(angle.cos()), at.1 + along(angle.sin()))
    };
    (0..=48).map(place).collect()
}

fn draw_missing(sheet: &Sheet, rect: Rect, missing: usize) -> Result<()> {
    if missing == 0 {
        return Ok(());
    }
    let note = format!("{missing} without a place: no answers, or nothing to retain");
    sheet.text(&note, (rect.right - 6 * PX, rect.bottom - 11 * PX), SMALL.right())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::samples;

    fn data(points: &[(f64, f64)], keeps: Option<f64>) -> ParetoData {
        let point = |(i, (x, y)): (usize, &(f64, f64))| ParetoPoint {
            label: (i < 2).then(|| samples::name(i)),
            kind: i % 6,
            x: *x,
            y: *y,
            front: i % 2 == 0,
            chosen: i == 1,
        };
        ParetoData { keeps, kinds: (0..6).map(samples::name).collect(), points: points.iter().enumerate().map(point).collect() }
    }

    #[test]
    fn any_data_is_drawn_as_valid_svg() {
        let many: Vec<(f64, f64)> = (0..24).map(|i| (f64::from(i) / 23.0, 1.0 - f64::from(i * i) / 700.0)).collect();
        for data in [
            data(&many, Some(0.85)),
            data(&[(1.0, 1.0), (1.0, 1.0)], Some(1.0)),
            data(&[(0.0, -0.5)], Some(0.0)),
            data(&[(f64::NAN, 1.0), (0.5, f64::NAN)], None),
            data(&[], Some(0.5)),
        ] {
            samples::check(|| pareto(&samples::titles(), &data));
        }
    }

    #[test]
    fn what_has_no_place_is_counted() {
        let svg = pareto(&samples::titles(), &data(&[(f64::NAN, 1.0), (0.5, 0.5)], None)).unwrap();
        assert!(svg.contains("1 without a place"), "{svg}");
    }
}
