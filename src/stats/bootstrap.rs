//! Paired bootstrap over clusters, for what has no formula: the interval of a retention, or of a mean over suites.
//!
//! Whole clusters are drawn with replacement, base and variant together. Each resample has its own ChaCha8 stream,
//! numbered by its index, so the interval is the same for any number of threads. The percentiles are taken as they
//! are: with fewer than about twenty clusters they are too narrow, and the clustered t interval is the better one.
//!
//! Reference: B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::interval::Interval;
use crate::random::{below, stream};

/// How to resample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// Number of resamples; ten thousand settle the second digit of a bound.
    pub resamples: usize,
    /// Seed of all of them.
    pub seed: u64,
    /// Share of resamples inside the interval.
    pub confidence: f64,
}

/// Sums over one cluster's items.
#[derive(Debug, Clone, Copy, Default)]
struct Cluster {
    items: f64,
    base: f64,
    variant: f64,
}

/// The percentile interval of `statistic(mean base score, mean variant score)`, where `clusters[i]` names the cluster of
/// item i.
///
/// A resample in which the statistic is undefined counts as anything at all, so an interval is given only while such
/// resamples are too rare to reach its bounds. `None` beyond that, for fewer than two clusters, for slices of unequal
/// length, and when all resamples agree: a bootstrap of data without spread knows nothing of its precision.
pub fn bootstrap_interval<K: Ord>(
    base: &[f64],
    variant: &[f64],
    clusters: &[K],
    settings: &Bootstrap,
    statistic: impl Fn(f64, f64) -> Option<f64> + Sync,
) -> Option<Interval> {
    if base.len() != clusters.len() || variant.len() != clusters.len() {
        return None;
    }
    let sums = sum_clusters(clusters, base.iter().copied().zip(variant.iter().copied()));
    percentiles(&sums, settings, statistic)
}

fn sum_clusters<K: Ord>(clusters: &[K], scores: impl Iterator<Item = (f64, f64)>) -> Vec<Cluster> {
    let mut sums: BTreeMap<&K, Cluster> = BTreeMap::new();
    for (name, (base, variant)) in clusters.iter().zip(scores) {
        let sum = sums.entry(name).or_default();
        sum.items += 1.0;
        sum.base += base;
        sum.variant += variant;
    }
    sums.into_values().collect()
}

fn percentiles(sums: &[Cluster], settings: &Bootstrap, statistic: impl Fn(f64, f64) -> Option<f64> + Sync) -> Option<Interval> {
    if sums.len() < 2 || settings.resamples < 2 || !(settings.confidence > 0.0 && settings.confidence < 1.0) {
        return None;
    }
    let drawn: Vec<Option<f64>> = (0..settings.resamples)
        .into_par_iter()
        .map(|index| {
            let total = resample(sums, settings.seed, index as u64);
            statistic(total.base / total.items, total.variant / total.items).filter(|value| value.is_finite())
        })
        .collect();
    let mut values: Vec<f64> = drawn.iter().flatten().copied().collect();
    values.sort_by(f64::total_cmp);
    let (first, last) = (*values.first()?, *values.last()?);
    if last - first <= 1e-12 * first.abs().max(last.abs()) {
        return None;
    }
    let undefined = drawn.len() - values.len();
    let tail = (1.0 - settings.confidence) / 2.0 * (drawn.len() - 1) as f64;
    let low = between_ranks(&values, tail - undefined as f64)?;
    let high = between_ranks(&values, (drawn.len() - 1) as f64 - tail)?;
    Some(Interval::new(low, high))
}

fn resample(sums: &[Cluster], seed: u64, index: u64) -> Cluster {
    let mut random = stream(seed, index);
    (0..sums.len()).fold(Cluster::default(), |total, _| {
        let pick = sums[below(sums.len() as u64, &mut random) as usize];
        Cluster { items: total.items + pick.items, base: total.base + pick.base, variant: total.variant + pick.variant }
    })
}

