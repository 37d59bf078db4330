//! The gate's test: is the variant's loss against the base smaller than the margin?
//!
//! Tango's score test asks it of paired binary results and holds its level at small n and at zero flips, where the
//! usual interval has no width. Flip it around and it asks whether the loss is larger than the margin; between the two
//! lies "too few items to tell". A margin of 0 makes it McNemar's test.
//!
//! Reference: T. Tango, "Equivalence test and confidence interval for the difference in proportions for the
//! paired-sample design", Statistics in Medicine 17 (1998). The constrained estimate is the positive root of
//! `A q^2 + B q + C = 0`, the score equation of the trinomial likelihood with the loss held at the margin.

use std::collections::BTreeSet;

use super::clustered::clustered_standard_error;
use super::distribution::{fair_mid_tail, normal_cdf, normal_quantile};
use super::interval::Interval;
use super::paired::Paired;

/// Tango's score test at one margin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NonInferiority {
    /// Loss seen minus loss allowed, in standard errors under a loss of exactly the margin.
    pub z: f64,
    /// p-value of "the loss is at least the margin": small means the variant is within it.
    pub p_within: f64,
    /// p-value of "the loss is at most the margin": small means the variant is beyond it.
    pub p_beyond: f64,
}

/// What the test says at a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarginEvidence {
    /// The loss is smaller than the margin.
    Within,
    /// The loss is larger than the margin.
    Beyond,
    /// Too few items, or too many flips, to say which.
    Undecided,
}

impl NonInferiority {
    /// Reads the test one-sided at level `alpha`, in both directions.
    pub fn evidence(&self, alpha: f64) -> MarginEvidence {
        if self.p_within < alpha {
            MarginEvidence::Within
        } else if self.p_beyond < alpha {
            MarginEvidence::Beyond
        } else {
            MarginEvidence::Undecided
        }
    }
}

/// Tests whether accuracy fell by less than `margin` (.02 is two points). `None` without items, for a margin outside
/// \[0, 1), and for no flips at a margin of 0, where the statistic is 0/0.
pub fn noninferiority(paired: &Paired, margin: f64) -> Option<NonInferiority> {
    Flips::of(paired).noninferiority(margin)
}

/// Items and flips as the score test sees them; fractions where clustered items are worth fewer independent ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Flips {
    /// Independent items.
    pub n: f64,
    /// Of these, base right and variant wrong.
    pub harmful: f64,
    /// Of these, base wrong and variant right.
    pub beneficial: f64,
}

impl Flips {
    /// Of independent items.
    pub fn of(paired: &Paired) -> Self {
        Self { n: paired.n() as f64, harmful: paired.base_only as f64, beneficial: paired.variant_only as f64 }
    }

    /// Of (base is right, variant is right) pairs, where `clusters[i]` names the cluster of pair i: all counts are divided
    /// by the design effect of their differences, never below 1 (J. N. K. Rao and A. J. Scott, "A Simple Method for the
    /// Analysis of Clustered Binary Data", Biometrics 48 (1992)). Differences that do not vary show no design effect.
    /// `None` for slices of unequal length.
    pub fn clustered<K: Ord>(pairs: &[(bool, bool)], clusters: &[K]) -> Option<Self> {
        if pairs.len() != clusters.len() {
            return None;
        }
        let all = Self::of(&Paired::from_verdicts(pairs.iter().copied()));
        if clusters.iter().collect::<BTreeSet<_>>().len() == clusters.len() {
            return Some(all);
        }
        let score = |right: bool| f64::from(u8::from(right));
        let differences: Vec<f64> = pairs.iter().map(|(base, variant)| score(*variant) - score(*base)).collect();
        let alone: Vec<usize> = (0..pairs.len()).collect();
        let errors = clustered_standard_error(&differences, clusters).zip(clustered_standard_error(&differences, &alone));
        let effect = errors.map_or(1.0, |(clustered, alone)| if alone > 1e-12 { (clustered / alone).powi(2).max(1.0) } else { 1.0 });
        Some(Self { n: all.n / effect, harmful: all.harmful / effect, beneficial: all.beneficial / effect })
    }

