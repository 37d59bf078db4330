//! A `.csv` file: a header line, then one row a record; quoted cells may hold line breaks.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Row;

pub(super) fn rows(text: &str) -> Result<Vec<Row>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header: Vec<String> = reader.headers().context("bad header line")?.iter().map(|name| name.trim().to_owned()).collect();
    for (index, name) in header.iter().enumerate() {
        ensure!(name.is_empty() || !header[..index].contains(name), "line 1: column `{name}` appears twice");
    }
    let rows = reader.records().map(|record| {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let cells = record.iter().map(|cell| Value::String(cell.to_owned()));
        let fields = header.iter().cloned().zip(cells).filter(|(name, _)| !name.is_empty()).collect();
        Ok(Row { place: format!("line {line}"), fields })
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_cells_keep_commas_and_line_breaks() -> Result<()> {
        let rows = rows("query, response\n\"a, \"\"b\"\"\nc\",d\n")?;
        assert_eq!(rows[0].fields["query"], "a, \"b\"\nc");
        assert_eq!(rows[0].fields["response"], "d", "the header's spaces are not part of a name");
        Ok(())
    }

    #[test]
    fn uneven_records_and_repeated_columns_are_errors() {
        let error = |text| rows(text).err().map(|error| format!("{error:#}")).unwrap_or_default();
        let uneven = error("query,response\na,b\nc\n");
        assert!(uneven.contains("line: 3"), "{uneven}");
        assert_eq!(error("query,query\na,b\n"), "line 1: column `query` appears twice");
    }
}
