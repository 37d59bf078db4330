//! The rule tested as an instrument: adapters whose true loss is known, drawn again and again and judged by the very
//! [`decide`] that judges real ones.
//!
//! An adapter with churn c and loss l answers each item that the base had right wrongly with the rate `c/2 + l`, over all
//! items, and each that it had wrong rightly with `c/2`; so c is the churn of an adapter without loss. Where the base leaves
//! too little room above for that, both rates are smaller by the same amount and the loss stays what it is. Every draw has
//! its own ChaCha8 stream, so the number of threads changes nothing. Guards and floors are not simulated: an adapter that
//! must pass them too passes more rarely, never more often.
//!
//! [`decide`]: super::decision::decide

use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::decision::Decision;
use super::family::{Member, verdict};
use crate::random::{derive, stream, unit};
use crate::stats::Interval;
use crate::stats::distribution::binomial_pmf;
use crate::stats::interval::wilson;
use crate::stats::noninferiority::Flips;

/// Shares of adapters that truly differ in what is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimulatedAdapter {
    /// Accuracy of the base.
    pub accuracy: f64,
    /// Share of flips of an adapter without loss.
    pub churn: f64,
    /// Accuracy truly lost.
    pub loss: f64,
}

impl SimulatedAdapter {
    /// Shares of harmful and beneficial flips; None where the base has not that much to lose.
    pub fn rates(self) -> Option<(f64, f64)> {
        let beneficial = (self.churn / 2.0).min(1.0 - self.accuracy);
        let harmful = beneficial + self.loss;
        (harmful <= self.accuracy).then_some((harmful, beneficial))
    }
}

/// How often each verdict fell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DecisionCounts {
    /// Simulated gates.
    pub draws: usize,
    /// Of these, passed.
    pub pass: usize,
    /// Of these, regressed.
    pub regress: usize,
}

impl DecisionCounts {
    /// Share that passed.
    pub fn pass_rate(&self) -> f64 {
        self.pass as f64 / self.draws.max(1) as f64
    }

    /// Share that regressed.
    pub fn regress_rate(&self) -> f64 {
        self.regress as f64 / self.draws.max(1) as f64
    }

    /// Interval of the simulation itself around a count.
    pub fn interval(&self, count: usize) -> Option<Interval> {
        wilson(count, self.draws, 0.95)
    }

    fn count(verdicts: impl ParallelIterator<Item = Decision>, draws: usize) -> Self {
        let (pass, regress) = verdicts
            .map(|verdict| (usize::from(verdict == Decision::Pass), usize::from(verdict == Decision::Regress)))
            .reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        Self { draws, pass, regress }
    }
}

/// How a simulation is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draws {
    /// Simulated gates.
    pub count: usize,
    /// Seed of all of them.
    pub seed: u64,
    /// Loss tolerated, as a fraction of 1.
    pub margin: f64,
}

impl Draws {
    /// One suite of `n` items, the only one of its gate. None where the base has not that much to lose.
    pub fn suite(&self, n: usize, adapter: SimulatedAdapter) -> Option<DecisionCounts> {
        self.gate(&[(n, adapter)])
    }

    /// Several suites that must all pass, each with its own adapter's effect.
    pub fn gate(&self, suites: &[(usize, SimulatedAdapter)]) -> Option<DecisionCounts> {
        let rates: Vec<(usize, (f64, f64))> = suites.iter().map(|(n, adapter)| Some((*n, adapter.rates()?))).collect::<Option<_>>()?;
        let drawn: Vec<Trinomial> = rates.iter().map(|(n, rates)| Trinomial::new(*n, *rates)).collect();
        let parts: Vec<f64> = suites.iter().flat_map(|(n, a)| [*n as f64, a.accuracy, a.churn, a.loss]).collect();
        let seed = self.seed_of("gate", &parts);
        let judged = |draw| {
            let mut random = stream(seed, draw as u64);
            let members: Vec<Member> = drawn.iter().map(|suite| self.member(Some(suite.draw(&mut random)))).collect();
            verdict(&members)
        };
        Some(DecisionCounts::count((0..self.count).into_par_iter().map(judged), self.count))
    }

    /// One suite of pairs of twins that flip together, judged as what they are worth, and as if all were strangers.
    pub fn twins(&self, pairs: usize, adapter: SimulatedAdapter) -> Option<(DecisionCounts, DecisionCounts)> {
        let rates = adapter.rates()?;
        let seed = self.seed_of("twins", &[pairs as f64, adapter.accuracy, adapter.churn, adapter.loss]);
        let suite = Trinomial::new(pairs, rates);
        let clusters: Vec<usize> = (0..2 * pairs).map(|item| item / 2).collect();
        let both: Vec<(Decision, Decision)> = (0..self.count)
            .into_par_iter()
            .map(|draw| {
                let drawn = suite.draw(&mut stream(seed, draw as u64));
                let (harmful, beneficial) = (2 * drawn.harmful as usize, 2 * drawn.beneficial as usize);
                let pair = |item: usize| (item < harmful || item >= harmful + beneficial, item >= harmful);
                let items: Vec<(bool, bool)> = (0..2 * pairs).map(pair).collect();
                let strangers = Flips { n: 2.0 * drawn.n, harmful: harmful as f64, beneficial: beneficial as f64 };
                (verdict(&[self.member(Flips::clustered(&items, &clusters))]), verdict(&[self.member(Some(strangers))]))
            })
            .collect();
        let of = |pick: fn(&(Decision, Decision)) -> Decision| DecisionCounts::count(both.par_iter().map(pick), self.count);
        Some((of(|both| both.0), of(|both| both.1)))
    }

