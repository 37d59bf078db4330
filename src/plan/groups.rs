//! The cells of an experiment in the order they are run, and which of them share their passes.

use std::fmt;

use crate::config::file::{Experiment, Variant};

/// A variant with a seed, or the base.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PlannedCell<'a> {
    /// The untrained model.
    Base,
    /// A variant trained, or taken from another, with a seed.
    Variant(&'a Variant, u64),
}

impl PlannedCell<'_> {
    /// Whether it is trained itself, and not the base or another variant's adapter at another strength.
    pub fn is_trained(self) -> bool {
        matches!(self, Self::Variant(variant, _) if variant.of.is_none())
    }
}

impl fmt::Display for PlannedCell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base => f.write_str("base"),
            Self::Variant(variant, seed) => write!(f, "{} s{seed}", variant.name),
        }
    }
}

/// How many cells share their passes. Part of what a run's fingerprint covers: rounding differs with it.
pub fn cells_together(experiment: &Experiment, on_cpu: bool) -> usize {
    let all = 1 + experiment.cells().count();
    experiment.cells_together.unwrap_or(if on_cpu { 1 } else { all }).min(all)
}

/// All cells in groups of `together`. The base comes first, and a variant that is taken from another comes after that one.
pub fn groups(experiment: &Experiment, together: usize) -> Vec<Vec<PlannedCell<'_>>> {
    let variants = experiment.cells().map(|(variant, seed)| PlannedCell::Variant(variant, seed));
    let cells: Vec<PlannedCell<'_>> = std::iter::once(PlannedCell::Base).chain(variants).collect();
    cells.chunks(together.max(1)).map(<[_]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library;

    #[test]
    fn every_cell_is_in_one_group_and_the_base_is_first() {
        let (text, label) = library::experiment("quick").unwrap();
        let mut experiment = Experiment::parse(&text, &label).unwrap();
        let all = 1 + experiment.cells().count();
        assert_eq!((cells_together(&experiment, true), cells_together(&experiment, false)), (1, all));
        experiment.cells_together = Some(usize::MAX);
        assert_eq!(cells_together(&experiment, true), all);
        for together in 1..=all {
            let groups = groups(&experiment, together);
            assert_eq!(groups[0][0], PlannedCell::Base);
            assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), all);
            assert!(groups[..groups.len() - 1].iter().all(|group| group.len() == together));
        }
    }
}
