//! The search for the mildest candidate that is expected to pass.
//!
//! First the adapters as they are: one that is expected to pass needs no change. Then a few strengths of every path, and then,
//! as long as the budget lasts, the middle between the strongest candidate of a path that does not forget and the next one that
//! does. That boundary is what is looked for: below it, only identity is left to lose. Of all that were tried, the smallest
//! change counts.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::outlook::Outlook;
use super::path::{Candidate, Path};
use crate::gate::decision::ALPHA;

/// One of so many candidates is kept for middles.
const FOR_MIDDLES: usize = 3;

/// A candidate that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// What it is.
    pub candidate: Candidate,
    /// Relative change from the nearest adapter that was given.
    pub change: f64,
    /// sha256 of the adapter as it acts.
    pub digest: String,
    /// Accuracy on the identity items of the development part.
    pub identity: Option<f64>,
    /// Mean retention over the general suites there: 1 is what the base knows.
    pub retention: Option<f64>,
    /// Accuracy by suite.
    pub suites: Vec<SuiteShare>,
    /// Mean KL(base || candidate) on the probe, nats per token.
    pub kl: Option<f64>,
    /// Share of the probe's tokens with the same first choice.
    pub agreement: Option<f64>,
    /// What to expect of it.
    pub outlook: Outlook,
}

/// Accuracy on one suite of the development part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteShare {
    /// Its name.
    pub suite: String,
    /// Items.
    pub n: usize,
    /// Accuracy of the base.
    pub before: Option<f64>,
    /// Accuracy with the candidate.
    pub after: Option<f64>,
}

/// How sure the choice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// Expected to pass in four of five cases.
    Likely,
    /// Expected to pass every other time.
    Even,
    /// Not expected to pass; the nearest to it.
    Nearest,
}

/// What a search came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Searched {
    /// In the order in which they were tried.
    pub trials: Vec<Trial>,
    /// Place of the choice.
    pub chosen: usize,
    /// How sure it is.
    pub certainty: Certainty,
    /// Candidates that the budget did not reach: planned strengths, and middles still open.
    pub not_reached: usize,
}

/// Tries candidates; gives one trial for each.
pub type Try<'a> = dyn FnMut(&[Candidate]) -> Result<Vec<Trial>> + 'a;

/// Searches from `inputs`; `ways` gives the paths once these were tried. At most `budget` candidates are tried, the inputs
/// always.
pub fn search(
    inputs: &[Candidate],
    budget: usize,
    level: f64,
    ways: &dyn Fn(&[Trial]) -> Vec<Path>,
    attempt: &mut Try<'_>,
) -> Result<Searched> {
    let mut trials = attempt(inputs)?;
    let (chosen, certainty) = choose(&trials, level);
    if trials[chosen].change == 0.0 && trials[chosen].outlook.holds(level) {
        return Ok(Searched { trials, chosen, certainty, not_reached: 0 });
    }
    let paths = ways(&trials);
    // The strongest of every path first.
    let mut planned: Vec<Candidate> = Vec::new();
    let grids: Vec<Vec<f64>> = paths.iter().map(Path::grid).collect();
    for place in 0..grids.iter().map(Vec::len).max().unwrap_or(0) {
        for (path, grid) in paths.iter().zip(&grids) {
            let candidate = grid.get(place).map(|strength| path.at(*strength));
            planned.extend(candidate.filter(|candidate| !planned.contains(candidate) && !was_tried(&trials, candidate)));
        }
    }
    // A part of the budget is kept for the middles, and what they leave of it goes to the strengths that had to wait.
    let left = budget.saturating_sub(trials.len());
    let mut waiting = planned.split_off(planned.len().min(left - left / FOR_MIDDLES));
    let mut strengths = grids;
    let not_reached = loop {
        if !planned.is_empty() {
            trials.extend(attempt(&planned)?);
        }
        let open = halve(&paths, &mut strengths, &mut trials, (budget, level), attempt)?;
        planned = waiting.drain(..waiting.len().min(budget.saturating_sub(trials.len()))).collect();
        if planned.is_empty() {
            break waiting.len() + open;
        }
    };
    let (chosen, certainty) = choose(&trials, level);
    Ok(Searched { trials, chosen, certainty, not_reached })
}

/// Tries middles until there are none, or the budget is spent; how many were then still open.
fn halve(
    paths: &[Path],
    strengths: &mut [Vec<f64>],
    trials: &mut Vec<Trial>,
    (budget, level): (usize, f64),
    attempt: &mut Try<'_>,
) -> Result<usize> {
    loop {
        let next = middles(paths, strengths, trials, level);
        let room = budget.saturating_sub(trials.len());
        if next.is_empty() || room == 0 {
            return Ok(next.len());
        }
        let now = &next[..next.len().min(room)];
        trials.extend(attempt(&now.iter().map(|(path, strength)| paths[*path].at(*strength)).collect::<Vec<_>>())?);
        for (path, strength) in now {
            strengths[*path].push(*strength);
        }
    }
}

