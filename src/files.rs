//! Small file operations with errors that name the path. Nothing is written in place: a file is whole or absent, or it
//! grows by whole lines.
//!
//! Every operation that changes something goes through `die_here` first. In builds with debug assertions the environment
//! variable `BALLAST_DIE_AT=N` ends the process there at the N-th one, counted from 1, without any clean-up, as `kill -9`
//! or a power cut would; a write is cut in half. `tests/kills.rs` steps N through all operations of a run.
//! `BALLAST_PANIC_AT=N` panics there, as a defect would.

mod read;
mod staged;

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

pub use read::{ROWS, TEXT, open, read, read_text, text};
pub use staged::Staged;

/// Whether the process is to die at this operation.
#[cfg(debug_assertions)]
fn is_last() -> bool {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static ENDS: LazyLock<[Option<u64>; 2]> =
        LazyLock::new(|| ["BALLAST_DIE_AT", "BALLAST_PANIC_AT"].map(|name| std::env::var(name).ok()?.parse().ok()));
    static DONE: AtomicU64 = AtomicU64::new(0);
    let [dies, panics] = *ENDS;
    let now = DONE.fetch_add(1, Ordering::SeqCst) + 1;
    assert_ne!(panics, Some(now), "asked for by BALLAST_PANIC_AT");
    dies == Some(now)
}

#[cfg(not(debug_assertions))]
const fn is_last() -> bool {
    false
}

/// Stands before every operation that changes a file.
fn die_here() {
    if is_last() {
        std::process::abort();
    }
}

/// Writes everything; a process that dies here writes the first half.
fn write_all(file: &mut File, bytes: &[u8]) -> std::io::Result<()> {
    if is_last() {
        let _ = file.write_all(&bytes[..bytes.len() / 2]);
        std::process::abort();
    }
    file.write_all(bytes)
}

fn sync(file: &File) -> std::io::Result<()> {
    die_here();
    file.sync_data()
}

/// What was renamed or created in a folder is there after a power cut too, where the system can promise that.
fn sync_folder(folder: Option<&Path>) {
    if let Some(folder) = folder
        && let Ok(folder) = File::open(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
    {
        let _ = folder.sync_all();
    }
}

/// Replaces a file by the given bytes: written beside it, flushed to the disk, then renamed over it.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let context = || format!("failed to write {}", path.display());
    let mut name = path.file_name().with_context(context)?.to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    let partial = path.with_file_name(name);
    let write = || -> std::io::Result<()> {
        die_here();
        let mut file = File::create(&partial)?;
        write_all(&mut file, bytes)?;
        sync(&file)?;
        die_here();
        fs::rename(&partial, path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&partial))).with_context(context)?;
    sync_folder(path.parent());
    Ok(())
}

/// Writes a large file that nobody else reads yet, such as one of a [`Staged`] folder, with a function that is given a writer.
pub fn write_large(path: &Path, write: impl FnOnce(&mut std::io::BufWriter<File>) -> Result<()>) -> Result<()> {
    let context = || format!("failed to write {}", path.display());
    die_here();
    let mut out = std::io::BufWriter::with_capacity(1 << 20, File::create(path).with_context(context)?);
    write(&mut out).with_context(context)?;
    let file = out.into_inner().map_err(std::io::IntoInnerError::into_error).with_context(context)?;
    sync(&file).with_context(context)
}

/// Removes a file, if it is there.
pub fn remove_file(path: &Path) -> Result<()> {
    die_here();
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Removes a folder with all that is in it, if it is there.
pub fn remove_folder(path: &Path) -> Result<()> {
    die_here();
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Gives a folder that is written its name, which nothing has yet.
pub fn place_folder(written: &Path, name: &Path) -> Result<()> {
    die_here();
    fs::rename(written, name).with_context(|| format!("failed to rename {} to {}", written.display(), name.display()))?;
    sync_folder(name.parent());
    Ok(())
}

/// Creates a folder with its parents.
pub fn create_folder(path: &Path) -> Result<()> {
    die_here();
    fs::create_dir_all(path).with_context(|| format!("failed to create the folder {}", path.display()))
}

/// Removes the temporary files that a killed [`write_atomic`] left in a folder; those of a process that lives are its own.
pub fn remove_partial_files(folder: &Path) -> Result<()> {
    let context = || format!("failed to clean {}", folder.display());
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(writer) = name.strip_suffix(".partial").and_then(|name| name.rsplit_once('.')?.1.parse::<u32>().ok()) else { continue };
        if writer == std::process::id() || !process_lives(writer) {
            remove_file(&path)?;
        }
    }
    Ok(())
}

/// Whether a process of this machine lives, as far as the system tells.
pub fn process_lives(id: u32) -> bool {
    Path::new("/proc").join(id.to_string()).exists()
}

/// A file that only grows.
#[derive(Debug)]
pub struct Growing {
    path: PathBuf,
    file: File,
    /// Bytes of everything appended as a whole.
    length: u64,
    synced: bool,
}

impl Growing {
    /// Opens a file, or creates it empty.
    pub fn open(path: &Path) -> Result<Self> {
        let context = || format!("failed to open {}", path.display());
        let new = !path.exists();
        if new {
            die_here();
        }
        let file = OpenOptions::new().create(true).append(true).open(path).with_context(context)?;
        if new {
            sync_folder(path.parent());
        }
        let length = file.metadata().with_context(context)?.len();
        Ok(Self { path: path.to_owned(), file, length, synced: true })
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Appends bytes: all or, after an error, none. A kill of the process cannot undo it from here on, a power cut can
    /// until [`Self::sync`].
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        // One write: another process or a kill sees all of it or none.
        let written = write_all(&mut self.file, bytes);
        if written.is_err() {
            // A full disk takes a part; what is left is whole, also for other readers.
            let _ = self.file.set_len(self.length);
        }
        written.with_context(|| {
            format!("failed to append to {}; what it held before is kept, and the same command continues", self.path.display())
        })?;
        self.length += bytes.len() as u64;
        self.synced = false;
        Ok(())
    }

    /// Has the disk hold everything appended so far.
    pub fn sync(&mut self) -> Result<()> {
        if !self.synced {
            sync(&self.file).with_context(|| format!("failed to write {} to the disk", self.path.display()))?;
            self.synced = true;
        }
        Ok(())
    }
}

/// sha256 of a file, read in pieces.
pub fn file_sha256(path: &Path) -> Result<String> {
    let context = || format!("failed to read {}", path.display());
    let mut hash = Sha256::new();
    std::io::copy(&mut open(path)?, &mut hash).with_context(context)?;
    Ok(hex(&hash.finalize()))
}

/// A value from a JSON file.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_str(&read_text(path)?).with_context(|| format!("{} is not what Ballast writes there", path.display()))
}

/// A value to a JSON file, indented.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    write_atomic(path, text.as_bytes())
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// sha256 of some bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// sha256 of some bytes in base64, as a page's content security policy names a script.
pub fn base64_sha256(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_in_base64_is_what_other_programs_say() {
        // printf '' | openssl dgst -sha256 -binary | base64
        assert_eq!(base64_sha256(b""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }
}
