//! The rule tested as an instrument: adapters whose true loss is known, drawn again and again and judged by the very
//! [`decide`] that judges real ones.
//!
//! An adapter with churn c and loss l answers each item that the base had right wrongly with the rate `c/2 + l`, over all
//! items, and each that it had wrong rightly with `c/2`; so c is the churn of an adapter without loss. Where the base leaves
//! too little room above for that, both rates are smaller by the same amount and the loss stays what it is. Every draw has
//! its own ChaCha8 stream, so the number of threads changes nothing. Guards and floors are not simulated: an adapter that
//! must pass them too passes more rarely, never more often.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rayon::prelude::*;

use super::decision::{Verdict, decide};
use crate::seeds::derive;
use crate::stats::Interval;
use crate::stats::Paired;
use crate::stats::interval::wilson;
use crate::stats::noninferiority::Flips;

/// Shares of adapters that truly differ in what is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adapter {
    /// Accuracy of the base.
    pub accuracy: f64,
    /// Share of flips of an adapter without loss.
    pub churn: f64,
    /// Accuracy truly lost.
    pub loss: f64,
}

impl Adapter {
    /// Rates of harmful and beneficial flips; None where the base has not that much to lose.
    fn rates(self) -> Option<(f64, f64)> {
        let beneficial = (self.churn / 2.0).min(1.0 - self.accuracy);
        let harmful = beneficial + self.loss;
        (harmful <= self.accuracy).then_some((harmful, beneficial))
    }
}

/// How often each verdict fell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verdicts {
    /// Simulated gates.
    pub draws: usize,
    /// Of these, passed.
    pub pass: usize,
    /// Of these, regressed.
    pub regress: usize,
}

impl Verdicts {
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

    fn count(verdicts: impl ParallelIterator<Item = Verdict>, draws: usize) -> Self {
        let (pass, regress) = verdicts
            .map(|verdict| (usize::from(verdict == Verdict::Pass), usize::from(verdict == Verdict::Regress)))
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
    /// One suite of `n` items. None where the base has not that much to lose.
    pub fn suite(&self, n: usize, adapter: Adapter) -> Option<Verdicts> {
        let rates = adapter.rates()?;
        let seed = self.seed_of("suite", &[n as f64, adapter.accuracy, adapter.churn, adapter.loss]);
        let verdict = |draw| decide(Some(flips(n, rates, &mut stream(seed, draw))), self.margin);
        Some(Verdicts::count((0..self.count).into_par_iter().map(verdict), self.count))
    }

    /// Several suites that must all pass, each with its own adapter's effect.
    pub fn gate(&self, suites: &[(usize, Adapter)]) -> Option<Verdicts> {
        let rates: Vec<(usize, (f64, f64))> = suites.iter().map(|(n, adapter)| Some((*n, adapter.rates()?))).collect::<Option<_>>()?;
        let parts: Vec<f64> = suites.iter().flat_map(|(n, a)| [*n as f64, a.accuracy, a.churn, a.loss]).collect();
        let seed = self.seed_of("gate", &parts);
        let verdict = |draw| {
            let mut random = stream(seed, draw);
            Verdict::all(rates.iter().map(|(n, rates)| decide(Some(flips(*n, *rates, &mut random)), self.margin)))
        };
        Some(Verdicts::count((0..self.count).into_par_iter().map(verdict), self.count))
    }

    /// One suite of pairs of twins that flip together, judged as what they are worth, and as if all were strangers.
    pub fn twins(&self, pairs: usize, adapter: Adapter) -> Option<(Verdicts, Verdicts)> {
        let rates = adapter.rates()?;
        let seed = self.seed_of("twins", &[pairs as f64, adapter.accuracy, adapter.churn, adapter.loss]);
        let clusters: Vec<usize> = (0..2 * pairs).map(|item| item / 2).collect();
        let both: Vec<(Verdict, Verdict)> = (0..self.count)
            .into_par_iter()
            .map(|draw| {
                let drawn = flips(pairs, rates, &mut stream(seed, draw));
                let (harmful, beneficial) = (2 * drawn.harmful as usize, 2 * drawn.beneficial as usize);
                let pair = |item: usize| (item < harmful || item >= harmful + beneficial, item >= harmful);
                let items: Vec<(bool, bool)> = (0..2 * pairs).map(pair).collect();
                let strangers = Flips { n: 2.0 * drawn.n, harmful: harmful as f64, beneficial: beneficial as f64 };
                (decide(Flips::clustered(&items, &clusters), self.margin), decide(Some(strangers), self.margin))
            })
            .collect();
        let of = |pick: fn(&(Verdict, Verdict)) -> Verdict| Verdicts::count(both.par_iter().map(pick), self.count);
        Some((of(|both| both.0), of(|both| both.1)))
    }

    /// Every simulation has its own seed, so that adding one changes no other.
    fn seed_of(&self, what: &str, numbers: &[f64]) -> u64 {
        let numbers: Vec<String> = numbers.iter().map(|number| format!("{number:.6}")).collect();
        derive(self.seed, &["calibrate", what, &format!("{:.6}", self.margin), &numbers.join(" ")])
    }
}

fn stream(seed: u64, draw: usize) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(draw as u64);
    random
}

/// The flips of one adapter on `n` items.
fn flips(n: usize, (harmful, beneficial): (f64, f64), random: &mut ChaCha8Rng) -> Flips {
    let mut table = Paired { neither: 0, ..Paired::default() };
    for _ in 0..n {
        // Uniform in [0, 1) with 53 bits.
        let at = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        if at < harmful {
            table.base_only += 1;
        } else if at < harmful + beneficial {
            table.variant_only += 1;
        } else {
            table.both += 1;
        }
    }
    Flips::of(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: Draws = Draws { count: 2000, seed: 7, margin: 0.05 };

    fn adapter(churn: f64, loss: f64) -> Adapter {
        Adapter { accuracy: 0.6, churn, loss }
    }

    #[test]
    fn the_rule_keeps_its_levels_and_catches_a_collapse() {
        let equal = DRAWS.suite(320, adapter(0.06, 0.0)).unwrap();
        assert!(equal.regress_rate() <= 0.001 && equal.pass_rate() > 0.9, "{equal:?}");
        for n in [128, 320] {
            let at_margin = DRAWS.suite(n, adapter(0.06, 0.05)).unwrap();
            assert!(at_margin.pass_rate() < 0.065 && at_margin.regress_rate() < 0.065, "{at_margin:?}");
        }
        let collapsed = DRAWS.suite(320, adapter(0.06, 0.2)).unwrap();
        assert!(collapsed.regress_rate() > 0.999, "{collapsed:?}");
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
        assert_eq!(DRAWS.suite(100, Adapter { accuracy: 0.05, churn: 0.02, loss: 0.1 }), None);
        assert!(DRAWS.suite(100, Adapter { accuracy: 1.0, churn: 0.2, loss: 0.1 }).is_some());
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