    /// [`noninferiority`] of these counts.
    pub fn noninferiority(&self, margin: f64) -> Option<NonInferiority> {
        if self.n <= 0.0 || !(0.0..1.0).contains(&margin) {
            return None;
        }
        let z = self.z(margin);
        z.is_finite().then(|| NonInferiority { z, p_within: normal_cdf(z), p_beyond: normal_cdf(-z) })
    }

    /// McNemar's one-sided mid-p of "nothing is lost": the chance that flips which fall either way alike are as harmful as
    /// these. `None` without items.
    pub fn p_no_loss(&self) -> Option<f64> {
        (self.n > 0.0).then(|| fair_mid_tail(self.harmful, self.beneficial))
    }

    /// Variant minus base. `None` without items.
    pub fn difference(&self) -> Option<f64> {
        (self.n > 0.0).then(|| (self.beneficial - self.harmful) / self.n)
    }

    /// Tango's interval of variant minus base: the differences that the score test does not reject. At a confidence of
    /// `1 - 2 alpha` its lower bound is above `-margin` exactly where the test at `alpha` says [`MarginEvidence::Within`], and its
    /// upper bound below `-margin` exactly where it says [`MarginEvidence::Beyond`]. `None` without items.
    pub fn interval(&self, confidence: f64) -> Option<Interval> {
        if self.n <= 0.0 || !(confidence > 0.0 && confidence < 1.0) {
            return None;
        }
        let z = normal_quantile(f64::midpoint(1.0, confidence))?;
        Some(Interval::new(-self.loss_at(-z), -self.loss_at(z)))
    }

    /// The loss at which the statistic is `z`; it falls as the loss grows.
    fn loss_at(&self, z: f64) -> f64 {
        let (mut low, mut high) = (-1.0, 1.0);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            let here = self.z(middle);
            // Without flips it is 0/0 at no loss at all, and goes to 0 from both sides.
            let here = if here.is_nan() { 0.0 } else { here };
            (low, high) = if here > z { (middle, high) } else { (low, middle) };
        }
        f64::midpoint(low, high)
    }

    /// The score statistic for a loss in (-1, 1). A negative loss is a gain: the same test with the models' parts exchanged.
    fn z(&self, loss: f64) -> f64 {
        if loss < 0.0 {
            return -Self { harmful: self.beneficial, beneficial: self.harmful, ..*self }.z(-loss);
        }
        let q = beneficial_rate(self.n, self.harmful, self.beneficial, loss);
        let variance = self.n * (2.0 * q + loss * (1.0 - loss));
        (self.harmful - self.beneficial - self.n * loss) / variance.sqrt()
    }
}

