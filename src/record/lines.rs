//! Files that grow by a line at a time: JSON lines and CSV. A kill loses no line that was appended and leaves at most one
//! broken last line, which the next opening removes. A power cut may take the lines of the last second.

use std::io::BufReader;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::files::{Growing, ROWS, open, read, remove_file, text, write_atomic};

/// Time between two flushes to the disk at most, while lines come: one for each line would slow a GPU down.
const FLUSH: Duration = Duration::from_secs(1);

/// Appends JSON lines.
pub struct JsonLines {
    file: Growing,
    flushed: Instant,
}

impl JsonLines {
    /// Opens a file for appending and gives the complete rows it holds.
    pub fn open<T: DeserializeOwned>(path: &Path) -> Result<(Self, Vec<T>)> {
        let rows = if path.exists() {
            let (whole, broken) = whole_lines(path)?;
            if broken {
                write_atomic(path, whole.as_bytes())?;
            }
            parse(&whole, path)?
        } else {
            Vec::new()
        };
        Ok((Self { file: Growing::open(path)?, flushed: Instant::now() }, rows))
    }

    /// Appends one row.
    pub fn append<T: Serialize>(&mut self, row: &T) -> Result<()> {
        self.file.append(json_line(row)?.as_bytes())?;
        if self.flushed.elapsed() >= FLUSH {
            self.flush()?;
        }
        Ok(())
    }

    /// Has the disk hold every row: before anything is written that says so.
    pub fn flush(&mut self) -> Result<()> {
        self.flushed = Instant::now();
        self.file.sync()
    }
}

fn json_line<T: Serialize>(row: &T) -> Result<String> {
    let mut line = serde_json::to_string(row)?;
    line.push('\n');
    Ok(line)
}

/// Replaces a JSON lines file.
pub fn write_json_lines<T: Serialize>(path: &Path, rows: &[T]) -> Result<()> {
    let lines = rows.iter().map(json_line).collect::<Result<String>>()?;
    write_atomic(path, lines.as_bytes())
}

/// The complete rows of a JSON lines file that satisfy `keep`; the file is replaced by one that holds those alone.
pub fn retain_json_lines<T: Serialize + DeserializeOwned>(path: &Path, keep: impl Fn(&T) -> bool) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let (whole, broken) = whole_lines(path)?;
    let mut rows: Vec<T> = parse(&whole, path)?;
    let before = rows.len();
    rows.retain(|row| keep(row));
    if rows.is_empty() {
        remove_file(path)
    } else if broken || rows.len() < before {
        write_json_lines(path, &rows)
    } else {
        Ok(())
    }
}

/// The text of a file up to its last line break, and whether there is more: what a kill left of a line, which may end
/// within a character.
fn whole_lines(path: &Path) -> Result<(String, bool)> {
    let bytes = read(path, ROWS)?;
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    Ok((text(bytes[..end].to_vec(), path)?, end < bytes.len()))
}

/// All rows of a JSON lines file; a bad line is an error that names it.
pub fn read_json_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    parse(&text(read(path, ROWS)?, path)?, path)
}

fn parse<T: DeserializeOwned>(text: &str, path: &Path) -> Result<Vec<T>> {
    let rows = text.lines().enumerate().map(|(i, line)| {
        serde_json::from_str(line)
            .with_context(|| format!("{} line {} is not a row that this version of Ballast reads", path.display(), i + 1))
    });
    rows.collect()
}

/// All rows of a CSV file; none where the file is absent.
pub fn read_csv<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mut reader = csv::Reader::from_reader(BufReader::new(open(path)?));
    let rows = reader.deserialize().enumerate().map(|(i, row)| row.with_context(|| format!("{} line {}", path.display(), i + 2)));
    rows.collect()
}

/// Rows as the bytes of a CSV file with a header.
fn csv_bytes<T: Serialize>(rows: &[T], header: bool) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().has_headers(header).from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    Ok(writer.into_inner()?)
}

/// Replaces a CSV file.
pub fn write_csv<T: Serialize>(path: &Path, rows: &[T]) -> Result<()> {
    write_atomic(path, &csv_bytes(rows, true)?)
}

/// Appends one row to a CSV file, with the header if it is the first, and has the disk hold it.
pub fn append_csv<T: Serialize>(path: &Path, rows: &[T]) -> Result<()> {
    let mut file = Growing::open(path)?;
    file.append(&csv_bytes(rows, file.is_empty())?)?;
    file.sync()
}

/// The complete rows of a CSV file that satisfy `keep`; the file is replaced by one that holds those alone.
pub fn retain_csv<T: Serialize + DeserializeOwned>(path: &Path, keep: impl Fn(&T) -> bool) -> Result<Vec<T>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let (whole, broken) = whole_lines(path)?;
    let mut reader = csv::Reader::from_reader(whole.as_bytes());
    let rows: Vec<T> = reader
        .deserialize()
        .collect::<Result<_, _>>()
        .with_context(|| format!("{} is damaged: delete the cell's folder", path.display()))?;
    let before = rows.len();
    let kept: Vec<T> = rows.into_iter().filter(|row| keep(row)).collect();
    if kept.is_empty() {
        remove_file(path)?;
    } else if broken || kept.len() < before {
        write_csv(path, &kept)?;
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::rows::DriftRow;

    fn row(step: usize) -> DriftRow {
        DriftRow { step, kl: 0.125, agreement: 1.0, largest_change: 0.5, tokens: 7 }
    }

    #[test]
    fn a_broken_last_line_is_removed_and_the_rest_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        let (mut lines, none) = JsonLines::open::<DriftRow>(&path).unwrap();
        assert!(none.is_empty());
        lines.append(&row(1)).unwrap();
        lines.append(&row(2)).unwrap();
        drop(lines);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 9);
        // Cut within a character.
        bytes.push("é".as_bytes()[0]);
        std::fs::write(&path, bytes).unwrap();
        let (mut lines, rows) = JsonLines::open::<DriftRow>(&path).unwrap();
        assert_eq!(rows, [row(1)]);
        lines.append(&row(3)).unwrap();
        assert_eq!(read_json_lines::<DriftRow>(&path).unwrap(), [row(1), row(3)]);
    }

    #[test]
    fn a_bad_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        std::fs::write(&path, "{}\n").unwrap();
        let error = format!("{:#}", read_json_lines::<DriftRow>(&path).unwrap_err());
        assert!(error.contains("rows.jsonl line 1"), "{error}");
    }

    #[test]
    fn csv_appends_and_retains() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        for step in 1..=3 {
            append_csv(&path, &[row(step)]).unwrap();
        }
        assert_eq!(retain_csv(&path, |r: &DriftRow| r.step <= 2).unwrap(), [row(1), row(2)]);
        append_csv(&path, &[row(3)]).unwrap();
        assert_eq!(read_csv::<DriftRow>(&path).unwrap(), [row(1), row(2), row(3)]);
        assert!(retain_csv(&path, |_: &DriftRow| false).unwrap().is_empty());
        assert!(read_csv::<DriftRow>(&path).unwrap().is_empty());
    }
}
