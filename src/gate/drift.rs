//! How far an adapter may move the base's own words: a guard beside what suites ask.
//!
//! Suites see what they ask about. An adapter that turns everything else into noise shows on the probe that liveness is
//! proved by: the base's answers to a few questions, continued by both. Two numbers are held against limits there, the mean
//! KL(base || adapter) in nats per token and the share of tokens on which both have the same first choice. They are limits,
//! not tests: a few hundred tokens of eight answers are no sample of anything. So the default limits lie far beyond what a
//! useful adapter does. On Qwen2.5-Coder-0.5B, adapters that learned an identity without harm had 0.16 nats, one that lost
//! 13 of 57 points of HumanEval 1.2 nats; an adapter of noise agrees with the base on hardly any token.

use serde::{Deserialize, Serialize};

use super::decision::Decision;

/// Nats per token that are tolerated where nothing else is said.
pub const NATS: f64 = 2.0;
/// Share of tokens in percent on which base and adapter must agree where nothing else is said.
pub const AGREEMENT_PERCENT: f64 = 50.0;

/// How far an adapter may drift.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriftLimit {
    /// Most mean KL(base || adapter), nats per token. None asks nothing.
    pub nats: Option<f64>,
    /// Least share of tokens with the same first choice, in percent. None asks nothing.
    pub agreement_percent: Option<f64>,
}

impl Default for DriftLimit {
    fn default() -> Self {
        Self { nats: Some(NATS), agreement_percent: Some(AGREEMENT_PERCENT) }
    }
}

impl DriftLimit {
    /// Whether the limits are numbers that can be kept and broken.
    pub fn fits(&self) -> bool {
        self.nats.is_none_or(|nats| nats > 0.0 && nats.is_finite())
            && self.agreement_percent.is_none_or(|percent| percent > 0.0 && percent <= 100.0)
    }

    /// Holds what the probe measured against the limits. None where nothing is asked.
    pub fn test(&self, kl: f64, agreement: f64) -> Option<DriftTest> {
        if self.nats.is_none() && self.agreement_percent.is_none() {
            return None;
        }
        let broken = self.nats.is_some_and(|most| kl > most) || self.agreement_percent.is_some_and(|least| 100.0 * agreement < least);
        let verdict = if !kl.is_finite() || !agreement.is_finite() {
            Decision::Invalid
        } else if broken {
            Decision::Regress
        } else {
            Decision::Pass
        };
        Some(DriftTest { verdict, kl, agreement, limit: *self })
    }
}

/// Drift against its limits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriftTest {
    /// What it says.
    pub verdict: Decision,
    /// Mean KL(base || adapter) on the probe, nats per token.
    pub kl: f64,
    /// Share of the probe's tokens with the same first choice.
    pub agreement: f64,
    /// What is asked.
    pub limit: DriftLimit,
}

impl DriftTest {
    /// `drift 3.10 nats per token (at most 2), same first choice on 4.0 % of tokens (at least 50 %)`
    pub fn words(&self) -> String {
        let most = self.limit.nats.map(|nats| format!(" (at most {nats})")).unwrap_or_default();
        let least = self.limit.agreement_percent.map(|percent| format!(" (at least {percent} %)")).unwrap_or_default();
        format!("drift {:.2} nats per token{most}, same first choice on {:.1} % of tokens{least}", self.kl, 100.0 * self.agreement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_holds_alone_and_none_asks_nothing() {
        let verdict =
            |nats, agreement_percent, kl, agreement| DriftLimit { nats, agreement_percent }.test(kl, agreement).map(|test| test.verdict);
        assert_eq!(verdict(Some(2.0), Some(50.0), 1.2, 0.7), Some(Decision::Pass));
        assert_eq!(verdict(Some(2.0), Some(50.0), 2.1, 0.7), Some(Decision::Regress));
        assert_eq!(verdict(Some(2.0), Some(50.0), 0.1, 0.04), Some(Decision::Regress));
        assert_eq!(verdict(Some(2.0), None, 0.1, 0.04), Some(Decision::Pass));
        assert_eq!(verdict(None, None, 9.0, 0.0), None);
        assert_eq!(verdict(Some(2.0), None, f64::NAN, 0.5), Some(Decision::Invalid));
        assert!(DriftLimit::default().fits() && !DriftLimit { nats: Some(-1.0), agreement_percent: None }.fits());
    }
}
