//! From paired answers and a margin to a verdict: the one rule of the gate.
//!
//! Tango's score test is asked both ways, one-sided, each at [`ALPHA`]: a loss shown to be smaller than the margin passes, one
//! shown to be larger regresses, anything between is inconclusive. So an adapter that loses exactly the margin passes in
//! at most 5 % of cases and regresses about as rarely, and one that loses nothing regresses far more rarely. The interval of
//! 91 % says the same: it passes where the interval lies above minus the margin, regresses where it lies below. Items in
//! clusters count for as many independent ones as they are worth.
//!
//! Every required part must pass (an intersection-union test: each at its level, none corrected; R. L. Berger,
//! "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24 (1982)).

use serde::{Deserialize, Serialize};

use crate::stats::noninferiority::{Evidence, Flips};
use crate::stats::power::{Rates, items_for_noninferiority, zero_flip_floor};
use crate::stats::{Interval, Paired};

/// Nominal level of each one-sided test. Tango's test is asymptotic: at the sizes of suites its true level is up to a tenth
/// above the nominal one (`reports/gate-calibration`), so that 4.5 % keeps it within 5 %.
pub const ALPHA: f64 = 0.045;
/// Confidence of the two-sided interval that says what the tests say.
pub const CONFIDENCE: f64 = 1.0 - 2.0 * ALPHA;
/// Chance of passing that item counts are planned for.
const POWER: f64 = 0.8;

/// What a gate says, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The loss is shown to be smaller than the margin.
    Pass,
    /// Too few items, or too many flips, to say.
    Inconclusive,
    /// The loss is shown to be larger than the margin.
    Regress,
    /// The measurement cannot be trusted.
    Invalid,
}

impl Verdict {
    /// For headings.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Regress => "REGRESS",
            Self::Invalid => "INVALID",
        }
    }

    /// Of several parts that must all pass: the worst; nothing at all is no measurement.
    pub fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        parts.into_iter().max().unwrap_or(Self::Invalid)
    }
}

/// One test of a loss against its margin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossTest {
    /// What it says.
    pub verdict: Verdict,
    /// Loss tolerated, as a fraction of 1.
    pub margin: f64,
    /// Items compared.
    pub n: usize,
    /// Independent items that these are worth.
    pub effective_n: f64,
    /// Right (or well-formed, or free of leaks) before, not after.
    pub harmful: usize,
    /// Not before, but after.
    pub beneficial: usize,
    /// After minus before; None without items.
    pub difference: Option<f64>,
    /// Tango's interval of the difference at [`CONFIDENCE`].
    pub interval: Option<Interval>,
    /// p-value of "the loss is at least the margin".
    pub p_within: Option<f64>,
    /// p-value of "the loss is at most the margin".
    pub p_beyond: Option<f64>,
    /// Fewest items with which the test can pass at all.
    pub floor: Option<usize>,
    /// Where it is inconclusive: further items after which it would decide if they came out like these. None where no
    /// number of items would.
    pub needs: Option<usize>,
    /// Items with which an adapter without loss, but this many flips, passes in 80 of 100 cases.
    pub planned: Option<usize>,
}

impl LossTest {
    /// Tests (good before, good after) pairs, `clusters[i]` naming the cluster of pair i.
    pub fn of<K: Ord>(pairs: &[(bool, bool)], clusters: &[K], margin: f64) -> Self {
        let table = Paired::from_verdicts(pairs.iter().copied());
        Self::of_counts(&table, Flips::clustered(pairs, clusters), margin)
    }

