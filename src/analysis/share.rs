//! A share of answers with its interval.
//!
//! With one seed the interval is Wilson's, over items. With several, each seed has its own share and the interval is
//! Student's over these: pooling the answers of all seeds would count every item several times.

use serde::Serialize;

use crate::record::rows::ItemRow;
use crate::stats::Interval;
use crate::stats::interval::{mean_interval, wilson};

use super::view::{CONFIDENCE, Subject};

/// A share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// Mean over seeds of each seed's share.
    pub value: f64,
    /// Over items, or over seeds.
    pub interval: Interval,
    /// Items of a seed.
    pub n: usize,
    /// Seeds.
    pub seeds: usize,
    /// Whether the interval is over seeds.
    pub over_seeds: bool,
}

impl Share {
    /// The share of (hits, items), one a seed. None without items.
    pub fn of(counts: &[(usize, usize)]) -> Option<Self> {
        let counts: Vec<(usize, usize)> = counts.iter().copied().filter(|(_, n)| *n > 0).collect();
        let shares: Vec<f64> = counts.iter().map(|(hits, n)| *hits as f64 / *n as f64).collect();
        let value = shares.iter().sum::<f64>() / shares.len() as f64;
        let over_seeds = mean_interval(&shares, CONFIDENCE).map(|i| Interval::new(i.low.max(0.0), i.high.min(1.0)));
        // Seeds that agree exactly have no spread to take an interval from; then it is over items.
        let (hits, n) = *counts.iter().min_by_key(|(_, n)| *n)?;
        let interval = over_seeds.or_else(|| wilson(hits, n, CONFIDENCE))?;
        Some(Self { value, interval, n, seeds: counts.len(), over_seeds: over_seeds.is_some() })
    }

    /// The share of a subject's rows, among those kept, that are hits.
    pub(crate) fn among(subject: &Subject, kept: impl Fn(&ItemRow) -> bool, hit: impl Fn(&ItemRow) -> bool) -> Option<Self> {
        let counts = subject.cells.iter().map(|cell| {
            let rows = || cell.items.iter().filter(|row| kept(row));
            (rows().filter(|row| hit(row)).count(), rows().count())
        });
        Self::of(&counts.collect::<Vec<_>>())
    }

    /// The accuracy of a subject on a suite.
    pub(crate) fn accuracy(subject: &Subject, suite: &str) -> Option<Self> {
        Self::among(subject, |row| row.suite == suite, ItemRow::is_correct)
    }

    /// The share of a subject's answers to a suite that are right and say no identity that nobody asked for.
    pub(crate) fn clean(subject: &Subject, suite: &str) -> Option<Self> {
        Self::among(subject, |row| row.suite == suite, |row| row.is_correct() && row.is_clean())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::text::share_text;

    #[test]
    fn one_seed_is_wilson_over_items() {
        let share = Share::of(&[(50, 80)]).unwrap();
        assert_eq!(share_text(&share), "62.5 % [51.5, 72.3] n=80");
        assert!(!share.over_seeds);
    }

    #[test]
    fn several_seeds_are_a_mean_with_a_t_interval_and_never_pooled() {
        let share = Share::of(&[(50, 80), (40, 80), (48, 80)]).unwrap();
        assert!(share.over_seeds && (share.value - 0.575).abs() < 1e-12);
        // stats.t.interval(.95, 2, np.mean(s), stats.sem(s)) for s = [.625, .5, .6]
        assert_eq!(share_text(&share), "57.5 % [41.1, 73.9] n=80 x 3");
        let pooled = Share::of(&[(138, 240)]).unwrap();
        assert!(share.interval.width() > pooled.interval.width());
    }

    #[test]
    fn seeds_that_agree_fall_back_to_items_and_nothing_to_none() {
        let share = Share::of(&[(0, 40), (0, 40)]).unwrap();
        assert!(!share.over_seeds && share.interval.high > 0.05);
        assert_eq!(Share::of(&[]), None);
        assert_eq!(Share::of(&[(0, 0)]), None);
    }
}
