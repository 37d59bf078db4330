//! Base against variant on the same items: the two-by-two table, its difference, interval and test.
//!
//! Only flips carry information about a change; items both models get right, or both wrong, cancel. An unpaired test
//! on such data throws that away, and a paired t test breaks when every item flips (its standard error is zero).
//! What is here does not: the interval has a width at zero flips, and the test is exact.
//!
//! References:
//! - D. G. Bonett and R. M. Price, "Adjusted Wald confidence interval for a difference of binomial proportions based
//!   on paired data", Journal of Educational and Behavioral Statistics 37 (2012).
//! - M. W. Fagerland, S. Lydersen and P. Laake, "The McNemar test for binary matched-pairs data: mid-p and asymptotic
//!   are better than exact conditional", BMC Medical Research Methodology 13 (2013); the same authors, "Recommended
//!   tests and confidence intervals for paired binomial proportions", Statistics in Medicine 33 (2014), equation 16.

use serde::{Deserialize, Serialize};

use super::distribution::{fair_binomial_cdf, fair_binomial_pmf};
use super::interval::{Interval, two_sided_z};

/// How often base and variant were right on the same items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Paired {
    /// Items both answered correctly.
    pub both: usize,
    /// Harmful flips: base right, variant wrong.
    pub base_only: usize,
    /// Beneficial flips: base wrong, variant right.
    pub variant_only: usize,
    /// Items neither answered correctly.
    pub neither: usize,
}

impl Paired {
    /// Counts pairs of (base is right, variant is right), one pair an item.
    pub fn from_verdicts(pairs: impl IntoIterator<Item = (bool, bool)>) -> Self {
        pairs.into_iter().fold(Self::default(), |mut table, pair| {
            match pair {
                (true, true) => table.both += 1,
                (true, false) => table.base_only += 1,
                (false, true) => table.variant_only += 1,
                (false, false) => table.neither += 1,
            }
            table
        })
    }

    /// Items compared.
    pub fn n(&self) -> usize {
        self.both + self.base_only + self.variant_only + self.neither
    }

    /// Accuracy of the variant minus accuracy of the base.
    pub fn difference(&self) -> Option<f64> {
        (self.n() > 0).then(|| (self.variant_only as f64 - self.base_only as f64) / self.n() as f64)
    }

    /// The share of items that flipped, in either direction.
    pub fn churn(&self) -> Option<f64> {
        (self.n() > 0).then(|| (self.base_only + self.variant_only) as f64 / self.n() as f64)
    }

    /// Bonett and Price's interval for variant minus base. It has a width even when nothing flipped.
    pub fn bonett_price(&self, confidence: f64) -> Option<Interval> {
        if self.n() == 0 {
            return None;
        }
        let z = two_sided_z(confidence)?;
        let n = self.n() as f64 + 2.0;
        let (better, worse) = ((self.variant_only as f64 + 1.0) / n, (self.base_only as f64 + 1.0) / n);
        let difference = better - worse;
        let half = z * ((better + worse - difference * difference) / n).sqrt();
        Some(Interval::new((difference - half).max(-1.0), (difference + half).min(1.0)))
    }

