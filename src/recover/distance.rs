//! How far a changed adapter is from the one it was made of: ||delta' - delta||_F / ||delta||_F over all linears.
//!
//! Taking all of an adapter away is a change of 1, half its strength one of 0.5. The mildest change is the smallest.

use anyhow::Result;

use super::factors::Factors;
use crate::model::lora::Adapter;

/// The relative change between two adapters of one base. None where the first changes nothing, so that nothing is relative to it.
pub fn relative_change(from: &Adapter, to: &Adapter) -> Result<Option<f64>> {
    let (mut square, mut apart) = (0.0, 0.0);
    for (site, pair) in &from.pairs {
        let before = Factors::of(pair, from.scale)?;
        let own = before.inner(&before);
        square += own;
        apart += match to.pairs.get(site) {
            None => own,
            Some(pair) => {
                let after = Factors::of(pair, to.scale)?;
                own - 2.0 * before.inner(&after) + after.inner(&after)
            }
        };
    }
    for (_, pair) in to.pairs.iter().filter(|(site, _)| !from.pairs.contains_key(site)) {
        let after = Factors::of(pair, to.scale)?;
        apart += after.inner(&after);
    }
    // Rounding can leave a tiny negative number where the true value is 0.
    Ok((square > 0.0).then(|| (apart.max(0.0) / square).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recover::repair::tests::{adapter, update};

    #[test]
    fn a_change_of_strength_is_as_large_as_what_it_takes_away() {
        let adapter = adapter();
        for lambda in [0.0, 0.25, 0.9, 1.0, -1.0] {
            let found = relative_change(&adapter, &adapter.scaled(lambda)).unwrap().unwrap();
            assert!((found - (1.0_f64 - lambda).abs()).abs() < 1e-7, "{lambda}: {found}");
        }
        assert_eq!(relative_change(&adapter.scaled(0.0), &adapter).unwrap(), None);
    }

    #[test]
    fn a_change_is_that_of_the_dense_updates() {
        let (from, mut to) = (adapter(), adapter());
        let last = *to.pairs.keys().next_back().unwrap();
        let first = *to.pairs.keys().next().unwrap();
        to.pairs.remove(&last);
        let pair = to.pairs.get_mut(&first).unwrap();
        pair.b = (&pair.b * 0.3).unwrap();
        let sites = from.pairs.keys();
        let norm = |of: &dyn Fn(crate::model::lora::Site) -> f64| sites.clone().map(|site| of(*site)).sum::<f64>().sqrt();
        let expected = norm(&|site| {
            let before = update(&from, site).unwrap();
            update(&to, site).map_or(before.norm_squared(), |after| (before - after).norm_squared())
        }) / norm(&|site| update(&from, site).unwrap().norm_squared());
        assert!((relative_change(&from, &to).unwrap().unwrap() - expected).abs() < 1e-7);
        // The other way round, what was left out is added.
        let smaller = norm(&|site| update(&to, site).map_or(0.0, |after| after.norm_squared()));
        let whole = norm(&|site| update(&from, site).unwrap().norm_squared());
        assert!((relative_change(&to, &from).unwrap().unwrap() - expected * whole / smaller).abs() < 1e-7);
    }
}
