//! How much of its general knowledge a variant kept: the mean of its retentions over the general suites.
//!
//! A retention is a ratio of two means on the same items, so its error comes from linearisation (the delta method): each
//! item contributes what it adds to the ratio, contributions of one cluster are summed, and twins in two suites are one
//! cluster. A suite on which the base is not shown to be above chance has no retention, and one on which its distance from
//! chance is hardly known has one that means little: both are left out of the mean, for every variant alike.

use crate::record::run_dir::Cell;
use crate::stats::Interval;
use crate::stats::clustered::clustered_standard_error;
use crate::stats::interval::{mean_interval, two_sided_z, wilson};

use super::comparison::suite_pairs;
use super::pair::Pair;
use super::view::{CONFIDENCE, Subject, View, suite_rows};

/// A mean retention.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Kept {
    /// 1 is all that the base knows.
    pub(crate) value: f64,
    /// Over items; with several seeds wide enough to hold the interval over seeds too.
    pub(crate) interval: Interval,
    /// Items behind it, of one seed.
    pub(crate) n: usize,
}

impl Kept {
    /// Of a subject; None where no suite has a retention.
    pub(crate) fn of(view: &View, subject: &Subject) -> Option<Self> {
        let cells: Vec<Self> = subject.cells.iter().filter_map(|cell| of_cell(view, cell)).collect();
        let values: Vec<f64> = cells.iter().map(|cell| cell.value).collect();
        let widest = cells.iter().max_by(|a, b| a.interval.width().total_cmp(&b.interval.width()))?;
        let value = values.iter().sum::<f64>() / values.len() as f64;
        let over_seeds = mean_interval(&values, CONFIDENCE).map_or(0.0, Interval::width);
        let half = over_seeds.max(widest.interval.width()) / 2.0;
        Some(Self { value, interval: Interval::new(value - half, value + half), n: widest.n })
    }
}

/// General suites on which there is something to keep.
pub(crate) fn suites_with_retention<'a>(view: &View<'a>) -> Vec<&'a str> {
    view.general().filter(|suite| above_chance(view, suite).is_some_and(|(_, least)| least > 0.0)).collect()
}

/// Those whose retention enters the mean: the base stands above chance by a distance that is known to within half of
/// itself. One right answer of eighteen would otherwise make a variant's retention 0 or 200 % by one item's luck.
pub(crate) fn suites_in_the_mean<'a>(view: &View<'a>) -> Vec<&'a str> {
    let known = |suite: &&str| above_chance(view, suite).is_some_and(|(seen, least)| least > 0.0 && least >= seen / 2.0);
    view.general().filter(known).collect()
}

/// How far the base stands above chance: as seen, and by the lower end of its interval. None without items.
fn above_chance(view: &View, suite: &str) -> Option<(f64, f64)> {
    let rows = suite_rows(&view.run.base, suite);
    let right = rows.iter().filter(|row| row.is_correct()).count();
    let least = wilson(right, rows.len(), CONFIDENCE)?.low - view.floor(suite);
    Some((right as f64 / rows.len() as f64 - view.floor(suite), least))
}