    /// Tests a table; `flips` is what it is worth in independent items. None there, no items, or a margin that no test is
    /// defined for is invalid.
    pub fn of_counts(table: &Paired, flips: Option<Flips>, margin: f64) -> Self {
        let test = flips.and_then(|flips| flips.noninferiority(margin));
        let floor = zero_flip_floor(margin, ALPHA);
        let verdict = decide(flips, margin);
        let per_item = flips.map_or(1.0, |flips| table.n() as f64 / flips.n);
        let needs = if verdict == Verdict::Inconclusive { test.and_then(|test| needs(test.z, table.n(), floor, per_item)) } else { None };
        let rates = Rates { alpha: ALPHA, power: POWER };
        let planned = table.churn().and_then(|churn| items_for_noninferiority(churn, margin, rates));
        Self {
            verdict,
            margin,
            n: table.n(),
            effective_n: flips.map_or(0.0, |flips| flips.n),
            harmful: table.base_only,
            beneficial: table.variant_only,
            difference: table.difference(),
            interval: flips.and_then(|flips| flips.interval(CONFIDENCE)),
            p_within: test.map(|test| test.p_within),
            p_beyond: test.map(|test| test.p_beyond),
            floor,
            needs,
            planned: planned.map(|items| (items as f64 * per_item).ceil() as usize),
        }
    }
}

/// The rule itself: the verdict on flips of so many independent items, by the margin.
pub fn decide(flips: Option<Flips>, margin: f64) -> Verdict {
    let evidence = flips.and_then(|flips| flips.noninferiority(margin)).map(|test| test.evidence(ALPHA));
    let enough = flips.zip(zero_flip_floor(margin, ALPHA)).is_some_and(|(flips, floor)| flips.n >= floor as f64);
    match evidence {
        None => Verdict::Invalid,
        Some(Evidence::Beyond) => Verdict::Regress,
        // Beneficial flips must not buy a pass on a handful of items.
        Some(Evidence::Within) if enough => Verdict::Pass,
        Some(Evidence::Within | Evidence::Undecided) => Verdict::Inconclusive,
    }
}

