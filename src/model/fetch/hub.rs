//! Repositories on the hub, in hf-hub's cache layout.
//!
//! A branch is first resolved to a commit, and every file is taken at that commit: files of two commits never mix.
//! Once a revision is complete the hub is not asked about it again, so a branch stays where it was; delete its folder
//! in the cache, or name a commit, to get a newer one.
//!
//! The requests are this module's own (`client`): hf-hub's follows redirects with the token and makes paths of what a server
//! says. Here nothing that a server says becomes part of a path but a commit of 40 hexadecimal digits, file names of a narrow
//! alphabet, and the digest by which a blob is named; any other name of a blob is hashed first. Files in large-file storage are
//! named by their sha256, which is compared with what arrived.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Error, Result, bail, ensure};
use hf_hub::CacheRepo;
use hf_hub::api::RepoInfo;
use serde::de::IgnoredAny;

use super::client::{Client, Described};
use super::lock::Lock;
use super::reference::{INDEX, REQUIRED, SINGLE, check_folder, is_plain, shards};
use super::snapshot::{Snapshot, as_sha256, repo};
use super::{HubRef, Progress, digest, disk};
use crate::files::sha256;

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";
const OPTIONAL: [&str; 3] = ["tokenizer_config.json", "generation_config.json", "chat_template.jinja"];

/// Most bytes of the list of a repository's files.
const LARGEST_LIST: u64 = 1 << 26;
/// Most bytes of a file that is no weights: a tokenizer of a million entries has a tenth of it.
const LARGEST_TEXT: u64 = 1 << 28;

/// Where the hub is and how patient to be with it.
#[derive(Clone, PartialEq, Eq)]
pub struct Hub {
    /// Address without a slash at the end.
    pub endpoint: String,
    /// Access token for private and gated repositories.
    pub token: Option<String>,
    /// How often to try each file.
    pub attempts: u32,
}

/// Without the token: this ends up in logs.
impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("endpoint", &self.endpoint).field("attempts", &self.attempts).finish_non_exhaustive()
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self { endpoint: DEFAULT_ENDPOINT.to_owned(), token: None, attempts: 4 }
    }
}

