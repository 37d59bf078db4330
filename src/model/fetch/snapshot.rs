//! When a repository in the cache is complete, which is known without asking the hub.
//!
//! `complete/<revision>.json` in the repository's folder names the commit and the size of each file. It is written
//! last, so a folder without it is an unfinished download. Of a data set only parts are fetched, each with a note of its
//! own: `complete/<revision>#<part>.json`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hf_hub::{CacheRepo, Repo, RepoType};
use serde::{Deserialize, Serialize};

use super::{FileDigest, HubRef, Progress, RepoKind, sha256_file};
use crate::files;

/// Where a repository is, or will be, in the cache.
pub(super) struct Snapshot {
    cached: CacheRepo,
    note_path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Note {
    commit: String,
    files: Vec<NotedFile>,
}

#[derive(Serialize, Deserialize)]
struct NotedFile {
    name: String,
    bytes: u64,
}

impl Snapshot {
    /// The place of a revision below `folder`, the cache's folder of repositories.
    pub(super) fn of(model: &HubRef, folder: &Path) -> Self {
        Self::noted(model, folder, &model.revision)
    }

    /// The place of a part of a revision. A revision's name has no `#`.
    pub(super) fn of_part(model: &HubRef, part: &str, folder: &Path) -> Self {
        Self::noted(model, folder, &format!("{}#{part}", model.revision))
    }

    fn noted(model: &HubRef, folder: &Path, name: &str) -> Self {
        let repo = repo(model, &model.revision);
        let note = format!("{}.json", name.replace('/', "%2F"));
        Self {
            note_path: folder.join(repo.folder_name()).join("complete").join(note),
            cached: hf_hub::Cache::new(folder.to_owned()).repo(repo),
        }
    }

    /// What to lock while the revision is downloaded.
    pub(super) fn lock_path(&self) -> PathBuf {
        self.note_path.with_added_extension("lock")
    }

    /// The folder with the files, if the download was finished and all are still there.
    pub(super) fn complete(&self) -> Option<PathBuf> {
        let note = self.note()?;
        let folder = self.cached.pointer_path(&note.commit);
        let there = |file: &NotedFile| fs::metadata(folder.join(&file.name)).is_ok_and(|m| m.len() == file.bytes);
        note.files.iter().all(there).then_some(folder)
    }

    /// The files, if the download was finished and all are still there.
    pub(super) fn files(&self) -> Option<Vec<PathBuf>> {
        let folder = self.complete()?;
        Some(self.note()?.files.iter().map(|file| folder.join(&file.name)).collect())
    }

    /// Notes that these files of a commit are all there are.
    pub(super) fn set_complete(&self, commit: &str, names: &[String]) -> Result<()> {
        let folder = self.cached.pointer_path(commit);
        let file = |name: &String| {
            let path = folder.join(name);
            let metadata = fs::metadata(&path).with_context(|| format!("failed to read {}", path.display()))?;
            Ok(NotedFile { name: name.clone(), bytes: metadata.len() })
        };
        let note = Note { commit: commit.to_owned(), files: names.iter().map(file).collect::<Result<_>>()? };
        files::write_json(&self.note_path, &note)
    }

    /// Reads every file again and compares it with the digest that its blob is named by, where it is.
    pub(super) fn verify(&self, progress: &dyn Progress) -> Result<Vec<FileDigest>> {
        let note = self.note().context("the download is not complete")?;
        let folder = self.cached.pointer_path(&note.commit);
        let verify = |file: &NotedFile| {
            let path = folder.join(&file.name);
            let sha256 = sha256_file(&path, progress)?;
            let blob = fs::canonicalize(&path).with_context(|| format!("failed to read {}", path.display()))?;
            let blob = blob.file_name().unwrap_or_default().to_string_lossy();
            let expected = as_sha256(&blob);
            if let Some(expected) = expected
                && expected != sha256
            {
                bail!("{} is damaged: its sha256 is {sha256}, expected {expected}", path.display());
            }
            Ok(FileDigest { path, sha256, known: expected.is_some() })
        };
        note.files.iter().map(verify).collect()
    }

    fn note(&self) -> Option<Note> {
        serde_json::from_slice(&fs::read(&self.note_path).ok()?).ok()
    }
}

/// The repository at a revision in hf-hub's words.
pub(super) fn repo(model: &HubRef, revision: &str) -> Repo {
    let kind = match model.kind {
        RepoKind::Model => RepoType::Model,
        RepoKind::Dataset => RepoType::Dataset,
    };
    Repo::with_revision(model.repo.clone(), kind, revision.to_owned())
}

/// The digest of the content, if a blob's name is one: so it is for files in large-file storage.
pub(super) fn as_sha256(name: &str) -> Option<&str> {
    (name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit())).then_some(name)
}
