//! Two subjects on the same items of one suite.
//!
//! Items are joined by content hash, seeds by number; the base has one cell for all seeds. With one seed the interval
//! is Bonett and Price's over items; where items come in clusters (twins, paraphrases) it is widened to hold the
//! clustered t interval too, which alone is too narrow when there are few flips. With several seeds the interval is
//! Student's over the seeds' differences. That one says nothing about other items, so an interval over items stands
//! beside it, and a difference counts as shown only if neither holds 0. What is over items with several seeds takes
//! their average table and their items' average differences: as much evidence as one seed gives, never a pool of all.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::run_dir::Cell;
use crate::stats::clustered::clustered_paired_interval;
use crate::stats::holm::holm;
use crate::stats::interval::{mean_interval, wilson};
use crate::stats::retention::retention;
use crate::stats::{Interval, Paired};

use super::pair::{Pair, pairs};
use super::view::{ALPHA, CONFIDENCE, Subject, View, suite_rows};
use crate::eval::suite::SuiteRole;

/// What the interval of a difference is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// Independent items.
    Items,
    /// Items in clusters.
    Clusters,
    /// Training seeds.
    Seeds,
}

impl Over {
    /// In a table.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Items => "items",
            Self::Clusters => "clusters",
            Self::Seeds => "seeds",
        }
    }
}

/// Which way a difference goes, as far as it can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The variant is worse.
    Worse,
    /// No difference can be shown.
    Unclear,
    /// The variant is better.
    Better,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Comparison<'a> {
    /// What is compared with.
    pub(crate) reference: &'a str,
    /// What is compared.
    pub(crate) variant: &'a str,
    /// On which suite.
    pub(crate) suite: &'a str,
    /// Items that both answered, of one seed.
    pub(crate) n: usize,
    /// Seeds compared.
    pub(crate) seeds: usize,
    /// Reference right, variant wrong; all seeds together.
    pub(crate) harmful: usize,
    /// Reference wrong, variant right; all seeds together.
    pub(crate) beneficial: usize,
    /// Accuracy of the reference, mean over seeds.
    pub(crate) before: f64,
    /// Accuracy of the variant, mean over seeds.
    pub(crate) after: f64,
    /// Variant minus reference.
    pub(crate) difference: f64,
    /// Its interval.
    pub(crate) interval: Interval,
    /// What that is over.
    pub(crate) over: Over,
    /// With several seeds, the interval over items of the items' mean differences.
    pub(crate) items: Option<Interval>,
    /// McNemar's mid-p; with several seeds that of their average table.
    pub(crate) p: Option<f64>,
    /// The same after Holm's correction in its table.
    pub(crate) adjusted: Option<f64>,
    /// Share of what the reference knows above chance that the variant still knows. None where the reference itself is
    /// not shown to be above chance, and on identity, which nobody wants kept.
    pub(crate) retention: Option<f64>,
}

impl<'a> Comparison<'a> {
    /// Compares two subjects; None where they share no item.
    pub(crate) fn of(view: &View<'a>, reference: &Subject<'a>, variant: &Subject<'a>, suite: &'a str) -> Option<Self> {
        Self::between(reference, variant, suite, Some(view.floor(suite)))
    }

    /// The same without a run around it; where the accuracy of a random chooser is not known there is no retention.
    pub(crate) fn between(reference: &Subject<'a>, variant: &Subject<'a>, suite: &'a str, chance: Option<f64>) -> Option<Self> {
        let seeds: Vec<Vec<Pair>> = partners(reference, variant)
            .map(|(before, after)| suite_pairs(before, after, suite))
            .filter(|pairs| !pairs.is_empty())
            .collect();
        let tables: Vec<Paired> = seeds
            .iter()
            .map(|pairs| Paired::from_verdicts(pairs.iter().map(|pair| (pair.before.is_correct(), pair.after.is_correct()))))
            .collect();
        let differences: Vec<f64> = tables.iter().filter_map(Paired::difference).collect();
        let n = tables.iter().map(Paired::n).min()?;
        let mean = |right: fn(&Paired) -> usize| tables.iter().map(|t| right(t) as f64 / t.n() as f64).sum::<f64>() / tables.len() as f64;
        let (before, after) = (mean(|t| t.both + t.base_only), mean(|t| t.both + t.variant_only));
        let (over_items, clusters) = item_interval(&seeds, &tables)?;
        let over_seeds = mean_interval(&differences, CONFIDENCE).map(|i| Interval::new(i.low.max(-1.0), i.high.min(1.0)));
        let p = average(&tables).mcnemar_mid_p();
        let known = chance.filter(|chance| above_chance(&tables[0], *chance) && seeds[0][0].after.role() != SuiteRole::Identity);
        Some(Self {
            reference: reference.name,
            variant: variant.name,
            suite,
            n,
            seeds: seeds.len(),
            harmful: tables.iter().map(|t| t.base_only).sum(),
            beneficial: tables.iter().map(|t| t.variant_only).sum(),
            before,
            after,
            difference: differences.iter().sum::<f64>() / differences.len() as f64,
            interval: over_seeds.unwrap_or(over_items),
            over: match (over_seeds, clusters) {
                (Some(_), _) => Over::Seeds,
                (None, true) => Over::Clusters,
                (None, false) => Over::Items,
            },
            items: over_seeds.map(|_| over_items),
            p,
            adjusted: p,
            retention: known.and_then(|chance| retention(before, after, chance)),
        })
    }

