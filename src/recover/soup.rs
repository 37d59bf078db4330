//! The mean of several adapters' updates, exact (Wortsman et al. 2022, "Model soups").
//!
//! A's and B's cannot be averaged apart: the mean of products is not the product of means. The mean of the products is one
//! product of higher rank, `[B_1 .. B_n] [A_1; ..; A_n] / n`, in which an adapter that leaves a linear alone counts as zero.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use candle_core::Tensor;

use super::repair::of_pairs;
use crate::model::lora::{Adapter, LoraPair, Site};

/// The mean of at least one adapter of one base.
pub fn mean(adapters: &[&Adapter]) -> Result<Adapter> {
    let largest =
        adapters.iter().map(|adapter| adapter.scale).fold(0.0, |most: f64, scale| if scale.abs() > most.abs() { scale } else { most });
    ensure!(!adapters.is_empty() && largest != 0.0, "the mean of adapters that change nothing changes nothing");
    let sites: BTreeSet<Site> = adapters.iter().flat_map(|adapter| adapter.pairs.keys().copied()).collect();
    let mut pairs = BTreeMap::new();
    for site in sites {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for adapter in adapters {
            if let Some(pair) = adapter.pairs.get(&site) {
                a.push(pair.a.clone());
                b.push((&pair.b * (adapter.scale / largest / adapters.len() as f64))?);
            }
        }
        pairs.insert(site, LoraPair { a: Tensor::cat(&a, 0)?, b: Tensor::cat(&b, 1)? });
    }
    let dropout = adapters.iter().map(|adapter| adapter.config.dropout).fold(0.0, f64::max);
    of_pairs(pairs, largest, dropout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recover::repair::tests::{adapter, adapter_of, update};

    #[test]
    fn the_mean_is_that_of_the_dense_updates() {
        let mut other = adapter_of(5, 3, 0.5);
        let missing = *other.pairs.keys().next().unwrap();
        other.pairs.remove(&missing);
        let (first, third) = (adapter(), adapter_of(6, 1, -2.0));
        let soup = mean(&[&first, &other, &third]).unwrap();
        for site in first.pairs.keys() {
            let sum = [&first, &other, &third].into_iter().filter_map(|adapter| update(adapter, *site)).reduce(|sum, next| sum + next);
            assert!((update(&soup, *site).unwrap() - sum.unwrap() / 3.0).norm() < 1e-5, "{site}");
        }
        assert_eq!((soup.pairs[&missing].rank().unwrap(), soup.config.rank), (3, 6));
    }

    #[test]
    fn the_mean_of_one_is_itself() {
        let adapter = adapter();
        let soup = mean(&[&adapter]).unwrap();
        for site in adapter.pairs.keys() {
            assert!((update(&soup, *site).unwrap() - update(&adapter, *site).unwrap()).norm() < 1e-6);
        }
        mean(&[]).unwrap_err();
        mean(&[&adapter.scaled(0.0)]).unwrap_err();
    }
}
