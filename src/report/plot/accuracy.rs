//! Accuracy of every variant on every suite: a point with its interval each, side by side within a suite.

use anyhow::{Result, ensure};

use super::key::{Key, Sign};
use super::scale::{Frame, Scale};
use super::sheet::{Rect, Sheet, figure};
use super::style::{BODY, GRID, INK, MARGIN, MUTED, PX, SMALL, WIDTH, color, marker};
use super::{Estimate, Titles};

/// Height of a row of suites, from its highest value label to its lowest.
const PLOT: i32 = 250 * PX;
/// Above the plot: the name of the axis, and what lies over 100%.
const ABOVE: i32 = 34 * PX;
/// Below it: suite and number of items.
const BELOW: i32 = 46 * PX;
/// Labels of the y axis.
const LEFT: i32 = MARGIN + 40 * PX;
/// Narrowest place of a variant before suites go on in another row.
const NARROWEST: i32 = 11 * PX;
/// Place of a variant at which its value is printed.
const ROOM_FOR_VALUE: i32 = 24 * PX;
/// Space at both sides of a suite.
const BESIDE: i32 = 10 * PX;

/// Draws the figure: suites in order, variants in order with the base first, and `cells[suite][variant]`; `None` was not
/// measured.
pub fn accuracy(titles: &Titles, suites: &[&str], variants: &[&str], cells: &[Vec<Option<Estimate>>]) -> Result<String> {
    ensure!(
        cells.len() == suites.len() && cells.iter().all(|row| row.len() == variants.len()),
        "the accuracy figure needs one row of cells per suite and one cell per variant"
    );
    let key = Key::new(variants.iter().enumerate().map(|(i, name)| (Sign::Marker(i), (*name).to_owned())));
    let rows = rows(suites.len(), variants.len());
    let body = key.height() + rows.len() as i32 * (ABOVE + PLOT + BELOW);
    figure(titles, body, |sheet, top| {
        key.draw(sheet, MARGIN, top)?;
        let mut top = top + key.height();
        for row in &rows {
            let rect = Rect { left: LEFT, right: WIDTH - MARGIN, top: top + ABOVE, bottom: top + ABOVE + PLOT };
            draw_row(sheet, &suites[row.clone()], &cells[row.clone()], rect)?;
            top += ABOVE + PLOT + BELOW;
        }
        Ok(())
    })
}

/// Ranges of suites that fit side by side, as even as they can be.
fn rows(suites: usize, variants: usize) -> Vec<std::ops::Range<usize>> {
    let narrowest = variants as i32 * NARROWEST + 2 * BESIDE;
    let most = ((WIDTH - MARGIN - LEFT) / narrowest.max(70 * PX)).max(1) as usize;
    let count = suites.div_ceil(most).max(1);
    (0..count).map(|row| row * suites / count..(row + 1) * suites / count).collect()
}

fn draw_row(sheet: &Sheet, suites: &[&str], cells: &[Vec<Option<Estimate>>], rect: Rect) -> Result<()> {
    let frame = Frame { rect, x: Scale::linear(0.0, 1.0, 1), y: Scale::percent(0.0, 1.0, 0.25) };
    let width = rect.width() / suites.len().max(1) as i32;
    sheet.text("accuracy", (MARGIN, rect.top - 22 * PX), SMALL)?;
    for place in (1..suites.len()).step_by(2) {
        let left = rect.left + place as i32 * width;
        sheet.rect(Rect { left, right: left + width, top: rect.top - 14 * PX, bottom: rect.bottom }, GRID, 0.35)?;
    }
    frame.draw_y(sheet, true)?;
    sheet.axis((rect.left, rect.bottom), (rect.right, rect.bottom))?;
    for (place, (suite, cells)) in suites.iter().zip(cells).enumerate() {
        let left = rect.left + place as i32 * width;
        draw_suite(sheet, &frame, cells, left, width)?;
        let middle = left + width / 2;
        sheet.text(&BODY.fit(suite, width - 4 * PX), (middle, rect.bottom + 8 * PX), BODY.centred().top())?;
        sheet.text(&sizes(cells), (middle, rect.bottom + 25 * PX), SMALL.centred().top())?;
    }
    Ok(())
}