/// The statistic grows with the root of the number of items, so at the same rates it reaches the critical value at
/// `n (z_alpha / z)^2`.
fn needs(z: f64, n: usize, floor: Option<usize>, per_item: f64) -> Option<usize> {
    let critical = crate::stats::distribution::normal_quantile(1.0 - ALPHA)?;
    let wanted = n as f64 * (critical / z).powi(2);
    let least = floor.map_or(0.0, |floor| floor as f64 * per_item);
    let more = (wanted.max(least) - n as f64).ceil();
    // Beyond a million items "never" is the better word.
    (more.is_finite() && more < 1e6).then(|| (more as usize).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn test(n: usize, harmful: usize, beneficial: usize, margin: f64) -> LossTest {
        let table = Paired { both: n - harmful - beneficial, base_only: harmful, variant_only: beneficial, neither: 0 };
        LossTest::of_counts(&table, Some(Flips::of(&table)), margin)
    }

    #[test]
    fn no_loss_passes_and_a_collapse_regresses() {
        assert_eq!(test(200, 0, 0, 0.05).verdict, Verdict::Pass);
        assert_eq!(test(200, 3, 3, 0.05).verdict, Verdict::Pass);
        assert_eq!(test(200, 40, 3, 0.05).verdict, Verdict::Regress);
        assert_eq!(test(100, 100, 0, 0.05).verdict, Verdict::Regress);
        let gain = test(100, 0, 100, 0.05);
        assert_eq!((gain.verdict, gain.difference), (Verdict::Pass, Some(1.0)));
    }

    #[test]
    fn at_the_margin_it_is_inconclusive_and_says_what_is_missing() {
        let found = test(200, 10, 0, 0.05);
        assert_eq!((found.verdict, found.needs), (Verdict::Inconclusive, None));
        let found = test(100, 4, 3, 0.05);
        assert_eq!(found.verdict, Verdict::Inconclusive);
        let more = found.needs.expect("finite");
        // With that many more of the same kind it would pass; with clearly fewer it would not.
        let scaled = |n: f64| {
            let table = Paired { both: 0, base_only: 4, variant_only: 3, neither: 0 };
            let flips = Flips { n, harmful: 0.04 * n, beneficial: 0.03 * n };
            LossTest::of_counts(&table, Some(flips), 0.05).verdict
        };
        assert_eq!(scaled(100.0 + more as f64), Verdict::Pass);
        assert_eq!(scaled(98.0 + more as f64), Verdict::Inconclusive);
    }

    #[test]
    fn few_items_never_pass_whatever_they_show() {
        assert_eq!(test(54, 0, 0, 0.05).verdict, Verdict::Inconclusive);
        assert_eq!(test(54, 0, 0, 0.05).needs, Some(1));
        assert_eq!(test(55, 0, 0, 0.05).verdict, Verdict::Pass);
        assert_eq!(test(10, 0, 10, 0.05).verdict, Verdict::Inconclusive);
        assert_eq!(test(10, 0, 10, 0.05).needs, Some(45));
        assert_eq!((test(1, 1, 0, 0.05).verdict, test(2, 2, 0, 0.05).verdict), (Verdict::Inconclusive, Verdict::Inconclusive));
        assert_eq!(test(40, 30, 0, 0.05).verdict, Verdict::Regress);
    }

    #[test]
    fn what_is_no_measurement_is_invalid() {
        assert_eq!(test(0, 0, 0, 0.05).verdict, Verdict::Invalid);
        assert_eq!(test(0, 0, 0, 0.05).difference, None);
        for margin in [f64::NAN, -0.1, 1.0] {
            assert_eq!(test(100, 1, 1, margin).verdict, Verdict::Invalid);
        }
        assert_eq!(LossTest::of(&[(true, true)], &[1, 2], 0.05).verdict, Verdict::Invalid);
        assert_eq!(Verdict::all([]), Verdict::Invalid);
    }

    #[test]
    fn all_parts_must_pass_and_the_worst_decides() {
        use Verdict::{Inconclusive, Invalid, Pass, Regress};
        assert_eq!(Verdict::all([Pass, Pass]), Pass);
        assert_eq!(Verdict::all([Pass, Inconclusive]), Inconclusive);
        assert_eq!(Verdict::all([Inconclusive, Regress, Pass]), Regress);
        assert_eq!(Verdict::all([Regress, Invalid]), Invalid);
    }

    #[test]
    fn twins_are_worth_less_than_strangers() {
        let pairs: Vec<(bool, bool)> = (0..120).map(|i| (true, i / 2 % 30 != 0)).collect();
        let (twins, alone): (Vec<usize>, Vec<usize>) = ((0..120).map(|i| i / 2).collect(), (0..120).collect());
        let (twins, alone) = (LossTest::of(&pairs, &twins, 0.05), LossTest::of(&pairs, &alone, 0.05));
        assert!(twins.effective_n < 70.0 && alone.effective_n > 119.9);
        assert!(twins.interval.unwrap().width() > alone.interval.unwrap().width());
    }

    proptest! {
        #[test]
        fn verdict_and_interval_agree(harmful in 0_usize..60, beneficial in 0_usize..60, same in 60_usize..400, margin in 0.02..0.2_f64) {
            let found = test(harmful + beneficial + same, harmful, beneficial, margin);
            let interval = found.interval.expect("items");
            prop_assume!((interval.low + margin).abs() > 1e-9 && (interval.high + margin).abs() > 1e-9);
            match found.verdict {
                Verdict::Pass => prop_assert!(interval.low > -margin),
                Verdict::Regress => prop_assert!(interval.high < -margin),
                _ => prop_assert!(found.n < found.floor.unwrap() || (interval.low < -margin && interval.high > -margin)),
            }
            prop_assert_eq!(found.needs.is_some() && found.verdict != Verdict::Inconclusive, false);
        }

        #[test]
        fn one_more_harmful_flip_never_helps(harmful in 0_usize..60, beneficial in 0_usize..60, same in 60_usize..400) {
            let n = harmful + beneficial + same;
            let rank = |verdict| if verdict == Verdict::Pass { 0 } else if verdict == Verdict::Inconclusive { 1 } else { 2 };
            prop_assert!(rank(test(n, harmful + 1, beneficial, 0.05).verdict) >= rank(test(n, harmful, beneficial, 0.05).verdict));
        }
    }
}
