//! The private folder of one sandboxed program: made with mode 0700, removed when dropped.
//!
//! The program can create files in it but no folders, links or device files (the rules in `child` say so), so one
//! flat listing counts everything it keeps on disk under a name. A file that was removed, or never had a name, stays on disk
//! as long as it is open or mapped: `held` counts those, as `/proc` shows them to the parent.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};

/// More files than this count as too much output: many tiny ones fill a disk as well as one big one.
const MAX_FILES: usize = 64;

pub(super) struct PrivateFolder {
    path: PathBuf,
    /// Bytes that were put here for the program, which are not its own output.
    given: u64,
}

impl PrivateFolder {
    /// A new folder that holds these files.
    pub(super) fn create(files: &[(&str, &[u8])]) -> Result<Self> {
        let mut folder = Self { path: new_folder()?, given: 0 };
        for (name, content) in files {
            let path = folder.path.join(name);
            fs::write(&path, content).with_context(|| format!("failed to write {}", path.display()))?;
            folder.given += content.len() as u64;
        }
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the program keeps more in it than `limit` bytes, or too many files, those without a name among them.
    pub(super) fn holds_more_than(&self, limit: u64, pid: u32) -> bool {
        let Ok(entries) = fs::read_dir(&self.path) else {
            return false;
        };
        let mut bytes = self.held(limit, pid);
        for (count, entry) in entries.flatten().enumerate() {
            bytes += entry.metadata().map_or(0, |metadata| metadata.len());
            if count >= MAX_FILES || bytes > limit + self.given {
                return true;
            }
        }
        bytes > limit + self.given
    }

    /// Bytes of files without a name that the process holds, each once.
    fn held(&self, limit: u64, pid: u32) -> u64 {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let mut sizes: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        for entry in fs::read_dir(process.join("fd")).into_iter().flatten().flatten() {
            if let Ok(file) = fs::metadata(entry.path())
                && file.is_file()
                && file.nlink() == 0
            {
                sizes.insert((file.dev(), file.ino()), file.len());
            }
        }
        // A mapping keeps a file that is closed. How large it is cannot be seen, so it counts as the largest there can be.
        let maps = fs::read_to_string(process.join("maps")).unwrap_or_default();
        let folder = self.path.to_string_lossy();
        for line in maps.lines().filter(|line| line.ends_with(" (deleted)") && line.contains(folder.as_ref())) {
            let mut fields = line.split_ascii_whitespace().skip(3);
            let (Some(device), Some(inode)) = (fields.next().and_then(device), fields.next().and_then(|inode| inode.parse().ok())) else {
                continue;
            };
            sizes.entry((device, inode)).or_insert(limit);
        }
        sizes.values().sum()
    }
}

/// A device as `maps` writes it, `fe:01`, as a number.
fn device(text: &str) -> Option<u64> {
    let (major, minor) = text.split_once(':')?;
    let number = |text| u32::from_str_radix(text, 16).ok();
    Some(libc::makedev(number(major)?, number(minor)?))
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // A folder left behind in the system's temporary folder harms nobody, a panic here would.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn new_folder() -> Result<PathBuf> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let parent = std::env::temp_dir();
    loop {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("ballast-{}-{number}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&path) {
            // Resolved, because the rules and the program must name one and the same folder.
            Ok(()) => {
                return path.canonicalize().context("failed to resolve the private folder");
            }
            // Left by an earlier process with the same id, or laid by somebody else: never used.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("failed to create {}", path.display()));
            }
        }
    }
}
