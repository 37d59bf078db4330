//! Normal and Student t distributions: the quantiles that intervals need and the tails that tests need.
//!
//! References:
//! - M. J. Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution", Applied Statistics 37 (1988).
//! - G. Marsaglia, "Evaluating the Normal Distribution", Journal of Statistical Software 11 (2004): the series.
//! - W. H. Press et al., "Numerical Recipes", third edition, 6.4: the continued fraction of the incomplete beta.
//! - C. Lanczos's approximation of the gamma function with g = 7 and nine terms.

use std::f64::consts::PI;

/// The z with `P[Z <= z] = p`, to about 16 digits; `None` unless `0 < p < 1`.
pub fn normal_quantile(p: f64) -> Option<f64> {
    if !(p > 0.0 && p < 1.0) {
        return None;
    }
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return Some(q * polynomial(&CENTRE_TOP, r) / polynomial(&CENTRE_BOTTOM, r));
    }
    let r = (-p.min(1.0 - p).ln()).sqrt();
    let z = if r <= 5.0 {
        polynomial(&MIDDLE_TOP, r - 1.6) / polynomial(&MIDDLE_BOTTOM, r - 1.6)
    } else {
        polynomial(&TAIL_TOP, r - 5.0) / polynomial(&TAIL_BOTTOM, r - 5.0)
    };
    Some(z.copysign(q))
}

/// `P[Z <= z]`, accurate far into the lower tail.
pub fn normal_cdf(z: f64) -> f64 {
    if z.is_nan() {
        return f64::NAN;
    }
    let density = (-z * z / 2.0).exp() / (2.0 * PI).sqrt();
    if z.abs() > 3.0 {
        // Mills' ratio as a continued fraction, evaluated from its end: the series would cancel here.
        let x = z.abs();
        let tail = density / (1..=120).rev().fold(x, |below, k| x + f64::from(k) / below);
        return if z < 0.0 { tail } else { 1.0 - tail };
    }
    let (mut term, mut sum, mut odd) = (z, z, 1.0);
    while term.abs() > 1e-18 {
        odd += 2.0;
        term *= z * z / odd;
        sum += term;
    }
    0.5 + density * sum
}

/// The t with `P[T <= t] = p` at `degrees` degrees of freedom; `None` unless `0 < p < 1` and `degrees > 0`.
pub fn student_t_quantile(p: f64, degrees: f64) -> Option<f64> {
    if !(p > 0.0 && p < 1.0 && degrees > 0.0 && degrees.is_finite()) {
        return None;
    }
    let tail = p.min(1.0 - p);
    let (mut low, mut high) = (0.0, 1.0);
    while upper_t_tail(high, degrees) > tail {
        (low, high) = (high, high * 2.0);
    }
    // Bisection down to neighbouring floats: the tail is monotone, and intervals are not computed by the million.
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return Some(if p < 0.5 { -high } else { low });
        }
        if upper_t_tail(middle, degrees) > tail {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// `P[X <= k]` for X binomial with `n` trials of a fair coin.
pub fn fair_binomial_cdf(k: usize, n: usize) -> f64 {
    if k >= n {
        return 1.0;
    }
    let mut term = fair_binomial_pmf(k, n);
    let mut sum = 0.0;
    for j in (0..=k).rev() {
        sum += term;
        term *= j as f64 / (n - j + 1) as f64;
    }
    sum.min(1.0)
}

/// `P[X = k]` for X binomial with `n` trials of a fair coin.
pub fn fair_binomial_pmf(k: usize, n: usize) -> f64 {
    if k > n {
        return 0.0;
    }
    let (k, n) = (k as f64, n as f64);
    (ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0) - n * std::f64::consts::LN_2).exp()
}

/// `P[X = k]` for X binomial with `n` trials of chance `p`.
pub fn binomial_pmf(k: usize, n: usize, p: f64) -> f64 {
    if k > n || p <= 0.0 || p >= 1.0 {
        return f64::from(u8::from((p <= 0.0 && k == 0) || (p >= 1.0 && k == n)));
    }
    let (k, n) = (k as f64, n as f64);
    (ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0) + k * p.ln() + (n - k) * (1.0 - p).ln()).exp()
}

/// The mid-p of "heads are no likelier than tails": `P[X > heads] + P[X = heads] / 2` for X binomial with `heads + tails`
/// trials of a fair coin, by the incomplete beta function, so that counts may be fractions.
pub fn fair_mid_tail(heads: f64, tails: f64) -> f64 {
    let at_least = |heads: f64, tails: f64| if heads <= 0.0 { 1.0 } else { incomplete_beta(heads, tails + 1.0, 0.5, 0.5) };
    let more = if tails <= 0.0 { 0.0 } else { incomplete_beta(heads + 1.0, tails, 0.5, 0.5) };
    f64::midpoint(at_least(heads, tails), more)
}