    /// McNemar's two-sided mid-p value: the exact test, less conservative by half the probability of the table seen in each
    /// tail; it keeps its level in practice. 1 when nothing flipped, `None` without items.
    pub fn mcnemar_mid_p(&self) -> Option<f64> {
        let (fewer, more) = (self.base_only.min(self.variant_only), self.base_only.max(self.variant_only));
        let flips = fewer + more;
        match (self.n(), fewer == more) {
            (0, _) => None,
            // Flips that balance are no evidence at all, whatever their number; the rest is a count of heads.
            (_, true) => Some(1.0),
            (_, false) => Some((2.0 * fair_binomial_cdf(fewer, flips) - fair_binomial_pmf(fewer, flips)).min(1.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(both: usize, base_only: usize, variant_only: usize, neither: usize) -> Paired {
        Paired { both, base_only, variant_only, neither }
    }

    fn check(ours: Option<f64>, reference: f64) {
        let ours = ours.expect("defined");
        assert!((ours - reference).abs() <= 1e-11 * reference.abs(), "{ours:e} is not {reference:e}");
    }

    // Fagerland, Lydersen and Laake (2013): airway hyper-responsiveness before and after transplantation (tables of
    // 1, 1, 7, 12: mid-p .039), and complete response to two treatments (59, 6, 16, 80: .0347).
    //
    // from scipy.stats import binom
    // for b, c in [(1,7), (6,16), (12,30), (150,210), (0,50)]:
    //     m, k = b + c, min(b, c)
    //     print(2*binom.cdf(k-1, m, .5) + binom.pmf(k, m, .5))
    #[test]
    fn mid_p_equals_published_tables_and_scipy() {
        for (harmful, beneficial, mid) in [
            (1, 7, 0.039_062_5),
            (6, 16, 0.034_689_664_840_698_24),
            (12, 30, 0.005_401_572_654_591_293),
            (150, 210, 0.001_553_493_739_561_551_5),
            (0, 50, 8.881_784_197_001_254e-16),
        ] {
            check(table(5, harmful, beneficial, 5).mcnemar_mid_p(), mid);
        }
    }

    // z = norm.ppf(.975); p12, p21 = (c+1)/(n+2), (b+1)/(n+2); d = p12 - p21
    // h = z*np.sqrt((p12 + p21 - d*d)/(n+2)); print(max(-1, d-h), min(1, d+h))
    #[test]
    fn bonett_price_equals_its_formula_in_numpy() {
        for (counts, low, high) in [
            (table(1, 7, 1, 12), -0.508_359_306_666_439_4, -0.013_379_823_768_343_235),
            (table(59, 16, 6, 80), -0.119_498_811_066_511_9, -0.003_200_575_436_555_586_6),
            (table(30, 9, 2, 19), -0.223_364_105_237_144_67, -0.002_442_346_375_758_533_4),
            (table(60, 0, 0, 40), -0.027_174_584_791_170_155, 0.027_174_584_791_170_155),
            (table(0, 100, 0, 0), -1.0, -0.942_150_340_125_447_5),
            (table(1, 0, 0, 0), -0.923_935_882_899_785, 0.923_935_882_899_785),
            (table(0, 1, 1, 0), -0.979_981_992_270_027, 0.979_981_992_270_027),
        ] {
            let interval = counts.bonett_price(0.95).expect("defined");
            assert!((interval.low - low).abs() < 1e-13 && (interval.high - high).abs() < 1e-13, "{interval:?} is not [{low}, {high}]");
        }
    }

    #[test]
    fn a_total_collapse_is_the_clearest_result_of_all() {
        let collapse = table(0, 100, 0, 0);
        assert_eq!(collapse.difference(), Some(-1.0));
        assert_eq!(collapse.churn(), Some(1.0));
        assert!(collapse.mcnemar_mid_p().is_some_and(|p| p < 1e-29));
    }

    #[test]
    fn no_flips_prove_nothing_but_are_defined() {
        let same = table(3, 0, 0, 1);
        assert_eq!(same.difference(), Some(0.0));
        assert_eq!(same.mcnemar_mid_p(), Some(1.0));
    }

    #[test]
    fn without_items_everything_is_undefined() {
        let empty = Paired::from_verdicts([]);
        assert_eq!((empty.difference(), empty.churn()), (None, None));
        assert_eq!(empty.mcnemar_mid_p(), None);
        assert_eq!(empty.bonett_price(0.95), None);
    }

    proptest! {
        #[test]
        fn swapping_base_and_variant_flips_the_sign(pairs in proptest::collection::vec(any::<(bool, bool)>(), 1..300)) {
            let ours = Paired::from_verdicts(pairs.iter().copied());
            let swapped = Paired::from_verdicts(pairs.iter().map(|(base, variant)| (*variant, *base)));
            prop_assert_eq!(ours.n(), pairs.len());
            prop_assert_eq!(ours.difference(), swapped.difference().map(|d| -d));
            prop_assert_eq!(ours.churn(), swapped.churn());
            prop_assert_eq!(ours.mcnemar_mid_p(), swapped.mcnemar_mid_p());
            prop_assert!(ours.mcnemar_mid_p().is_some_and(|p| p > 0.0 && p <= 1.0));
            let (interval, mirrored) = (ours.bonett_price(0.95).expect("n > 0"), swapped.bonett_price(0.95).expect("n > 0"));
            prop_assert!((interval.low + mirrored.high).abs() < 1e-12 && (interval.high + mirrored.low).abs() < 1e-12);
            prop_assert!(interval.width() > 0.0);
        }
    }
}
