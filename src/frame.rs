//! Data frames: Parquet files read as rows, and columns written as Parquet. The only file that names polars.
//!
//! Frames hold what crosses runs and tools: benchmarks published as Parquet come in, item rows for pandas, polars and DuckDB
//! go out. Values are copied between columns and rows; files of some hundred thousand rows take well under a second.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use polars_core::prelude::{AnyValue, ArrowDataType, Column as Series, DataFrame, GroupsIndicator, PlSmallStr};
use polars_io::SerReader;
use polars_io::parquet::read::ParquetReader;
use polars_io::parquet::write::{ParquetCompression, ParquetWriter};
use serde_json::{Map, Number, Value};

use crate::files::{self, write_atomic};

/// Cells of one column, one per row of the frame.
#[derive(Debug, Clone, PartialEq)]
pub enum Cells {
    /// UTF-8 text.
    Text(Vec<Option<String>>),
    /// 64-bit floats.
    Real(Vec<Option<f64>>),
    /// 64-bit integers.
    Whole(Vec<Option<i64>>),
    /// Booleans.
    Flag(Vec<Option<bool>>),
}

/// A named column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name, unique in a frame.
    pub name: String,
    /// Its cells.
    pub cells: Cells,
}

impl Column {
    /// The text of a cell; None where it is empty.
    pub fn text(&self, row: usize) -> Option<String> {
        match &self.cells {
            Cells::Text(cells) => cells[row].clone(),
            Cells::Whole(cells) => cells[row].map(|value| value.to_string()),
            Cells::Real(cells) => cells[row].map(|value| value.to_string()),
            Cells::Flag(cells) => cells[row].map(|value| value.to_string()),
        }
    }
}

/// Rows of a frame.
pub fn height(columns: &[Column]) -> usize {
    columns.first().map_or(0, |column| match &column.cells {
        Cells::Text(cells) => cells.len(),
        Cells::Real(cells) => cells.len(),
        Cells::Whole(cells) => cells.len(),
        Cells::Flag(cells) => cells.len(),
    })
}

/// Indices of the rows that share the values of some text columns, groups in the order in which they first occur.
pub fn group_by(columns: &[Column], by: &[&str]) -> Result<Vec<Vec<usize>>> {
    let frame = data_frame(columns.iter().filter(|column| by.contains(&column.name.as_str())))?;
    if frame.height() == 0 {
        return Ok(Vec::new());
    }
    let groups = frame.group_by_stable(by.iter().copied())?.into_groups();
    let indices = |group: GroupsIndicator| match group {
        GroupsIndicator::Idx((_, indices)) => indices.iter().map(|index| *index as usize).collect(),
        GroupsIndicator::Slice([first, length]) => (first as usize..(first + length) as usize).collect(),
    };
    Ok(groups.iter().map(indices).collect())
}

/// Writes columns of one length as a Parquet file, Zstandard inside, replaced whole or not at all.
pub fn write_parquet(columns: &[Column], path: &Path) -> Result<()> {
    let mut frame = data_frame(columns)?;
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).with_compression(ParquetCompression::Zstd(None)).finish(&mut frame)?;
    write_atomic(path, &bytes)
}

/// Bytes that a value takes in memory at least.
const CELL: i64 = 16;

/// Rows read at a time.
const SLICE: usize = 1024;

fn data_frame<'a>(columns: impl IntoIterator<Item = &'a Column>) -> Result<DataFrame> {
    let series = columns.into_iter().map(|column| {
        let name = PlSmallStr::from_str(&column.name);
        match &column.cells {
            Cells::Text(cells) => Series::new(name, cells),
            Cells::Real(cells) => Series::new(name, cells),
            Cells::Whole(cells) => Series::new(name, cells),
            Cells::Flag(cells) => Series::new(name, cells),
        }
    });
    Ok(DataFrame::new_infer_height(series.collect())?)
}

/// Reads a Parquet file as one object per row.
///
/// A column of a type that no benchmark or table of answers uses (times of day, decimals, bytes) is refused by name, and so is
/// a file whose columns take more than `most` bytes, packed or unpacked.
pub fn read_parquet(path: &Path, most: u64) -> Result<Vec<Map<String, Value>>> {
    let file = files::open(path)?;
    ensure!(file.metadata()?.len() <= most, "{} has more than {most} bytes", path.display());
    let unreadable =
        |error: polars_core::prelude::PolarsError| anyhow!("{} is not a Parquet file that can be read: {error}", path.display());
    let mut reader = ParquetReader::new(file);
    let mut unpacked: u64 = 0;
    for group in &reader.get_metadata().map_err(unreadable)?.row_groups {
        for column in group.parquet_columns() {
            // Runs of one value take next to nothing in the file, and a value's own place in memory.
            let bytes = column.uncompressed_size().max(column.num_values().saturating_mul(CELL));
            unpacked = unpacked.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        }
    }
    let too_large = || anyhow!("{} unpacks to more than {most} bytes", path.display());
    ensure!(unpacked <= most, too_large());
    let schema = reader.schema().map_err(unreadable)?;
    for field in schema.iter_values() {
        let kind = unsupported(&field.dtype);
        ensure!(kind.is_none(), "{}: column `{}` is of type {:?}, which Ballast does not read", path.display(), field.name, field.dtype);
    }
    let height = reader.num_rows().map_err(unreadable)?;
    let mut rows = Vec::new();
    let mut held = 0;
    // Some rows at a time: one long text may stand for a million of them, and is written out here.
    for start in (0..height).step_by(SLICE) {
        let file = files::open(path)?;
        let frame = ParquetReader::new(file).with_slice(Some((start, SLICE))).finish().map_err(unreadable)?;
        let mut slice = vec![Map::new(); frame.height()];
        for column in frame.columns() {
            let series = column.as_materialized_series();
            for (index, (row, value)) in slice.iter_mut().zip(series.iter()).enumerate() {
                let place = || format!("{}, row {}, column `{}`", path.display(), start + index, column.name());
                let value = json(value).with_context(place)?;
                held += value.as_str().map_or(0, str::len) as u64;
                ensure!(held <= most, too_large());
                row.insert(column.name().to_string(), value);
            }
        }
        rows.append(&mut slice);
    }
    Ok(rows)
}

