//! Confidence intervals of one model's results: Wilson's for a proportion, Student's t for a mean.
//!
//! Both stay honest where the textbook interval fails: Wilson's is never of zero width and never leaves \[0, 1\],
//! so 0 of 20 and 100 of 100 still show how little they prove.
//!
//! References:
//! - E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927).
//! - R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17 (1998).

use serde::{Deserialize, Serialize};

use super::distribution::{normal_quantile, student_t_quantile};

/// The range a number lies in at the confidence asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

impl Interval {
    /// From one bound to the other.
    pub fn new(low: f64, high: f64) -> Self {
        Self { low, high }
    }

    /// Whether the value is inside; a bound is inside.
    pub fn contains(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Upper minus lower bound.
    pub fn width(self) -> f64 {
        self.high - self.low
    }
}

/// Wilson's score interval for a proportion; `None` without trials, or when more succeeded than were tried.
pub fn wilson(successes: usize, n: usize, confidence: f64) -> Option<Interval> {
    if n == 0 || successes > n {
        return None;
    }
    let z = two_sided_z(confidence)?;
    let (p, n_items) = (successes as f64 / n as f64, n as f64);
    let shrink = 1.0 + z * z / n_items;
    let centre = (p + z * z / (2.0 * n_items)) / shrink;
    let half = z / shrink * (p * (1.0 - p) / n_items + z * z / (4.0 * n_items * n_items)).sqrt();
    // At the ends the bound is exactly 0 or 1; rounding would leave it a hair off.
    Some(Interval {
        low: if successes == 0 { 0.0 } else { (centre - half).max(0.0) },
        high: if successes == n { 1.0 } else { (centre + half).min(1.0) },
    })
}

/// Student's t interval for the mean of independent values, such as one delta per training seed. `None` for fewer
/// than two values and for values that do not vary: no spread is no evidence of precision.
pub fn mean_interval(values: &[f64], confidence: f64) -> Option<Interval> {
    let n = values.len() as f64;
    if values.len() < 2 || values.iter().all(|v| (v - values[0]).abs() < f64::EPSILON) {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let half = two_sided_t(confidence, n - 1.0)? * (variance / n).sqrt();
    half.is_finite().then(|| Interval::new(mean - half, mean + half))
}

/// The z that leaves `1 - confidence` outside both ends; `None` unless `0 < confidence < 1`.
pub fn two_sided_z(confidence: f64) -> Option<f64> {
    normal_quantile(upper_point(confidence)?)
}

/// The t that leaves `1 - confidence` outside both ends.
pub fn two_sided_t(confidence: f64, degrees: f64) -> Option<f64> {
    student_t_quantile(upper_point(confidence)?, degrees)
}

fn upper_point(confidence: f64) -> Option<f64> {
    (confidence > 0.0 && confidence < 1.0).then_some(1.0 - (1.0 - confidence) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(ours: Option<Interval>, low: f64, high: f64, tolerance: f64) {
        let ours = ours.expect("the interval is defined");
        assert!((ours.low - low).abs() < tolerance && (ours.high - high).abs() < tolerance, "{ours:?} is not [{low}, {high}]");
    }

    // Newcombe (1998), table I, method 3.
    #[test]
    fn wilson_equals_newcombes_examples() {
        check(wilson(81, 263, 0.95), 0.2553, 0.3662, 5e-5);
        check(wilson(15, 148, 0.95), 0.0624, 0.1605, 5e-5);
        check(wilson(0, 20, 0.95), 0.0000, 0.1611, 5e-5);
        check(wilson(1, 29, 0.95), 0.0061, 0.1718, 5e-5);
    }

    // from statsmodels.stats.proportion import proportion_confint as ci      # statsmodels 0.15.0
    // for k, n, a in [(81,263,.05), (100,100,.05), (0,1,.05), (1,1,.05), (1,2,.05), (7,20,.1)]: print(ci(k, n, a, 'wilson'))
    #[test]
    fn wilson_equals_statsmodels() {
        check(wilson(81, 263, 0.95), 0.255_288_519_878_274_2, 0.366_209_576_982_800_03, 1e-14);
        check(wilson(100, 100, 0.95), 0.963_006_501_793_014_3, 1.0, 1e-14);
        check(wilson(0, 1, 0.95), 0.0, 0.793_450_685_622_762_7, 1e-14);
        check(wilson(1, 1, 0.95), 0.206_549_314_377_237_4, 1.0, 1e-14);
        check(wilson(1, 2, 0.95), 0.094_531_205_734_230_68, 0.905_468_794_265_769_3, 1e-14);
        check(wilson(7, 20, 0.9), 0.202_260_040_056_761, 0.533_487_311_151_528_4, 1e-14);
    }

    // stats.t.interval(.95, 4, np.mean(s), stats.sem(s)) for s = [-.021, -.034, -.009, -.027, -.015]
    #[test]
    fn mean_interval_equals_scipy() {
        check(mean_interval(&[-0.021, -0.034, -0.009, -0.027, -0.015], 0.95), -0.033_378_438_996_960_22, -0.009_021_561_003_039_783, 1e-12);
    }

    #[test]
    fn what_is_undefined_is_none() {
        assert_eq!(wilson(0, 0, 0.95), None);
        assert_eq!(wilson(3, 2, 0.95), None);
        assert_eq!(wilson(1, 2, 1.0), None);
        assert_eq!(wilson(1, 2, f64::NAN), None);
        assert_eq!(mean_interval(&[], 0.95), None);
        assert_eq!(mean_interval(&[0.3], 0.95), None);
        assert_eq!(mean_interval(&[0.3, 0.3, 0.3], 0.95), None);
        assert_eq!(mean_interval(&[0.3, f64::NAN], 0.95), None);
    }

    proptest! {
        #[test]
        fn wilson_holds_its_estimate_and_mirrors(n in 1_usize..3000, share in 0.0..=1.0_f64) {
            let successes = ((n as f64 * share) as usize).min(n);
            let interval = wilson(successes, n, 0.95).expect("n > 0");
            let mirrored = wilson(n - successes, n, 0.95).expect("n > 0");
            prop_assert!(interval.contains(successes as f64 / n as f64));
            prop_assert!(interval.low >= 0.0 && interval.high <= 1.0 && interval.width() > 0.0);
            prop_assert!((interval.low - (1.0 - mirrored.high)).abs() < 1e-12);
        }
    }
}