fn draw_suite(sheet: &Sheet, frame: &Frame, cells: &[Option<Estimate>], left: i32, width: i32) -> Result<()> {
    // Variants stand together, so that the gap between suites is wider than that between variants.
    let step = ((width - 2 * BESIDE) / cells.len().max(1) as i32).min(42 * PX);
    let first = left + width / 2 - step * (cells.len() as i32 - 1) / 2;
    for (variant, cell) in cells.iter().enumerate() {
        let x = first + variant as i32 * step;
        let places = cell.and_then(|e| Some((frame.up(e.value)?, frame.up(e.low)?, frame.up(e.high)?, e.value)));
        let Some((at, low, high, value)) = places else {
            let style = SMALL.colored(MUTED);
            if step < ROOM_FOR_VALUE {
                sheet.text("n/a", (x, frame.rect.bottom - 5 * PX), style.upwards())?;
            } else {
                sheet.text("n/a", (x, frame.rect.bottom - 9 * PX), style.centred())?;
            }
            continue;
        };
        sheet.whisker(x, low, high, color(variant), (step / 6).min(4 * PX))?;
        sheet.marker((x, at), marker(variant), if step < 16 * PX { 38 } else { 48 })?;
        if step >= ROOM_FOR_VALUE {
            let text = format!("{:.0}", value * 100.0);
            sheet.text(&text, (x, high.min(at - 4 * PX) - 9 * PX), SMALL.centred().colored(INK))?;
        }
    }
    Ok(())
}

/// The number of items, or its range where variants differ.
fn sizes(cells: &[Option<Estimate>]) -> String {
    let sizes = || cells.iter().flatten().map(|e| e.n);
    match (sizes().min(), sizes().max()) {
        (Some(low), Some(high)) if low < high => format!("n = {low}-{high}"),
        (Some(n), _) => format!("n = {n}"),
        (None, _) => "not measured".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::samples;

    fn draw(suites: usize, variants: usize, cell: impl Fn(usize, usize) -> Option<Estimate>) -> Result<String> {
        let names: Vec<String> = (0..suites.max(variants)).map(samples::name).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let cells: Vec<_> = (0..suites).map(|s| (0..variants).map(|v| cell(s, v)).collect()).collect();
        accuracy(&samples::titles(), &names[..suites], &names[..variants], &cells)
    }

    #[test]
    fn any_data_is_drawn_as_valid_svg() {
        let cell = |value: f64| move |_, _| Some(Estimate { value, low: value, high: value, n: 60 });
        samples::check(|| draw(5, 4, |s, v| (s != v).then(|| samples::estimate(s as f64 / 5.0))));
        samples::check(|| draw(1, 1, cell(0.5)));
        samples::check(|| draw(5, 4, cell(0.0)));
        samples::check(|| draw(5, 4, cell(1.0)));
        samples::check(|| draw(9, 12, |_, v| Some(samples::estimate(v as f64 / 12.0))));
        samples::check(|| draw(2, 3, cell(f64::NAN)));
        for (suites, variants) in [(3, 2), (0, 0), (2, 0)] {
            samples::check(|| draw(suites, variants, |_, _| None));
        }
    }

    #[test]
    fn what_was_not_measured_says_so() -> Result<()> {
        let svg = draw(2, 2, |s, _| (s == 0).then(|| samples::estimate(0.5)))?;
        assert_eq!(svg.matches("n/a").count(), 2);
        assert!(svg.contains("not measured") && svg.contains("n = 60"));
        Ok(())
    }

    #[test]
    fn cells_that_do_not_fit_the_names_are_an_error() {
        assert!(accuracy(&samples::titles(), &["a", "b"], &["base"], &[vec![None]]).is_err());
        assert!(accuracy(&samples::titles(), &["a"], &["base", "b"], &[vec![None]]).is_err());
    }
}
