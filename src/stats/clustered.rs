//! Standard errors when items are not independent: twins in two languages, paraphrases, questions on one passage.
//!
//! Items of one cluster rise and fall together, so a hundred items in ten clusters tell little more than ten items
//! do. Residuals are summed inside a cluster before they are squared, and the interval has as many degrees of freedom
//! as clusters, less one.
//!
//! Reference: E. Miller, "Adding Error Bars to Evals", arXiv 2411.00640 (2024), appendix A, with the factor C/(C-1)
//! for C clusters.

use std::collections::BTreeMap;

use super::interval::{Interval, two_sided_t};

/// The clustered standard error of the mean of `values`, where `clusters[i]` names the cluster of `values[i]`. For two
/// models on the same items, give it the paired differences. With one item a cluster it is the ordinary standard
/// error. `None` for fewer than two clusters, slices of unequal length, or a value that is not finite.
pub fn clustered_standard_error<K: Ord>(values: &[f64], clusters: &[K]) -> Option<f64> {
    let sums = residual_sums(values, clusters)?;
    let count = sums.len() as f64;
    let squares: f64 = sums.iter().map(|sum| sum * sum).sum();
    Some((count / (count - 1.0) * squares).sqrt() / values.len() as f64)
}

/// The t interval of the mean paired difference, clustered. `None` where the standard error is undefined or zero:
/// differences that do not vary carry no measure of their own precision, and
/// [`Paired::bonett_price`](super::Paired::bonett_price) still answers.
pub fn clustered_paired_interval<K: Ord>(differences: &[f64], clusters: &[K], confidence: f64) -> Option<Interval> {
    let error = clustered_standard_error(differences, clusters)?;
    let degrees = residual_sums(differences, clusters)?.len() as f64 - 1.0;
    let largest = differences.iter().fold(0.0_f64, |largest, d| largest.max(d.abs()));
    if error <= largest * 1e-12 {
        return None;
    }
    let mean = mean(differences);
    let half = two_sided_t(confidence, degrees)? * error;
    Some(Interval::new(mean - half, mean + half))
}

/// Each cluster's sum of residuals, in the order of its name so that rounding does not depend on the items' order.
fn residual_sums<K: Ord>(values: &[f64], clusters: &[K]) -> Option<Vec<f64>> {
    if values.len() != clusters.len() || values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let mean = mean(values);
    let mut sums = BTreeMap::new();
    for (value, cluster) in values.iter().zip(clusters) {
        *sums.entry(cluster).or_insert(0.0) += value - mean;
    }
    (sums.len() >= 2).then(|| sums.into_values().collect())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DIFFERENCES: [f64; 12] = [0.0, -1.0, -1.0, 0.0, 1.0, 0.0, 0.0, -1.0, 0.0, 0.0, -1.0, 0.0];
    const CLUSTERS: [u32; 12] = [0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 5];

    // import numpy as np, statsmodels.api as sm                      # statsmodels 0.15.0
    // r = sm.OLS(d, np.ones_like(d)).fit(cov_type='cluster', cov_kwds={'groups': g}, use_t=True)
    // print(r.bse[0], r.conf_int(.05))                               # the correction for one regressor is C/(C-1)
    #[test]
    fn clustered_equals_statsmodels() {
        let error = clustered_standard_error(&DIFFERENCES, &CLUSTERS).expect("six clusters");
        assert!((error - 0.198_955_606_438_555_45).abs() < 1e-14);
        let interval = clustered_paired_interval(&DIFFERENCES, &CLUSTERS, 0.95).expect("six clusters");
        assert!((interval.low + 0.761_431_67).abs() < 1e-8 && (interval.high - 0.261_431_67).abs() < 1e-8, "{interval:?}");
    }

    // r = sm.OLS(d, np.ones_like(d)).fit(); print(r.bse[0])
    #[test]
    fn one_item_a_cluster_is_the_ordinary_standard_error() {
        let names: Vec<usize> = (0..DIFFERENCES.len()).collect();
        let error = clustered_standard_error(&DIFFERENCES, &names).expect("twelve clusters");
        assert!((error - 0.179_435_140_641_318_38).abs() < 1e-14);
    }

    #[test]
    fn what_is_undefined_is_none() {
        assert_eq!(clustered_standard_error::<u32>(&[], &[]), None);
        assert_eq!(clustered_standard_error(&[1.0], &[1]), None);
        assert_eq!(clustered_standard_error(&[1.0, 0.0], &[1, 1]), None);
        assert_eq!(clustered_standard_error(&[1.0, 0.0], &[1]), None);
        assert_eq!(clustered_standard_error(&[1.0, f64::NAN], &[1, 2]), None);
        assert_eq!(clustered_paired_interval(&[-1.0; 100], &(0..100).collect::<Vec<_>>(), 0.95), None);
        assert_eq!(clustered_paired_interval(&[0.0, 0.0], &["a", "b"], 0.95), None);
    }

    proptest! {
        #[test]
        fn swapping_the_models_mirrors_the_interval(values in proptest::collection::vec((-1_i8..=1, 0_u8..8), 2..80)) {
            let (differences, clusters): (Vec<f64>, Vec<u8>) = values.into_iter().map(|(d, c)| (f64::from(d), c)).unzip();
            let negated: Vec<f64> = differences.iter().map(|d| -d).collect();
            match (clustered_paired_interval(&differences, &clusters, 0.9), clustered_paired_interval(&negated, &clusters, 0.9)) {
                (Some(ours), Some(swapped)) => {
                    prop_assert!((ours.low + swapped.high).abs() < 1e-12 && (ours.high + swapped.low).abs() < 1e-12);
                    prop_assert!(ours.contains(mean(&differences)));
                }
                (ours, swapped) => prop_assert_eq!(ours, swapped),
            }
        }
    }
}
