//! Training's course: accuracy above, drift from the base below, over the same optimizer steps.

use anyhow::Result;

use super::key::{Key, draw_sign};
use super::line::{draw_band, draw_lines, end};
use super::scale::{Frame, Scale};
use super::sheet::{Place, Rect, Sheet, figure};
use super::style::{AXIS, GRID, MARGIN, PX, SMALL, WIDTH};
use super::{Series, Titles};

/// What the figure shows.
#[derive(Debug, Clone, PartialEq)]
pub struct TrajectoryData {
    /// One line per group of suites and variant, as fractions of 1.
    pub accuracy: Vec<Series>,
    /// One line per variant: mean KL(base || variant) in nats per token.
    pub drift: Vec<Series>,
    /// Optimizer step at which a stage begins, and its name.
    pub stages: Vec<(f64, String)>,
}

const ACCURACY: i32 = 220 * PX;
const DRIFT: i32 = 170 * PX;
/// Above each panel: what it shows.
const NAME: i32 = 26 * PX;
/// Between the panels.
const BETWEEN: i32 = 18 * PX;
/// Below them: the labels of the steps.
const BELOW: i32 = 44 * PX;
const LEFT: i32 = MARGIN + 46 * PX;
/// A row of stage names.
const STAGE_ROW: i32 = 15 * PX;
/// A line's name at its end.
const LABEL_ROW: i32 = 15 * PX;
/// Longest name that stands at a line's end; with longer ones, or too many, there is a key instead.
const LONGEST_LABEL: i32 = 150 * PX;
/// From a line's end to its name: a leader, then the line's sign.
const LEADER: i32 = 14 * PX;
const SIGN: i32 = 24 * PX;
/// A drift that spans more than this factor is drawn on a logarithmic axis.
const WIDE_RANGE: f64 = 50.0;

/// Draws the figure.
pub fn trajectory(titles: &Titles, data: &TrajectoryData) -> Result<String> {
    let layout = Layout::of(data);
    let keys = [&data.accuracy, &data.drift].map(|lines| Key::of_lines(if layout.direct { &[] } else { lines }));
    let rows = stage_rows(data, &layout);
    let stages = rows.iter().max().map_or(0, |row| (*row + 1) * STAGE_ROW);
    let body = NAME + keys[0].height() + stages + ACCURACY + BETWEEN + NAME + keys[1].height() + DRIFT + BELOW;
    figure(titles, body, |sheet, top| {
        sheet.text("accuracy", (MARGIN, top + 10 * PX), SMALL)?;
        keys[0].draw(sheet, MARGIN, top + NAME - 4 * PX)?;
        let top = top + NAME + keys[0].height() + stages;
        let above = Frame {
            rect: Rect { left: LEFT, right: layout.right, top, bottom: top + ACCURACY },
            x: layout.steps.clone(),
            y: Scale::percent(0.0, 1.0, 0.25),
        };
        let (y, unit) = drift_scale(&data.drift);
        let top = above.rect.bottom + BETWEEN;
        sheet.text(unit, (MARGIN, top + 10 * PX), SMALL)?;
        keys[1].draw(sheet, MARGIN, top + NAME - 4 * PX)?;
        let top = top + NAME + keys[1].height();
        let below = Frame { rect: Rect { left: LEFT, right: layout.right, top, bottom: top + DRIFT }, x: layout.steps.clone(), y };
        draw_panel(sheet, &above, &data.accuracy, layout.direct, false)?;
        draw_panel(sheet, &below, &data.drift, layout.direct, true)?;
        below.name_x(sheet, "optimizer step")?;
        draw_stages(sheet, data, &rows, (&above, &below))
    })
}

/// What depends on all lines together.
struct Layout {
    steps: Scale,
    /// Names stand at the lines' ends.
    direct: bool,
    /// Right end of both panels.
    right: i32,
}

impl Layout {
    fn of(data: &TrajectoryData) -> Self {
        let last = steps(data).fold(1.0, f64::max);
        let longest = names(data).map(|name| SMALL.width(name)).max().unwrap_or(0);
        let fits = |lines: &[Series], height: i32| lines.len() as i32 * LABEL_ROW <= height + LABEL_ROW;
        let direct = longest <= LONGEST_LABEL && fits(&data.accuracy, ACCURACY) && fits(&data.drift, DRIFT);
        let beside = if direct { LEADER + SIGN + longest } else { 4 * PX };
        Self { steps: Scale::steps(last, 8), direct, right: WIDTH - MARGIN - beside }
    }
}

