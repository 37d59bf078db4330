//! The rows of a benchmark's file, whatever its format: one [`Record`] each, which knows where it stands.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Map, Value};

/// File endings that are read.
pub(super) const FORMATS: [&str; 4] = [".csv", ".jsonl", ".jsonl.gz", ".parquet"];

/// Most bytes of an unpacked file: what unpacks to more is no benchmark but a bomb.
const LARGEST: u64 = 1 << 30;

/// One row.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// `file:line`, or `file, row n` where there are no lines.
    pub(super) place: String,
    /// What it is about: a column of the row, or what the file's name says.
    pub(super) subject: String,
    /// Rows of the same subject before it.
    pub(super) index: usize,
    fields: Map<String, Value>,
}

/// A file with the name by which errors call it, and its subject.
#[derive(Debug, Clone)]
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) subject: String,
}

/// The format that a file's name ends in.
pub(super) fn format_of(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    FORMATS.into_iter().find(|format| name.ends_with(format))
}

/// All rows of a file. `headerless` names the columns of a csv file whose first line is a row already.
pub(super) fn read(source: &Source, headerless: Option<&[&str]>) -> Result<Vec<Record>> {
    let path = source.path;
    let rows = match format_of(&path.to_string_lossy()) {
        Some(".csv") => bytes(path).and_then(|bytes| csv_rows(&bytes, headerless)),
        Some(".jsonl") => bytes(path).and_then(|bytes| line_rows(&bytes)),
        Some(".jsonl.gz") => unpacked(path).and_then(|bytes| line_rows(&bytes)),
        Some(".parquet") => column_rows(path),
        _ => bail!("{} cannot be read: benchmarks are files ending in {}", path.display(), FORMATS.join(", ")),
    };
    let rows = rows.map_err(|error| anyhow!("{}{error:#}", path.display()))?;
    ensure!(!rows.is_empty(), "{}: there is no row", path.display());
    let record =
        |(place, fields)| Record { place: format!("{}{place}", path.display()), subject: source.subject.clone(), index: 0, fields };
    Ok(rows.into_iter().map(record).collect())
}

impl Record {
    /// The value of the first of these keys that the row has, written in any case.
    pub(super) fn get(&self, keys: &[&str]) -> Option<&Value> {
        let find = |key: &&str| self.fields.iter().find(|(name, _)| name.trim().eq_ignore_ascii_case(key)).map(|(_, value)| value);
        keys.iter().find_map(find).filter(|value| !value.is_null())
    }

    /// A text that must be there; the first key is the one that errors name.
    pub(super) fn text(&self, keys: &[&str]) -> Result<String> {
        let value = self.get(keys).ok_or_else(|| anyhow!("{}: `{}` is missing", self.place, keys[0]))?;
        let text = plain(value).ok_or_else(|| anyhow!("{}: `{}` is not a text", self.place, keys[0]))?;
        ensure!(!text.trim().is_empty(), "{}: `{}` is empty", self.place, keys[0]);
        Ok(text)
    }

    /// A list of texts, or an empty one where the key is absent.
    pub(super) fn texts(&self, keys: &[&str]) -> Result<Vec<String>> {
        let Some(value) = self.get(keys) else { return Ok(Vec::new()) };
        let list = value.as_array().and_then(|list| list.iter().map(plain).collect::<Option<Vec<_>>>());
        list.ok_or_else(|| anyhow!("{}: `{}` is not a list of texts", self.place, keys[0]))
    }
}

/// A text, or a number written as one.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.replace("\r\n", "\n")),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Where in the file, and the row.
type Row = (String, Map<String, Value>);

fn bytes(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| anyhow!(": failed to read: {error}"))
}

fn unpacked(path: &Path) -> Result<Vec<u8>> {
    let packed = bytes(path)?;
    let mut bytes = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(packed.as_slice()).take(LARGEST);
    reader.read_to_end(&mut bytes).map_err(|error| anyhow!(": not a whole gzip file: {error}"))?;
    ensure!((bytes.len() as u64) < LARGEST, ": unpacks to more than {LARGEST} bytes");
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

fn csv_rows(bytes: &[u8], headerless: Option<&[&str]>) -> Result<Vec<Row>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(utf8(bytes)?.as_bytes());
    let mut columns: Option<Vec<String>> = None;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            let line = error.position().map_or(0, csv::Position::line);
            anyhow!(":{line}: not csv, or another number of cells than in the first line ({error})")
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        let Some(columns) = &columns else {
            let is_header = record.iter().any(|cell| cell.trim().eq_ignore_ascii_case("question"));
            match headerless.filter(|names| !is_header && names.len() == record.len()) {
                Some(names) => {
                    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
                    rows.push((format!(":{line}"), fields(&names, &record)));
                    columns = Some(names);
                }
                None => columns = Some(record.iter().map(str::to_owned).collect()),
            }
            continue;
        };
        rows.push((format!(":{line}"), fields(columns, &record)));
    }
    Ok(rows)
}

fn fields(columns: &[String], record: &csv::StringRecord) -> Map<String, Value> {
    columns.iter().cloned().zip(record.iter().map(|cell| Value::String(cell.to_owned()))).collect()
}

fn column_rows(path: &Path) -> Result<Vec<Row>> {
    let read = || -> Result<Vec<Row>> {
        let reader = SerializedFileReader::new(File::open(path)?)?;
        let rows = reader.get_row_iter(None).context("its columns cannot be read")?;
        let row = |(index, row): (usize, parquet::errors::Result<parquet::record::Row>)| {
            let Value::Object(fields) = row?.to_json_value() else { bail!("row {index} is not a record") };
            Ok((format!(", row {index}"), fields))
        };
        rows.enumerate().map(row).collect()
    };
    read().map_err(|error| anyhow!(": not a parquet file that can be read: {error:#}"))
}