impl Hub {
    /// Honours `HF_ENDPOINT` and `HF_TOKEN`.
    pub fn from_env() -> Self {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.trim().is_empty());
        let default = Self::default();
        Self {
            endpoint: variable("HF_ENDPOINT").map_or(default.endpoint, |url| url.trim().trim_end_matches('/').to_owned()),
            token: variable("HF_TOKEN").map(|token| token.trim().to_owned()),
            ..default
        }
    }

    /// All files of a model at a revision; returns their folder.
    pub(super) fn fetch_folder(&self, model: &HubRef, folder: &Path, progress: &dyn Progress) -> Result<PathBuf> {
        let place = Snapshot::of(model, folder);
        if let Some(snapshot) = place.complete() {
            return Ok(snapshot);
        }
        let _lock = Lock::acquire(&place.lock_path(), &model.to_string(), progress)?;
        // Another process may have fetched it while this one waited.
        if let Some(snapshot) = place.complete() {
            return Ok(snapshot);
        }

        let commit = self.open(model, folder, progress)?;
        for name in REQUIRED {
            if !commit.has(name) {
                bail!("the hub repository {model} has no {name}: {}", commit.instead());
            }
        }
        let mut names: Vec<String> = REQUIRED.iter().map(|name| (*name).to_owned()).collect();
        names.extend(OPTIONAL.iter().filter(|name| commit.has(name)).map(|name| (*name).to_owned()));
        if commit.has(SINGLE) {
            names.push(SINGLE.to_owned());
        } else if commit.has(INDEX) {
            let index = commit.download(INDEX)?;
            let bytes = fs::read(&index).with_context(|| format!("failed to read {}", index.display()))?;
            let shards = shards(&bytes).with_context(|| format!("{INDEX} of {model} lists no safetensors files"))?;
            names.push(INDEX.to_owned());
            names.extend(shards);
        } else {
            bail!("the hub repository {model} has no {SINGLE} and no {INDEX}: {}", commit.instead());
        }
        for name in &names {
            commit.download(name)?;
        }

        let snapshot = commit.cached.pointer_path(&commit.info.sha);
        check_folder(&snapshot)?;
        place.set_complete(&commit.info.sha, &names)?;
        Ok(snapshot)
    }

    /// The files of a repository that `choose` picks from the names of all.
    pub(super) fn fetch_part(
        &self,
        repository: &HubRef,
        part: &str,
        choose: &dyn Fn(&[String]) -> Result<Vec<String>>,
        folder: &Path,
        progress: &dyn Progress,
    ) -> Result<Vec<PathBuf>> {
        let place = Snapshot::of_part(repository, part, folder);
        if let Some(files) = place.files() {
            return Ok(files);
        }
        let _lock = Lock::acquire(&place.lock_path(), &repository.to_string(), progress)?;
        if let Some(files) = place.files() {
            return Ok(files);
        }
        let commit = self.open(repository, folder, progress)?;
        // Names become paths in the cache.
        let names = commit.info.siblings.iter().map(|file| file.rfilename.clone()).filter(|name| name.split('/').all(is_plain));
        let chosen = choose(&names.collect::<Vec<_>>())?;
        for name in &chosen {
            commit.download(name)?;
        }
        place.set_complete(&commit.info.sha, &chosen)?;
        place.files().with_context(|| format!("files of {repository} vanished from the cache while they were fetched"))
    }

    /// One file of a repository; returns where its bytes are. The caller may move them away.
    pub(super) fn fetch_file(&self, model: &HubRef, file: &str, folder: &Path, progress: &dyn Progress) -> Result<PathBuf> {
        let commit = self.open(model, folder, progress)?;
        let path = commit.download(file)?;
        fs::canonicalize(&path).with_context(|| format!("failed to read {}", path.display()))
    }

    /// Asks the hub which commit a revision is and what files it has.
    fn open<'a>(&'a self, model: &'a HubRef, folder: &Path, progress: &'a dyn Progress) -> Result<Commit<'a>> {
        let client = Client::new(&self.endpoint, self.token.as_deref())?;
        let url = repo(model, &model.revision).api_url();
        let answer = client.text(&format!("{}/api/{url}", self.endpoint), LARGEST_LIST).map_err(|error| self.explain(model, &error))?;
        let info: RepoInfo =
            serde_json::from_slice(&answer).with_context(|| format!("{} gave no description of {model}; is it a hub?", self.endpoint))?;
        let is_commit = info.sha.len() == 40 && info.sha.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_commit {
            bail!("{} gave {:?} as the commit of {model}", self.endpoint, info.sha);
        }
        Ok(Commit {
            hub: self,
            model,
            progress,
            client,
            cached: hf_hub::Cache::new(folder.to_owned()).repo(repo(model, &info.sha)),
            folder: folder.join(repo(model, &info.sha).folder_name()),
            info,
        })
    }

    /// Turns the client's error into one that says what to do.
    fn explain(&self, model: &HubRef, error: &Error) -> Error {
        let place = &self.endpoint;
        let text = match status(error) {
            Some(404) => {
                format!("{place} has no repository {model}: check owner, name and revision")
            }
            Some(code @ (401 | 403)) => format!(
                "{place} refused {model} (status {code}): it does not exist, or is private or gated; check the name, \
                 and for a gated model accept its terms there and set HF_TOKEN"
            ),
            Some(code) => {
                format!("{place} answered with status {code} for {model}; try again later")
            }
            None if error.is::<ureq::Error>() => format!(
                "{place} cannot be reached or broke off ({error}); check the network or set HF_ENDPOINT to a mirror, \
                 then run again to continue"
            ),
            None => format!("{model} from {place}: {error:#}"),
        };
        Error::msg(text)
    }
}

/// One commit of a repository, being downloaded.
struct Commit<'a> {
    hub: &'a Hub,
    model: &'a HubRef,
    progress: &'a dyn Progress,
    client: Client,
    cached: CacheRepo,
    /// Of the repository in the cache.
    folder: PathBuf,
    info: RepoInfo,
}

