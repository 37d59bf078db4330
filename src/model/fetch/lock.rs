//! One process fetches a model; the others wait for it and then find the model there.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use anyhow::{Context, Result};

use super::Progress;

/// Holds the lock until dropped. The system also frees it when the process dies, so a kill leaves nothing to clean up.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock file at `path`, and says so if that takes time.
    pub(super) fn acquire(path: &Path, what: &str, progress: &dyn Progress) -> Result<Self> {
        let folder = path.parent().unwrap_or(path);
        fs::create_dir_all(folder)
            .with_context(|| format!("failed to create {}; set BALLAST_CACHE to a folder that can be written", folder.display()))?;
        let lock = || -> std::io::Result<File> {
            let file = File::options().write(true).create(true).truncate(false).open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    progress.begin(&format!("waiting for another process that fetches {what}"), None);
                    file.lock()?;
                    progress.finish();
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
            Ok(file)
        };
        let file = lock().with_context(|| format!("failed to lock {}", path.display()))?;
        Ok(Self { _file: file })
    }
}
