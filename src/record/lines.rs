//! Files that grow by a line at a time: JSON lines and CSV. A line is on disk before the next piece of work begins; a
//! kill leaves at most one broken last line, which the next opening removes.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::files::{read_text, text, write_atomic};

/// Appends JSON lines.
pub struct JsonLines {
    path: PathBuf,
    file: File,
    /// Bytes of the whole lines in it.
    length: u64,
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
        let context = || format!("failed to open {}", path.display());
        let file = OpenOptions::new().create(true).append(true).open(path).with_context(context)?;
        let length = file.metadata().with_context(context)?.len();
        Ok((Self { path: path.to_owned(), file, length }, rows))
    }

    /// Appends one row.
    pub fn append<T: Serialize>(&mut self, row: &T) -> Result<()> {
        let mut line = serde_json::to_string(row)?;
        line.push('\n');
        // One write a line: another process or a kill sees all of it or none.
        let written = self.file.write_all(line.as_bytes());
        if written.is_err() {
            // A full disk takes a part of a line; what is left is whole lines, also for other readers.
            let _ = self.file.set_len(self.length);
        }
        written.with_context(|| {
            format!("failed to append to {}; what it held before is kept, and the same command continues", self.path.display())
        })?;
        self.length += line.len() as u64;
        Ok(())
    }
}

/// The text of a file up to its last line break, and whether there is more: what a kill left of a line, which may end
/// within a character.
fn whole_lines(path: &Path) -> Result<(String, bool)> {
    let bytes = fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    Ok((text(bytes[..end].to_vec(), path)?, end < bytes.len()))
}

/// All rows of a JSON lines file; a bad line is an error that names it.
pub fn read_json_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    parse(&read_text(path)?, path)
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
    let mut reader = csv::Reader::from_path(path).with_context(|| format!("failed to read {}", path.display()))?;
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

/// Appends one row to a CSV file, with the header if it is the first.
pub fn append_csv<T: Serialize>(path: &Path, row: &T) -> Result<()> {
    let header = !path.exists();
    let bytes = csv_bytes(std::slice::from_ref(row), header)?;
    let mut file = OpenOptions::new().create(true).append(true).open(path).with_context(|| format!("failed to open {}", path.display()))?;
    file.write_all(&bytes).with_context(|| format!("failed to append to {}", path.display()))
}

/// The complete rows of a CSV file that satisfy `keep`; the file is rewritten to hold those alone.
pub fn retain_csv<T: Serialize + DeserializeOwned>(path: &Path, keep: impl Fn(&T) -> bool) -> Result<Vec<T>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let (whole, _) = whole_lines(path)?;
    let mut reader = csv::Reader::from_reader(whole.as_bytes());
    let rows: Vec<T> = reader
        .deserialize()
        .collect::<Result<_, _>>()
        .with_context(|| format!("{} is damaged: delete the cell's folder", path.display()))?;
    let kept: Vec<T> = rows.into_iter().filter(|row| keep(row)).collect();
    if kept.is_empty() {
        std::fs::remove_file(path).with_context(|| format!("failed to remove {}", path.display()))?;
    } else {
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
            append_csv(&path, &row(step)).unwrap();
        }
        assert_eq!(retain_csv(&path, |r: &DriftRow| r.step <= 2).unwrap(), [row(1), row(2)]);
        append_csv(&path, &row(3)).unwrap();
        assert_eq!(read_csv::<DriftRow>(&path).unwrap(), [row(1), row(2), row(3)]);
        assert!(retain_csv(&path, |_: &DriftRow| false).unwrap().is_empty());
        assert!(read_csv::<DriftRow>(&path).unwrap().is_empty());
    }
}
