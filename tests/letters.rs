//! Two ways to ask questions with options so that a liking for a letter earns nothing, at equal cost: every question once for
//! each rotation of its options, right only if right in all; or four times as many questions, each once, and the liking taken
//! off afterwards. Which of them sees a loss of knowledge more often?
//!
//! A simulated model knows some questions. It answers a known one rightly with a probability, its reliability: reasoning goes
//! astray now and then. Otherwise it says a letter by its liking. The variant has forgotten 10 points of what the base
//! knows, and may like another letter. Likings are those of the stored answers of two models: B in 131 of 143 answers of the
//! one and 92 of the other, A or C after tuning. A loss counts as seen where the paired difference exceeds what only 5 in
//! 100 pairs of models exceed that know the same. `cargo test --test letters -- --nocapture` prints the table.
#![allow(clippy::missing_docs_in_private_items, reason = "a test")]

use ballast::random::{derive, shuffle_in_place, stream, unit};
use ballast::stats::letters::{Lettered, without_liking};
use rand_chacha::ChaCha8Rng;

/// Questions that are asked once; a quarter of them is asked in four orders.
const QUESTIONS: usize = 144;
const PAIRS: usize = 400;
const LOSS: f64 = 0.10;

#[derive(Clone, Copy)]
struct Liking {
    letter: usize,
    /// How much of the guesses is this letter; the rest is spread evenly.
    strength: f64,
}

#[derive(Clone, Copy)]
struct World {
    known: f64,
    reliability: f64,
    base: Liking,
    variant: Liking,
}

fn ask(known: bool, right: usize, liking: Liking, world: World, rng: &mut ChaCha8Rng) -> usize {
    if known && unit(rng) < world.reliability {
        return right;
    }
    if unit(rng) < liking.strength { liking.letter } else { (unit(rng) * 4.0) as usize }
}

/// The mean of differences over its standard error; 0 where nothing differs.
fn statistic(differences: &[f64]) -> f64 {
    let n = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / n;
    let variance = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0);
    if variance > 0.0 { mean / (variance / n).sqrt() } else { 0.0 }
}

/// Asked once as graded, once without the liking, and in four orders.
fn compare(world: World, loss: f64, rng: &mut ChaCha8Rng) -> [f64; 3] {
    let mut right: Vec<usize> = (0..QUESTIONS).map(|i| i % 4).collect();
    shuffle_in_place(&mut right, rng);
    let known: Vec<bool> = (0..QUESTIONS).map(|_| unit(rng) < world.known).collect();
    let kept: Vec<bool> = known.iter().map(|known| *known && unit(rng) >= loss / world.known).collect();
    let mut once = |known: &[bool], liking| -> Vec<Lettered> {
        known.iter().zip(&right).map(|(known, right)| (Some(ask(*known, *right, liking, world, rng)), Some(*right))).collect()
    };
    let (base, variant) = (once(&known, world.base), once(&kept, world.variant));
    let graded = |answers: &[Lettered]| -> Vec<f64> { answers.iter().map(|(given, right)| f64::from(u8::from(given == right))).collect() };
    let less = |base: Vec<f64>, variant: Vec<f64>| -> Vec<f64> { base.iter().zip(variant).map(|(base, variant)| base - variant).collect() };
    let plain = statistic(&less(graded(&base), graded(&variant)));
    let corrected = without_liking(&base).zip(without_liking(&variant)).map_or(0.0, |(base, variant)| statistic(&less(base, variant)));
    let mut rotated = |known: &[bool], liking| -> Vec<f64> {
        let mut all =
            |(known, right): (&bool, &usize)| (0..4).all(|by| ask(*known, (right + by) % 4, liking, world, rng) == (right + by) % 4);
        known.iter().zip(&right).take(QUESTIONS / 4).map(|pair| f64::from(u8::from(all(pair)))).collect()
    };
    let in_all = statistic(&less(rotated(&known, world.base), rotated(&kept, world.variant)));
    [plain, corrected, in_all]
}

/// How often each way sees the loss.
fn power(world: World, seed: u64) -> [f64; 3] {
    let run = |loss: f64, name: &str| -> Vec<[f64; 3]> {
        let mut rng = stream(derive(seed, &[name]), 0);
        (0..PAIRS).map(|_| compare(world, loss, &mut rng)).collect()
    };
    let (none, some) = (run(0.0, "none"), run(LOSS, "some"));
    std::array::from_fn(|way| {
        let mut same: Vec<f64> = none.iter().map(|found| found[way]).collect();
        same.sort_by(f64::total_cmp);
        let limit = same[PAIRS * 95 / 100];
        some.iter().filter(|found| found[way] > limit).count() as f64 / PAIRS as f64
    })
}

#[test]
fn rotations_see_less_at_equal_cost_unless_a_model_never_errs() {
    let likings = [
        ("none, none", Liking { letter: 0, strength: 0.0 }, Liking { letter: 0, strength: 0.0 }),
        ("B .5, B .5", Liking { letter: 1, strength: 0.5 }, Liking { letter: 1, strength: 0.5 }),
        ("B .9, B .9", Liking { letter: 1, strength: 0.9 }, Liking { letter: 1, strength: 0.9 }),
        ("B .9, C .9", Liking { letter: 1, strength: 0.9 }, Liking { letter: 2, strength: 0.9 }),
    ];
    println!("known  reliability  liking       as graded  liking taken off  right in all four");
    let mut seed = 0;
    let mut means = Vec::new();
    for reliability in [1.0, 0.97, 0.9] {
        let (mut sums, mut worlds) = ([0.0; 3], 0);
        for known in [0.3, 0.5] {
            for (name, base, variant) in likings {
                seed += 1;
                let seen = power(World { known, reliability, base, variant }, seed);
                println!("{known:<6} {reliability:<12} {name:<12} {:>9.2} {:>17.2} {:>18.2}", seen[0], seen[1], seen[2]);
                sums = std::array::from_fn(|way| sums[way] + seen[way]);
                worlds += 1;
            }
        }
        let mean = sums.map(|sum: f64| sum / f64::from(worlds));
        println!("mean   {reliability:<25} {:>9.2} {:>17.2} {:>18.2}", mean[0], mean[1], mean[2]);
        means.push(mean);
    }
    let [never_errs, seldom, sometimes] = means[..] else { panic!("three reliabilities") };
    assert!(never_errs[2] > never_errs[1], "rotations are better where a known question is always answered rightly: {means:?}");
    assert!(seldom[1] > seldom[2] && sometimes[1] > sometimes[2] + 0.15, "rotations see more: {means:?}");
    assert!(means.iter().all(|mean| mean[1] > mean[0] - 0.02), "the liking is better left in: {means:?}");
}
