//! The most that any test could see: the power of the best test of "nothing is lost" when both flip rates are known.
//!
//! By the lemma of Neyman and Pearson no test is better than the likelihood ratio between two known points. The point of
//! "nothing is lost" taken here is the one closest to the truth in the sense of Kullback and Leibler: both flip rates
//! equal to their mean. Any test that keeps its level wherever nothing is lost keeps it there, so none has more power.
//!
//! Reference: J. Neyman and E. S. Pearson, "On the Problem of the Most Efficient Tests of Statistical Hypotheses",
//! Philosophical Transactions of the Royal Society A 231 (1933).

use super::distribution::normal_quantile;

/// Largest power of any test at level `alpha` that has `n` items, of which the shares `harmful` and `beneficial` truly flip,
/// to show that something is lost. None where nothing is, or rates are no rates.
pub fn best_power(n: usize, harmful: f64, beneficial: f64, alpha: f64) -> Option<f64> {
    let sound = beneficial > 0.0 && harmful > beneficial && harmful + beneficial <= 1.0 && alpha > 0.0 && alpha < 1.0;
    if !sound || n == 0 {
        return None;
    }
    let flips = harmful + beneficial;
    let share = harmful / flips;
    // How many items flip has the same distribution under both points, so the ratio orders tables by (2 share)^b (2 - 2 share)^c.
    let (gain, cost) = ((2.0 * share).ln(), (2.0 - 2.0 * share).ln());
    let mut tables = Vec::new();
    let mut logs = vec![0.0; n + 1];
    for k in 1..=n {
        logs[k] = logs[k - 1] + (k as f64).ln();
    }
    for m in 0..=n {
        let stay = if flips < 1.0 {
            (n - m) as f64 * (1.0 - flips).ln()
        } else if m == n {
            0.0
        } else {
            f64::NEG_INFINITY
        };
        let flipped = logs[n] - logs[n - m] + m as f64 * flips.ln() + stay - logs[m];
        if flipped < -45.0 {
            continue;
        }
        for b in 0..=m {
            let ways = flipped + logs[m] - logs[b] - logs[m - b];
            let (b, c) = (b as f64, (m - b) as f64);
            let fair = (ways - m as f64 * std::f64::consts::LN_2).exp();
            let ratio = b * gain + c * cost;
            tables.push((ratio, fair, fair * ratio.exp()));
        }
    }
    tables.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut level, mut power) = (0.0, 0.0);
    for (_, fair, lost) in tables {
        if level + fair >= alpha {
            // The last table is rejected with a chance that uses the level up.
            return Some(power + lost * (alpha - level) / fair);
        }
        (level, power) = (level + fair, power + lost);
    }
    Some(power)
}

/// Items with which a one-sided test at `alpha` shows a loss of `harmful - beneficial` with chance `power`, by the normal
/// approximation: `(z_alpha sqrt(f) + z_power sqrt(f - d^2))^2 / d^2` for a share `f` of flips and a loss `d`.
///
/// Reference: R. J. Connor, "Sample Size for Testing Differences in Proportions for the Paired-Sample Design", Biometrics 43
/// (1987).
pub fn items_for_loss(harmful: f64, beneficial: f64, alpha: f64, power: f64) -> Option<usize> {
    let (flips, loss) = (harmful + beneficial, harmful - beneficial);
    let sound = loss > 0.0 && beneficial >= 0.0 && flips <= 1.0;
    let root = normal_quantile(1.0 - alpha)? * flips.sqrt() + normal_quantile(power)? * (flips - loss * loss).sqrt();
    sound.then(|| (root * root / (loss * loss)).ceil() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::distribution::fair_mid_tail;

    const GOLDEN: [(usize, f64, f64, f64, f64); 4] = [
        (128, 0.2, 0.1, 0.05, 0.673_209_902_037_133_6),
        (60, 0.13, 0.03, 0.05, 0.647_053_543_151_748_6),
        (20, 0.5, 0.2, 0.01, 0.233_901_337_042_901_84),
        (128, 0.11, 0.01, 0.05, 0.987_793_768_112_289_7),
    ];
    const ITEMS: [usize; 3] = [320, 125, 447];

    // Every table of n items in whole numbers of chances, sorted by likelihood ratio (Python, no libraries):
    //
    // def best(n, h, s, alpha):
    //     e, t = (h+s)/2, []
    //     for b in range(n+1):
    //         for c in range(n+1-b):
    //             w = comb(n, b)*comb(n-b, c)
    //             t.append((w*e**(b+c)*(1-2*e)**(n-b-c), w*h**b*s**c*(1-h-s)**(n-b-c)))
    //     t.sort(key=lambda x: -x[1]/x[0]); level = power = 0
    //     for fair, lost in t:
    //         if level + fair >= alpha: return power + lost*(alpha-level)/fair
    //         level += fair; power += lost
    // print([best(*a) for a in [(128,.2,.1,.05), (60,.13,.03,.05), (20,.5,.2,.01), (128,.11,.01,.05)]])
    #[test]
    fn the_best_test_equals_every_table_sorted() {
        for (n, harmful, beneficial, alpha, reference) in GOLDEN {
            let ours = best_power(n, harmful, beneficial, alpha).expect("defined");
            assert!((ours - reference).abs() < 1e-9, "{ours} is not {reference}");
        }
    }

    #[test]
    fn no_test_of_ours_is_better() {
        let (n, harmful, beneficial) = (80_usize, 0.16, 0.06);
        let best = best_power(n, harmful, beneficial, 0.05).expect("defined");
        let mut ours = 0.0;
        for b in 0..=n {
            for c in 0..=n - b {
                if fair_mid_tail(b as f64, c as f64) <= 0.05 {
                    ours += chance(n, b, harmful, c, beneficial);
                }
            }
        }
        assert!(ours <= best + 0.01 && ours > best - 0.05, "{ours} {best}");
    }

    fn chance(n: usize, b: usize, harmful: f64, c: usize, beneficial: f64) -> f64 {
        let log = |k: usize| (1..=k).map(|i| (i as f64).ln()).sum::<f64>();
        let stay = n - b - c;
        (log(n) - log(b) - log(c) - log(stay)
            + b as f64 * harmful.ln()
            + c as f64 * beneficial.ln()
            + stay as f64 * (1.0 - harmful - beneficial).ln())
        .exp()
    }

    // from statistics import NormalDist; z = NormalDist().inv_cdf
    // print([ceil((z(1-a)*(h+s)**.5 + z(.95)*(h+s-(h-s)**2)**.5)**2/(h-s)**2) for h, s, a in [(.2,.1,.05), (.11,.01,.05), (.2,.1,.0125)]])
    #[test]
    fn items_equal_the_formula_in_python() {
        let items = |harmful, beneficial, alpha| items_for_loss(harmful, beneficial, alpha, 0.95);
        assert_eq!([items(0.2, 0.1, 0.05), items(0.11, 0.01, 0.05), items(0.2, 0.1, 0.0125)], ITEMS.map(Some));
        assert_eq!([items(0.1, 0.1, 0.05), items(0.1, 0.2, 0.05), items(0.9, 0.2, 0.05)], [None; 3]);
    }

    #[test]
    fn what_is_undefined_is_none() {
        assert_eq!(best_power(0, 0.2, 0.1, 0.05), None);
        assert_eq!(best_power(10, 0.1, 0.1, 0.05), None);
        assert_eq!(best_power(10, 0.9, 0.2, 0.05), None);
        assert_eq!(best_power(10, f64::NAN, 0.2, 0.05), None);
    }
}