/// The most likely rate of beneficial flips when the loss is exactly the margin.
fn beneficial_rate(n: f64, harmful: f64, beneficial: f64, margin: f64) -> f64 {
    let a = 2.0 * n;
    let b = -harmful - beneficial + (2.0 * n - harmful + beneficial) * margin;
    let c = -beneficial * margin * (1.0 - margin);
    ((b * b - 4.0 * a * c).sqrt() - b) / (2.0 * a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOLDEN_INTERVALS: [(usize, usize, usize, f64, f64); 5] = [
        (44, 0, 1, -0.036_516_938_396, 0.095_662_426_399),
        (100, 5, 3, -0.073_915_197_693, 0.030_389_196_291),
        (200, 20, 5, -0.118_805_588_600, -0.035_960_034_772),
        (300, 12, 18, -0.010_428_217_429, 0.051_555_266_611),
        (100, 0, 0, -0.026_342_721_627, 0.026_342_720_783),
    ];

    const GOLDEN_MID_P: [(f64, f64, f64); 7] = [
        (7.0, 1.0, 0.019_531_25),
        (16.0, 6.0, 0.017_344_832_420_349_12),
        (30.0, 12.0, 0.002_700_786_327_295_645_6),
        (12.0, 30.0, 0.997_299_213_672_704_4),
        (5.0, 0.0, 0.015_625),
        (0.0, 5.0, 0.984_375),
        (40.0, 40.0, 0.5),
    ];

    fn table(n: usize, base_only: usize, variant_only: usize) -> Paired {
        Paired { both: n - base_only - variant_only, base_only, variant_only, neither: 0 }
    }

    fn z(n: usize, base_only: usize, variant_only: usize, margin: f64) -> f64 {
        noninferiority(&table(n, base_only, variant_only), margin).expect("defined").z
    }

    // The estimate from the likelihood itself instead of its closed form:
    //
    // f = lambda q: -(b*np.log(q+e) + c*np.log(max(q, 1e-300)) + (n-b-c)*np.log(1-2*q-e))
    // q = scipy.optimize.minimize_scalar(f, bounds=(0, (1-e)/2), method='bounded', options=dict(xatol=1e-14)).x
    // print((b-c-n*e)/np.sqrt(n*(2*q + e*(1-e))))
    #[test]
    fn closed_form_equals_the_maximum_of_the_likelihood() {
        for (n, harmful, beneficial, margin, reference) in [
            (100, 5, 3, 0.05, -0.987_868_428_418_662_8),
            (200, 20, 5, 0.02, 2.281_385_433_827_273_6),
            (44, 0, 1, 0.1, -2.449_489_754_244_729_6),
            (300, 12, 18, 0.03, -2.598_318_782_198_73),
            (21, 7, 1, 0.1, 1.471_333_232_177_664_7),
            (50, 50, 0, 0.05, 6.725_927_139_775_1),
        ] {
            let ours = z(n, harmful, beneficial, margin);
            assert!((ours - reference).abs() < 1e-6, "{ours} is not {reference} for n {n}, {harmful} and {beneficial} flips");
        }
    }

    #[test]
    fn zero_flips_pass_only_with_enough_items() {
        let evidence = |n, margin| noninferiority(&table(n, 0, 0), margin).expect("defined").evidence(0.05);
        for (enough, margin) in [(133, 0.02), (88, 0.03), (52, 0.05), (25, 0.1)] {
            assert_eq!(evidence(enough, margin), MarginEvidence::Within);
            assert_eq!(evidence(enough - 1, margin), MarginEvidence::Undecided);
        }
    }

    #[test]
    fn a_collapse_is_beyond_any_margin_and_one_item_proves_nothing() {
        let collapse = noninferiority(&table(100, 100, 0), 0.05).expect("defined");
        assert_eq!(collapse.evidence(0.001), MarginEvidence::Beyond);
        assert_eq!(noninferiority(&table(1, 1, 0), 0.05).expect("defined").evidence(0.05), MarginEvidence::Undecided);
    }

    #[test]
    fn what_is_undefined_is_none() {
        assert_eq!(noninferiority(&Paired::default(), 0.05), None);
        assert_eq!(noninferiority(&table(10, 0, 0), 0.0), None);
        for margin in [-0.1, 1.0, f64::NAN] {
            assert_eq!(noninferiority(&table(10, 1, 2), margin), None);
        }
    }

    // The interval from the likelihood itself, for d = P(beneficial) - P(harmful):
    //
    // def z(d, n, b, c):                                       # scipy 1.17.1
    //     f = lambda q: -(xlogy(c, q+d) + xlogy(b, q) + xlogy(n-b-c, 1-2*q-d))
    //     q = minimize_scalar(f, bounds=(max(0, -d), (1-d)/2), method='bounded', options=dict(xatol=1e-14)).x
    //     return (c - b - n*d)/np.sqrt(n*(2*q + d - d*d))
    // print([brentq(lambda d: z(d, n, b, c) - s, -.999, .999) for s in (1.6448536, -1.6448536)])
    #[test]
    fn the_interval_inverts_the_test() {
        for (n, harmful, beneficial, low, high) in GOLDEN_INTERVALS {
            let interval = Flips::of(&table(n, harmful, beneficial)).interval(0.9).expect("defined");
            assert!((interval.low - low).abs() < 2e-6 && (interval.high - high).abs() < 2e-6, "{interval:?} is not [{low}, {high}]");
        }
    }

    #[test]
    fn clusters_are_worth_fewer_items_and_single_items_all_of_them() {
        // Twins that flip together: forty items that know as much as twenty.
        let pairs: Vec<(bool, bool)> = (0..40).map(|i| (true, i / 2 % 4 != 0)).collect();
        let twins: Vec<usize> = (0..40).map(|i| i / 2).collect();
        let found = Flips::clustered(&pairs, &twins).expect("same length");
        assert!((found.n - 20.0).abs() < 0.6 && (found.harmful - 5.0).abs() < 0.2, "{found:?}");
        let alone: Vec<usize> = (0..40).collect();
        assert_eq!(Flips::clustered(&pairs, &alone), Some(Flips { n: 40.0, harmful: 10.0, beneficial: 0.0 }));
        let same = vec![(true, true); 40];
        assert_eq!(Flips::clustered(&same, &twins).map(|flips| flips.n), Some(40.0));
        assert_eq!(Flips::clustered(&same, &twins[1..]), None);
        assert_eq!(Flips { n: 0.0, harmful: 0.0, beneficial: 0.0 }.interval(0.9), None);
    }

    // In whole numbers, with Python's fractions:
    //
    // for b, c in [(7, 1), (16, 6), (30, 12), (12, 30), (5, 0), (0, 5), (40, 40)]:
    //     n = b + c; print(float(Fraction(2*sum(comb(n, k) for k in range(b+1, n+1)) + comb(n, b), 2**(n+1))))
    #[test]
    fn a_loss_against_nothing_equals_exact_fractions_and_counts_may_be_fractions() {
        let p = |harmful: f64, beneficial: f64| Flips { n: 100.0, harmful, beneficial }.p_no_loss().expect("items");
        for (harmful, beneficial, reference) in GOLDEN_MID_P {
            assert!((p(harmful, beneficial) - reference).abs() < 1e-12, "{harmful} {beneficial}: {}", p(harmful, beneficial));
        }
        assert!((p(0.0, 0.0) - 0.5).abs() < 1e-15);
        assert!(p(7.0, 1.0) > p(7.5, 1.0) && p(7.5, 1.0) > p(8.0, 1.0));
        assert_eq!(Flips { n: 0.0, harmful: 0.0, beneficial: 0.0 }.p_no_loss(), None);
    }

    proptest! {
        #[test]
        fn interval_and_test_agree(harmful in 0_usize..40, beneficial in 0_usize..40, same in 1_usize..300, margin in 0.01..0.3_f64) {
            let flips = Flips::of(&table(harmful + beneficial + same, harmful, beneficial));
            let interval = flips.interval(0.9).expect("items");
            prop_assert!(interval.low < interval.high);
            let evidence = flips.noninferiority(margin).expect("defined").evidence(0.05);
            if (interval.low + margin).abs() > 1e-9 && (interval.high + margin).abs() > 1e-9 {
                prop_assert_eq!(evidence == MarginEvidence::Within, interval.low > -margin);
                prop_assert_eq!(evidence == MarginEvidence::Beyond, interval.high < -margin);
            }
        }

        #[test]
        fn without_a_margin_it_is_mcnemar(harmful in 0_usize..60, beneficial in 0_usize..60, same in 0_usize..200) {
            prop_assume!(harmful + beneficial > 0);
            let (b, c) = (harmful as f64, beneficial as f64);
            let n = harmful + beneficial + same;
            prop_assert!((z(n, harmful, beneficial, 0.0) - (b - c) / (b + c).sqrt()).abs() < 1e-9);
            prop_assert!((z(n, harmful, beneficial, 0.0) + z(n, beneficial, harmful, 0.0)).abs() < 1e-9);
        }

        #[test]
        fn a_wider_margin_is_easier_to_keep(harmful in 0_usize..60, beneficial in 0_usize..60, same in 1_usize..200) {
            let n = harmful + beneficial + same;
            prop_assert!(z(n, harmful, beneficial, 0.10) < z(n, harmful, beneficial, 0.05));
        }
    }
}