/// A type inside `kind` that polars, built with the features chosen here, would not take.
fn unsupported(kind: &ArrowDataType) -> Option<&ArrowDataType> {
    use ArrowDataType as A;
    match kind {
        A::Null
        | A::Boolean
        | A::Int8
        | A::Int16
        | A::Int32
        | A::Int64
        | A::UInt8
        | A::UInt16
        | A::UInt32
        | A::UInt64
        | A::Float32
        | A::Float64
        | A::Date32
        | A::Date64
        | A::Timestamp(..)
        | A::Duration(_)
        | A::Utf8
        | A::LargeUtf8
        | A::Utf8View => None,
        A::List(inner) | A::LargeList(inner) => unsupported(&inner.dtype),
        A::Struct(fields) => fields.iter().find_map(|field| unsupported(&field.dtype)),
        A::Dictionary(_, values, _) => unsupported(values),
        other => Some(other),
    }
}

fn json(value: AnyValue) -> Result<Value> {
    let real = |value: f64| Number::from_f64(value).map(Value::Number).context("the number is not finite");
    Ok(match value {
        AnyValue::Null => Value::Null,
        AnyValue::Boolean(value) => Value::Bool(value),
        AnyValue::String(text) => Value::String(text.to_owned()),
        AnyValue::StringOwned(text) => Value::String(text.to_string()),
        AnyValue::Int8(value) => value.into(),
        AnyValue::Int16(value) => value.into(),
        AnyValue::Int32(value) => value.into(),
        AnyValue::Int64(value) => value.into(),
        AnyValue::UInt8(value) => value.into(),
        AnyValue::UInt16(value) => value.into(),
        AnyValue::UInt32(value) => value.into(),
        AnyValue::UInt64(value) => value.into(),
        AnyValue::Float32(value) => real(f64::from(value))?,
        AnyValue::Float64(value) => real(value)?,
        AnyValue::List(series) => Value::Array(series.iter().map(json).collect::<Result<_>>()?),
        nested @ (AnyValue::Struct(..) | AnyValue::StructOwned(_)) => {
            let AnyValue::StructOwned(nested) = nested.into_static() else { bail!("a nested value cannot be read") };
            let (values, fields) = *nested;
            let entries = values.into_iter().zip(fields).map(|(value, field)| Ok((field.name().to_string(), json(value)?)));
            Value::Object(entries.collect::<Result<_>>()?)
        }
        // Dates print as a person would write them.
        other => Value::String(other.get_str().map_or_else(|| other.to_string(), str::to_owned)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        let columns = [
            Column { name: "item".to_owned(), cells: Cells::Text(vec![Some("一".to_owned()), None]) },
            Column { name: "accuracy".to_owned(), cells: Cells::Real(vec![Some(0.25), None]) },
            Column { name: "seed".to_owned(), cells: Cells::Whole(vec![None, Some(-42)]) },
            Column { name: "correct".to_owned(), cells: Cells::Flag(vec![Some(true), Some(false)]) },
        ];
        write_parquet(&columns, &path).unwrap();
        let rows = read_parquet(&path, 1 << 20).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(Value::Object(rows[0].clone()), serde_json::json!({"item": "一", "accuracy": 0.25, "seed": null, "correct": true}));
        assert_eq!(Value::Object(rows[1].clone()), serde_json::json!({"item": null, "accuracy": null, "seed": -42, "correct": false}));
    }

    #[test]
    fn no_rows_are_a_file_too_and_other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none.parquet");
        write_parquet(&[Column { name: "item".to_owned(), cells: Cells::Text(Vec::new()) }], &path).unwrap();
        assert_eq!(read_parquet(&path, 1 << 20).unwrap(), Vec::new());
        std::fs::write(&path, "PAR1 and nothing else").unwrap();
        assert!(read_parquet(&path, 1 << 20).unwrap_err().to_string().contains("is not a Parquet file that can be read"));
    }
}
