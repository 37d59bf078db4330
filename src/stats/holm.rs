//! Holm's adjustment: p-values of several suites or variants, made fit for "some suite collapsed" claims.
//!
//! A gate that asks every suite to pass needs none of this (each test keeps its level); a table from which the worst
//! suite is picked does.
//!
//! Reference: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6
//! (1979).

/// The adjusted p-values in the order given. A test that was not defined stays `None` and counts for nothing.
pub fn holm(p_values: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut defined: Vec<(usize, f64)> =
        p_values.iter().enumerate().filter_map(|(i, p)| p.filter(|p| !p.is_nan()).map(|p| (i, p))).collect();
    defined.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let mut adjusted = vec![None; p_values.len()];
    let mut largest = 0.0_f64;
    for (rank, (index, p)) in defined.iter().enumerate() {
        largest = largest.max((defined.len() - rank) as f64 * p).min(1.0);
        adjusted[*index] = Some(largest);
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(p_values: &[f64], expected: &[f64]) {
        let adjusted = holm(&p_values.iter().copied().map(Some).collect::<Vec<_>>());
        for (ours, reference) in adjusted.iter().zip(expected) {
            assert!(ours.is_some_and(|p| (p - reference).abs() < 1e-12), "{adjusted:?} is not {expected:?}");
        }
    }

    // from statsmodels.stats.multitest import multipletests          # statsmodels 0.15.0
    // for p in [[.01, .04, .03, .005], [.2, .001, .2, .9, .04]]: print(multipletests(p, method='holm')[1])
    #[test]
    fn adjusted_equals_statsmodels() {
        check(&[0.01, 0.04, 0.03, 0.005], &[0.03, 0.06, 0.06, 0.02]);
        check(&[0.2, 0.001, 0.2, 0.9, 0.04], &[0.6, 0.005, 0.6, 0.9, 0.16]);
    }

    #[test]
    fn undefined_tests_are_not_counted() {
        assert_eq!(holm(&[None, Some(0.04), None]), [None, Some(0.04), None]);
        assert_eq!(holm(&[]), []);
        assert_eq!(holm(&[Some(f64::NAN), Some(0.01)]), [None, Some(0.01)]);
    }

    proptest! {
        #[test]
        fn adjusting_raises_and_keeps_the_order(p_values in proptest::collection::vec(0.0..=1.0_f64, 1..20)) {
            let adjusted: Vec<f64> = holm(&p_values.iter().copied().map(Some).collect::<Vec<_>>()).into_iter().flatten().collect();
            prop_assert_eq!(adjusted.len(), p_values.len());
            for (i, p) in p_values.iter().enumerate() {
                prop_assert!(adjusted[i] >= *p && adjusted[i] <= 1.0);
                for (j, q) in p_values.iter().enumerate() {
                    prop_assert!(p > q || adjusted[i] <= adjusted[j]);
                }
            }
        }
    }
}
