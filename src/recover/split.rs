//! The items of a baseline in two parts: one that a search may look at, and one that gives the verdict.
//!
//! Items of a cluster, in one suite or across two, stay together: a twin of an item that the search has seen is no new question.
//! Clusters are drawn by seed within suite and subject, so that both parts ask about the same things. The parts depend on the
//! items and the seed alone, not on the adapter.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::plan::PlannedSuite;
use crate::random::{derive, shuffle};

/// Both parts, suites in the order given.
#[derive(Debug, Clone)]
pub struct Split {
    /// What the search looks at.
    pub development: Vec<PlannedSuite>,
    /// What gives the verdict.
    pub held_out: Vec<PlannedSuite>,
}

/// Which items are in which part, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitIds {
    /// Item ids by suite.
    pub development: BTreeMap<String, Vec<String>>,
    /// Item ids by suite.
    pub held_out: BTreeMap<String, Vec<String>>,
}

/// A cluster with its places: suite and item.
#[derive(Debug, Default)]
struct Cluster {
    suites: BTreeSet<usize>,
    subject: String,
    items: Vec<(usize, usize)>,
}

impl Split {
    /// Draws the development part, about `share` of the items of every suite.
    pub fn draw(suites: &[PlannedSuite], share: f64, seed: u64) -> Result<Self> {
        ensure!(share > 0.0 && share < 1.0, "the development part is {share} of the items: use a number between 0 and 1");
        let mut clusters: BTreeMap<&str, Cluster> = BTreeMap::new();
        for (suite, planned) in suites.iter().enumerate() {
            for (place, item) in planned.items.iter().enumerate() {
                let cluster = clusters.entry(&item.cluster).or_default();
                if cluster.items.is_empty() {
                    cluster.subject.clone_from(&item.subject);
                }
                cluster.suites.insert(suite);
                cluster.items.push((suite, place));
            }
        }
        // Drawn first, then sorted by what both parts should have alike: within a subject the order stays the drawn one.
        let mut drawn = shuffle(clusters.into_values().collect(), derive(seed, &["recover", "split"]));
        drawn.sort_by(|a, b| (&a.suites, &a.subject).cmp(&(&b.suites, &b.subject)));
        let mut chosen: BTreeSet<(usize, usize)> = BTreeSet::new();
        for group in drawn.chunk_by(|a, b| a.suites == b.suites) {
            let (mut passed, mut taken) = (0, 0);
            for cluster in group {
                passed += cluster.items.len();
                // Taken where that brings the share taken so far nearer to what it should be.
                if share * passed as f64 - taken as f64 >= 0.5 * cluster.items.len() as f64 {
                    taken += cluster.items.len();
                    chosen.extend(&cluster.items);
                }
            }
        }
        let part = |development: bool| -> Vec<PlannedSuite> {
            let suites = suites.iter().enumerate().map(|(suite, planned)| PlannedSuite {
                suite: planned.suite.clone(),
                items: (0..planned.items.len())
                    .filter(|place| chosen.contains(&(suite, *place)) == development)
                    .map(|place| planned.items[place].clone())
                    .collect(),
            });
            suites.collect()
        };
        let split = Self { development: part(true), held_out: part(false) };
        for (development, held_out) in split.development.iter().zip(&split.held_out) {
            ensure!(
                !development.items.is_empty() && !held_out.items.is_empty(),
                "suite {} has {} items in clusters that cannot be parted into a development and a held-out part: bless it with more items",
                development.suite.name,
                development.items.len() + held_out.items.len()
            );
        }
        Ok(split)
    }

    /// The ids of both parts.
    pub fn ids(&self) -> SplitIds {
        let ids = |part: &[PlannedSuite]| {
            let of = |planned: &PlannedSuite| planned.items.iter().map(|item| item.id.clone()).collect();
            part.iter().map(|planned| (planned.suite.name.clone(), of(planned))).collect()
        };
        SplitIds { development: ids(&self.development), held_out: ids(&self.held_out) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::suite::Suite;
    use crate::library;

    fn planned(name: &str) -> PlannedSuite {
        let suite: Suite = library::suite(name).unwrap();
        PlannedSuite { items: suite.items.clone(), suite }
    }

    fn clusters(part: &[PlannedSuite]) -> BTreeSet<&str> {
        part.iter().flat_map(|planned| planned.items.iter().map(|item| item.cluster.as_str())).collect()
    }

    #[test]
    fn the_parts_share_no_cluster_and_leave_no_item_out() {
        let mut suites = vec![planned("fact-qa"), planned("identity")];
        // A twin of a fact in another suite.
        suites[1].items[0].cluster = suites[0].items[0].cluster.clone();
        for share in [0.2, 1.0 / 3.0, 0.5] {
            let split = Split::draw(&suites, share, 42).unwrap();
            assert!(clusters(&split.development).is_disjoint(&clusters(&split.held_out)));
            for (suite, (development, held_out)) in suites.iter().zip(split.development.iter().zip(&split.held_out)) {
                let (n, seen) = (suite.items.len(), development.items.len());
                assert_eq!(seen + held_out.items.len(), n);
                assert!((seen as f64 - share * n as f64).abs() < 8.0, "{}: {seen} of {n}", suite.suite.name);
            }
        }
    }

    #[test]
    fn subjects_are_parted_alike() {
        let suite = planned("fact-qa");
        let split = Split::draw(std::slice::from_ref(&suite), 0.5, 7).unwrap();
        let count = |part: &PlannedSuite, subject: &str| part.items.iter().filter(|item| item.subject == subject).count();
        for subject in suite.items.iter().map(|item| &item.subject).collect::<BTreeSet<_>>() {
            let (seen, all) = (count(&split.development[0], subject), count(&suite, subject));
            assert!(2 * seen <= all + 6 && 2 * seen + 6 >= all, "{subject}: {seen} of {all}");
        }
    }

    #[test]
    fn a_seed_gives_one_split_and_another_seed_another() {
        let suites = [planned("fact-qa")];
        let ids = |seed| Split::draw(&suites, 0.3, seed).unwrap().ids();
        assert_eq!(ids(1), ids(1));
        assert_ne!(ids(1), ids(2));
        assert_eq!(ids(1).development.len(), 1);
    }

    #[test]
    fn what_cannot_be_parted_is_refused_by_name() {
        let mut suite = planned("fact-qa");
        for item in &mut suite.items {
            item.cluster = "one".to_owned();
        }
        let error = Split::draw(&[suite], 0.5, 1).unwrap_err().to_string();
        assert!(error.contains("suite fact-qa") && error.contains("more items"), "{error}");
        assert!(Split::draw(&[planned("fact-qa")], 1.0, 1).is_err());
    }
}
