//! The gate's test: is the variant's loss against the base smaller than the margin?
//!
//! Tango's score test asks it of paired binary results and holds its level at small n and at zero flips, where the
//! usual interval has no width. Flip it around and it asks whether the loss is larger than the margin; between the two
//! lies "too few items to tell". A margin of 0 makes it McNemar's test.
//!
//! Reference: T. Tango, "Equivalence test and confidence interval for the difference in proportions for the
//! paired-sample design", Statistics in Medicine 17 (1998). The constrained estimate is the positive root of
//! `A q^2 + B q + C = 0`, the score equation of the trinomial likelihood with the loss held at the margin.

use super::distribution::normal_cdf;
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
pub enum Evidence {
    /// The loss is smaller than the margin.
    Within,
    /// The loss is larger than the margin.
    Beyond,
    /// Too few items, or too many flips, to say which.
    Undecided,
}

impl NonInferiority {
    /// Reads the test one-sided at level `alpha`, in both directions.
    pub fn evidence(&self, alpha: f64) -> Evidence {
        if self.p_within < alpha {
            Evidence::Within
        } else if self.p_beyond < alpha {
            Evidence::Beyond
        } else {
            Evidence::Undecided
        }
    }
}

/// Tests whether accuracy fell by less than `margin` (.02 is two points). `None` without items, for a margin outside
/// \[0, 1), and for no flips at a margin of 0, where the statistic is 0/0.
pub fn noninferiority(paired: &Paired, margin: f64) -> Option<NonInferiority> {
    if paired.n() == 0 || !(0.0..1.0).contains(&margin) {
        return None;
    }
    let (n, harmful, beneficial) = (paired.n() as f64, paired.base_only as f64, paired.variant_only as f64);
    let q = beneficial_rate(n, harmful, beneficial, margin);
    let variance = n * (2.0 * q + margin * (1.0 - margin));
    let z = (harmful - beneficial - n * margin) / variance.sqrt();
    z.is_finite().then(|| NonInferiority { z, p_within: normal_cdf(z), p_beyond: normal_cdf(-z) })
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
            assert_eq!(evidence(enough, margin), Evidence::Within);
            assert_eq!(evidence(enough - 1, margin), Evidence::Undecided);
        }
    }

    #[test]
    fn a_collapse_is_beyond_any_margin_and_one_item_proves_nothing() {
        let collapse = noninferiority(&table(100, 100, 0), 0.05).expect("defined");
        assert_eq!(collapse.evidence(0.001), Evidence::Beyond);
        assert_eq!(noninferiority(&table(1, 1, 0), 0.05).expect("defined").evidence(0.05), Evidence::Undecided);
    }

    #[test]
    fn what_is_undefined_is_none() {
        assert_eq!(noninferiority(&Paired::default(), 0.05), None);
        assert_eq!(noninferiority(&table(10, 0, 0), 0.0), None);
        for margin in [-0.1, 1.0, f64::NAN] {
            assert_eq!(noninferiority(&table(10, 1, 2), margin), None);
        }
    }

    proptest! {
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