/// `P[T > t]` for `t >= 0`.
fn upper_t_tail(t: f64, degrees: f64) -> f64 {
    0.5 * incomplete_beta(degrees / 2.0, 0.5, degrees / (degrees + t * t), t * t / (degrees + t * t))
}

/// The regularized incomplete beta function at x, given `y = 1 - x` as well so that neither end loses digits.
fn incomplete_beta(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if y <= 0.0 {
        return 1.0;
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * y.ln()).exp();
    if x < (a + 1.0) / (a + b + 2.0) { front * beta_fraction(a, b, x) / a } else { 1.0 - front * beta_fraction(b, a, y) / b }
}

/// The continued fraction of the incomplete beta, by Lentz's method.
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    let away_from_zero = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for m in 1..10_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for coefficient in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + coefficient * d);
            c = away_from_zero(1.0 + coefficient / c);
            change = c * d;
            value *= change;
        }
        if (change - 1.0).abs() < 1e-16 {
            break;
        }
    }
    value
}

/// The logarithm of the gamma function for `x > 0`.
fn ln_gamma(x: f64) -> f64 {
    if x < 0.5 {
        return (PI / (PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let sum = LANCZOS.iter().enumerate().skip(1).fold(LANCZOS[0], |sum, (i, c)| sum + c / (x + i as f64));
    let t = x + 7.5;
    0.5 * (2.0 * PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// Coefficients from the constant upwards.
fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

const CENTRE_TOP: [f64; 8] = [
    3.387_132_872_796_366_5,
    133.141_667_891_784_38,
    1_971.590_950_306_551_3,
    13_731.693_765_509_46,
    45_921.953_931_549_87,
    67_265.770_927_008_7,
    33_430.575_583_588_13,
    2_509.080_928_730_122_7,
];
const CENTRE_BOTTOM: [f64; 8] = [
    1.0,
    42.313_330_701_600_91,
    687.187_007_492_057_9,
    5_394.196_021_424_751,
    21_213.794_301_586_597,
    39_307.895_800_092_71,
    28_729.085_735_721_943,
    5_226.495_278_852_545,
];
const MIDDLE_TOP: [f64; 8] = [
    1.423_437_110_749_683_5,
    4.630_337_846_156_546,
    5.769_497_221_460_691,
    3.647_848_324_763_204_5,
    1.270_458_252_452_368_4,
    0.241_780_725_177_450_6,
    0.022_723_844_989_269_184,
    7.745_450_142_783_414e-4,
];
const MIDDLE_BOTTOM: [f64; 8] = [
    1.0,
    2.053_191_626_637_759,
    1.676_384_830_183_803_8,
    0.689_767_334_985_1,
    0.148_103_976_427_480_08,
    0.015_198_666_563_616_457,
    5.475_938_084_995_345e-4,
    1.050_750_071_644_416_9e-9,
];
const TAIL_TOP: [f64; 8] = [
    6.657_904_643_501_103,
    5.463_784_911_164_114,
    1.784_826_539_917_291_3,
    0.296_560_571_828_504_87,
    0.026_532_189_526_576_124,
    1.242_660_947_388_078_4e-3,
    2.711_555_568_743_487_6e-5,
    2.010_334_399_292_288_1e-7,
];
const TAIL_BOTTOM: [f64; 8] = [
    1.0,
    0.599_832_206_555_887_9,
    0.136_929_880_922_735_8,
    0.014_875_361_290_850_615,
    7.868_691_311_456_133e-4,
    1.846_318_317_510_054_8e-5,
    1.421_511_758_316_446e-7,
    2.044_263_103_389_939_8e-15,
];
const LANCZOS: [f64; 9] = [
    0.999_999_999_999_809_9,
    676.520_368_121_885_1,
    -1_259.139_216_722_402_8,
    771.323_428_777_653_1,
    -176.615_029_162_140_6,
    12.507_343_278_686_905,
    -0.138_571_095_265_720_12,
    9.984_369_578_019_572e-6,
    1.505_632_735_149_311_6e-7,
];

#[cfg(test)]
mod tests {
    use super::*;

    const BINOMIAL: [(usize, usize, f64, f64); 3] =
        [(3, 10, 0.2, 0.201_326_592_000_000_1), (0, 320, 0.02, 0.001_557_199_378_088_304_2), (60, 260, 0.22, 0.053_757_477_350_536_396)];
    use proptest::prelude::*;

    fn check(ours: f64, reference: f64, digits: i32) {
        let error = (ours - reference).abs() / reference.abs().max(1e-300);
        assert!(error < 10f64.powi(-digits), "{ours:e} is not {reference:e}: off by {error:e}");
    }

    // from math import comb; print([comb(n, k)*p**k*(1-p)**(n-k) for k, n, p in [(3, 10, .2), (0, 320, .02), (60, 260, .22)]])
    #[test]
    fn binomial_chances_equal_python() {
        for (k, n, p, reference) in BINOMIAL {
            let ours = binomial_pmf(k, n, p);
            assert!((ours - reference).abs() < 1e-12, "{ours} is not {reference}");
        }
        for (k, p, certain) in [(0, 0.0, 1.0), (5, 1.0, 1.0), (6, 0.5, 0.0), (1, 0.0, 0.0)] {
            assert!((binomial_pmf(k, 5, p) - certain).abs() < 1e-15);
        }
    }

    // from scipy import stats                                        # scipy 1.17.1
    // for p in [.975, .95, .8, .025, 1e-10, 1e-300, .999999]: print(stats.norm.ppf(p))
    #[test]
    fn normal_quantiles_equal_scipy() {
        for (p, z) in [
            (0.975, 1.959_963_984_540_054),
            (0.95, 1.644_853_626_951_472_2),
            (0.8, 0.841_621_233_572_914_3),
            (0.025, -1.959_963_984_540_054_5),
            (1e-10, -6.361_340_902_404_056),
            (1e-300, -37.047_096_299_361_2),
            (0.999_999, 4.753_424_308_817_087),
        ] {
            check(normal_quantile(p).expect("p is inside (0, 1)"), z, 14);
        }
        assert_eq!(normal_quantile(0.5), Some(0.0));
        for outside in [0.0, 1.0, -0.1, 1.1, f64::NAN] {
            assert_eq!(normal_quantile(outside), None);
        }
    }

    // for z in [-37, -10, -3, -1.96, -.5, .3, 2.5, 3, 5]: print(stats.norm.cdf(z))
    #[test]
    fn normal_probabilities_equal_scipy() {
        for (z, p) in [
            (-37.0, 5.725_571_222_523_927e-300),
            (-10.0, 7.619_853_024_160_47e-24),
            (-3.0, 0.001_349_898_031_630_093_3),
            (-1.96, 0.024_997_895_148_220_435),
            (-0.5, 0.308_537_538_725_986_9),
            (0.3, 0.617_911_422_188_952_6),
            (2.5, 0.993_790_334_674_223_8),
            (3.0, 0.998_650_101_968_369_9),
            (5.0, 0.999_999_713_348_428_1),
        ] {
            check(normal_cdf(z), p, 12);
        }
    }

    // for p, df in [(.975,1), (.975,2), (.975,4), (.95,29), (.975,1000), (.995,7), (.1,3), (.975,1e6)]:
    //     print(stats.t.ppf(p, df))
    #[test]
    fn student_t_quantiles_equal_scipy() {
        for (p, degrees, t) in [
            (0.975, 1.0, 12.706_204_736_174_694),
            (0.975, 2.0, 4.302_652_729_749_462),
            (0.975, 4.0, 2.776_445_105_197_793_4),
            (0.95, 29.0, 1.699_127_026_533_497_2),
            (0.975, 1000.0, 1.962_339_080_826_408_3),
            (0.995, 7.0, 3.499_483_297_350_492_4),
            (0.1, 3.0, -1.637_744_353_696_209),
            (0.975, 1e6, 1.959_966_356_814_107),
        ] {
            check(student_t_quantile(p, degrees).expect("inside the domain"), t, 9);
        }
        assert!(student_t_quantile(0.5, 5.0).is_some_and(|t| t.abs() < 1e-12));
        assert_eq!(student_t_quantile(0.975, 0.0), None);
        assert_eq!(student_t_quantile(1.0, 4.0), None);
    }

    #[test]
    fn a_fair_coin_is_counted_exactly() {
        check(fair_binomial_cdf(1, 8), 9.0 / 256.0, 13);
        check(fair_binomial_pmf(4, 8), 70.0 / 256.0, 13);
        assert!((fair_binomial_cdf(8, 8) - 1.0).abs() < 1e-15);
        assert!((fair_binomial_cdf(0, 0) - 1.0).abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn quantile_undoes_probability(z in -8.0..6.0_f64) {
            let back = normal_quantile(normal_cdf(z)).expect("a probability");
            prop_assert!((back - z).abs() < 1e-7, "{z} came back as {back}");
        }
    }
}
