//! What answers were: right, wrong, or lost to form (unparsed, cut off, failed), as shares of each variant's items.

use anyhow::{Result, ensure};

use super::Titles;
use super::key::{Key, Sign};
use super::scale::{Frame, Scale};
use super::sheet::{Rect, Sheet, figure};
use super::style::{BODY, Hatch, MARGIN, PX, SMALL, WIDTH, fill};

/// The answers of one variant on one suite.
#[derive(Debug, Clone, PartialEq)]
pub struct TaxonomyBar<'a> {
    /// The suite.
    pub group: &'a str,
    /// The variant.
    pub label: &'a str,
    /// Answers of each category.
    pub counts: Vec<u32>,
}

const BAR: i32 = 17 * PX;
const BETWEEN_BARS: i32 = 5 * PX;
/// Above a group: its name.
const GROUP: i32 = 26 * PX;
const BELOW: i32 = 44 * PX;
/// Longest name of a variant.
const LONGEST: i32 = 190 * PX;
/// The number of items, right of the bars.
const ITEMS: i32 = 56 * PX;

/// Draws the figure: kinds of outcome in the order of a bar's parts; bars from top to bottom, those of one group together.
pub fn taxonomy(titles: &Titles, categories: &[&str], bars: &[TaxonomyBar]) -> Result<String> {
    ensure!(bars.iter().all(|bar| bar.counts.len() == categories.len()), "the outcome figure needs one count per category in every bar");
    let key = Key::new(categories.iter().enumerate().map(|(i, name)| (Sign::Filled(fill(i)), (*name).to_owned())));
    let groups: Vec<&[TaxonomyBar]> = bars.chunk_by(|a, b| a.group == b.group).collect();
    let height = groups.len() as i32 * GROUP + bars.len() as i32 * (BAR + BETWEEN_BARS);
    let labels = bars.iter().map(|bar| BODY.width(bar.label)).max().unwrap_or(0).min(LONGEST);
    figure(titles, key.height() + height + BELOW, |sheet, top| {
        key.draw(sheet, MARGIN, top)?;
        let top = top + key.height();
        let rect = Rect {
            left: MARGIN + 12 * PX + labels + 8 * PX,
            right: WIDTH - MARGIN - ITEMS,
            top: top + GROUP.min(height),
            bottom: top + height,
        };
        let frame = Frame { rect, x: Scale::percent(0.0, 1.0, 0.25), y: Scale::linear(0.0, 1.0, 1) };
        frame.draw_x(sheet, true, true)?;
        frame.name_x(sheet, "share of answers")?;
        let mut y = top;
        for group in &groups {
            sheet.text(&BODY.fit(group[0].group, rect.right - MARGIN), (MARGIN, y + GROUP - 9 * PX), BODY)?;
            y += GROUP;
            for bar in *group {
                draw_bar(sheet, &frame, bar, y)?;
                y += BAR + BETWEEN_BARS;
            }
        }
        Ok(())
    })
}

fn draw_bar(sheet: &Sheet, frame: &Frame, bar: &TaxonomyBar, top: i32) -> Result<()> {
    let Rect { left, right, .. } = frame.rect;
    let middle = top + BAR / 2;
    let total: u64 = bar.counts.iter().map(|count| u64::from(*count)).sum();
    sheet.text(&BODY.fit(bar.label, LONGEST), (left - 8 * PX, middle), BODY.right())?;
    sheet.text(&format!("n = {total}"), (right + 8 * PX, middle), SMALL)?;
    if total == 0 {
        return sheet.text("no answers", (left + 6 * PX, middle), SMALL);
    }
    let place = |sum: u64| left + (sum as f64 / total as f64 * f64::from(right - left)).round() as i32;
    let mut sum = 0;
    for (category, count) in bar.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let rect = Rect { left: place(sum), right: place(sum + u64::from(*count)), top, bottom: top + BAR };
        sum += u64::from(*count);
        draw_part(sheet, rect, category, *count)?;
    }
    Ok(())
}

/// One outcome's part of a bar, with its count where that fits.
fn draw_part(sheet: &Sheet, rect: Rect, category: usize, count: u32) -> Result<()> {
    let look = fill(category);
    // A hair of paper between neighbours; a part too narrow for it keeps its width.
    let gap = if rect.width() > 4 * PX { 8 } else { 0 };
    sheet.filled(Rect { right: rect.right - gap, ..rect }, look)?;
    let text = count.to_string();
    let wide = SMALL.width(&text);
    if wide + 6 * PX > rect.width() {
        return Ok(());
    }
    let middle = ((rect.left + rect.right - gap) / 2, rect.top + BAR / 2);
    if look.hatch != Hatch::None {
        let half = wide / 2 + 2 * PX;
        let patch = Rect { left: middle.0 - half, right: middle.0 + half, top: rect.top + 2 * PX, bottom: rect.bottom - 2 * PX };
        sheet.rect(patch, look.color, 1.0)?;
    }
    sheet.text(&text, middle, SMALL.centred().colored(look.ink))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::samples;

    fn draw(suites: usize, variants: usize, counts: &[u32]) -> Result<String> {
        let names: Vec<String> = (0..20).map(samples::name).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let bar = |i: usize| TaxonomyBar { group: names[i / variants], label: names[i % variants], counts: counts.to_vec() };
        let bars: Vec<TaxonomyBar> = (0..suites * variants).map(bar).collect();
        taxonomy(&samples::titles(), &names[..counts.len()], &bars)
    }

    #[test]
    fn any_data_is_drawn_as_valid_svg() {
        for (suites, variants, counts) in [
            (5, 4, &[30, 20, 5, 4, 1][..]),
            (1, 1, &[1]),
            (2, 3, &[0, 0, 0]),
            (2, 3, &[60, 0, 0]),
            (3, 12, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
            (2, 2, &[u32::MAX, u32::MAX, 1]),
            (2, 2, &[]),
            (0, 1, &[]),
        ] {
            samples::check(|| draw(suites, variants, counts));
        }
    }

    #[test]
    fn counts_that_do_not_fit_the_categories_are_an_error() {
        let bar = TaxonomyBar { group: "suite", label: "base", counts: vec![3] };
        assert!(taxonomy(&samples::titles(), &["correct", "wrong"], &[bar]).is_err());
    }

    #[test]
    fn no_answers_are_not_an_empty_bar() -> Result<()> {
        assert!(draw(1, 1, &[0, 0])?.contains("no answers"));
        Ok(())
    }
}
