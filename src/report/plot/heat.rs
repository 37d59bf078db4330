//! Heat maps: a number for each place of a grid, by colour and, where there is room, in figures.
//!
//! Colours run from white to blue, or from orange through white to blue where a number has a sign: they stay apart for every kind of
//! colour vision, and in grey the ends are dark and the middle is light.

use anyhow::Result;
use plotters::style::RGBColor;

use super::Titles;
use super::sheet::{Rect, Sheet, figure};
use super::style::{BODY, INK, MARGIN, PAPER, PX, SMALL, WIDTH};

/// How numbers become colours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum HeatScale {
    /// From -limit, orange, to limit, blue; numbers beyond are drawn as the end.
    Signed(f64),
    /// From 0, white, to 1, blue, in percent; numbers beyond are drawn as the end.
    Share,
    /// From 0, white, to this, orange: of what had better be little.
    Harm(f64),
}

/// One grid.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatPanel {
    /// Its name.
    pub name: String,
    /// What its numbers are, and how they are coloured. Panels of one scale share a key; where there are several, each place has
    /// its number.
    pub scale: HeatScale,
    /// Names of columns.
    pub columns: Vec<String>,
    /// Names of rows, from top to bottom.
    pub rows: Vec<String>,
    /// Values by row and column; None is drawn as an empty place.
    pub values: Vec<Vec<Option<f64>>>,
}

/// Most panels side by side.
const COLUMNS: usize = 3;
const ABOVE: i32 = 40 * PX;
const BELOW: i32 = 10 * PX;
const LEFT: i32 = 34 * PX;
const GUTTER: i32 = 16 * PX;
/// Lowest and highest row.
const ROW: (i32, i32) = (7 * PX, 22 * PX);
/// All rows of a panel together, if they can be that low.
const PANEL: i32 = 300 * PX;
/// With so few rows there is room for numbers.
const FEW: usize = 12;
const KEY: i32 = 34 * PX;

const BLUE: RGBColor = RGBColor(0x00, 0x5F, 0x96);
const ORANGE: RGBColor = RGBColor(0xB5, 0x4A, 0x00);

/// Draws the figure: grids side by side, and what their rows are.
pub fn heat(titles: &Titles, rows_are: &str, panels: &[HeatPanel]) -> Result<String> {
    let rows = panels.iter().map(|panel| panel.rows.len()).max().unwrap_or(0).max(1);
    let row = if rows <= FEW { ROW.1 } else { (PANEL / rows as i32).clamp(ROW.0, ROW.1) };
    let scale = panels.first().map(|panel| panel.scale).filter(|first| panels.iter().all(|panel| panel.scale == *first));
    let key = if scale.is_some() { KEY } else { 0 };
    let bands = panels.len().div_ceil(COLUMNS).max(1);
    let columns = panels.len().div_ceil(bands).max(1);
    let band = ABOVE + rows as i32 * row + BELOW;
    figure(titles, key + bands as i32 * band, |sheet, top| {
        if let Some(scale) = scale {
            draw_key(sheet, scale, top)?;
        }
        let width = (WIDTH - 2 * MARGIN - (columns as i32 - 1) * GUTTER) / columns as i32;
        for (i, panel) in panels.iter().enumerate() {
            let left = MARGIN + (i % columns) as i32 * (width + GUTTER);
            let top = top + key + (i / columns) as i32 * band;
            draw_panel(sheet, rows_are, panel, Rect { left, right: left + width, top, bottom: top + band }, row)?;
        }
        Ok(())
    })
}

fn draw_panel(sheet: &Sheet, rows: &str, panel: &HeatPanel, place: Rect, row: i32) -> Result<()> {
    sheet.text(&BODY.fit(&panel.name, place.width()), (place.left + LEFT, place.top + 8 * PX), BODY)?;
    sheet.text(rows, (place.left, place.top + ABOVE - 9 * PX), SMALL)?;
    let columns = panel.columns.len().max(1) as i32;
    let width = (place.width() - LEFT) / columns;
    let left_of = |column: usize| place.left + LEFT + column as i32 * width;
    for (i, name) in panel.columns.iter().enumerate() {
        sheet.text(&SMALL.fit(name, width), (left_of(i) + width / 2, place.top + ABOVE - 9 * PX), SMALL.centred())?;
    }
    // As many names as fit above each other.
    let every = (SMALL.leading() + row - 1) / row;
    for (i, (name, values)) in panel.rows.iter().zip(&panel.values).enumerate() {
        let top = place.top + ABOVE + i as i32 * row;
        if (i as i32) % every == 0 {
            sheet.text(name, (place.left + LEFT - 5 * PX, top + row / 2), SMALL.right())?;
        }
        for (column, value) in values.iter().enumerate() {
            let rect = Rect { left: left_of(column), right: left_of(column) + width, top, bottom: top + row };
            draw_value(sheet, panel.scale, rect, *value)?;
        }
    }
    Ok(())
}

