//! How identity rows and general rows pull at the weights, over linears: one cell's `interference.csv` in a few numbers.

use std::collections::BTreeSet;

use crate::model::lora::Module;
use crate::record::run_dir::Cell;
use crate::train::interference::InterferenceRow;

/// Some linears at one step, taken as one weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pull {
    /// Step of the variant.
    pub(crate) step: usize,
    /// Norm of the gradient that identity rows give the whole weights.
    pub(crate) identity_norm: f64,
    /// Of general rows.
    pub(crate) general_norm: f64,
    /// Cosine between the two; None where one is zero.
    pub(crate) cosine: Option<f64>,
    /// Mean cosine between the gradients of the low-rank pairs.
    pub(crate) pair_cosine: Option<f64>,
    /// Mean share of the principal directions of inputs that both kinds of rows have.
    pub(crate) overlap: Option<f64>,
    /// That of random subspaces.
    pub(crate) overlap_by_chance: f64,
}

impl Pull {
    /// Norm on identity rows over norm on general ones.
    pub(crate) fn ratio(&self) -> Option<f64> {
        (self.general_norm > 0.0).then(|| self.identity_norm / self.general_norm)
    }

    fn of(step: usize, rows: &[&InterferenceRow]) -> Self {
        let sum = |number: fn(&InterferenceRow) -> f64| rows.iter().map(|row| number(row)).sum::<f64>();
        let (identity, general) = (sum(|row| row.identity_norm.powi(2)).sqrt(), sum(|row| row.general_norm.powi(2)).sqrt());
        let product = sum(|row| row.cosine.unwrap_or(0.0) * row.identity_norm * row.general_norm);
        Self {
            step,
            identity_norm: identity,
            general_norm: general,
            cosine: (identity * general > 0.0).then(|| product / (identity * general)),
            pair_cosine: mean(rows.iter().filter_map(|row| row.pair_cosine)),
            overlap: mean(rows.iter().filter_map(|row| row.overlap)),
            overlap_by_chance: mean(rows.iter().map(|row| row.overlap_by_chance)).unwrap_or(0.0),
        }
    }
}

/// The mean; None of nothing.
pub(crate) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0), |(sum, n), value| (sum + value, n + 1));
    (n > 0).then(|| sum / f64::from(n))
}

/// A cell's linears of one kind, or all of them, at each step that was measured.
pub(crate) fn pulls(cell: &Cell, module: Option<Module>) -> Vec<Pull> {
    let steps: BTreeSet<usize> = cell.interference.iter().map(|row| row.step).collect();
    let at = |step: usize| -> Vec<&InterferenceRow> {
        cell.interference.iter().filter(|row| row.step == step && module.is_none_or(|module| row.module == module)).collect()
    };
    steps.into_iter().map(|step| (step, at(step))).filter(|(_, rows)| !rows.is_empty()).map(|(step, rows)| Pull::of(step, &rows)).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::analysis::sample::cell;

    pub(crate) fn row(step: usize, module: Module, norms: [f64; 2], cosine: f64) -> InterferenceRow {
        let [identity_norm, general_norm] = norms;
        InterferenceRow {
            step,
            layer: 0,
            module,
            identity_norm,
            general_norm,
            cosine: Some(cosine),
            pair_cosine: None,
            overlap: Some(0.25),
            overlap_by_chance: 0.01,
        }
    }

    /// Gradients (3, 0) and (4, 0) of identity rows, (3, 0) and (0, 4) of general ones: the product is 9 of 25.
    #[test]
    fn linears_taken_as_one_weight_add_their_products() {
        let mut cell = cell("A", 1, 0.5, 0.5);
        cell.interference =
            vec![row(0, Module::Q, [3.0, 3.0], 1.0), row(0, Module::V, [4.0, 4.0], 0.0), row(5, Module::Q, [1.0, 0.0], 0.0)];
        let all = pulls(&cell, None);
        assert_eq!(all.iter().map(|pull| pull.step).collect::<Vec<_>>(), [0, 5]);
        assert!((all[0].cosine.unwrap() - 9.0 / 25.0).abs() < 1e-12 && (all[0].identity_norm - 5.0).abs() < 1e-12);
        assert_eq!((all[1].cosine, all[1].ratio(), all[0].pair_cosine), (None, None, None));
        assert_eq!(pulls(&cell, Some(Module::V)).len(), 1);
        assert!(pulls(&cell, Some(Module::Down)).is_empty());
    }
}