impl Commit<'_> {
    fn has(&self, name: &str) -> bool {
        self.info.siblings.iter().any(|file| file.rfilename == name)
    }

    /// What the repository offers where the expected files are missing.
    fn instead(&self) -> String {
        let files = self.info.siblings.iter().map(|file| file.rfilename.as_str());
        let gguf: Vec<&str> = files.filter(|name| Path::new(name).extension().is_some_and(|e| e == "gguf")).collect();
        if gguf.is_empty() {
            "ballast reads config.json, tokenizer.json and safetensors; choose a repository that has them".to_owned()
        } else {
            format!("download one of its GGUF files and give its path ({})", gguf.join(", "))
        }
    }

    /// Gets a file unless it is there already and intact.
    fn download(&self, name: &str) -> Result<PathBuf> {
        let mut attempt = 1;
        loop {
            let error = match self.try_download(name) {
                Ok(path) => return Ok(path),
                Err(error) => error,
            };
            let refused = status(&error).is_some_and(|code| (400..500).contains(&code) && code != 408 && code != 429);
            if refused || attempt >= self.hub.attempts {
                let error = if error.is::<ureq::Error>() { self.hub.explain(self.model, &error) } else { error };
                return Err(error.context(format!("failed to fetch {name}")));
            }
            thread::sleep(Duration::from_millis(500) * 2_u32.pow(attempt - 1));
            attempt += 1;
        }
    }

    fn try_download(&self, name: &str) -> Result<PathBuf> {
        ensure!(name.split('/').all(is_plain), "{name:?} is no name that a file in the cache may have");
        let path = self.cached.pointer_path(&self.info.sha).join(name);
        let url = format!("{}/{}/resolve/{}/{name}", self.hub.endpoint, repo(self.model, &self.info.sha).url(), self.info.sha);
        let remote = self.client.describe(&url)?;
        if !self.is_intact(&path, &remote)? {
            let blob = self.prepare(&path, &remote)?;
            self.progress.begin(&format!("fetching {name} of {}", self.model), Some(remote.size));
            self.receive(&url, &blob, &remote, is_weights(&path))?;
            point(&blob, &path)?;
            self.progress.finish();
            if !self.is_intact(&path, &remote)? {
                let what = match as_sha256(&remote.etag) {
                    Some(expected) => {
                        let found = digest::sha256_file(&path, self.progress)?;
                        format!("its sha256 is {found}, expected {expected}")
                    }
                    None => "it is cut short".to_owned(),
                };
                remove_both(&path)?;
                bail!("{name} of {} arrived damaged and was deleted: {what}", self.model);
            }
        }
        Ok(path)
    }

    fn is_intact(&self, path: &Path, remote: &Described) -> Result<bool> {
        let Ok(blob) = fs::canonicalize(path) else {
            return Ok(false);
        };
        if let Some(sha256) = as_sha256(&remote.etag) {
            return digest::matches(&blob, sha256, self.progress);
        }
        // Named by a Git object id or something of a mirror's own: what can be compared is the size.
        let length = fs::metadata(&blob).with_context(|| format!("failed to read {}", blob.display()))?.len();
        let size = remote.size;
        if is_weights(path) {
            return Ok(length == size);
        }
        // A small text file may be compressed on the way, and its size be given as that.
        if path.extension().is_none_or(|extension| extension != "json") {
            return Ok(length >= size);
        }
        let bytes = fs::read(&blob).with_context(|| format!("failed to read {}", blob.display()))?;
        Ok(serde_json::from_slice::<IgnoredAny>(&bytes).is_ok())
    }

    /// Where the bytes go. What is there of them is kept where it can be continued: `<blob>.part`.
    fn prepare(&self, path: &Path, remote: &Described) -> Result<PathBuf> {
        remove_both(path)?;
        let blob = self.folder.join("blobs").join(blob_name(&remote.etag));
        let part = blob.with_extension("part");
        disk::create_parent(&blob)?;
        if as_sha256(&remote.etag).is_none() && !is_weights(path) {
            disk::remove_file(&blob)?;
            disk::remove_file(&part)?;
        } else if blob.is_file() {
            fs::rename(&blob, &part).with_context(|| format!("failed to rename {}", blob.display()))?;
        }
        if fs::symlink_metadata(&part).is_ok_and(|part| !part.is_file() || part.len() > remote.size) {
            disk::remove_file(&part)?;
        }
        Ok(blob)
    }

    /// Gets what is missing of a blob. No more is written than the hub said there is.
    fn receive(&self, url: &str, blob: &Path, remote: &Described, weights: bool) -> Result<()> {
        let part = blob.with_extension("part");
        let failed = || format!("failed to write {}", part.display());
        let mut file = fs::File::options().create(true).append(true).open(&part).with_context(failed)?;
        let start = file.metadata().with_context(failed)?.len();
        self.progress.advance(start);
        // A text may be compressed on the way, and its size be given as that.
        let most = if weights { remote.size } else { LARGEST_TEXT };
        if start < remote.size || remote.size == 0 {
            let mut body = self.client.body(url, start)?.take(most - start + 1);
            let mut buffer = vec![0; 1 << 16];
            let mut total = start;
            loop {
                let read = body.read(&mut buffer).map_err(ureq::Error::Io)?;
                if read == 0 {
                    break;
                }
                total += read as u64;
                ensure!(total <= most, "{url} sends more than the {most} bytes that it has");
                file.write_all(&buffer[..read]).with_context(failed)?;
                self.progress.advance(read as u64);
            }
            if weights && total < remote.size {
                bail!(ureq::Error::Io(std::io::ErrorKind::UnexpectedEof.into()));
            }
        }
        drop(file);
        fs::rename(&part, blob).with_context(|| format!("failed to rename {}", part.display()))
    }
}

