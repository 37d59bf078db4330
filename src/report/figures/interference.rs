//! Heat maps of why variants forget: by layer and linear, the means of what was measured in training.

use anyhow::Result;

use super::Figure;
use crate::analysis::interference::mean;
use crate::analysis::view::View;
use crate::model::lora::Module;
use crate::record::run_dir::Cell;
use crate::report::plot::heat::{HeatPanel, HeatScale, heat};
use crate::train::interference::InterferenceRow;

/// One figure.
struct Kind {
    name: &'static str,
    title: &'static str,
    caption: &'static str,
    scale: HeatScale,
    value: fn(&InterferenceRow) -> Option<f64>,
}

fn kinds() -> [Kind; 3] {
    [
        Kind {
            name: "interference",
            title: "Do identity rows and general rows pull at the same weights the same way?",
            caption: "Each place is the cosine between the gradients that identity rows and general rows give one weight, the mean over the steps that were measured: where it is negative (orange), a step that teaches the identity undoes what general rows teach.",
            scale: HeatScale::Signed(1.0),
            value: |row| row.cosine,
        },
        Kind {
            name: "gradient-size",
            title: "How much harder identity rows pull than general rows",
            caption: "Each place is the norm of the gradient that identity rows give one whole weight over that of general rows, as a power of 2: +1 is twice as hard.",
            scale: HeatScale::Signed(4.0),
            value: |row| {
                let ratio = (row.identity_norm / row.general_norm).log2();
                ratio.is_finite().then_some(ratio)
            },
        },
        Kind {
            name: "coverage",
            title: "How much of what general rows use identity rows visit",
            caption: "Each place is the share, in percent, of the principal directions of a linear's inputs on general rows that its inputs on identity rows have too; what the rows do not visit, training does not hold in place.",
            scale: HeatScale::Share,
            value: |row| row.overlap,
        },
    ]
}

/// Draws them; none where nothing was measured.
pub(super) fn figures(view: &View) -> Result<Vec<Figure>> {
    let measured: Vec<(&str, &Cell)> = view
        .variants()
        .iter()
        .filter_map(|variant| Some((variant.name, *variant.cells.iter().find(|cell| !cell.interference.is_empty())?)))
        .collect();
    if measured.is_empty() {
        return Ok(Vec::new());
    }
    let first = if view.seeds() > 1 { "; the first seed of each variant" } else { "" };
    let draw = |kind: Kind| {
        let panels: Vec<HeatPanel> = measured.iter().map(|(name, cell)| panel(name, cell, kind.scale, kind.value)).collect();
        let subtitle = format!("{}{first}", view.subtitle());
        Figure::draw(kind.name, kind.title, subtitle, kind.caption, |titles| heat(titles, "layer", &panels))
    };
    kinds().into_iter().map(draw).collect()
}

fn panel(name: &str, cell: &Cell, scale: HeatScale, value: fn(&InterferenceRow) -> Option<f64>) -> HeatPanel {
    let layers = cell.interference.iter().map(|row| row.layer + 1).max().unwrap_or(0);
    let at = |layer: usize, module: Module| {
        mean(cell.interference.iter().filter(|row| row.layer == layer && row.module == module).filter_map(value))
    };
    HeatPanel {
        name: name.to_owned(),
        scale,
        columns: Module::ALL.map(|module| module.name().to_owned()).to_vec(),
        rows: (0..layers).map(|layer| layer.to_string()).collect(),
        values: (0..layers).map(|layer| Module::ALL.map(|module| at(layer, module)).to_vec()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::interference::tests::row;
    use crate::analysis::sample::run;

    #[test]
    fn a_place_is_the_mean_over_steps() {
        let mut run = run();
        assert!(figures(&View::new(&run)).unwrap().is_empty());
        run.cells[0].interference = vec![row(0, Module::Q, [1.0, 1.0], -1.0), row(4, Module::Q, [4.0, 1.0], 0.5)];
        let panel = |value| panel("A", &run.cells[0], HeatScale::Share, value).values[0][0];
        let values = kinds().map(|kind| panel(kind.value));
        assert_eq!(values, [Some(-0.25), Some(1.0), Some(0.25)]);
        let names: Vec<String> = figures(&View::new(&run)).unwrap().into_iter().map(|figure| figure.name).collect();
        assert_eq!(names, ["interference", "gradient-size", "coverage"]);
    }
}
