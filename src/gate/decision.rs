//! From paired answers and a margin to a verdict: the one rule of the gate.
//!
//! Pass asks Tango's score test, one-sided at [`ALPHA`]: a loss shown to be smaller than the margin passes, so an adapter that
//! loses exactly the margin passes in at most 5 % of cases. The interval of 91 % says the same: it passes where the
//! interval lies above minus the margin. Items in clusters count for as many independent ones as they are worth. Every
//! required part must pass (an intersection-union test: each at its level, none corrected; R. L. Berger, "Multiparameter
//! hypothesis testing and acceptance sampling", Technometrics 24 (1982)).
//!
//! Regress is said of accuracy where a loss is shown at all, after correction for the number of suites (`family`), and the
//! loss seen is at least the margin. A guard, which is not asked as one of a family, regresses where its loss is shown to be
//! larger than the margin. Anything else is inconclusive.

use serde::{Deserialize, Serialize};

use crate::stats::distribution::normal_quantile;
use crate::stats::noninferiority::{Flips, MarginEvidence};
use crate::stats::power::{Rates, items_for_noninferiority, zero_flip_floor};
use crate::stats::{Interval, Paired};

/// Nominal level of each one-sided test. Tango's test is asymptotic: at the sizes of suites its true level is up to a tenth
/// above the nominal one (`reports/gate-calibration`), so that 4.5 % keeps it within 5 %.
pub const ALPHA: f64 = 0.045;
/// Confidence of the two-sided interval that says what the tests say.
pub const CONFIDENCE: f64 = 1.0 - 2.0 * ALPHA;
/// Rate at which an adapter that lost nothing on any suite may be called a regression.
pub const FAMILY: f64 = 0.05;
/// Chance of passing that item counts are planned for.
const POWER: f64 = 0.8;

/// What a gate says, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// The loss is shown to be smaller than the margin.
    Pass,
    /// Too few items, or too many flips, to say.
    Inconclusive,
    /// A loss is shown, and it is seen to be at least the margin.
    Regress,
    /// The measurement cannot be trusted.
    Invalid,
}

impl Decision {
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
    pub verdict: Decision,
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
    /// p-value of "nothing is lost".
    pub p_no_loss: Option<f64>,
    /// The same, corrected for the number of suites. None for a guard, which is asked by `p_beyond`.
    pub p_corrected: Option<f64>,
    /// Fewest items with which the test can pass at all.
    pub floor: Option<usize>,
    /// Where it is inconclusive: further items after which it would decide if they came out like these. None where no
    /// number of items would.
    pub needs: Option<usize>,
    /// Items with which an adapter without loss, but this many flips, passes in 80 of 100 cases.
    pub planned: Option<usize>,
}

/// What must be shown to call a loss a regression.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Claim {
    /// A guard: that the loss is larger than the margin.
    Beyond,
    /// One of the suites of a gate: that anything is lost, where the loss seen is at least the margin.
    Lost {
        /// p-value of "nothing is lost", corrected for the number of suites.
        p_corrected: f64,
        /// Level that the uncorrected p-value is held against first: the family's, divided by its number of tests.
        level: f64,
    },
}

impl LossTest {
    /// Tests a guard's (good before, good after) pairs, `clusters[i]` naming the cluster of pair i.
    pub fn guard<K: Ord>(pairs: &[(bool, bool)], clusters: &[K], margin: f64) -> Self {
        let table = Paired::from_verdicts(pairs.iter().copied());
        Self::of_counts(&table, Flips::clustered(pairs, clusters), margin, Claim::Beyond)
    }

    /// Tests a table; `flips` is what it is worth in independent items. None there, no items, or a margin that no test is
    /// defined for is invalid.
    pub fn of_counts(table: &Paired, flips: Option<Flips>, margin: f64, claim: Claim) -> Self {
        let test = flips.and_then(|flips| flips.noninferiority(margin));
        let floor = zero_flip_floor(margin, ALPHA);
        let verdict = decide(flips, margin, claim);
        let per_item = flips.map_or(1.0, |flips| table.n() as f64 / flips.n);
        let needs = flips.filter(|_| verdict == Decision::Inconclusive).and_then(|flips| needs(flips, margin, claim));
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
            p_no_loss: flips.and_then(|flips| flips.p_no_loss()),
            p_corrected: match claim {
                Claim::Lost { p_corrected, .. } if flips.is_some_and(|flips| flips.n > 0.0) => Some(p_corrected),
                _ => None,
            },
            floor,
            needs: needs.map(|more| ((more * per_item).ceil() as usize).max(1)),
            planned: planned.map(|items| (items as f64 * per_item).ceil() as usize),
        }
    }
}