/// The name of a blob in the cache: the digest or Git id that the hub names it by; of anything else the hash, since what a
/// server says must not be part of a path.
fn blob_name(etag: &str) -> String {
    let is_digest = matches!(etag.len(), 40 | 64) && etag.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest { etag.to_owned() } else { sha256(etag.as_bytes()) + "-etag" }
}

/// Makes the file of a snapshot point to its blob, below the same repository.
fn point(blob: &Path, path: &Path) -> Result<()> {
    disk::create_parent(path)?;
    let failed = || format!("failed to create {}", path.display());
    #[cfg(unix)]
    {
        // `snapshots/COMMIT/name` and deeper: one step up for each folder of the name, and two more.
        let repository = blob.parent().and_then(Path::parent).context("a blob lies in a repository")?;
        let below = path.strip_prefix(repository).with_context(failed)?.components().count() - 1;
        let to: PathBuf =
            std::iter::repeat_n("..", below).map(Path::new).collect::<PathBuf>().join("blobs").join(blob.file_name().unwrap_or_default());
        std::os::unix::fs::symlink(to, path).with_context(failed)
    }
    #[cfg(not(unix))]
    fs::rename(blob, path).with_context(failed)
}

/// Removes a file of a snapshot and what it points to.
fn remove_both(path: &Path) -> Result<()> {
    if let Ok(blob) = fs::canonicalize(path) {
        disk::remove_file(&blob)?;
    }
    disk::remove_file(path)
}

fn is_weights(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "safetensors" || extension == "gguf")
}

fn status(error: &Error) -> Option<u16> {
    match error.downcast_ref::<ureq::Error>() {
        Some(ureq::Error::StatusCode(code)) => Some(*code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_named_by_a_digest_or_a_hash() {
        let digest = "ab".repeat(32);
        assert_eq!((blob_name(&digest), blob_name(&digest[..40])), (digest.clone(), digest[..40].to_owned()));
        for etag in ["../../../../etc/passwd", "/etc/passwd", "a\\b", "", ".", "con:1", "5d41402a-3", &"a".repeat(300)] {
            let name = blob_name(etag);
            assert!(name.len() == 69 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{name}");
        }
    }
}
