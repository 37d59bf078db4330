//! The page: one section a file, in the order of a reader who may stop at any of them.

mod accuracy;
mod claims;
mod differences;
mod dose;
mod drift;
mod figures;
mod flips;
mod form;
mod method;
mod outcomes;

use super::figures::Figure;
use super::headline::headline;
use super::results::Results;
use super::text::{code, plain};
use super::view::View;

/// The whole of `report.md`.
pub(super) fn page(results: &Results, figures: &[Figure]) -> String {
    let head = [
        Some(format!("# {}", plain(&results.view.run.experiment.title))),
        Some(plain(&format!("{}.", results.view.subtitle()))),
        Some(headline(results)),
        variants(&results.view),
    ];
    let sections = [
        accuracy::section(results),
        differences::section(results),
        claims::section(results),
        dose::section(results),
        outcomes::section(results),
        figures::section(figures),
        form::section(results),
        flips::section(results),
        drift::section(results),
        method::section(results),
    ];
    let mut page = head.into_iter().chain(sections).flatten().collect::<Vec<_>>().join("\n\n");
    page.push('\n');
    page
}

/// What each variant is, in the experiment's words.
fn variants(view: &View) -> Option<String> {
    let described = view.variants().iter().filter_map(|variant| {
        let config = view.run.experiment.variants.iter().find(|config| config.name == variant.name)?;
        Some(format!("{}: {}", code(variant.name), plain(&config.description)))
    });
    let described: Vec<String> = described.collect();
    (!described.is_empty()).then(|| format!("The variants. {}.", described.join("; ")))
}

/// A section's heading over its blocks.
fn under(heading: &str, blocks: &[String]) -> Option<String> {
    (!blocks.is_empty()).then(|| format!("## {heading}\n\n{}", blocks.join("\n\n")))
}
