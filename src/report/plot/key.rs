//! Legends: what each marker, line or filling means, in as many rows as the width asks for.

use anyhow::Result;

use super::Series;
use super::sheet::{Rect, Sheet};
use super::style::{BODY, Fill, MARGIN, PX, WIDTH, color, dash, marker};

/// Height of a row.
const ROW: i32 = 19 * PX;
/// Width of a sign and the space after it.
const SIGN: i32 = 26 * PX;
/// Space between entries.
const BETWEEN: i32 = 20 * PX;
/// Longer names are cut.
const LONGEST: i32 = 260 * PX;

/// What an entry's sign looks like.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sign {
    /// A variant's marker.
    Marker(usize),
    /// A variant's line with its marker.
    Line { variant: usize, dash: usize },
    /// A part of a bar.
    Filled(Fill),
}

impl From<&Series> for Sign {
    fn from(line: &Series) -> Self {
        Self::Line { variant: line.variant_index, dash: line.dash }
    }
}

/// An entry with its place relative to the legend's.
#[derive(Debug)]
struct Entry {
    sign: Sign,
    label: String,
    x: i32,
    row: i32,
}

/// Entries laid out in rows.
#[derive(Debug)]
pub(super) struct Key {
    entries: Vec<Entry>,
    rows: i32,
}

impl Key {
    pub(super) fn new(signs: impl IntoIterator<Item = (Sign, String)>) -> Self {
        let width = WIDTH - 2 * MARGIN;
        let signs: Vec<(Sign, String)> = signs.into_iter().map(|(sign, label)| (sign, BODY.fit(&label, LONGEST))).collect();
        let widths: Vec<i32> = signs.iter().map(|(_, label)| SIGN + BODY.width(label) + BETWEEN).collect();
        let one_row = widths.iter().sum::<i32>() - BETWEEN <= width;
        let widest = widths.iter().max().copied().unwrap_or(BETWEEN);
        let columns = ((width + BETWEEN) / widest).max(1) as usize;
        let mut next = 0;
        let mut entries = Vec::new();
        for (i, (sign, label)) in signs.into_iter().enumerate() {
            // One row is set tight; several are a table.
            let (x, row) = if one_row { (next, 0) } else { ((i % columns) as i32 * widest, (i / columns) as i32) };
            next += widths[i];
            entries.push(Entry { sign, label, x, row });
        }
        let rows = entries.last().map_or(0, |last| last.row + 1);
        Self { entries, rows }
    }

    /// What lines are.
    pub(super) fn of_lines(lines: &[Series]) -> Self {
        Self::new(lines.iter().map(|line| (line.into(), line.label.clone())))
    }

    pub(super) fn height(&self) -> i32 {
        self.rows * ROW
    }

    pub(super) fn draw(&self, sheet: &Sheet, left: i32, top: i32) -> Result<()> {
        for entry in &self.entries {
            let (x, y) = (left + entry.x, top + entry.row * ROW + ROW / 2);
            draw_sign(sheet, entry.sign, x, y)?;
            sheet.text(&entry.label, (x + SIGN, y), BODY)?;
        }
        Ok(())
    }
}

/// Draws a sign with its left end at x, its middle at y.
pub(super) fn draw_sign(sheet: &Sheet, sign: Sign, x: i32, y: i32) -> Result<()> {
    let middle = (x + 10 * PX, y);
    match sign {
        Sign::Marker(variant) => sheet.marker(middle, marker(variant), 45),
        Sign::Line { variant, dash: index } => {
            sheet.dashed(&[(x, y), (x + 20 * PX, y)], color(variant), 18, dash(index))?;
            sheet.marker(middle, marker(variant), 35)
        }
        Sign::Filled(fill) => {
            let rect = Rect { left: x + 2 * PX, right: x + 20 * PX, top: y - 6 * PX, bottom: y + 6 * PX };
            sheet.filled(rect, fill)
        }
    }
}
