//! pass@k: the chance that at least one of k answers to an item is right, estimated from n answers of which c are.
//!
//! Reference: M. Chen et al., "Evaluating Large Language Models Trained on Code", arXiv 2107.03374 (2021), figure 3.

/// `1 - C(n - c, k) / C(n, k)`, as a product that does not overflow. `None` unless `0 < k <= n` and `c <= n`.
pub fn pass_at_k(n: usize, correct: usize, k: usize) -> Option<f64> {
    if k == 0 || k > n || correct > n {
        return None;
    }
    if n - correct < k {
        return Some(1.0);
    }
    let all_wrong: f64 = (n - correct + 1..=n).map(|i| 1.0 - k as f64 / i as f64).product();
    Some(1.0 - all_wrong)
}

/// `C(c, k) / C(n, k)`: the chance that all of k answers are right. `None` as for [`pass_at_k`].
pub fn pass_all_k(n: usize, correct: usize, k: usize) -> Option<f64> {
    if k == 0 || k > n || correct > n {
        return None;
    }
    Some((0..k).map(|i| correct.saturating_sub(i) as f64 / (n - i) as f64).product())
}

#[cfg(test)]
mod tests {
    use super::*;

    // from math import comb
    // for n, c, k in [(10,3,1), (10,3,5), (200,7,10), (200,7,100), (5,5,5)]: print(1 - comb(n-c, k)/comb(n, k), comb(c, k)/comb(n, k))
    #[test]
    fn both_equal_their_binomials() {
        for (n, c, k, any, all) in [
            (10, 3, 1, 0.3, 0.3),
            (10, 3, 5, 0.916_666_666_666_666_6, 0.0),
            (200, 7, 10, 0.305_598_811_617_733_5, 0.0),
            (200, 7, 100, 0.992_991_117_241_812_3, 0.0),
            (5, 5, 5, 1.0, 1.0),
            (10, 8, 2, 0.977_777_777_777_777_8, 0.622_222_222_222_222_2),
        ] {
            let found = (pass_at_k(n, c, k).expect("defined"), pass_all_k(n, c, k).expect("defined"));
            assert!((found.0 - any).abs() < 1e-12 && (found.1 - all).abs() < 1e-12, "{found:?} is not {any}, {all}");
        }
    }

    #[test]
    fn the_ends_and_what_is_undefined() {
        assert_eq!((pass_at_k(1, 0, 1), pass_at_k(1, 1, 1), pass_at_k(2, 1, 2)), (Some(0.0), Some(1.0), Some(1.0)));
        assert_eq!((pass_at_k(0, 0, 1), pass_at_k(3, 1, 4), pass_at_k(3, 4, 1), pass_at_k(3, 1, 0)), (None, None, None, None));
        assert_eq!((pass_all_k(0, 0, 1), pass_all_k(2, 1, 3)), (None, None));
    }
}
