//! A folder or a large file that appears whole or not at all: written under another name beside its place, renamed when all
//! of it is there, removed when something fails.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::{die_here, process_lives, sync, sync_folder};

/// Something that is being written for a place where nothing is yet.
#[derive(Debug)]
pub struct Staged {
    target: PathBuf,
    partial: PathBuf,
    committed: bool,
}

impl Staged {
    /// A folder. One that is there already is an error, and so is a parent that is not.
    pub fn folder(target: &Path) -> Result<Self> {
        let staged = Self::file(target)?;
        die_here();
        fs::create_dir(&staged.partial).with_context(|| format!("failed to create the folder {}", staged.partial.display()))?;
        Ok(staged)
    }

    /// A file, to be written at [`Self::path`].
    pub fn file(target: &Path) -> Result<Self> {
        free(target)?;
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        ensure!(parent.is_dir(), "{} cannot be written: {} is not a folder; create it first", target.display(), parent.display());
        let name = target.file_name().with_context(|| format!("`{}` is no name for a new file or folder", target.display()))?;
        remove_left_over(parent, &name.to_string_lossy())?;
        let mut partial = name.to_owned();
        partial.push(format!(".{}.partial", std::process::id()));
        Ok(Self { target: target.to_owned(), partial: target.with_file_name(partial), committed: false })
    }

    /// Where it is being written.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Writes one file of a folder with a function that is given the file's place.
    pub fn write(&self, name: &str, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        self.write_at(&self.partial.join(name), name, write)
    }

    /// Writes the file with a function that is given its place.
    pub fn write_file(&self, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        self.write_at(&self.partial, "it", write)
    }

    fn write_at(&self, path: &Path, name: &str, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        die_here();
        let context = || format!("failed to write {} ({name})", self.target.display());
        write(path).with_context(context)?;
        File::open(path).and_then(|file| sync(&file)).with_context(context)
    }

    /// Writes one small file of a folder.
    pub fn bytes(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.write(name, |path| Ok(fs::write(path, bytes)?))
    }

    /// Gives it its name.
    pub fn commit(mut self) -> Result<()> {
        free(&self.target)?;
        die_here();
        fs::rename(&self.partial, &self.target).with_context(|| format!("failed to write {}", self.target.display()))?;
        self.committed = true;
        sync_folder(self.target.parent());
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.committed {
            remove(&self.partial);
        }
    }
}

/// Fails where something is there already; a link that leads nowhere is something too.
fn free(target: &Path) -> Result<()> {
    ensure!(fs::symlink_metadata(target).is_err(), "{} exists already: remove it, or name a new one", target.display());
    Ok(())
}

fn remove(partial: &Path) {
    // What cannot be removed is named as partial, and the next try removes it.
    let _ = if partial.is_dir() { fs::remove_dir_all(partial) } else { fs::remove_file(partial) };
}

/// Removes what a killed process left of the same target.
fn remove_left_over(parent: &Path, name: &str) -> Result<()> {
    for entry in fs::read_dir(parent).with_context(|| format!("failed to read the folder {}", parent.display()))?.flatten() {
        let own = entry.file_name();
        let middle = own.to_str().and_then(|own| own.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(".partial")?.parse::<u32>().ok());
        if middle.is_some_and(|writer| writer == std::process::id() || !process_lives(writer)) {
            die_here();
            remove(&entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out");
        fs::create_dir(folder.path().join("out.4294967295.partial")).unwrap();
        fs::create_dir(folder.path().join("out.other.partial")).unwrap();
        let staged = Staged::folder(&target).unwrap();
        staged.bytes("a", b"1").unwrap();
        assert!(!target.exists());
        drop(staged);
        assert_eq!(names(folder.path()), ["out.other.partial"]);

        let staged = Staged::folder(&target).unwrap();
        staged.bytes("a", b"1").unwrap();
        staged.commit().unwrap();
        assert_eq!(names(&target), ["a"]);
        assert!(Staged::folder(&target).unwrap_err().to_string().contains("exists already"));
        assert!(Staged::file(&folder.path().join("none/out")).unwrap_err().to_string().contains("create it first"));
    }

    #[test]
    fn what_appears_meanwhile_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out");
        let staged = Staged::file(&target).unwrap();
        staged.write_file(|path| Ok(fs::write(path, "new")?)).unwrap();
        fs::write(&target, "old").unwrap();
        assert!(staged.commit().unwrap_err().to_string().contains("exists already"));
        assert_eq!(fs::read_to_string(&target).unwrap(), "old");
        assert_eq!(names(folder.path()), ["out"]);
    }
}
