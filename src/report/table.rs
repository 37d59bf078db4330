//! A Markdown table, folded away where it is long.

use super::text::plain;

/// Rows that a reader still takes in at once.
const LONG: usize = 24;

/// Rows of text under a header.
pub(super) struct Table {
    header: Vec<String>,
    /// Columns from the left that hold words; the others hold numbers.
    words: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(super) fn new<T: Into<String>>(header: impl IntoIterator<Item = T>, words: usize) -> Self {
        Self { header: header.into_iter().map(Into::into).collect(), words, rows: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// Whether there is nothing to show.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// As Markdown.
    pub(super) fn markdown(&self) -> String {
        let rules = (0..self.header.len()).map(|column| if column < self.words { "---" } else { "---:" }.to_owned());
        let lines = [line(&self.header), line(&rules.collect::<Vec<_>>())];
        lines.into_iter().chain(self.rows.iter().map(|row| line(row))).collect::<Vec<_>>().join("\n")
    }

    /// As Markdown, behind a line to click on if it is long.
    pub(super) fn folded_if_long(&self, summary: &str) -> String {
        if self.rows.len() > LONG { folded(summary, &self.markdown()) } else { self.markdown() }
    }
}

/// Markdown behind a line to click on.
pub(super) fn folded(summary: &str, markdown: &str) -> String {
    format!("<details>\n<summary>{}</summary>\n\n{markdown}\n\n</details>", plain(summary))
}

fn line(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace(['\n', '\r'], " ").replace('|', "\\|")).collect();
    format!("| {} |", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_cannot_end_itself() {
        let mut table = Table::new(["a", "b"], 1);
        table.push(vec!["x|y\nz".to_owned(), "1".to_owned()]);
        assert_eq!(table.markdown(), "| a | b |\n| --- | ---: |\n| x\\|y z | 1 |");
    }

    #[test]
    fn only_a_long_table_is_folded() {
        let mut table = Table::new(["a"], 1);
        assert!(table.is_empty());
        for _ in 0..=LONG {
            assert!(!table.folded_if_long("all").contains("details"));
            table.push(vec!["x".to_owned()]);
        }
        assert!(table.folded_if_long("all <b>").contains("<summary>all &lt;b&gt;</summary>\n\n| a |"));
    }
}
