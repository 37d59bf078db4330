//! The page: one section a file, in the order of a reader who may stop at any of them.

mod accuracy;
mod claims;
mod differences;
mod dose;
mod drift;
mod figures;
mod flips;
mod form;
mod letters;
mod method;
mod outcomes;

use super::figures::Figure;
use super::headline::headline;
use super::text::{code, plain};
use crate::analysis::results::Results;
use crate::analysis::view::View;

/// Where the page is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Medium {
    /// As `report.md`.
    Markdown,
    /// Inside `report.html`, whose item browser has every flip.
    Html,
}

/// The whole of `report.md`, or what `report.html` has of it.
pub(super) fn page(results: &Results, figures: &[Figure], medium: Medium) -> String {
    let other = match medium {
        Medium::Markdown => {
            "The same with every item and answer to search and filter, in one file for the browser: [report.html](report.html)."
        }
        Medium::Html => {
            "The same as Markdown: [report.md](report.md). The tables as files: [accuracy.csv](accuracy.csv), [differences.csv](differences.csv), [dose.csv](dose.csv), [outcomes.csv](outcomes.csv), [flips.csv](flips.csv)."
        }
    };
    let head = [
        Some(format!("# {}", plain(&results.view.run.experiment.title))),
        Some(plain(&format!("{}.", results.view.subtitle()))),
        Some(headline(results)),
        variants(&results.view),
        Some(other.to_owned()),
    ];
    let sections = [
        accuracy::section(results),
        differences::section(results),
        claims::section(results),
        dose::section(results),
        outcomes::section(results),
        figures::section(figures),
        form::section(results),
        (medium == Medium::Markdown).then(|| flips::section(results)).flatten(),
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
