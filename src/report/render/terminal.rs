//! A document on a terminal: letters without markup, tables in columns.

use crate::report::document::Block;
use crate::report::table::Table;

/// Between columns.
const GAP: &str = "  ";

/// The blocks, one after the other.
pub(in crate::report) fn document(blocks: &[Block]) -> String {
    blocks.iter().map(|block| self::block(block) + "\n").collect()
}

fn block(block: &Block) -> String {
    match block {
        Block::Title(text) | Block::Paragraph(text) | Block::Alert(_, text) => text.letters(),
        Block::Heading(text) | Block::Verbatim(_, text) => text.clone(),
        Block::List(lines) => lines.iter().map(|line| format!("- {}", line.letters())).collect::<Vec<_>>().join("\n"),
        Block::Table(table) => self::table(table),
        Block::Folded(summary, blocks) => format!("{summary}\n{}", document(blocks).trim_end()),
        Block::Figure(figure) => format!("{}: {}.svg", figure.title, figure.name),
        Block::Picture(shows, file) => format!("{shows}: {file}"),
        Block::Mark(_) => String::new(),
        Block::Rule => "---".to_owned(),
    }
}

fn table(table: &Table) -> String {
    let header = table.header.iter().map(|heading| heading.words.letters()).collect();
    let rows = table.rows.iter().map(|row| row.iter().map(|cell| cell.text().letters()).collect());
    let lines: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..table.header.len()).map(width).collect();
    let aligned = lines.iter().map(|line| {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join(GAP).trim_end().to_owned()
    });
    aligned.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::{code, list, paragraph};

    #[test]
    fn every_block_reads_without_markup() {
        let table = Table::of(["a", "long name"]).words("", |name| *name).numbers("n", |name| name.len()).table();
        let blocks = [paragraph(list([code("x"), code("y")])), table.block(), Block::Folded("more".to_owned(), vec![Block::Rule])];
        assert_eq!(document(&blocks), "x and y\n           n\na          1\nlong name  9\nmore\n---\n");
    }
}
