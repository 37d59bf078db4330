//! Gradient norms while training: one panel a variant, one line a kind of module, A and B of the pair in rows.
//!
//! B starts at zero, and A's gradient runs through B: at the first step it is exactly zero, which a logarithmic axis
//! shows as a gap. A line that is a gap throughout is a module that does not learn.

use std::collections::BTreeMap;

use anyhow::Result;

use super::key::{Key, Sign};
use super::line::{draw_lines, end};
use super::scale::{Frame, Scale};
use super::sheet::{Rect, Sheet, figure};
use super::style::{BODY, MARGIN, PX, SMALL, WIDTH};
use super::{Series, Titles};

/// One variant's gradient norms before clipping. A series' `variant_index` is its module kind's place (q, k, v, o,
/// gate, up, down), the same in every panel.
#[derive(Debug, Clone, PartialEq)]
pub struct GradientPanel {
    /// The variant's name.
    pub variant: String,
    /// Norms of the A matrices' gradients.
    pub a: Vec<Series>,
    /// Norms of the B matrices' gradients.
    pub b: Vec<Series>,
}

/// Most panels side by side.
const COLUMNS: usize = 4;
const HEIGHT: i32 = 150 * PX;
/// Above a pair of rows: what the axis is, and the variants' names.
const NAMES: i32 = 42 * PX;
/// Between A's row and B's.
const BETWEEN: i32 = 12 * PX;
/// Below a pair of rows: steps.
const BELOW: i32 = 46 * PX;
/// Labels of the y axis and the row's name.
const LEFT: i32 = MARGIN + 60 * PX;
const GUTTER: i32 = 14 * PX;

const NOTE_ON_LINES: &str = "A gap is a norm of exactly zero: A has no gradient before B has moved. \
    Where steps are dense, lines are medians of neighbours and shading is their range.";

/// Draws the figure, one panel a variant.
pub fn gradients(titles: &Titles, panels: &[GradientPanel]) -> Result<String> {
    let key = Key::new(module_kinds(panels));
    // As many columns in every band as fill it evenly.
    let bands = panels.len().div_ceil(COLUMNS).max(1);
    let columns = panels.len().div_ceil(bands).max(1);
    let band = NAMES + 2 * HEIGHT + BETWEEN + BELOW;
    let y = Scale::log(lines(panels).flat_map(|line| line.points.iter().map(|p| p.y)));
    let body = key.height() + bands as i32 * band + 6 * PX + SMALL.leading();
    figure(titles, body, |sheet, top| {
        key.draw(sheet, MARGIN, top)?;
        let mut top = top + key.height();
        for panels in panels.chunks(columns) {
            sheet.text("gradient norm before clipping, logarithmic", (MARGIN, top + 12 * PX), SMALL)?;
            for (column, panel) in panels.iter().enumerate() {
                draw_variant(sheet, panel, &y, (column, columns), top + NAMES)?;
            }
            top += band;
        }
        sheet.text(NOTE_ON_LINES, (MARGIN, top + 6 * PX), SMALL)
    })
}

/// Every module kind once, in order.
fn module_kinds(panels: &[GradientPanel]) -> impl Iterator<Item = (Sign, String)> {
    let kinds: BTreeMap<_, _> = lines(panels).rev().map(|line| ((line.variant_index, &line.label), line)).collect();
    kinds.into_values().map(|line| (line.into(), line.label.clone()))
}

fn lines(panels: &[GradientPanel]) -> impl DoubleEndedIterator<Item = &Series> + Clone {
    panels.iter().flat_map(|panel| panel.a.iter().chain(&panel.b))
}

fn draw_variant(sheet: &Sheet, panel: &GradientPanel, y: &Scale, (column, columns): (usize, usize), top: i32) -> Result<()> {
    let width = (WIDTH - MARGIN - LEFT - GUTTER * (columns as i32 - 1)) / columns as i32;
    let left = LEFT + column as i32 * (width + GUTTER);
    let last =
        lines(std::slice::from_ref(panel)).flat_map(|line| line.points.iter().map(|p| p.x)).filter(|x| x.is_finite()).fold(1.0, f64::max);
    let x = Scale::steps(last, (width / (34 * PX)).max(1) as usize);
    sheet.text(&BODY.fit(&panel.variant, width), (left, top - 10 * PX), BODY)?;
    for (row, (name, lines)) in [("LoRA A", &panel.a), ("LoRA B", &panel.b)].into_iter().enumerate() {
        let top = top + row as i32 * (HEIGHT + BETWEEN);
        let rect = Rect { left, right: left + width, top, bottom: top + HEIGHT };
        let frame = Frame { rect, x: x.clone(), y: y.clone() };
        frame.draw_y(sheet, column == 0)?;
        frame.draw_x(sheet, row == 1, false)?;
        if column == 0 {
            sheet.text(name, (MARGIN + 8 * PX, top + HEIGHT / 2), BODY.centred().upwards())?;
        }
        draw_panel(sheet, &frame, lines)?;
        if row == 1 {
            frame.name_x(sheet, "optimizer step")?;
        }
    }
    Ok(())
}

fn draw_panel(sheet: &Sheet, frame: &Frame, lines: &[Series]) -> Result<()> {
    if lines.iter().all(|line| end(frame, line).is_none()) {
        let silent = lines.iter().all(|line| line.points.is_empty());
        return sheet.remark(if silent { "no data" } else { "zero at every step" }, frame.rect);
    }
    draw_lines(sheet, frame, lines, 12, 28)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::samples;

    fn draw(panels: usize, kinds: usize, points: usize, y: impl Fn(usize, usize) -> f64) -> Result<String> {
        let lines = || (0..kinds).map(|kind| samples::series(kind, points, |i| y(kind, i))).collect();
        let panel = |i| GradientPanel { variant: samples::name(i), a: lines(), b: lines() };
        gradients(&samples::titles(), &(0..panels).map(panel).collect::<Vec<_>>())
    }

    #[test]
    fn any_data_is_drawn_as_valid_svg() {
        samples::check(|| draw(3, 7, 60, |kind, i| (kind + 1) as f64 / (i + 1) as f64));
        samples::check(|| draw(1, 1, 1, |_, _| 3.0));
        samples::check(|| draw(2, 7, 9, |_, _| 0.0));
        samples::check(|| draw(4, 7, 9, |_, _| 1.0));
        samples::check(|| draw(12, 7, 2000, |kind, i| (kind + 1) as f64 * (i as f64 / 30.0).cos().powi(2)));
        samples::check(|| draw(2, 3, 9, |kind, i| if (kind + i) % 2 == 0 { f64::NAN } else { 1e-12 }));
        samples::check(|| draw(2, 0, 0, |_, _| 0.0));
        samples::check(|| draw(0, 0, 0, |_, _| 0.0));
    }

    #[test]
    fn a_module_that_never_learns_is_named() -> Result<()> {
        assert!(draw(1, 7, 9, |_, _| 0.0)?.contains("zero at every step"));
        assert!(draw(1, 7, 0, |_, _| 0.0)?.contains("no data"));
        Ok(())
    }
}