fn of_cell<'a>(view: &View<'a>, cell: &'a Cell) -> Option<Kept> {
    let suites = suites_in_the_mean(view);
    let (mut sum, mut contributions, mut clusters) = (0.0, Vec::new(), Vec::new());
    for suite in &suites {
        let scored = |pair: &Pair<'a>| (pair.scores().0, pair.scores().1, pair.after.cluster.as_str());
        let pairs: Vec<(f64, f64, &str)> = suite_pairs(&view.run.base, cell, suite).iter().map(scored).collect();
        let n = pairs.len() as f64;
        let mean = |of: fn(&(f64, f64, &str)) -> f64| pairs.iter().map(of).sum::<f64>() / n;
        let above = mean(|pair| pair.0) - view.floor(suite);
        let ratio = (mean(|pair| pair.1) - view.floor(suite)) / above;
        if !ratio.is_finite() || above <= 0.0 {
            return None;
        }
        sum += ratio;
        let (base, variant) = (mean(|pair| pair.0), mean(|pair| pair.1));
        for (before, after, cluster) in pairs {
            contributions.push(((after - variant) - ratio * (before - base)) / (above * n));
            clusters.push(cluster);
        }
    }
    if suites.is_empty() {
        return None;
    }
    let (items, count) = (contributions.len() as f64, suites.len() as f64);
    let value = sum / count;
    // The standard error of a mean, of values whose mean is the sum of all contributions.
    let scaled: Vec<f64> = contributions.iter().map(|part| part * items / count).collect();
    let error = clustered_standard_error(&scaled, &clusters)?;
    // Without a flip there is no spread, yet no proof either: as much as one flipped item would tell.
    let half = two_sided_z(CONFIDENCE)? * error.max(1.0 / items);
    Some(Kept { value, interval: Interval::new(value - half, value + half), n: contributions.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample::{run, with_seeds};

    #[test]
    fn the_mean_retention_is_above_chance_and_has_a_width() {
        let mut run = run();
        run.meta.suites.get_mut("reasoning-zh").unwrap().chance = 0.25;
        let view = View::new(&run);
        let kept = |name: &str| Kept::of(&view, view.variant(name).unwrap()).unwrap();
        // fact-qa: .3/.8; reasoning-zh: (.3 - .25)/(.8 - .25)
        assert!((kept("A").value - f64::midpoint(0.3 / 0.8, 0.05 / 0.55)).abs() < 1e-9);
        assert!(kept("A").interval.high < 0.5 && kept("mixed").interval.low > 0.85);
        assert_eq!(kept("A").n, 120);
        let same = Kept::of(&view, view.base()).unwrap();
        assert!((same.value - 1.0).abs() < 1e-12 && same.interval.width() > 0.0);
    }

    #[test]
    fn a_suite_whose_distance_from_chance_is_hardly_known_is_not_in_the_mean() {
        let mut run = run();
        // 48 of 60 right, interval from 68 %: shown to be above 65 %, but 3 points of 15 are no measure.
        run.meta.suites.get_mut("fact-qa").unwrap().chance = 0.65;
        run.meta.suites.get_mut("reasoning-zh").unwrap().chance = 0.25;
        let view = View::new(&run);
        assert_eq!(suites_with_retention(&view), ["fact-qa", "reasoning-zh"]);
        assert_eq!(suites_in_the_mean(&view), ["reasoning-zh"]);
        let kept = Kept::of(&view, view.variant("A").unwrap()).unwrap();
        assert!((kept.value - 0.05 / 0.55).abs() < 1e-9 && kept.n == 60, "{kept:?}");
    }

    #[test]
    fn several_seeds_never_narrow_the_interval() {
        let run = with_seeds();
        let view = View::new(&run);
        let kept = Kept::of(&view, view.variant("A").unwrap()).unwrap();
        let each: Vec<Kept> = view.variant("A").unwrap().cells.iter().map(|cell| of_cell(&view, cell).unwrap()).collect();
        assert!(each.iter().all(|one| kept.interval.width() >= one.interval.width() - 1e-12));
        assert!((kept.value - each.iter().map(|one| one.value).sum::<f64>() / 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_suite_at_chance_is_left_out_and_none_left_is_none() {
        let mut run = run();
        run.meta.suites.get_mut("reasoning-zh").unwrap().chance = 0.75;
        assert_eq!(suites_with_retention(&View::new(&run)), ["fact-qa"]);
        assert_eq!(suites_in_the_mean(&View::new(&run)), ["fact-qa"]);
        // What one answer to everything scores counts like chance.
        run.meta.suites.get_mut("fact-qa").unwrap().floor = Some(0.75);
        let view = View::new(&run);
        assert_eq!(Kept::of(&view, view.variant("A").unwrap()), None);
    }
}
