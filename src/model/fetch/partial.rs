//! A file that arrives in parts: `<file>.partial` with the bytes, `<file>.partial.json` saying which parts they are.
//!
//! The journal is replaced after a part's bytes are on the disk, so it never claims more than is there. Bytes beyond
//! it are of a part that was cut short, and are cut off when the file is opened again.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::disk;
use crate::files;

/// The unfinished file, open at the end of its last whole part.
#[derive(Debug)]
pub(super) struct Partial {
    path: PathBuf,
    journal_path: PathBuf,
    file: File,
    journal: Journal,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Journal {
    /// Digest of the whole file: a journal for another file is void.
    sha256: String,
    parts: Vec<String>,
    bytes: u64,
}

impl Partial {
    /// Goes on with what is there for `target` if that is a beginning of `parts`, or starts anew.
    pub(super) fn open(target: &Path, sha256: &str, parts: &[String]) -> Result<Self> {
        let path = target.with_added_extension("partial");
        let journal_path = path.with_added_extension("json");
        let open = || -> std::io::Result<(File, Journal)> {
            let mut file = File::options().write(true).create(true).truncate(false).open(&path)?;
            let length = file.metadata()?.len();
            let journal = fs::read(&journal_path).ok();
            let journal = journal
                .and_then(|bytes| serde_json::from_slice::<Journal>(&bytes).ok())
                .filter(|j| j.sha256 == sha256 && parts.starts_with(&j.parts) && j.bytes <= length)
                .unwrap_or_else(|| Journal { sha256: sha256.to_owned(), ..Journal::default() });
            file.set_len(journal.bytes)?;
            file.seek(SeekFrom::End(0))?;
            Ok((file, journal))
        };
        let (file, journal) = open().with_context(|| format!("failed to open {}", path.display()))?;
        Ok(Self { path, journal_path, file, journal })
    }

    /// Where the bytes are.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many parts are whole.
    pub(super) fn parts(&self) -> usize {
        self.journal.parts.len()
    }

    /// How many bytes they have together.
    pub(super) fn bytes(&self) -> u64 {
        self.journal.bytes
    }

    /// Adds one part: `write` writes its bytes and returns their number.
    pub(super) fn append(&mut self, part: &str, write: impl FnOnce(&mut File) -> Result<u64>) -> Result<()> {
        let written = write(&mut self.file)?;
        self.file.sync_all().with_context(|| format!("failed to write {}", self.path.display()))?;
        self.journal.parts.push(part.to_owned());
        self.journal.bytes += written;
        files::write_atomic(&self.journal_path, &serde_json::to_vec(&self.journal)?)
    }

    /// Gives the file its final name.
    pub(super) fn finish(self, target: &Path) -> Result<()> {
        drop(self.file);
        disk::move_into_place(&self.path, target)?;
        disk::remove_file(&self.journal_path)
    }

    /// Throws away what is there for `target`, if anything.
    pub(super) fn discard(target: &Path) -> Result<()> {
        let path = target.with_added_extension("partial");
        disk::remove_file(&path.with_added_extension("json"))?;
        disk::remove_file(&path)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn add(partial: &mut Partial, part: &str, bytes: &[u8]) {
        let write = |file: &mut File| {
            file.write_all(bytes)?;
            Ok(bytes.len() as u64)
        };
        partial.append(part, write).expect("appended");
    }

    #[test]
    fn a_cut_part_is_dropped_and_whole_ones_stay() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let target = folder.path().join("model.gguf");
        let parts = ["one".to_owned(), "two".to_owned()];
        let open = |sha256: &str| Partial::open(&target, sha256, &parts).expect("opened");

        let mut partial = open("digest");
        add(&mut partial, "one", b"first ");
        let cut = partial.append("two", |file| {
            file.write_all(b"sec")?;
            anyhow::bail!("killed")
        });
        assert!(cut.is_err());
        drop(partial);

        let mut partial = open("digest");
        assert_eq!((partial.parts(), partial.bytes()), (1, 6));
        add(&mut partial, "two", b"second");
        partial.finish(&target).expect("renamed");
        assert_eq!(fs::read(&target).expect("there"), b"first second");
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
    }

    #[test]
    fn a_journal_that_does_not_fit_is_void() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let target = folder.path().join("model.gguf");
        let one = ["one".to_owned()];
        let mut partial = Partial::open(&target, "digest", &one).expect("opened");
        add(&mut partial, "one", b"first");
        drop(partial);

        let other_parts = ["other".to_owned()];
        for (sha256, parts) in [("another", &one), ("digest", &other_parts)] {
            let partial = Partial::open(&target, sha256, parts).expect("opened");
            assert_eq!((partial.parts(), partial.bytes()), (0, 0), "{sha256} {parts:?}");
        }
        // The file is now shorter than the journal says.
        let partial = Partial::open(&target, "digest", &one).expect("opened");
        assert_eq!(partial.parts(), 0);
    }
}