fn steps(data: &TrajectoryData) -> impl Iterator<Item = f64> {
    let lines = data.accuracy.iter().chain(&data.drift);
    lines.flat_map(|line| line.points.iter().map(|p| p.x)).chain(data.stages.iter().map(|stage| stage.0)).filter(|x| x.is_finite())
}

fn names(data: &TrajectoryData) -> impl Iterator<Item = &str> {
    data.accuracy.iter().chain(&data.drift).map(|line| line.label.as_str())
}

/// Linear from zero, or logarithmic when the drift grows by orders of magnitude, as it does on the way to collapse.
fn drift_scale(lines: &[Series]) -> (Scale, &'static str) {
    let values = lines.iter().flat_map(|line| {
        line.points
            .iter()
            .flat_map(|p| [Some(p.y), p.interval.map(|i| i.low), p.interval.map(|i| i.high)])
            .flatten()
            .filter(|v| v.is_finite())
    });
    let highest = values.clone().fold(0.0, f64::max);
    let lowest = values.clone().filter(|v| *v > 0.0).fold(f64::INFINITY, f64::min);
    if highest > WIDE_RANGE * lowest {
        (Scale::log_from_zero(values), "drift: KL(base || variant), nats per token, logarithmic; zero at the foot")
    } else {
        (Scale::linear(0.0, highest * 1.05, 4), "drift: KL(base || variant), nats per token")
    }
}

fn draw_panel(sheet: &Sheet, frame: &Frame, lines: &[Series], direct: bool, labels: bool) -> Result<()> {
    frame.draw_y(sheet, true)?;
    frame.draw_x(sheet, labels, false)?;
    for line in lines {
        draw_band(sheet, frame, line)?;
    }
    draw_lines(sheet, frame, lines, 18, 36)?;
    if lines.iter().all(|line| end(frame, line).is_none()) {
        sheet.remark("no data", frame.rect)?;
    }
    if direct { draw_names(sheet, frame, lines) } else { Ok(()) }
}

/// Each line's name beside its end, moved up or down where two would touch.
fn draw_names(sheet: &Sheet, frame: &Frame, lines: &[Series]) -> Result<()> {
    let mut ends: Vec<(Place, &Series)> = lines.iter().filter_map(|line| Some((end(frame, line)?, line))).collect();
    ends.sort_by_key(|(place, line)| (place.1, line.variant_index, line.dash));
    let wanted: Vec<i32> = ends.iter().map(|(place, _)| place.1).collect();
    let placed = spread(&wanted, LABEL_ROW, frame.rect.top, frame.rect.bottom);
    for ((place, line), y) in ends.iter().zip(placed) {
        let left = frame.rect.right + LEADER;
        sheet.line(&[(place.0 + 5 * PX, place.1), (frame.rect.right + 5 * PX, place.1), (left - 2 * PX, y)], GRID, 10)?;
        draw_sign(sheet, (*line).into(), left, y)?;
        sheet.text(&line.label, (left + SIGN, y), SMALL)?;
    }
    Ok(())
}

/// Moves sorted places apart to at least `gap`, as little as needed, within bounds as far as there is room.
fn spread(wanted: &[i32], gap: i32, low: i32, high: i32) -> Vec<i32> {
    let mut placed = wanted.to_vec();
    for _ in 0..200 {
        for i in 1..placed.len() {
            let short = gap - (placed[i] - placed[i - 1]);
            if short > 0 {
                placed[i - 1] -= (short + 1) / 2;
                placed[i] += short - (short + 1) / 2;
            }
        }
        for place in &mut placed {
            *place = (*place).clamp(low, high);
        }
    }
    for i in 1..placed.len() {
        placed[i] = placed[i].max(placed[i - 1] + gap);
    }
    let over = placed.last().map_or(0, |last| (last - high).max(0));
    for i in (0..placed.len()).rev() {
        let limit = placed.get(i + 1).map_or(high, |next| next - gap);
        placed[i] = if over > 0 { placed[i].min(limit) } else { placed[i] };
    }
    placed
}

