//! What a download does to files beside writing them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Gives a file its final name once its bytes are on the disk.
pub(super) fn move_into_place(from: &Path, to: &Path) -> Result<()> {
    let sync = || fs::File::options().write(true).open(from)?.sync_all();
    sync().with_context(|| format!("failed to write {}", from.display()))?;
    fs::rename(from, to).with_context(|| format!("failed to rename {} to {}", from.display(), to.display()))?;
    // Elsewhere a folder cannot be opened, and the rename is journalled anyway.
    #[cfg(unix)]
    if let Some(folder) = to.parent() {
        let sync = || fs::File::open(folder)?.sync_all();
        sync().with_context(|| format!("failed to write {}", folder.display()))?;
    }
    Ok(())
}

/// Removes a file that may be absent.
pub(super) fn remove_file(path: &Path) -> Result<()> {
    absent_is_fine(fs::remove_file(path)).with_context(|| format!("failed to remove {}", path.display()))
}

/// Removes a folder that may be absent.
pub(super) fn remove_folder(path: &Path) -> Result<()> {
    absent_is_fine(fs::remove_dir_all(path)).with_context(|| format!("failed to remove {}", path.display()))
}

fn absent_is_fine(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Makes the folder that a file is to lie in.
pub(super) fn create_parent(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))
}
