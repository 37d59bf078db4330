//! Operating characteristics: how often the gate passes and how often it regresses, against the true loss. One panel a suite.

use anyhow::Result;

use super::Series;
use super::key::{Key, Sign};
use super::line::{draw_line, draw_markers};
use super::scale::{Frame, Scale};
use super::sheet::{Rect, Sheet, figure};
use super::style::{AXIS, BODY, MARGIN, PX, SMALL, WIDTH};

/// What the figure shows.
#[derive(Debug, Clone, PartialEq)]
pub struct PowerData {
    /// What is shown, as a sentence.
    pub title: String,
    /// How it was made.
    pub subtitle: String,
    /// Loss tolerated, in points.
    pub margin: f64,
    /// In reading order.
    pub panels: Vec<PowerPanel>,
}

/// One suite.
#[derive(Debug, Clone, PartialEq)]
pub struct PowerPanel {
    /// Its name and size.
    pub title: String,
    /// Rates as fractions of 1, over the true loss in points; a line's dash tells what was counted.
    pub lines: Vec<Series>,
}

const PLOT: i32 = 190 * PX;
const ABOVE: i32 = 30 * PX;
const BELOW: i32 = 46 * PX;
const LEFT: i32 = 44 * PX;
const BETWEEN: i32 = 26 * PX;
const COLUMNS: usize = 2;

/// Draws the figure.
pub fn power(data: &PowerData) -> Result<String> {
    let signs = data.panels.first().into_iter().flat_map(|panel| &panel.lines);
    let key =
        Key::new(signs.map(|line| (Sign::Line { variant: line.variant_index, dash: line.dash }, line.label.clone())), WIDTH - 2 * MARGIN);
    let rows = data.panels.len().div_ceil(COLUMNS) as i32;
    figure(&data.title, &data.subtitle, key.height() + rows * (ABOVE + PLOT + BELOW), |sheet, top| {
        key.draw(sheet, MARGIN, top)?;
        let width = (WIDTH - 2 * MARGIN - BETWEEN) / COLUMNS as i32;
        for (i, panel) in data.panels.iter().enumerate() {
            let left = MARGIN + (i % COLUMNS) as i32 * (width + BETWEEN);
            let top = top + key.height() + (i / COLUMNS) as i32 * (ABOVE + PLOT + BELOW) + ABOVE;
            draw_panel(sheet, panel, data.margin, Rect { left: left + LEFT, right: left + width, top, bottom: top + PLOT })?;
        }
        Ok(())
    })
}

fn draw_panel(sheet: &Sheet, panel: &PowerPanel, margin: f64, rect: Rect) -> Result<()> {
    let last = panel.lines.iter().flat_map(|line| &line.points).map(|point| point.x).fold(2.0 * margin, f64::max);
    let frame = Frame { rect, x: Scale::linear(0.0, last, 6), y: Scale::percent(0.0, 1.0, 0.25) };
    sheet.text(&BODY.fit(&panel.title, rect.width()), (rect.left, rect.top - 14 * PX), BODY)?;
    frame.draw_y(sheet, true)?;
    frame.draw_x(sheet, true, false)?;
    let middle = rect.left + rect.width() / 2;
    sheet.text("true loss, percentage points", (middle, rect.bottom + 24 * PX), SMALL.centred().top())?;
    if let Some(x) = frame.across(margin) {
        sheet.dashed(&[(x, rect.top), (x, rect.bottom)], AXIS, 14, &[4 * PX, 3 * PX])?;
        sheet.text("margin", (x + 4 * PX, rect.top + 8 * PX), SMALL)?;
    }
    if let Some(y) = frame.up(0.05) {
        sheet.dashed(&[(rect.left, y), (rect.right, y)], AXIS, 10, &[15, 25])?;
        sheet.text("5%", (rect.right - 3 * PX, y - 8 * PX), SMALL.right())?;
    }
    for line in &panel.lines {
        draw_line(sheet, &frame, line, 16)?;
    }
    for (turn, line) in panel.lines.iter().enumerate() {
        draw_markers(sheet, &frame, line, 30, turn)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::samples;

    #[test]
    fn any_data_is_drawn_as_valid_svg() {
        let panel = |points: usize| PowerPanel {
            title: samples::name(2),
            lines: (0..4).map(|i| samples::series(i, points, |x| 1.0 / (1.0 + x as f64))).collect(),
        };
        for panels in [vec![panel(16), panel(1), panel(0)], vec![]] {
            let data = PowerData { title: "Power".to_owned(), subtitle: "seed 1".to_owned(), margin: 5.0, panels };
            samples::check(|| power(&data));
        }
    }
}