/// The value at a rank that may fall between two; `None` when it falls outside.
fn between_ranks(sorted: &[f64], rank: f64) -> Option<f64> {
    if rank < 0.0 {
        return None;
    }
    let (below, above) = (sorted.get(rank.floor() as usize)?, sorted.get(rank.ceil() as usize)?);
    Some(below + (above - below) * rank.fract())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::retention::retention;
    use proptest::prelude::*;

    const SETTINGS: Bootstrap = Bootstrap { resamples: 4000, seed: 7, confidence: 0.95 };

    /// Two hundred items, one a cluster: 120 right in both, 30 harmful flips, 10 beneficial, 40 wrong in both.
    fn pairs() -> Vec<(bool, bool)> {
        let counts = [(120, (true, true)), (30, (true, false)), (10, (false, true)), (40, (false, false))];
        counts.iter().flat_map(|(n, pair)| std::iter::repeat_n(*pair, *n)).collect()
    }

    fn names(n: usize) -> Vec<usize> {
        (0..n).collect()
    }

    /// The interval of variant minus base accuracy.
    fn difference<K: Ord>(pairs: &[(bool, bool)], clusters: &[K], settings: &Bootstrap) -> Option<Interval> {
        let score = |pick: fn(&(bool, bool)) -> bool| pairs.iter().map(|pair| f64::from(u8::from(pick(pair)))).collect::<Vec<_>>();
        bootstrap_interval(&score(|p| p.0), &score(|p| p.1), clusters, settings, |base, variant| Some(variant - base))
    }

    // r = scipy.stats.bootstrap((d,), np.mean, n_resamples=200000, method='percentile', rng=0)     # scipy 1.17.1
    // print(r.confidence_interval)       # for d of these pairs: [-0.16, -0.04]
    #[test]
    fn difference_agrees_with_scipy() {
        let interval = difference(&pairs(), &names(200), &SETTINGS).expect("defined");
        assert!((interval.low + 0.16).abs() < 0.006 && (interval.high + 0.04).abs() < 0.006, "{interval:?}");
    }

    #[test]
    fn retention_has_an_interval_while_the_base_beats_chance() {
        let right = |pick: fn(&(bool, bool)) -> bool| pairs().iter().map(|p| f64::from(u8::from(pick(p)))).collect::<Vec<_>>();
        let (base, variant) = (right(|p| p.0), right(|p| p.1));
        let at = |chance: f64| bootstrap_interval(&base, &variant, &names(200), &SETTINGS, |b, v| retention(b, v, chance));
        let interval = at(0.25).expect("the base scores .75");
        assert!(interval.contains(0.8) && interval.width() < 0.3, "{interval:?}");
        assert_eq!(at(0.74), None);
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let with_threads = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
            pool.install(|| difference(&pairs(), &names(200), &SETTINGS))
        };
        assert_eq!(with_threads(1), with_threads(5));
    }

    #[test]
    fn data_without_spread_and_ill_formed_inputs_have_no_interval() {
        for pair in [(true, true), (true, false), (false, true)] {
            assert_eq!(difference(&[pair; 100], &names(100), &SETTINGS), None);
        }
        assert_eq!(difference::<u8>(&[], &[], &SETTINGS), None);
        assert_eq!(difference(&[(true, false)], &[0], &SETTINGS), None);
        assert!(difference(&[(true, false), (true, true)], &[0, 1], &SETTINGS).is_some());
        assert_eq!(difference(&[(true, false)], &[0, 1], &SETTINGS), None);
        let unsure = Bootstrap { confidence: 1.0, ..SETTINGS };
        assert_eq!(difference(&pairs(), &names(200), &unsure), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn swapping_base_and_variant_mirrors(pairs in proptest::collection::vec(any::<(bool, bool)>(), 2..60)) {
            let settings = Bootstrap { resamples: 400, ..SETTINGS };
            let swapped: Vec<_> = pairs.iter().map(|(base, variant)| (*variant, *base)).collect();
            let clusters: Vec<usize> = (0..pairs.len()).map(|i| i / 3).collect();
            match (difference(&pairs, &clusters, &settings), difference(&swapped, &clusters, &settings)) {
                (Some(ours), Some(mirrored)) => {
                    prop_assert!((ours.low + mirrored.high).abs() < 1e-12 && (ours.high + mirrored.low).abs() < 1e-12);
                }
                (ours, mirrored) => prop_assert_eq!(ours, mirrored),
            }
        }
    }
}
