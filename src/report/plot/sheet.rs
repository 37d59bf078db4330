//! The sheet a figure is drawn on: title, subtitle, and the few shapes figures are made of.

use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::Pos;

use super::Titles;
use super::style::{AXIS, Fill, GRID, Hatch, MARGIN, Marker, NOTE, PAPER, PX, SMALL, TITLE, Type, WIDTH};

/// A place on the sheet, in tenths of a pixel from its upper left corner.
pub(super) type Place = (i32, i32);

/// Fonts in the order of preference: the one that rasterizing embeds, then what browsers have.
const FONTS: &str = "Ubuntu, Helvetica, Arial, sans-serif";

/// A rectangle on the sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rect {
    pub(super) left: i32,
    pub(super) top: i32,
    pub(super) right: i32,
    pub(super) bottom: i32,
}

impl Rect {
    pub(super) fn width(self) -> i32 {
        self.right - self.left
    }

    pub(super) fn height(self) -> i32 {
        self.bottom - self.top
    }

    /// The area both cover.
    pub(super) fn overlap(self, other: Self) -> i64 {
        let width = self.right.min(other.right) - self.left.max(other.left);
        let height = self.bottom.min(other.bottom) - self.top.max(other.top);
        i64::from(width.max(0)) * i64::from(height.max(0))
    }
}

/// Shapes, drawn in the order of the calls.
pub(super) struct Sheet<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

/// Draws a figure: title and subtitle, then `draw` with the height at which the free part begins, `body` high.
pub(super) fn figure(titles: &Titles, body: i32, draw: impl FnOnce(&Sheet, i32) -> Result<()>) -> Result<String> {
    let inner = WIDTH - 2 * MARGIN;
    let (lines, notes) = (TITLE.wrap(&titles.title, inner), NOTE.wrap(&titles.subtitle, inner));
    let header = lines.len() as i32 * TITLE.leading() + notes.len() as i32 * NOTE.leading() + 8 * PX;
    let height = MARGIN + header + body + MARGIN / 2;
    let mut svg = String::new();
    {
        let sheet = Sheet { area: SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area() };
        sheet.area.fill(&PAPER)?;
        let mut top = MARGIN;
        for (lines, style) in [(lines, TITLE), (notes, NOTE)] {
            for line in lines {
                sheet.text(&line, (MARGIN, top), style.top())?;
                top += style.leading();
            }
        }
        draw(&sheet, MARGIN + header)?;
        sheet.area.present()?;
    }
    Ok(in_pixels(&svg, height, &titles.title))
}

/// The view box stays in our unit, the size becomes pixels, and a reader that cannot see gets the title.
fn in_pixels(svg: &str, height: i32, title: &str) -> String {
    let written = format!("width=\"{WIDTH}\" height=\"{height}\"");
    let escaped = title.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let wanted = format!("width=\"{}\" height=\"{}\" role=\"img\" aria-label=\"{escaped}\"", WIDTH / PX, height / PX);
    svg.replacen(&written, &wanted, 1)
}

