//! The suites of a gate as one family: on which of them is a loss shown, when all are looked at?
//!
//! Each suite's accuracy is asked "is nothing lost?" by McNemar's one-sided mid-p, and so are all suites together: flips of
//! all of them added up, a stratified test that sees a small loss everywhere. The p-values are corrected by Holm's method,
//! so an adapter that lost nothing anywhere is called a regression in at most [`FAMILY`] of cases, however many suites
//! there are.

use serde::{Deserialize, Serialize};

use super::decision::{Claim, Decision, FAMILY, decide, reaches};
use crate::stats::holm::holm;
use crate::stats::noninferiority::Flips;

/// One suite: what its items are worth, and its margin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Member {
    /// None where they could not be counted.
    pub flips: Option<Flips>,
    /// Loss tolerated, as a fraction of 1.
    pub margin: f64,
}

/// All suites together. They regress or they do not: a pass here is asked of each suite alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Together {
    /// Whether the loss of all suites together is shown and reaches what their margins come to.
    pub regressed: bool,
    /// Mean of the margins, weighted by items.
    pub margin: f64,
    /// Independent items that all are worth.
    pub effective_n: f64,
    /// After minus before.
    pub difference: Option<f64>,
    /// p-value of "nothing is lost on any suite".
    pub p_no_loss: Option<f64>,
    /// The same, corrected.
    pub p_corrected: Option<f64>,
}

/// What is shown of each suite, in the order given, and of all together where there are at least two. `pooled` is what
/// the items of all suites are worth together: less than their sum where one suite has twins in another.
pub fn claims(members: &[Member], pooled: Option<Flips>) -> (Vec<Claim>, Option<Together>) {
    let pooled = pooled.filter(|_| members.len() > 1);
    let alone = members.iter().map(|member| p_no_loss(member.flips));
    let p_values: Vec<Option<f64>> = alone.chain(pooled.map(|flips| p_no_loss(Some(flips)))).collect();
    let corrected = holm(&p_values);
    let level = FAMILY / p_values.len().max(1) as f64;
    let claim = |p: &Option<f64>| Claim::Lost { p_corrected: p.unwrap_or(1.0), level };
    let together = pooled.map(|flips| {
        let weights =
            |of: fn(&Member) -> f64| members.iter().map(|member| of(member) * member.flips.map_or(0.0, |flips| flips.n)).sum::<f64>();
        let margin = weights(|member| member.margin) / weights(|_| 1.0).max(f64::MIN_POSITIVE);
        let p_corrected = corrected.last().copied().flatten();
        let regressed = p_corrected.is_some_and(|p| p <= FAMILY) && reaches(flips, margin);
        Together { regressed, margin, effective_n: flips.n, difference: flips.difference(), p_no_loss: flips.p_no_loss(), p_corrected }
    });
    (corrected.iter().take(members.len()).map(claim).collect(), together)
}

/// The verdict on all suites, whose items are all independent of each other.
pub fn verdict(members: &[Member]) -> Decision {
    let all = members.iter().filter_map(|member| member.flips);
    let sum = |of: fn(&Flips) -> f64| all.clone().map(|flips| of(&flips)).sum::<f64>();
    let pooled = Flips { n: sum(|f| f.n), harmful: sum(|f| f.harmful), beneficial: sum(|f| f.beneficial) };
    let (claims, together) = claims(members, Some(pooled));
    let alone = members.iter().zip(&claims).map(|(member, claim)| decide(member.flips, member.margin, *claim));
    Decision::all(alone.chain(together.filter(|together| together.regressed).map(|_| Decision::Regress)))
}

fn p_no_loss(flips: Option<Flips>) -> Option<f64> {
    flips.and_then(|flips| flips.p_no_loss())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::distribution::{binomial_pmf, fair_binomial_pmf};

    fn member(n: f64, harmful: f64, beneficial: f64) -> Member {
        Member { flips: Some(Flips { n, harmful, beneficial }), margin: 0.05 }
    }

    #[test]
    fn one_suite_alone_is_not_corrected() {
        let (claims, together) = claims(&[member(100.0, 11.0, 2.0)], Some(Flips { n: 100.0, harmful: 11.0, beneficial: 2.0 }));
        let p = Flips { n: 100.0, harmful: 11.0, beneficial: 2.0 }.p_no_loss().unwrap();
        assert_eq!((claims, together), (vec![Claim::Lost { p_corrected: p, level: 0.05 }], None));
    }

    #[test]
    fn more_suites_ask_for_more_evidence() {
        let loss = member(100.0, 10.0, 3.0);
        assert_eq!(verdict(&[loss]), Decision::Regress);
        let kept = member(200.0, 2.0, 2.0);
        assert_eq!(verdict(&[loss, kept, kept, kept]), Decision::Inconclusive);
        assert_eq!(verdict(&[member(100.0, 14.0, 1.0), kept, kept, kept]), Decision::Regress);
    }

    #[test]
    fn a_loss_everywhere_is_shown_by_all_suites_together() {
        let members = [member(100.0, 9.0, 3.0); 4];
        let (alone, together) = claims(&members, Some(Flips { n: 400.0, harmful: 36.0, beneficial: 12.0 }));
        assert!(alone.iter().all(|claim| matches!(claim, Claim::Lost { p_corrected, .. } if *p_corrected > FAMILY)), "{alone:?}");
        let together = together.unwrap();
        assert!(together.regressed && together.p_corrected.unwrap() < 0.005, "{together:?}");
        assert_eq!(verdict(&members), Decision::Regress);
        // As much evidence of less than the margins is no regression.
        let less = [member(1000.0, 60.0, 30.0); 4];
        assert_eq!(verdict(&less), Decision::Pass);
    }

    /// The chance that a suite of `n` items regresses alone although as many of its items flip either way: every table.
    fn false_alarms(n: usize, churn: f64) -> f64 {
        let of_flips = |flips: usize| {
            let regressed = |harmful: &usize| verdict(&[member(n as f64, *harmful as f64, (flips - harmful) as f64)]) == Decision::Regress;
            (0..=flips).filter(regressed).map(|harmful| fair_binomial_pmf(harmful, flips)).sum::<f64>()
        };
        (0..=n).map(|flips| (flips, binomial_pmf(flips, n, churn))).filter(|(_, p)| *p > 1e-9).map(|(flips, p)| p * of_flips(flips)).sum()
    }

    #[test]
    fn an_adapter_without_loss_regresses_in_at_most_five_percent_exactly() {
        // The mid-p is not exact: for a few sizes and churns it is off by less than a thousandth.
        for (n, churn, largest) in
            [(55, 0.02, 0.01), (55, 0.2, 0.05), (80, 0.4, 0.0502), (128, 0.2, 0.05), (132, 0.3, 0.0502), (200, 0.12, 0.05)]
        {
            let found = false_alarms(n, churn);
            assert!(found <= largest, "{n} items, churn {churn}: {found}");
        }
    }

    #[test]
    fn what_is_no_measurement_stays_invalid() {
        assert_eq!(verdict(&[]), Decision::Invalid);
        assert_eq!(verdict(&[member(0.0, 0.0, 0.0), member(200.0, 0.0, 0.0)]), Decision::Invalid);
        assert_eq!(verdict(&[Member { flips: None, margin: 0.05 }]), Decision::Invalid);
        assert_eq!(verdict(&[Member { margin: f64::NAN, ..member(200.0, 1.0, 1.0) }]), Decision::Invalid);
    }
}
