//! Operating characteristics: how often the gate passes and how often it regresses, against the true loss. One panel a suite.

use anyhow::Result;

use super::key::Key;
use super::line::draw_lines;
use super::scale::{Frame, Scale};
use super::sheet::{Rect, Sheet, figure};
use super::style::{AXIS, BODY, MARGIN, PX, SMALL, WIDTH};
use super::{Series, Titles};

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

/// Draws the figure, panels in reading order; `margin` is the loss tolerated, in points.
pub fn power(titles: &Titles, margin: f64, panels: &[PowerPanel]) -> Result<String> {
    let key = Key::of_lines(panels.first().map_or(&[], |panel| &panel.lines));
    let rows = panels.len().div_ceil(COLUMNS) as i32;
    figure(titles, key.height() + rows * (ABOVE + PLOT + BELOW), |sheet, top| {
        key.draw(sheet, MARGIN, top)?;
        let width = (WIDTH - 2 * MARGIN - BETWEEN) / COLUMNS as i32;
        for (i, panel) in panels.iter().enumerate() {
            let left = MARGIN + (i % COLUMNS) as i32 * (width + BETWEEN);
            let top = top + key.height() + (i / COLUMNS) as i32 * (ABOVE + PLOT + BELOW) + ABOVE;
            draw_panel(sheet, panel, margin, Rect { left: left + LEFT, right: left + width, top, bottom: top + PLOT })?;
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
    frame.name_x(sheet, "true loss, percentage points")?;
    if let Some(x) = frame.across(margin) {
        sheet.dashed(&[(x, rect.top), (x, rect.bottom)], AXIS, 14, &[4 * PX, 3 * PX])?;
        sheet.text("margin", (x + 4 * PX, rect.top + 8 * PX), SMALL)?;
    }
    if let Some(y) = frame.up(0.05) {
        sheet.dashed(&[(rect.left, y), (rect.right, y)], AXIS, 10, &[15, 25])?;
        sheet.text("5%", (rect.right - 3 * PX, y - 8 * PX), SMALL.right())?;
    }
    draw_lines(sheet, &frame, &panel.lines, 16, 30)
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
            samples::check(|| power(&samples::titles(), 5.0, &panels));
        }
    }
}
