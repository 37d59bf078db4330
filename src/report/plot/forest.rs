//! Differences with their intervals against their margins: one row a test, the verdict beside it.

use anyhow::Result;

use super::Titles;
use super::scale::{Frame, Scale};
use super::sheet::{Rect, Sheet, figure};
use super::style::{AXIS, BODY, INK, MARGIN, MUTED, PX, SMALL, WIDTH, color, marker};
use crate::gate::decision::{Decision, LossTest};

/// One test, and what it is called.
#[derive(Debug, Clone, PartialEq)]
pub struct ForestRow<'a> {
    /// What was tested.
    pub label: &'a str,
    /// In which respect.
    pub what: &'a str,
    /// The difference with its interval and margin, as fractions of 1, and what the test says.
    pub test: LossTest,
}

const ROW: i32 = 40 * PX;
const ABOVE: i32 = 26 * PX;
const BELOW: i32 = 44 * PX;
/// Names of the tests.
const LEFT: i32 = MARGIN + 190 * PX;
/// Verdicts.
const RIGHT: i32 = 112 * PX;

/// Draws the figure, rows from the top.
pub fn forest(titles: &Titles, rows: &[ForestRow]) -> Result<String> {
    let plot = ROW * rows.len().max(1) as i32;
    figure(titles, ABOVE + plot + BELOW, |sheet, top| {
        let rect = Rect { left: LEFT, right: WIDTH - MARGIN - RIGHT, top: top + ABOVE, bottom: top + ABOVE + plot };
        let frame = Frame { rect, x: x_scale(rows), y: Scale::linear(0.0, 1.0, 1) };
        frame.draw_x(sheet, true, true)?;
        frame.name_x(sheet, "adapter minus base, percentage points")?;
        if rows.is_empty() {
            return sheet.remark("nothing was measured", rect);
        }
        for i in 0..=rows.len() {
            sheet.rule(MARGIN, WIDTH - MARGIN, rect.top + ROW * i as i32)?;
        }
        if let Some(zero) = frame.across(0.0) {
            sheet.line(&[(zero, rect.top), (zero, rect.bottom)], INK, 12)?;
            sheet.text("no change", (zero, rect.top - 9 * PX), SMALL.centred())?;
        }
        for (i, row) in rows.iter().enumerate() {
            draw_row(sheet, &frame, row, rect.top + ROW * i as i32, i == 0)?;
        }
        Ok(())
    })
}

/// Every interval and margin in points, with a little air.
fn x_scale(rows: &[ForestRow]) -> Scale {
    let ends = || {
        rows.iter().flat_map(|row| {
            let bounds = row.test.interval.map_or([0.0, 0.0], |interval| [interval.low, interval.high]);
            [bounds[0], bounds[1], row.test.difference.unwrap_or(0.0), -1.4 * row.test.margin]
                .map(|end| 100.0 * end)
                .into_iter()
                .filter(|end| end.is_finite())
        })
    };
    let (low, high) = (ends().fold(-1.0, f64::min).max(-100.0), ends().fold(1.0, f64::max).min(100.0));
    let air = 0.04 * (high - low);
    Scale::linear(low - air, high + air, 8)
}

fn draw_row(sheet: &Sheet, frame: &Frame, row: &ForestRow, top: i32, first: bool) -> Result<()> {
    let y = top + ROW / 2;
    let rect = frame.rect;
    sheet.text(&BODY.fit(row.label, LEFT - MARGIN - 8 * PX), (MARGIN, y - 8 * PX), BODY)?;
    sheet.text(&SMALL.fit(&format!("{}, n = {}", row.what, row.test.n), LEFT - MARGIN - 8 * PX), (MARGIN, y + 9 * PX), SMALL)?;
    if let Some(margin) = frame.across(-100.0 * row.test.margin) {
        sheet.dashed(&[(margin, top), (margin, top + ROW)], AXIS, 14, &[4 * PX, 3 * PX])?;
        if first {
            sheet.text("margin", (margin, rect.top - 9 * PX), SMALL.centred())?;
        }
    }
    let (index, word) = match row.test.verdict {
        Decision::Pass => (3, "pass"),
        Decision::Inconclusive => (5, "inconclusive"),
        Decision::Regress => (1, "regress"),
        Decision::Invalid => (0, "invalid"),
    };
    let ink = color(index);
    if let Some((low, high)) = row.test.interval.and_then(|i| frame.across(100.0 * i.low).zip(frame.across(100.0 * i.high))) {
        sheet.line(&[(low, y), (high, y)], ink, 22)?;
        for x in [low, high] {
            sheet.line(&[(x, y - 5 * PX), (x, y + 5 * PX)], ink, 16)?;
        }
    }
    let value = row.test.difference.and_then(|difference| Some((frame.across(100.0 * difference)?, difference)));
    match value {
        Some((x, _)) => sheet.marker((x, y), marker(index), 60)?,
        None => sheet.text("n/a", (rect.left + rect.width() / 2, y), SMALL.colored(MUTED).centred())?,
    }
    sheet.text(word, (rect.right + 12 * PX, y - 8 * PX), BODY.colored(ink))?;
    let points = value.map_or("n/a".to_owned(), |(_, difference)| format!("{:+.1} points", 100.0 * difference + 0.0));
    sheet.text(&points, (rect.right + 12 * PX, y + 9 * PX), SMALL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::samples;
    use crate::stats::Interval;

    fn row(label: &str, difference: Option<f64>, verdict: Decision) -> ForestRow<'_> {
        let interval = difference.map(|d| Interval::new(d - 0.03, d + 0.03));
        let test = LossTest { verdict, difference, interval, ..LossTest::guard(&[(true, true); 200], &[0; 200], 0.05) };
        ForestRow { label, what: "accuracy", test }
    }

    #[test]
    fn any_data_is_drawn_as_valid_svg() {
        let names: Vec<String> = (0..6).map(samples::name).collect();
        let row = |i: usize, difference, verdict| row(&names[i], difference, verdict);
        let all = vec![
            row(2, Some(0.0), Decision::Pass),
            row(1, Some(-0.04), Decision::Inconclusive),
            row(3, Some(-1.0), Decision::Regress),
            row(4, None, Decision::Invalid),
            row(5, Some(f64::NAN), Decision::Invalid),
        ];
        for rows in [all, vec![], vec![row(0, Some(1.0), Decision::Pass)]] {
            samples::check(|| forest(&samples::titles(), &rows));
        }
    }
}