fn draw_value(sheet: &Sheet, scale: HeatScale, rect: Rect, value: Option<f64>) -> Result<()> {
    let Some(value) = value else { return Ok(()) };
    let (color, strength) = scale.color(value);
    sheet.rect(rect, color, 1.0)?;
    let text = scale.text(value);
    if rect.height() >= SMALL.leading() && SMALL.width(&text) + 4 * PX <= rect.width() {
        let ink = if strength > 0.55 { PAPER } else { INK };
        sheet.text(&text, (rect.left + rect.width() / 2, rect.top + rect.height() / 2), SMALL.centred().colored(ink))?;
    }
    Ok(())
}

/// Colours from one end to the other, with numbers at the ends and the middle.
fn draw_key(sheet: &Sheet, scale: HeatScale, top: i32) -> Result<()> {
    const STEPS: i32 = 40;
    const STEP: i32 = 6 * PX;
    let (low, high) = scale.ends();
    let (left, y) = (MARGIN + LEFT, top + 12 * PX);
    for i in 0..STEPS {
        let value = low + (high - low) * (f64::from(i) + 0.5) / f64::from(STEPS);
        let start = left + i * STEP;
        sheet.rect(Rect { left: start, right: start + STEP, top: y - 5 * PX, bottom: y + 5 * PX }, scale.color(value).0, 1.0)?;
    }
    sheet.text(&scale.text(low), (left - 5 * PX, y), SMALL.right())?;
    sheet.text(&scale.text(high), (left + STEPS * STEP + 5 * PX, y), SMALL)
}

impl HeatScale {
    fn ends(self) -> (f64, f64) {
        match self {
            Self::Signed(limit) => (-limit, limit),
            Self::Share => (0.0, 1.0),
            Self::Harm(limit) => (0.0, limit),
        }
    }

    /// The colour of a value, and how far it is from white.
    fn color(self, value: f64) -> (RGBColor, f64) {
        let (low, high) = self.ends();
        let orange = matches!(self, Self::Harm(_)) || value < 0.0;
        let strength = (value.clamp(low, high).abs() / high).clamp(0.0, 1.0);
        let mix = |to: u8| (255.0 + (f64::from(to) - 255.0) * strength).round() as u8;
        let end = if orange { ORANGE } else { BLUE };
        (RGBColor(mix(end.0), mix(end.1), mix(end.2)), strength)
    }

    fn text(self, value: f64) -> String {
        match self {
            Self::Signed(_) => format!("{value:+.2}"),
            Self::Share => format!("{:.0}", value * 100.0),
            Self::Harm(_) => format!("{value:.2}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::samples;

    fn draw(scale: HeatScale, value: Option<f64>) -> String {
        let panel = HeatPanel {
            name: "A".to_owned(),
            scale,
            columns: vec!["q".to_owned(), "v".to_owned()],
            rows: (0..4).map(|layer| layer.to_string()).collect(),
            values: vec![vec![value, Some(0.0)]; 4],
        };
        heat(&samples::titles(), "layer", &vec![panel; 4]).unwrap()
    }

    #[test]
    fn numbers_stand_on_their_colours() {
        let svg = draw(HeatScale::Signed(1.0), Some(-1.0));
        assert_eq!(svg.matches("#B54A00").count(), 16, "an end of the scale in every panel's first column");
        assert!(svg.contains("-1.00") && svg.contains("+0.00"));
        assert!(draw(HeatScale::Share, Some(0.5)).contains("\n50\n"));
    }

    #[test]
    fn beyond_the_scale_is_its_end_and_nothing_is_an_empty_place() {
        assert_eq!(HeatScale::Signed(2.0).color(9.0), (BLUE, 1.0));
        assert_eq!(HeatScale::Share.color(0.0), (RGBColor(255, 255, 255), 0.0));
        assert_eq!((HeatScale::Share.color(-0.5).1, HeatScale::Harm(1.0).color(1.0)), (0.0, (ORANGE, 1.0)));
        let (some, none) = (draw(HeatScale::Share, Some(0.9)), draw(HeatScale::Share, None));
        assert!(none.matches("<rect").count() < some.matches("<rect").count());
    }
}
