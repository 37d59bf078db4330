//! Sign-flip permutation test of paired scores that are not just right or wrong: pass@k, likelihoods, shares of tests passed.
//!
//! If base and variant are equal, each item's difference is as likely to have the other sign. The p-value is the share
//! of sign patterns with a mean at least as far from zero as the one seen. Up to `EXACT` items that differ all patterns are
//! counted; beyond that patterns are drawn, each from its own ChaCha8 stream, so the number of threads changes nothing.
//!
//! Reference: B. Phipson and G. K. Smyth, "Permutation P-values Should Never Be Zero", Statistical Applications in Genetics
//! and Molecular Biology 9 (2010), for `(hits + 1) / (draws + 1)`.

use crate::random::stream;
use rand_chacha::rand_core::RngCore;
use rayon::prelude::*;

/// Items that differ for which all sign patterns are still counted.
const EXACT: usize = 16;

/// The two-sided p-value of the mean of paired differences. 1 where nothing differs; `None` without items, without draws
/// where they are needed, and for a value that is not finite.
pub fn sign_flip(differences: &[f64], draws: usize, seed: u64) -> Option<f64> {
    if differences.is_empty() || differences.iter().any(|d| !d.is_finite()) {
        return None;
    }
    // An item without a difference has the same mean under either sign.
    let differing: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    let seen = differing.iter().sum::<f64>().abs();
    let scale: f64 = differing.iter().map(|d| d.abs()).sum();
    // Rounding must not make the pattern that was seen less extreme than itself.
    let as_far = |sum: f64| sum.abs() >= seen - 1e-12 * scale;
    if differing.len() <= EXACT {
        let patterns = 1_u64 << differing.len();
        let hits = (0..patterns).filter(|pattern| as_far(signed_sum(&differing, |i| pattern >> i & 1 == 1))).count();
        return Some(hits as f64 / patterns as f64);
    }
    let hits = (0..draws)
        .into_par_iter()
        .filter(|index| {
            let mut random = stream(seed, *index as u64);
            let words: Vec<u64> = (0..differing.len().div_ceil(64)).map(|_| random.next_u64()).collect();
            as_far(signed_sum(&differing, |i| words[i / 64] >> (i % 64) & 1 == 1))
        })
        .count();
    (draws > 0).then(|| (hits + 1) as f64 / (draws + 1) as f64)
}

fn signed_sum(differences: &[f64], negative: impl Fn(usize) -> bool) -> f64 {
    differences.iter().enumerate().map(|(i, d)| if negative(i) { -d } else { *d }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Paired;

    // d = [.2, -.5, -.3, 0, -.25, .1, -.4, -.6]; m = lambda x, y, axis: np.mean(x - y, axis=axis)
    // scipy.stats.permutation_test((d, np.zeros(8)), m, permutation_type='samples', n_resamples=1e9).pvalue  # scipy 1.17.1
    #[test]
    fn few_items_equal_scipy_exactly() {
        let found = sign_flip(&[0.2, -0.5, -0.3, 0.0, -0.25, 0.1, -0.4, -0.6], 0, 0).expect("exact");
        assert!((found - 0.093_75).abs() < 1e-12, "{found}");
    }

    #[test]
    fn of_flips_it_is_mcnemar() {
        let differences: Vec<f64> = [vec![-1.0; 7], vec![1.0; 1], vec![0.0; 30]].concat();
        let exact = Paired { both: 30, base_only: 7, variant_only: 1, neither: 0 }.mcnemar_exact();
        assert!(sign_flip(&differences, 0, 0).zip(exact).is_some_and(|(ours, exact)| (ours - exact).abs() < 1e-12));
        let many: Vec<f64> = [vec![-1.0; 30], vec![1.0; 12], vec![0.0; 100]].concat();
        let drawn = sign_flip(&many, 40_000, 3).expect("drawn");
        assert!((drawn - 0.007_916).abs() < 0.002, "{drawn}");
    }

    #[test]
    fn a_collapse_is_as_clear_as_the_draws_allow_and_ties_are_no_evidence() {
        assert_eq!(sign_flip(&[-1.0; 100], 9_999, 1), Some(1e-4));
        assert_eq!(sign_flip(&[0.0; 100], 9_999, 1), Some(1.0));
        assert_eq!(sign_flip(&[-0.5], 10, 1), Some(1.0));
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let differences: Vec<f64> = (0..90).map(|i| f64::from(i % 7) / 7.0 - 0.4).collect();
        let with_threads = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
            pool.install(|| sign_flip(&differences, 5_000, 9))
        };
        assert_eq!(with_threads(1), with_threads(5));
    }

    #[test]
    fn what_is_undefined_is_none() {
        assert_eq!(sign_flip(&[], 100, 0), None);
        assert_eq!(sign_flip(&[f64::NAN], 100, 0), None);
        assert_eq!(sign_flip(&[1.0; 40], 0, 0), None);
    }
}
