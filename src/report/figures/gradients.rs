//! The figure of gradient norms while training.

use anyhow::Result;

use super::Figure;
use crate::analysis::view::View;
use crate::model::site::Module;
use crate::report::plot::gradients::{GradientPanel, gradients};
use crate::report::plot::{Point, Series};
use crate::train::telemetry::StepRow;

/// Draws it; none where nothing was trained.
pub(super) fn figure(view: &View) -> Result<Option<Figure>> {
    let trained = view.variants().iter().filter(|variant| !variant.cells[0].train.is_empty());
    let panels: Vec<GradientPanel> = trained
        .map(|variant| {
            let rows = &variant.cells[0].train;
            GradientPanel { variant: variant.name.to_owned(), a: lines(rows, true), b: lines(rows, false) }
        })
        .collect();
    if panels.is_empty() {
        return Ok(None);
    }
    let first = if view.seeds() > 1 { "; the first seed of each variant" } else { "" };
    let figure = Figure::draw(
        "gradients",
        "Gradient norms while training",
        format!("{}{first}", view.subtitle()),
        "Each line is the norm of one kind of linear's LoRA gradient before clipping, all layers together; a line that falls by orders of magnitude belongs to a variant that has nothing left to learn.",
        |titles| gradients(titles, &panels),
    )?;
    Ok(Some(figure))
}

fn lines(rows: &[StepRow], a: bool) -> Vec<Series> {
    let line = |module: &Module| {
        // Where a joint linear is, its parts are not: it has the colour of the first.
        let variant_index = module.parts()[0] as usize;
        let points: Vec<Point> = rows.iter().filter_map(|row| Some(Point::new(row.step as f64, row.norm(*module, a)?))).collect();
        (!points.is_empty()).then(|| Series { label: module.name().to_owned(), variant_index, dash: 0, points })
    };
    Module::ALL.iter().chain(&Module::JOINT).filter_map(line).collect()
}