fn was_tried(trials: &[Trial], candidate: &Candidate) -> bool {
    trials.iter().any(|trial| trial.candidate == *candidate)
}

/// The middles worth a look: of each path between what does not forget and what does, where that could be milder than the
/// choice so far. The mildest first.
fn middles(paths: &[Path], strengths: &[Vec<f64>], trials: &[Trial], level: f64) -> Vec<(usize, f64)> {
    let (chosen, _) = choose(trials, level);
    let best = if trials[chosen].outlook.holds(level) { trials[chosen].change } else { f64::INFINITY };
    let mut found: Vec<(f64, usize, f64)> = Vec::new();
    for (place, path) in paths.iter().enumerate() {
        let tried = |strength: f64| trials.iter().find(|trial| trial.candidate == path.at(strength));
        let mut seen: Vec<(f64, &Trial)> = std::iter::once(1.0)
            .chain(strengths[place].iter().copied())
            .filter_map(|strength| Some((strength, tried(strength)?)))
            .collect();
        seen.sort_by(|a, b| b.0.total_cmp(&a.0));
        // The weakest of the candidates at the strong end that forget, and what comes next.
        let forgetting = seen.iter().take_while(|(_, trial)| trial.outlook.forgets(level)).count();
        let Some((high, forgets)) = forgetting.checked_sub(1).map(|last| seen[last]) else { continue };
        let low = seen.get(forgetting).map(|(strength, _)| *strength).or_else(|| path.ends_in_base().then_some(0.0));
        let Some(middle) = low.and_then(|low| path.between(low, high)) else { continue };
        if forgets.change < best && !was_tried(trials, &path.at(middle)) {
            found.push((forgets.change, place, middle));
        }
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found.into_iter().map(|(_, place, strength)| (place, strength)).collect()
}

/// The mildest of what is expected to pass, at the strictest level that any reaches; else what is nearest to passing. Of equals
/// the one with more of the identity, then the first.
fn choose(trials: &[Trial], level: f64) -> (usize, Certainty) {
    let milder = |a: &&(usize, &Trial), b: &&(usize, &Trial)| {
        a.1.change.total_cmp(&b.1.change).then(b.1.identity.unwrap_or(0.0).total_cmp(&a.1.identity.unwrap_or(0.0)))
    };
    let all: Vec<(usize, &Trial)> = trials.iter().enumerate().collect();
    let certainties =
        if level < ALPHA { vec![(level, Certainty::Likely), (ALPHA, Certainty::Even)] } else { vec![(ALPHA, Certainty::Even)] };
    for (level, certainty) in certainties {
        if let Some((place, _)) = all.iter().filter(|(_, trial)| trial.outlook.holds(level)).min_by(milder) {
            return (*place, certainty);
        }
    }
    // Of those that are equally far from passing, the one that keeps most of both.
    let far = |trial: &Trial| (1000.0 * trial.outlook.worst()).round();
    let kept = |trial: &Trial| trial.retention.unwrap_or(0.0) + trial.identity.unwrap_or(0.0);
    let nearest = all.iter().min_by(|a, b| far(a.1).total_cmp(&far(b.1)).then(kept(b.1).total_cmp(&kept(a.1))).then(milder(a, b)));
    (nearest.map_or(0, |(place, _)| *place), Certainty::Nearest)
}

/// Which points no other is better than: at least as good in both numbers, and better in one.
pub fn front(points: &[(f64, f64)]) -> Vec<bool> {
    let beaten = |(x, y): (f64, f64)| points.iter().any(|(a, b)| *a >= x && *b >= y && (*a > x || *b > y));
    points.iter().map(|(x, y)| x.is_finite() && y.is_finite() && !beaten((*x, *y))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recover::outlook::likely;
    use crate::recover::path::{Kind, Source};
    use crate::recover::repair::Repair;

    const FIRST: Source = Source::Adapter { index: 0 };
    const INPUT: Candidate = Candidate { source: FIRST, repair: Repair::NONE };

    fn trial(candidate: Candidate, change: f64, kept: f64, identity: f64) -> Trial {
        let outlook = Outlook { kept, weakest: "facts".to_owned(), identity, broken: Vec::new() };
        let (suites, digest) = (Vec::new(), String::new());
        Trial { candidate, change, digest, identity: Some(1.0 - identity), retention: None, suites, kl: None, agreement: None, outlook }
    }

    /// A world in which lambda above 0.3 forgets, and below `learned` the identity is gone.
    fn lambda_world(learned: f64) -> impl FnMut(&[Candidate]) -> Result<Vec<Trial>> {
        move |candidates| {
            let of = |candidate: &Candidate| {
                let Repair::Lambda { lambda } = candidate.repair else { panic!("only lambda is walked") };
                let p = |bad: bool| if bad { 0.9 } else { 1e-6 };
                trial(*candidate, 1.0 - lambda, p(lambda > 0.3), p(lambda < learned))
            };
            Ok(candidates.iter().map(of).collect())
        }
    }

    fn lambda_path(_: &[Trial]) -> Vec<Path> {
        vec![Path { source: FIRST, kind: Kind::Lambda, rank: 8 }]
    }

    #[test]
    fn the_boundary_is_found_by_halving() {
        let found = search(&[INPUT], 24, likely(), &lambda_path, &mut lambda_world(0.2)).unwrap();
        let Repair::Lambda { lambda } = found.trials[found.chosen].candidate.repair else { panic!() };
        assert!((0.25..=0.3).contains(&lambda), "{lambda}");
        assert_eq!((found.certainty, found.not_reached), (Certainty::Likely, 0));
        // 1, four of the grid, and 0.375, 0.3125, 0.28125.
        assert!(found.trials.len() <= 9, "{}", found.trials.len());
    }

    #[test]
    fn an_adapter_that_passes_is_left_as_it_is() {
        let mut attempt = |candidates: &[Candidate]| -> Result<Vec<Trial>> {
            Ok(candidates.iter().map(|candidate| trial(*candidate, 0.0, 1e-6, 1e-6)).collect())
        };
        let found = search(&[INPUT], 24, likely(), &lambda_path, &mut attempt).unwrap();
        assert_eq!((found.trials.len(), found.chosen), (1, 0));
    }

    #[test]
    fn the_budget_holds_and_says_what_was_not_reached() {
        let found = search(&[INPUT], 3, likely(), &lambda_path, &mut lambda_world(0.0)).unwrap();
        assert_eq!(found.trials.len(), 3);
        // Two strengths of the grid and a middle.
        assert_eq!(found.not_reached, 3);
        // A third of six further ones is kept for middles.
        let found = search(&[INPUT], 7, likely(), &lambda_path, &mut lambda_world(0.0)).unwrap();
        let tried: Vec<String> = found.trials.iter().map(|trial| trial.candidate.words(1)).collect();
        assert_eq!(tried, ["as it is", "lambda 0.75", "lambda 0.5", "lambda 0.25", "lambda 0.1", "lambda 0.375", "lambda 0.3125"]);
    }

    #[test]
    fn where_nothing_passes_the_nearest_is_chosen_and_said_to_be_no_more() {
        let found = search(&[INPUT], 24, likely(), &lambda_path, &mut lambda_world(0.6)).unwrap();
        assert_eq!(found.certainty, Certainty::Nearest);
        let trials = [trial(INPUT, 0.0, 0.5, 0.5), trial(INPUT, 0.5, 0.2, 0.1), trial(INPUT, 0.9, 0.1, 0.3)];
        assert_eq!(choose(&trials, likely()), (1, Certainty::Nearest));
    }

    #[test]
    fn of_equally_hopeless_candidates_the_one_that_keeps_most_is_nearest() {
        let with = |retention: f64, change: f64| Trial { retention: Some(retention), ..trial(INPUT, change, 1.0, 0.5) };
        assert_eq!(choose(&[with(0.1, 0.0), with(0.6, 0.9), with(0.6, 0.5)], likely()), (2, Certainty::Nearest));
    }

    #[test]
    fn the_mildest_of_the_surest_counts() {
        let trials = [trial(INPUT, 0.1, 0.04, 0.04), trial(INPUT, 0.4, 0.001, 0.001), trial(INPUT, 0.3, 0.001, 0.0001)];
        assert_eq!(choose(&trials, likely()), (2, Certainty::Likely));
        assert_eq!(choose(&trials[..1], likely()), (0, Certainty::Even));
        assert_eq!(choose(&trials, ALPHA), (0, Certainty::Even));
        // Of equal changes the one with more identity.
        let equal = [trial(INPUT, 0.3, 0.001, 0.003), trial(INPUT, 0.3, 0.001, 0.001)];
        assert_eq!(choose(&equal, likely()).0, 1);
    }

    #[test]
    fn the_front_is_what_nothing_beats() {
        let points = [(0.9, 0.5), (0.8, 0.9), (0.8, 0.4), (0.9, 0.5), (f64::NAN, 1.0), (0.1, 0.95)];
        assert_eq!(front(&points), [true, true, false, true, false, true]);
    }
}