    fn member(&self, flips: Option<Flips>) -> Member {
        Member { flips, margin: self.margin }
    }

    /// Every simulation has its own seed, so that adding one changes no other.
    fn seed_of(&self, what: &str, numbers: &[f64]) -> u64 {
        let numbers: Vec<String> = numbers.iter().map(|number| format!("{number:.6}")).collect();
        derive(self.seed, &["calibrate", what, &format!("{:.6}", self.margin), &numbers.join(" ")])
    }
}

/// Flips of one suite, drawn again and again: first how many items flip, from the table of their binomial distribution,
/// then which way each falls.
struct Trinomial {
    n: usize,
    /// `P[at most k items flip]`.
    at_most: Vec<f64>,
    /// Share of flips that are harmful.
    harmful: f64,
}

impl Trinomial {
    fn new(n: usize, (harmful, beneficial): (f64, f64)) -> Self {
        let flips = harmful + beneficial;
        let mut sum = 0.0;
        let at_most = (0..=n).map(|k| {
            sum += binomial_pmf(k, n, flips);
            sum
        });
        Self { n, at_most: at_most.collect(), harmful: if flips > 0.0 { harmful / flips } else { 0.0 } }
    }

    fn draw(&self, random: &mut ChaCha8Rng) -> Flips {
        let at = unit(random);
        let flips = self.at_most.partition_point(|below| *below <= at).min(self.n);
        let harmful = (0..flips).filter(|_| unit(random) < self.harmful).count();
        Flips { n: self.n as f64, harmful: harmful as f64, beneficial: (flips - harmful) as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: Draws = Draws { count: 2000, seed: 7, margin: 0.05 };

    fn adapter(churn: f64, loss: f64) -> SimulatedAdapter {
        SimulatedAdapter { accuracy: 0.6, churn, loss }
    }

    #[test]
    fn the_rule_keeps_its_levels_and_catches_a_collapse() {
        for churn in [0.02, 0.06, 0.2] {
            let of = |loss| DRAWS.gate(&[(320, adapter(churn, loss)), (128, adapter(churn, loss)), (260, adapter(churn, loss))]).unwrap();
            let (equal, at_margin, collapsed) = (of(0.0), of(0.05), of(0.1));
            // Two thousand draws of a rate of 5 % exceed 6.5 % in one of a thousand cases.
            assert!(equal.regress_rate() < 0.065 && at_margin.pass_rate() < 0.065, "{equal:?} {at_margin:?}");
            assert!(collapsed.regress_rate() > 0.97 && collapsed.pass == 0, "{collapsed:?}");
        }
        let equal = DRAWS.suite(320, adapter(0.06, 0.0)).unwrap();
        assert!(equal.pass_rate() > 0.9, "{equal:?}");
    }

    #[test]
    fn draws_have_the_shares_that_were_asked_for() {
        let suite = Trinomial::new(200, (0.16, 0.06));
        let mut random = stream(1, 0);
        let drawn: Vec<Flips> = (0..4000).map(|_| suite.draw(&mut random)).collect();
        let mean = |of: fn(&Flips) -> f64| drawn.iter().map(of).sum::<f64>() / 4000.0;
        let (harmful, beneficial) = (mean(|f| f.harmful), mean(|f| f.beneficial));
        // Four standard errors: 4 sqrt(200 p (1 - p) / 4000).
        assert!((harmful - 32.0).abs() < 0.33 && (beneficial - 12.0).abs() < 0.22, "{harmful} {beneficial}");
        let spread = drawn.iter().map(|f| (f.harmful - 32.0).powi(2)).sum::<f64>() / 4000.0;
        assert!((spread - 26.88).abs() < 2.5, "{spread}");
        assert!(drawn.iter().all(|f| f.harmful + f.beneficial <= f.n));
    }

    #[test]
    fn one_suite_at_its_margin_holds_up_the_whole_gate() {
        let mut suites = vec![(320, adapter(0.02, 0.0)); 3];
        suites.push((320, adapter(0.02, 0.05)));
        assert!(DRAWS.gate(&suites).unwrap().pass_rate() < 0.065);
    }

    #[test]
    fn twins_judged_as_strangers_pass_too_often() {
        let (worth, strangers) = DRAWS.twins(160, adapter(0.06, 0.05)).unwrap();
        assert!(worth.pass_rate() < 0.075 && strangers.pass_rate() > 0.09, "{worth:?} {strangers:?}");
    }

    #[test]
    fn a_base_with_nothing_to_lose_cannot_be_simulated_losing() {
        assert_eq!(DRAWS.suite(100, SimulatedAdapter { accuracy: 0.05, churn: 0.02, loss: 0.1 }), None);
        assert!(DRAWS.suite(100, SimulatedAdapter { accuracy: 1.0, churn: 0.2, loss: 0.1 }).is_some());
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let with_threads = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                (DRAWS.suite(80, adapter(0.1, 0.03)), DRAWS.gate(&[(80, adapter(0.1, 0.0))]), DRAWS.twins(40, adapter(0.1, 0.0)))
            })
        };
        assert_eq!(with_threads(1), with_threads(5));
    }
}
