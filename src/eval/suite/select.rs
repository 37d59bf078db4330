//! A seeded, stratified part of a suite.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::rand_core::RngCore;

use super::{Item, Language, Suite};
use crate::random::{shuffle_in_place, stream};

impl Suite {
    /// The items of a language, or of both, and of these a seeded subset in file order.
    ///
    /// The subset is stratified by language and subject in proportion to their sizes, and nested: with the same seed a
    /// smaller count is a subset of a larger one. The draw sees ids only, so the order of lines in the file is free.
    pub fn select(&self, lang: Option<Language>, count: Option<usize>, seed: u64) -> Vec<&Item> {
        let candidates: Vec<&Item> = self.items.iter().filter(|item| lang.is_none_or(|lang| item.language == lang)).collect();
        let Some(count) = count.filter(|count| *count < candidates.len()) else { return candidates };
        let mut strata: BTreeMap<(Language, &str), Vec<&str>> = BTreeMap::new();
        for item in &candidates {
            strata.entry((item.language, &item.subject)).or_default().push(&item.id);
        }
        let mut rng = stream(seed, 0);
        let mut ranked: Vec<(f64, u64, &str)> = Vec::with_capacity(candidates.len());
        for ids in strata.values_mut() {
            ids.sort_unstable();
            shuffle_in_place(ids, &mut rng);
            // The k-th of a stratum of n sits at (k + 1/2) / n of the whole ranking, so every prefix is proportional.
            let size = ids.len() as f64;
            ranked.extend(ids.iter().enumerate().map(|(rank, id)| ((rank as f64 + 0.5) / size, rng.next_u64(), *id)));
        }
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let chosen: BTreeSet<&str> = ranked.into_iter().take(count).map(|(_, _, id)| id).collect();
        candidates.into_iter().filter(|item| chosen.contains(item.id.as_str())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_suite;
    use super::*;

    const SETTINGS: &str = "name = \"t\"\nversion = 1\ngrader = \"text\"\nmax_new_tokens = 8\nchance = 0.0\ndescription = \"d\"\n";

    /// 30 items: en/x 12, en/y 6, zh/x 12.
    fn mixed() -> Suite {
        let row = |index: usize| {
            let (lang, subject) = [("en", "x"), ("en", "y"), ("zh", "x"), ("zh", "x"), ("en", "x")][index % 5];
            format!(r#"{{"id":"i{index:02}","cluster":"c","lang":"{lang}","subject":"{subject}","prompt":"p{index}","answers":["x"]}}"#)
        };
        let items: Vec<String> = (0..30).map(row).collect();
        parse_suite(SETTINGS, &items.join("\n"), "t").expect("the suite is good")
    }

    #[test]
    fn a_subset_is_seeded_stratified_nested_and_in_file_order() {
        let suite = mixed();
        let ids = |count, seed| -> Vec<&str> { suite.select(None, Some(count), seed).iter().map(|item| item.id.as_str()).collect() };
        for seed in 0..20 {
            let ten = suite.select(None, Some(10), seed);
            let size = |lang, subject: &str| ten.iter().filter(|item| item.language == lang && item.subject == subject).count();
            assert_eq!((size(Language::En, "x"), size(Language::En, "y"), size(Language::Zh, "x")), (4, 2, 4));
            assert_eq!(ids(10, seed), ids(10, seed));
            assert!(ids(10, seed).is_sorted(), "file order");
            assert!(ids(7, seed).iter().all(|id| ids(11, seed).contains(id)), "nested");
        }
        assert_ne!(ids(10, 1), ids(10, 2));
        let never_first = (0..20).filter(|seed| ids(10, *seed) == (0..10).map(|i| format!("i{i:02}")).collect::<Vec<_>>()).count();
        assert_eq!(never_first, 0);
        assert_eq!(suite.select(Some(Language::Zh), None, 0).len(), 12);
        assert_eq!(suite.select(Some(Language::Zh), Some(5), 0).len(), 5);
        assert_eq!(suite.select(None, Some(99), 0).len(), 30);
        assert!(suite.select(None, Some(0), 0).is_empty());
    }

    #[test]
    fn a_subset_does_not_depend_on_the_order_of_lines() {
        let suite = mixed();
        let mut turned = suite.clone();
        turned.items.reverse();
        let chosen = |suite: &Suite| -> BTreeSet<String> { suite.select(None, Some(9), 4).iter().map(|item| item.id.clone()).collect() };
        assert_eq!(chosen(&suite), chosen(&turned));
    }
}
