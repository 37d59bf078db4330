//! How many items a claim needs, and how small a change a suite can see.
//!
//! All take the flip rate: the share of items on which base and variant disagree, the churn of a comparison. Plans
//! assume no true loss, the case a gate is meant to pass.
//!
//! References: E. Miller, "Adding Error Bars to Evals", arXiv 2411.00640 (2024), equation 9; L. Kish, "Survey Sampling"
//! (1965), for the design effect.

use super::distribution::normal_quantile;

/// Error rates of a plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Chance of a false claim: of one side in a non-inferiority test, of both in a test for any difference.
    pub alpha: f64,
    /// Chance of seeing what is there.
    pub power: f64,
}

/// Items for the non-inferiority test to pass a variant without loss; never fewer than [`zero_flip_floor`].
pub fn items_for_noninferiority(flip_rate: f64, margin: f64, rates: Rates) -> Option<usize> {
    let floor = zero_flip_floor(margin, rates.alpha)?;
    let z = normal_quantile(1.0 - rates.alpha)? + normal_quantile(rates.power)?;
    Some(items(z, flip_rate, margin)?.max(floor))
}

/// The smallest margin that `n` items can keep for a variant without loss. `n` may be an [`effective_items`].
pub fn smallest_margin(flip_rate: f64, n: f64, rates: Rates) -> Option<f64> {
    let z = normal_quantile(1.0 - rates.alpha)? + normal_quantile(rates.power)?;
    detectable(z, flip_rate, n)
}

/// The smallest true difference (MDE) that a two-sided test on `n` items sees.
pub fn smallest_difference(flip_rate: f64, n: f64, rates: Rates) -> Option<f64> {
    let z = normal_quantile(1.0 - rates.alpha / 2.0)? + normal_quantile(rates.power)?;
    detectable(z, flip_rate, n)
}

/// Below this many items the non-inferiority test cannot pass even if nothing flips.
pub fn zero_flip_floor(margin: f64, alpha: f64) -> Option<usize> {
    if !(margin > 0.0 && margin < 1.0) || alpha >= 0.5 {
        return None;
    }
    let z = normal_quantile(1.0 - alpha)?;
    Some((z * z * (1.0 - margin) / margin).floor() as usize + 1)
}

/// What `n` items in clusters of `cluster_size` on average are worth in independent ones, when results inside a
/// cluster correlate by `correlation`.
pub fn effective_items(n: usize, cluster_size: f64, correlation: f64) -> Option<f64> {
    (n > 0 && cluster_size >= 1.0 && (0.0..=1.0).contains(&correlation)).then(|| n as f64 / (1.0 + (cluster_size - 1.0) * correlation))
}

fn items(z: f64, flip_rate: f64, size: f64) -> Option<usize> {
    (z > 0.0 && (0.0..=1.0).contains(&flip_rate) && size > 0.0 && size <= 1.0).then(|| (z * z * flip_rate / (size * size)).ceil() as usize)
}

fn detectable(z: f64, flip_rate: f64, n: f64) -> Option<f64> {
    (z > 0.0 && flip_rate > 0.0 && flip_rate <= 1.0 && n > 0.0).then(|| z * (flip_rate / n).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates { alpha: 0.05, power: 0.8 };

    // from scipy.stats import norm
    // print([(norm.ppf(.95) + norm.ppf(.8))**2 * .1/e**2 for e in (.02, .03, .05)])    # 1545.6, 686.95, 247.3
    // print((norm.ppf(.95) + norm.ppf(.8)) * np.sqrt(.1/164), (norm.ppf(.975) + norm.ppf(.8)) * np.sqrt(.1/164))   # HumanEval's size
    #[test]
    fn plans_equal_scipy() {
        assert_eq!(items_for_noninferiority(0.1, 0.02, RATES), Some(1546));
        assert_eq!(items_for_noninferiority(0.1, 0.03, RATES), Some(687));
        assert_eq!(items_for_noninferiority(0.1, 0.05, RATES), Some(248));
        let margin = smallest_margin(0.1, 164.0, RATES).expect("defined");
        assert!((margin - 0.061_399_120_276_627_41).abs() < 1e-12);
        let difference = smallest_difference(0.1, 164.0, RATES).expect("defined");
        assert!((difference - 0.069_180_215_936_654_35).abs() < 1e-12);
    }

    #[test]
    fn zero_flips_still_need_items() {
        let floors: Vec<_> = [0.02, 0.03, 0.05, 0.1].iter().filter_map(|margin| zero_flip_floor(*margin, 0.05)).collect();
        assert_eq!(floors, [133, 88, 52, 25]);
        assert_eq!(items_for_noninferiority(0.0, 0.05, RATES), Some(52));
    }

    #[test]
    fn clusters_cost_items() {
        assert_eq!(effective_items(200, 2.0, 1.0), Some(100.0));
        assert_eq!(effective_items(200, 1.0, 0.5), Some(200.0));
        assert_eq!(effective_items(0, 2.0, 0.5), None);
    }

    #[test]
    fn what_is_undefined_is_none() {
        assert_eq!(items_for_noninferiority(0.1, 0.0, RATES), None);
        assert_eq!(items_for_noninferiority(f64::NAN, 0.05, RATES), None);
        assert_eq!(smallest_difference(0.1, 100.0, Rates { alpha: 0.0, power: 0.8 }), None);
        assert_eq!(smallest_margin(0.1, 0.0, RATES), None);
        assert_eq!(smallest_difference(0.0, 100.0, RATES), None);
    }
}