/// The rule itself: the verdict on flips of so many independent items, by the margin.
pub fn decide(flips: Option<Flips>, margin: f64, claim: Claim) -> Decision {
    let Some((flips, test)) = flips.and_then(|flips| Some((flips, flips.noninferiority(margin)?))) else {
        return Decision::Invalid;
    };
    // Beneficial flips must not buy a pass on a handful of items.
    let enough = zero_flip_floor(margin, ALPHA).is_some_and(|floor| flips.n >= floor as f64);
    match test.evidence(ALPHA) {
        MarginEvidence::Within if enough => Decision::Pass,
        evidence if regressed(flips, margin, claim, evidence) => Decision::Regress,
        _ => Decision::Inconclusive,
    }
}

fn regressed(flips: Flips, margin: f64, claim: Claim, evidence: MarginEvidence) -> bool {
    match claim {
        Claim::Beyond => evidence == MarginEvidence::Beyond,
        Claim::Lost { p_corrected, .. } => p_corrected <= FAMILY && reaches(flips, margin),
    }
}

/// The loss seen is at least the margin. Counts are whole or divided by one design effect, so rounding is all that a
/// comparison has to forgive.
pub(super) fn reaches(flips: Flips, margin: f64) -> bool {
    flips.harmful - flips.beneficial >= margin * flips.n - 1e-9 * flips.n
}