impl Sheet<'_> {
    pub(super) fn text(&self, text: &str, at: Place, style: Type) -> Result<()> {
        // Plotters divides a font's size by 1.24 on its way into SVG.
        let font = (FONTS, f64::from(style.size) * 1.24).into_font();
        let font = if style.turned { font.transform(FontTransform::Rotate270) } else { font };
        let style = TextStyle::from(font).color(&style.color).pos(Pos::new(style.h, style.v));
        self.area.draw_text(text, &style, at)?;
        Ok(())
    }

    pub(super) fn line(&self, points: &[Place], color: RGBColor, thickness: i32) -> Result<()> {
        if points.len() > 1 {
            self.area.draw(&PathElement::new(points.to_vec(), color.stroke_width(thickness as u32)))?;
        }
        Ok(())
    }

    /// A line of dashes: lengths of ink and gap in turn, begun anew for every line.
    pub(super) fn dashed(&self, points: &[Place], color: RGBColor, thickness: i32, dash: &[i32]) -> Result<()> {
        if dash.is_empty() {
            return self.line(points, color, thickness);
        }
        for piece in dashes(points, dash) {
            self.line(&piece, color, thickness)?;
        }
        Ok(())
    }

    pub(super) fn rect(&self, rect: Rect, color: RGBColor, opacity: f64) -> Result<()> {
        let corners = [(rect.left, rect.top), (rect.right, rect.bottom)];
        self.area.draw(&Rectangle::new(corners, color.mix(opacity).filled()))?;
        Ok(())
    }

    pub(super) fn polygon(&self, corners: &[Place], color: RGBColor, opacity: f64) -> Result<()> {
        self.area.draw(&Polygon::new(corners.to_vec(), color.mix(opacity).filled()))?;
        Ok(())
    }

    pub(super) fn marker(&self, at: Place, marker: Marker, radius: i32) -> Result<()> {
        let inside = if marker.hollow { PAPER } else { marker.color };
        if marker.corners.is_empty() {
            self.area.draw(&Circle::new(at, radius, inside.filled()))?;
            if marker.hollow {
                self.area.draw(&Circle::new(at, radius, marker.color.stroke_width(15)))?;
            }
            return Ok(());
        }
        let mut corners: Vec<Place> = marker.corners.iter().map(|(x, y)| (at.0 + x * radius / 100, at.1 + y * radius / 100)).collect();
        self.polygon(&corners, inside, 1.0)?;
        if marker.hollow {
            corners.extend_from_within(..2);
            self.line(&corners, marker.color, 15)?;
        }
        Ok(())
    }

    pub(super) fn filled(&self, rect: Rect, fill: Fill) -> Result<()> {
        self.rect(rect, fill.color, 1.0)?;
        let faint = RGBColor(fill.color.0 / 2 + fill.ink.0 / 2, fill.color.1 / 2 + fill.ink.1 / 2, fill.color.2 / 2 + fill.ink.2 / 2);
        let (rising, falling) = match fill.hatch {
            Hatch::None => (false, false),
            Hatch::Rising => (true, false),
            Hatch::Falling => (false, true),
            Hatch::Crossed => (true, true),
        };
        let first = rect.left - rect.height();
        for start in (first..rect.right).step_by(6 * PX as usize) {
            // A diagonal of the rectangle's height, cut off at its sides.
            let (from, to) = ((rect.left - start).max(0), rect.height().min(rect.right - start));
            if rising && from < to {
                self.line(&[(start + from, rect.bottom - from), (start + to, rect.bottom - to)], faint, 12)?;
            }
            if falling && from < to {
                self.line(&[(start + from, rect.top + from), (start + to, rect.top + to)], faint, 12)?;
            }
        }
        Ok(())
    }

    /// A remark in the middle of an empty rectangle, over its grid.
    pub(super) fn remark(&self, text: &str, rect: Rect) -> Result<()> {
        let (x, y) = (rect.left + rect.width() / 2, rect.top + rect.height() / 2);
        let half = SMALL.width(text) / 2 + 3 * PX;
        self.rect(Rect { left: x - half, right: x + half, top: y - 8 * PX, bottom: y + 8 * PX }, PAPER, 1.0)?;
        self.text(text, (x, y), SMALL.centred())
    }

    /// A horizontal line of the grid.
    pub(super) fn rule(&self, left: i32, right: i32, y: i32) -> Result<()> {
        self.line(&[(left, y), (right, y)], GRID, 8)
    }

    /// A vertical line of the grid.
    pub(super) fn plumb(&self, x: i32, top: i32, bottom: i32) -> Result<()> {
        self.line(&[(x, top), (x, bottom)], GRID, 8)
    }

    /// The line that an axis' labels hang from.
    pub(super) fn axis(&self, from: Place, to: Place) -> Result<()> {
        self.line(&[from, to], AXIS, 10)
    }

    /// A value's interval: a vertical bar with ends.
    pub(super) fn whisker(&self, x: i32, low: i32, high: i32, color: RGBColor, reach: i32) -> Result<()> {
        self.line(&[(x, low), (x, high)], color, 14)?;
        for y in [low, high] {
            self.line(&[(x - reach, y), (x + reach, y)], color, 14)?;
        }
        Ok(())
    }
}

/// Cuts a line into its dashes.
fn dashes(points: &[Place], pattern: &[i32]) -> Vec<Vec<Place>> {
    let mut pieces = Vec::new();
    let mut piece: Vec<Place> = points.first().copied().into_iter().collect();
    let (mut part, mut left) = (0, f64::from(pattern[0]));
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let length = f64::from(x1 - x0).hypot(f64::from(y1 - y0));
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let share = done / length;
            let cut = (x0 + (f64::from(x1 - x0) * share) as i32, y0 + (f64::from(y1 - y0) * share) as i32);
            piece.push(cut);
            if part % 2 == 0 {
                pieces.push(std::mem::take(&mut piece));
            }
            piece = vec![cut];
            part = (part + 1) % pattern.len();
            left = f64::from(pattern[part]);
        }
        left -= length - done;
        if part % 2 == 0 {
            piece.push((x1, y1));
        }
    }
    if part % 2 == 0 && piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_follow_the_line_round_a_corner() {
        assert_eq!(dashes(&[(0, 0), (100, 0), (100, 50)], &[60, 30]), [vec![(0, 0), (60, 0)], vec![(90, 0), (100, 0), (100, 50)]]);
        assert!(dashes(&[], &[60, 30]).is_empty());
        assert!(dashes(&[(5, 5)], &[60, 30]).is_empty());
    }

    #[test]
    fn a_title_is_escaped_once() -> Result<()> {
        let titles = Titles { title: "A < B & \"C\"".to_owned(), subtitle: String::new() };
        let svg = figure(&titles, 100, |_, _| Ok(()))?;
        assert!(svg.contains("aria-label=\"A &lt; B &amp; &quot;C&quot;\""));
        assert!(svg.starts_with("<svg width=\"860\""));
        Ok(())
    }
}
