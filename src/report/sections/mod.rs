//! The report's sections, one a file, in the order of a reader who may stop at any of them. Each builds blocks from what the
//! analysis found and none writes a medium's markup.

mod accuracy;
mod claims;
mod differences;
mod dose;
mod drift;
mod figures;
mod flips;
mod form;
mod interference;
mod letters;
mod method;
mod outcomes;
mod thinking;

use super::document::{Block, Span, Text, code, foreign, paragraph, text};
use super::figures::Figure;
use super::headline::headline;
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
pub(super) fn page(results: &Results, figures: &[Figure], medium: Medium) -> Vec<Block> {
    let mut head = vec![
        Block::Title(foreign(&results.view.run.experiment.title).into()),
        paragraph(foreign(&format!("{}.", results.view.subtitle()))),
    ];
    head.extend(headline(results));
    head.extend(variants(&results.view));
    head.push(paragraph(other_files(medium)));
    let sections = [
        accuracy::section(results),
        differences::section(results),
        claims::section(results),
        dose::section(results),
        outcomes::section(results),
        thinking::section(results),
        figures::section(figures),
        form::section(results),
        if medium == Medium::Markdown { flips::section(results) } else { Vec::new() },
        drift::section(results),
        interference::section(results),
        method::section(results),
    ];
    head.into_iter().chain(sections.into_iter().flatten()).collect()
}

fn other_files(medium: Medium) -> Text {
    let file = |name| Span::Link(name, name);
    match medium {
        Medium::Markdown => {
            text!("The same with every item and answer to search and filter, in one file for the browser: {}.", file("report.html"))
        }
        Medium::Html => {
            let tables = ["accuracy.csv", "differences.csv", "dose.csv", "outcomes.csv", "flips.csv"].map(file);
            text!("The same as Markdown: {}. The tables as files: {}.", file("report.md"), Text::join(tables, ", "))
        }
    }
}

/// What each variant is, in the experiment's words.
fn variants(view: &View) -> Option<Block> {
    let described = view.variants().iter().filter_map(|variant| {
        let config = view.run.experiment.variants.iter().find(|config| config.name == variant.name)?;
        Some(text!("{}: {}", code(variant.name), foreign(&config.description)))
    });
    let described: Vec<Text> = described.collect();
    (!described.is_empty()).then(|| paragraph(text!("The variants. {}.", Text::join(described, "; "))))
}