/// The row above the panels in which each stage's name stands, so that no name crosses another's line.
fn stage_rows(data: &TrajectoryData, layout: &Layout) -> Vec<i32> {
    let frame =
        Frame { rect: Rect { left: LEFT, right: layout.right, top: 0, bottom: 1 }, x: layout.steps.clone(), y: Scale::linear(0.0, 1.0, 1) };
    let lefts: Vec<i32> = data.stages.iter().map(|(step, _)| frame.across(*step).unwrap_or(LEFT)).collect();
    let mut rows = vec![0; lefts.len()];
    for i in (0..lefts.len()).rev() {
        let right = lefts[i] + SMALL.width(&data.stages[i].1) + 8 * PX;
        rows[i] = (i + 1..lefts.len()).filter(|j| lefts[*j] < right).map(|j| rows[j] + 1).max().unwrap_or(0);
    }
    rows
}

fn draw_stages(sheet: &Sheet, data: &TrajectoryData, rows: &[i32], (above, below): (&Frame, &Frame)) -> Result<()> {
    for ((step, name), row) in data.stages.iter().zip(rows) {
        let Some(x) = above.across(*step) else {
            continue;
        };
        let y = above.rect.top - row * STAGE_ROW - 8 * PX;
        sheet.dashed(&[(x, y - 5 * PX), (x, above.rect.bottom)], AXIS, 9, &[3 * PX, 3 * PX])?;
        sheet.dashed(&[(x, below.rect.top), (x, below.rect.bottom)], AXIS, 9, &[3 * PX, 3 * PX])?;
        // A name that would leave the sheet stands left of its line.
        let leaves = x + 4 * PX + SMALL.width(name) > WIDTH - MARGIN;
        let style = if leaves { SMALL.right() } else { SMALL };
        sheet.text(name, (if leaves { x - 4 * PX } else { x + 4 * PX }, y), style)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::samples;

    fn data(lines: usize, points: usize, y: impl Fn(usize, usize) -> f64) -> TrajectoryData {
        let lines: Vec<Series> = (0..lines).map(|line| samples::series(line, points, |i| y(line, i))).collect();
        TrajectoryData {
            accuracy: lines.clone(),
            drift: lines,
            stages: vec![(0.0, "anchor".to_owned()), (1.0, "generalize".to_owned()), (1.0, "calibrate".to_owned())],
        }
    }

    #[test]
    fn any_data_is_drawn_as_valid_svg() {
        let mut empty = data(0, 0, |_, _| 0.0);
        empty.stages.clear();
        for data in [
            data(4, 10, |line, i| (line + i) as f64 / 14.0),
            data(1, 1, |_, _| 0.5),
            data(4, 10, |_, _| 0.0),
            data(4, 10, |_, _| 1.0),
            data(24, 3000, |line, i| (i as f64 / (9.0 + line as f64)).sin().abs()),
            data(3, 8, |line, i| if i % 3 == line { f64::NAN } else { 0.3 }),
            data(2, 5, |_, _| f64::INFINITY),
            data(2, 0, |_, _| 0.0),
            empty,
        ] {
            samples::check(|| trajectory(&samples::titles(), &data));
        }
    }

    #[test]
    fn drift_is_logarithmic_only_over_a_wide_range() {
        let scale = |values: &[f64]| drift_scale(&[samples::series(0, values.len(), |i| values[i])]).1;
        assert!(!scale(&[0.0, 0.1, 0.4]).contains("logarithmic"));
        assert!(scale(&[0.0, 0.001, 1.2]).contains("logarithmic"));
        assert!(!scale(&[0.0, 0.0]).contains("logarithmic"));
    }

    #[test]
    fn names_are_moved_apart_and_kept_inside() {
        assert_eq!(spread(&[100, 400], 150, 0, 1000), [100, 400]);
        let placed = spread(&[980, 990, 1000, 1000], 150, 0, 1000);
        assert!(placed.windows(2).all(|pair| pair[1] - pair[0] >= 149), "{placed:?}");
        assert!(placed.iter().all(|y| (0..=1000).contains(y)), "{placed:?}");
    }
}