/// Further independent items after which the verdict would no longer be inconclusive if they came out like these: a
/// statistic grows with the root of the number of items, so at the same rates it reaches its critical value at
/// `n (critical / z)^2`. None where that never happens, or not within a million.
fn needs(flips: Flips, margin: f64, claim: Claim) -> Option<f64> {
    let (z, level) = match claim {
        Claim::Lost { level, .. } if reaches(flips, margin) => {
            ((flips.harmful - flips.beneficial) / (flips.harmful + flips.beneficial).sqrt(), level)
        }
        _ => (flips.noninferiority(margin)?.z, ALPHA),
    };
    let wanted = flips.n * (normal_quantile(1.0 - level)? / z).powi(2);
    // Only a pass has a floor.
    let floor = if z < 0.0 { zero_flip_floor(margin, ALPHA)? as f64 } else { 0.0 };
    let more = wanted.max(floor) - flips.n;
    (more < 1e6).then_some(more.max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn test(n: usize, harmful: usize, beneficial: usize, margin: f64) -> LossTest {
        let table = Paired { both: n - harmful - beneficial, base_only: harmful, variant_only: beneficial, neither: 0 };
        LossTest::of_counts(&table, Some(Flips::of(&table)), margin, Claim::Beyond)
    }

    /// The same where it is the only suite of a gate.
    fn alone(n: usize, harmful: usize, beneficial: usize, margin: f64) -> LossTest {
        let table = Paired { both: n - harmful - beneficial, base_only: harmful, variant_only: beneficial, neither: 0 };
        let flips = Flips::of(&table);
        LossTest::of_counts(&table, Some(flips), margin, Claim::Lost { p_corrected: flips.p_no_loss().unwrap_or(1.0), level: FAMILY })
    }

    #[test]
    fn no_loss_passes_and_a_collapse_regresses() {
        assert_eq!(test(200, 0, 0, 0.05).verdict, Decision::Pass);
        assert_eq!(test(200, 3, 3, 0.05).verdict, Decision::Pass);
        assert_eq!(test(200, 40, 3, 0.05).verdict, Decision::Regress);
        assert_eq!(test(100, 100, 0, 0.05).verdict, Decision::Regress);
        let gain = test(100, 0, 100, 0.05);
        assert_eq!((gain.verdict, gain.difference), (Decision::Pass, Some(1.0)));
    }

    #[test]
    fn at_the_margin_it_is_inconclusive_and_says_what_is_missing() {
        let found = test(200, 10, 0, 0.05);
        assert_eq!((found.verdict, found.needs), (Decision::Inconclusive, None));
        let found = test(100, 4, 3, 0.05);
        assert_eq!(found.verdict, Decision::Inconclusive);
        let more = found.needs.expect("finite");
        // With that many more of the same kind it would pass; with clearly fewer it would not.
        let scaled = |n: f64| {
            let table = Paired { both: 0, base_only: 4, variant_only: 3, neither: 0 };
            let flips = Flips { n, harmful: 0.04 * n, beneficial: 0.03 * n };
            LossTest::of_counts(&table, Some(flips), 0.05, Claim::Beyond).verdict
        };
        assert_eq!(scaled(100.0 + more as f64), Decision::Pass);
        assert_eq!(scaled(98.0 + more as f64), Decision::Inconclusive);
    }

    #[test]
    fn a_loss_that_is_shown_and_reaches_the_margin_regresses() {
        // Nine points lost: shown, though not shown to be more than five.
        assert_eq!((test(100, 11, 2, 0.05).verdict, alone(100, 11, 2, 0.05).verdict), (Decision::Inconclusive, Decision::Regress));
        // Three points lost of two thousand: shown as well, and shown to be tolerated.
        let tolerated = alone(2000, 70, 10, 0.05);
        assert!(tolerated.verdict == Decision::Pass && tolerated.p_corrected.unwrap() < 1e-9);
        // Four points lost: shown, but neither as much as the margin nor shown to be less.
        assert_eq!(alone(400, 18, 2, 0.05).verdict, Decision::Inconclusive);
        // Exactly the margin.
        assert_eq!(alone(200, 11, 1, 0.05).verdict, Decision::Regress);
        assert_eq!(alone(0, 0, 0, 0.05).p_corrected, None);
    }

    #[test]
    fn a_loss_that_is_not_yet_shown_says_how_many_items_would() {
        let found = alone(100, 9, 4, 0.05);
        assert_eq!(found.verdict, Decision::Inconclusive);
        // 100 (1.645 / (5 / sqrt 13))^2 = 140.7.
        assert_eq!(found.needs, Some(41));
        let scaled = |factor: f64| {
            let flips = Flips { n: 100.0 * factor, harmful: 9.0 * factor, beneficial: 4.0 * factor };
            decide(Some(flips), 0.05, Claim::Lost { p_corrected: flips.p_no_loss().unwrap(), level: FAMILY })
        };
        // The mid-p is a little above the normal approximation.
        assert_eq!((scaled(1.3), scaled(1.55)), (Decision::Inconclusive, Decision::Regress));
    }

    #[test]
    fn few_items_never_pass_whatever_they_show() {
        assert_eq!(test(54, 0, 0, 0.05).verdict, Decision::Inconclusive);
        assert_eq!(test(54, 0, 0, 0.05).needs, Some(1));
        assert_eq!(test(55, 0, 0, 0.05).verdict, Decision::Pass);
        assert_eq!(test(10, 0, 10, 0.05).verdict, Decision::Inconclusive);
        assert_eq!(test(10, 0, 10, 0.05).needs, Some(45));
        assert_eq!((test(1, 1, 0, 0.05).verdict, test(2, 2, 0, 0.05).verdict), (Decision::Inconclusive, Decision::Inconclusive));
        assert_eq!(test(40, 30, 0, 0.05).verdict, Decision::Regress);
    }

    #[test]
    fn what_is_no_measurement_is_invalid() {
        assert_eq!(test(0, 0, 0, 0.05).verdict, Decision::Invalid);
        assert_eq!(test(0, 0, 0, 0.05).difference, None);
        for margin in [f64::NAN, -0.1, 1.0] {
            assert_eq!(test(100, 1, 1, margin).verdict, Decision::Invalid);
        }
        assert_eq!(LossTest::guard(&[(true, true)], &[1, 2], 0.05).verdict, Decision::Invalid);
        assert_eq!(Decision::all([]), Decision::Invalid);
    }

    #[test]
    fn all_parts_must_pass_and_the_worst_decides() {
        use Decision::{Inconclusive, Invalid, Pass, Regress};
        assert_eq!(Decision::all([Pass, Pass]), Pass);
        assert_eq!(Decision::all([Pass, Inconclusive]), Inconclusive);
        assert_eq!(Decision::all([Inconclusive, Regress, Pass]), Regress);
        assert_eq!(Decision::all([Regress, Invalid]), Invalid);
    }

    #[test]
    fn twins_are_worth_less_than_strangers() {
        let pairs: Vec<(bool, bool)> = (0..120).map(|i| (true, i / 2 % 30 != 0)).collect();
        let (twins, alone): (Vec<usize>, Vec<usize>) = ((0..120).map(|i| i / 2).collect(), (0..120).collect());
        let (twins, alone) = (LossTest::guard(&pairs, &twins, 0.05), LossTest::guard(&pairs, &alone, 0.05));
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
                Decision::Pass => prop_assert!(interval.low > -margin),
                Decision::Regress => prop_assert!(interval.high < -margin),
                _ => prop_assert!(found.n < found.floor.unwrap() || (interval.low < -margin && interval.high > -margin)),
            }
            prop_assert_eq!(found.needs.is_some() && found.verdict != Decision::Inconclusive, false);
        }

        #[test]
        fn one_more_harmful_flip_never_helps(harmful in 0_usize..60, beneficial in 0_usize..60, same in 60_usize..400) {
            let n = harmful + beneficial + same;
            let rank = |verdict| if verdict == Decision::Pass { 0 } else if verdict == Decision::Inconclusive { 1 } else { 2 };
            prop_assert!(rank(test(n, harmful + 1, beneficial, 0.05).verdict) >= rank(test(n, harmful, beneficial, 0.05).verdict));
        }
    }
}