    /// All comparisons of a reference with everything else, suite by suite, corrected for their number.
    pub(crate) fn family(view: &View<'a>, reference: &Subject<'a>) -> Vec<Self> {
        let others = || view.variants().iter().filter(|variant| variant.name != reference.name);
        let compared = view.suites.iter().flat_map(|suite| others().filter_map(|variant| Self::of(view, reference, variant, suite)));
        corrected(compared.collect())
    }

    /// The smallest interval that holds all of this comparison's intervals: what claims are judged by.
    pub(crate) fn hull(&self) -> Interval {
        match self.items {
            Some(items) => Interval::new(self.interval.low.min(items.low), self.interval.high.max(items.high)),
            None => self.interval,
        }
    }

    /// Which way it goes, by its intervals alone: for a comparison that was named beforehand.
    pub(crate) fn direction(&self) -> Direction {
        let hull = self.hull();
        match (hull.high < 0.0, hull.low > 0.0) {
            (true, _) => Direction::Worse,
            (_, true) => Direction::Better,
            _ => Direction::Unclear,
        }
    }

    /// Which way it goes after correction too: for comparisons picked out of a table.
    pub(crate) fn corrected_direction(&self) -> Direction {
        if self.adjusted.is_some_and(|p| p < ALPHA) { self.direction() } else { Direction::Unclear }
    }
}

/// The same comparisons with p-values corrected for their number.
pub(crate) fn corrected(mut compared: Vec<Comparison>) -> Vec<Comparison> {
    let adjusted = holm(&compared.iter().map(|comparison| comparison.p).collect::<Vec<_>>());
    for (comparison, p) in compared.iter_mut().zip(adjusted) {
        comparison.adjusted = p;
    }
    compared
}

/// Cells to compare: of one seed, or all of the variant's with the base's one.
pub(crate) fn partners<'a>(reference: &Subject<'a>, variant: &Subject<'a>) -> impl Iterator<Item = (&'a Cell, &'a Cell)> {
    variant.cells.iter().filter_map(|after| {
        let before = reference.cells.iter().find(|before| before.record.seed.is_none() || before.record.seed == after.record.seed)?;
        Some((*before, *after))
    })
}

/// The items of a suite that both cells answered, in the variant's order.
pub(crate) fn suite_pairs<'a>(before: &'a Cell, after: &'a Cell, suite: &str) -> Vec<Pair<'a>> {
    pairs(suite_rows(before, suite), suite_rows(after, suite))
}

/// The interval over items, and whether it is over clusters.
fn item_interval(seeds: &[Vec<Pair>], tables: &[Paired]) -> Option<(Interval, bool)> {
    let mut items: BTreeMap<&str, (&str, f64)> = BTreeMap::new();
    for pair in seeds.iter().flatten() {
        let (before, after) = pair.scores();
        let change = after - before;
        items.entry(&pair.after.hash).or_insert((&pair.after.cluster, 0.0)).1 += change / seeds.len() as f64;
    }
    let (names, changes): (Vec<&str>, Vec<f64>) = items.values().copied().unzip();
    let clusters = names.iter().collect::<BTreeSet<_>>().len() < names.len();
    let clustered = if clusters || seeds.len() > 1 { clustered_paired_interval(&changes, &names, CONFIDENCE) } else { None };
    let tabled = average(tables).bonett_price(CONFIDENCE)?;
    let interval = match clustered {
        Some(clustered) => Interval::new(clustered.low.min(tabled.low).max(-1.0), clustered.high.max(tabled.high).min(1.0)),
        None => tabled,
    };
    Some((interval, clusters))
}

