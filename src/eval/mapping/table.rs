//! The rows of a file, whatever its format: one [`Record`] each, which knows where it stands.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Map, Value};

use crate::files;
use crate::frame::read_parquet;

/// File endings that are read.
pub(super) const FORMATS: [&str; 6] = [".csv", ".tsv", ".jsonl", ".jsonl.gz", ".json", ".parquet"];

/// Most bytes of a file, unpacked: what is larger is no set of questions, and would fill the memory.
const LARGEST: u64 = 1 << 28;

/// How a file is to be read where its ending does not say all.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Layout<'a> {
    /// Columns of a csv file whose first line is a row already.
    pub(super) headerless: Option<&'a [String]>,
    /// The key of a json file's object that holds the rows.
    pub(super) records: Option<&'a str>,
}

/// One row.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// `file:line`, or `file, row n` counted from 0 where there are no lines.
    pub(super) place: String,
    pub(super) fields: Map<String, Value>,
}

/// The format that a file's name ends in.
pub(super) fn format_of(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    FORMATS.into_iter().find(|format| name.ends_with(format))
}

/// All rows of a file.
pub(super) fn read(path: &Path, layout: Layout) -> Result<Vec<Record>> {
    let rows = match format_of(&path.to_string_lossy()) {
        Some(".csv") => bytes(path).and_then(|bytes| csv_rows(&bytes, b',', layout.headerless)),
        Some(".tsv") => bytes(path).and_then(|bytes| csv_rows(&bytes, b'\t', layout.headerless)),
        Some(".jsonl") => bytes(path).and_then(|bytes| line_rows(&bytes)),
        Some(".jsonl.gz") => unpacked(path).and_then(|bytes| line_rows(&bytes)),
        Some(".json") => bytes(path).and_then(|bytes| json_rows(&bytes, layout.records)),
        Some(".parquet") => {
            let row = |(index, fields)| Record { place: format!("{}, row {index}", path.display()), fields };
            return Ok(read_parquet(path, LARGEST)?.into_iter().enumerate().map(row).collect());
        }
        _ => bail!("{} cannot be read: tables are files ending in {}", path.display(), FORMATS.join(", ")),
    };
    let rows = rows.map_err(|error| anyhow!("{}{error:#}", path.display()))?;
    Ok(rows.into_iter().map(|(place, fields)| Record { place: format!("{}{place}", path.display()), fields }).collect())
}

/// Where in the file, and the row.
type Row = (String, Map<String, Value>);

fn bytes(path: &Path) -> Result<Vec<u8>> {
    files::read(path, LARGEST).map_err(|error| anyhow!(": failed to read: {error:#}"))
}

fn unpacked(path: &Path) -> Result<Vec<u8>> {
    let packed = bytes(path)?;
    let mut bytes = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(packed.as_slice()).take(LARGEST + 1);
    reader.read_to_end(&mut bytes).map_err(|error| anyhow!(": not a whole gzip file: {error}"))?;
    ensure!(bytes.len() as u64 <= LARGEST, ": unpacks to more than {LARGEST} bytes");
    Ok(bytes)
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
        anyhow!(":{line}: not valid UTF-8")
    })
}

fn line_rows(bytes: &[u8]) -> Result<Vec<Row>> {
    let lines = utf8(bytes)?.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let row = |(index, line): (usize, &str)| {
        let fields = serde_json::from_str(line).map_err(|error| anyhow!(":{}: not a JSON object: {error}", index + 1))?;
        Ok((format!(":{}", index + 1), fields))
    };
    lines.map(row).collect()
}

fn json_rows(bytes: &[u8], records: Option<&str>) -> Result<Vec<Row>> {
    let whole: Value = serde_json::from_str(utf8(bytes)?).map_err(|error| anyhow!(": not JSON: {error}"))?;
    let rows = match (whole, records) {
        (Value::Array(rows), _) => rows,
        (Value::Object(mut object), Some(key)) => match object.remove(key) {
            Some(Value::Array(rows)) => rows,
            Some(_) => bail!(": `{key}` is not a list of rows"),
            None => bail!(": there is no key `{key}`, which would hold the rows; there are {}", keys(&object)),
        },
        (Value::Object(object), None) => {
            bail!(": holds an object, not a list of rows: say with `records` which of its keys holds them ({})", keys(&object))
        }
        _ => bail!(": holds neither a list of rows nor an object"),
    };
    let row = |(index, row)| match row {
        Value::Object(fields) => Ok((format!(", row {index}"), fields)),
        _ => bail!(", row {index}: not an object"),
    };
    rows.into_iter().enumerate().map(row).collect()
}

/// Names of the columns of a row, for errors.
pub(super) fn keys(fields: &Map<String, Value>) -> String {
    const SHOWN: usize = 30;
    let names: Vec<&str> = fields.keys().take(SHOWN).map(|name| name.trim()).collect();
    let more = if fields.len() > SHOWN { ", ..." } else { "" };
    format!("{}{more}", names.join(", "))
}

fn csv_rows(bytes: &[u8], delimiter: u8, headerless: Option<&[String]>) -> Result<Vec<Row>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_reader(utf8(bytes)?.as_bytes());
    let mut columns: Option<Vec<String>> = None;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            let line = error.position().map_or(0, csv::Position::line);
            anyhow!(":{line}: not csv, or another number of cells than in the first line ({error})")
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        let Some(columns) = &columns else {
            let names = headerless.filter(|names| names.len() == record.len() && !is_header(&record, names));
            let names = match names {
                Some(names) => {
                    rows.push((format!(":{line}"), fields(names, &record)));
                    names.to_vec()
                }
                None => header(&record).with_context(|| format!(":{line}"))?,
            };
            columns = Some(names);
            continue;
        };
        rows.push((format!(":{line}"), fields(columns, &record)));
    }
    Ok(rows)
}

/// Whether the first line names the columns after all: it has the name of the first of those expected.
fn is_header(record: &csv::StringRecord, names: &[String]) -> bool {
    record.iter().any(|cell| names.first().is_some_and(|name| cell.trim().eq_ignore_ascii_case(name)))
}

fn header(record: &csv::StringRecord) -> Result<Vec<String>> {
    let names: Vec<String> = record.iter().map(str::to_owned).collect();
    for (index, name) in names.iter().enumerate() {
        ensure!(!names[..index].contains(name), "two columns are called `{name}`");
    }
    Ok(names)
}

/// An empty cell is no value.
fn fields(columns: &[String], record: &csv::StringRecord) -> Map<String, Value> {
    let value = |cell: &str| if cell.is_empty() { Value::Null } else { Value::String(cell.to_owned()) };
    columns.iter().cloned().zip(record.iter().map(value)).collect()
}