/// The table of an average seed, in whole items.
fn average(tables: &[Paired]) -> Paired {
    let mean = |count: fn(&Paired) -> usize| (tables.iter().map(count).sum::<usize>() as f64 / tables.len().max(1) as f64).round() as usize;
    let (n, base_only, variant_only) = (mean(Paired::n), mean(|t| t.base_only), mean(|t| t.variant_only));
    let both = mean(|t| t.both).min(n.saturating_sub(base_only + variant_only));
    Paired { both, base_only, variant_only, neither: n.saturating_sub(both + base_only + variant_only) }
}

/// Whether the reference's accuracy is shown to be above chance.
fn above_chance(table: &Paired, chance: f64) -> bool {
    wilson(table.both + table.base_only, table.n(), CONFIDENCE).is_some_and(|interval| interval.low > chance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample::{cell, run, with_seeds};

    #[test]
    fn items_are_joined_by_hash_whatever_their_order() {
        let mut run = run();
        run.cells[0].items.reverse();
        let view = View::new(&run);
        let found = Comparison::of(&view, view.base(), view.variant("A").unwrap(), "fact-qa").unwrap();
        assert_eq!((found.n, found.harmful, found.beneficial), (60, 30, 0));
        assert!((found.difference + 0.5).abs() < 1e-12);
        let expected = Paired { both: 18, base_only: 30, variant_only: 0, neither: 12 }.bonett_price(CONFIDENCE).unwrap();
        assert_eq!((found.interval, found.over), (expected, Over::Items));
        assert_eq!(found.retention, Some(0.3 / 0.8));
        assert_eq!(found.direction(), Direction::Worse);
    }

    #[test]
    fn clusters_widen_the_interval() {
        let mut run = run();
        let alone = Comparison::family(&View::new(&run), View::new(&run).base())[0].interval;
        for cell in std::iter::once(&mut run.base).chain(&mut run.cells) {
            for (i, row) in cell.items.iter_mut().enumerate() {
                row.cluster = format!("c{}", i / 6);
            }
        }
        let view = View::new(&run);
        let found = &Comparison::family(&view, view.base())[0];
        assert_eq!(found.over, Over::Clusters);
        assert!(found.interval.low <= alone.low && found.interval.high >= alone.high, "{:?} {alone:?}", found.interval);
        assert!(found.interval.width() > alone.width());
    }

    #[test]
    fn seeds_are_compared_each_with_its_own_and_not_pooled() {
        let run = with_seeds();
        let view = View::new(&run);
        let found = Comparison::of(&view, view.base(), view.variant("A").unwrap(), "fact-qa").unwrap();
        assert_eq!((found.seeds, found.n, found.over), (3, 60, Over::Seeds));
        assert!(found.items.is_some());
        let against_a = Comparison::of(&view, view.variant("A").unwrap(), view.variant("B").unwrap(), "fact-qa").unwrap();
        assert_eq!(against_a.seeds, 3);
        assert_eq!(against_a.direction(), Direction::Better);
    }

    #[test]
    fn a_narrow_interval_over_seeds_alone_shows_nothing() {
        // Three seeds that agree on a loss of two items of sixty: no news about other items.
        let mut run = run();
        run.cells = [0.77, 0.77, 0.75].iter().zip(1..).map(|(share, seed)| cell("A", seed, *share, 0.9)).collect();
        let view = View::new(&run);
        let found = Comparison::of(&view, view.base(), view.variant("A").unwrap(), "fact-qa").unwrap();
        assert!(found.interval.high < 0.0, "{found:?}");
        assert_eq!(found.direction(), Direction::Unclear);
    }

    #[test]
    fn a_base_at_chance_retains_nothing_that_can_be_named() {
        let mut run = run();
        run.meta.suites.get_mut("fact-qa").unwrap().chance = 0.75;
        let view = View::new(&run);
        assert_eq!(Comparison::family(&view, view.base())[0].retention, None);
    }

    #[test]
    fn without_a_common_item_there_is_no_comparison() {
        let mut run = run();
        run.cells[0].items.clear();
        let view = View::new(&run);
        assert_eq!(Comparison::of(&view, view.base(), view.variant("A").unwrap(), "fact-qa"), None);
        assert_eq!(Comparison::family(&view, view.base()).len(), 6);
    }
}
