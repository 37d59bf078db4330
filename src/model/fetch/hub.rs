//! Repositories on the hub, through hf-hub's blocking client and in its cache layout.
//!
//! A branch is first resolved to a commit, and every file is taken at that commit: files of two commits never mix.
//! Once a revision is complete the hub is not asked about it again, so a branch stays where it was; delete its folder
//! in the cache, or name a commit, to get a newer one.
//!
//! What hf-hub 0.5 leaves to its caller, and is done here:
//! - it continues `<blob>.part` where it ends, but fails on one that has all bytes (killed just before the rename);
//! - its own retries append to the wrong place if one of them gets no byte, so they are off and the loop is here;
//! - it checks neither digest nor size: files in large-file storage are named by their sha256, which is compared;
//! - it knows `HF_ENDPOINT` but not `HF_TOKEN`;
//! - it sets no timeout: the first request here has one, so that a dead network is noticed; a transfer that stalls
//!   later ends only when the system closes the connection.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Error, Result, bail};
use hf_hub::CacheRepo;
use hf_hub::api::RepoInfo;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo, Metadata};
use serde::de::IgnoredAny;

use super::lock::Lock;
use super::reference::{INDEX, REQUIRED, SINGLE, check_folder, is_plain, shards};
use super::snapshot::{Snapshot, as_sha256, repo};
use super::{HubRef, Progress, digest, disk};

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";
const OPTIONAL: [&str; 3] = ["tokenizer_config.json", "generation_config.json", "chat_template.jinja"];

/// For the first request only: it is small.
const FIRST_ANSWER: Duration = Duration::from_secs(30);

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
        let api = ApiBuilder::from_cache(hf_hub::Cache::new(folder.to_owned()))
            .with_endpoint(self.endpoint.clone())
            .with_token(self.token.clone())
            .with_retries(0)
            .build()
            .context("failed to set up the client of the hub")?;
        let request = api.repo(repo(model, &model.revision)).info_request();
        let answer = request.config().timeout_global(Some(FIRST_ANSWER)).build().call();
        let answer = answer.map_err(|error| self.explain(model, &ApiError::from(Box::new(error))))?;
        let info: RepoInfo =
            answer.into_body().read_json().with_context(|| format!("{} gave no description of {model}; is it a hub?", self.endpoint))?;
        let is_commit = info.sha.len() == 40 && info.sha.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_commit {
            bail!("{} gave {:?} as the commit of {model}", self.endpoint, info.sha);
        }
        Ok(Commit {
            hub: self,
            model,
            progress,
            remote: api.repo(repo(model, &info.sha)),
            cached: hf_hub::Cache::new(folder.to_owned()).repo(repo(model, &info.sha)),
            api,
            info,
        })
    }

    /// Turns the client's error into one that says what to do.
    fn explain(&self, model: &HubRef, error: &ApiError) -> Error {
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
            None if is_transport(error) => format!(
                "{place} cannot be reached or broke off ({error}); check the network or set HF_ENDPOINT to a mirror, \
                 then run again to continue"
            ),
            None => format!("{model} from {place}: {error}"),
        };
        // As text: the client's errors repeat their cause in their own message.
        Error::msg(text)
    }
}

/// One commit of a repository, being downloaded.
struct Commit<'a> {
    hub: &'a Hub,
    model: &'a HubRef,
    progress: &'a dyn Progress,
    api: Api,
    remote: ApiRepo,
    cached: CacheRepo,
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
            let refused = error
                .downcast_ref::<ApiError>()
                .and_then(status)
                .is_some_and(|code| (400..500).contains(&code) && code != 408 && code != 429);
            if refused || attempt >= self.hub.attempts {
                let error = match error.downcast::<ApiError>() {
                    Ok(error) => self.hub.explain(self.model, &error),
                    Err(other) => other,
                };
                return Err(error.context(format!("failed to fetch {name}")));
            }
            thread::sleep(Duration::from_millis(500) * 2_u32.pow(attempt - 1));
            attempt += 1;
        }
    }

    fn try_download(&self, name: &str) -> Result<PathBuf> {
        let path = self.cached.pointer_path(&self.info.sha).join(name);
        let remote = self.api.metadata(&self.remote.url(name))?;
        if !self.is_intact(&path, &remote)? {
            self.prepare(&path, &remote)?;
            let bridge = Bridge { progress: self.progress, what: format!("fetching {name} of {}", self.model), begun: false };
            self.remote.download_with_progress(name, bridge)?;
            self.progress.finish();
            if !self.is_intact(&path, &remote)? {
                let what = match as_sha256(remote.etag()) {
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

    fn is_intact(&self, path: &Path, remote: &Metadata) -> Result<bool> {
        let Ok(blob) = fs::canonicalize(path) else {
            return Ok(false);
        };
        if let Some(sha256) = as_sha256(remote.etag()) {
            return digest::matches(&blob, sha256, self.progress);
        }
        // Named by a Git object id or something of a mirror's own: what can be compared is the size.
        let length = fs::metadata(&blob).with_context(|| format!("failed to read {}", blob.display()))?.len();
        let size = remote.size() as u64;
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

    /// Brings the cache into a state that hf-hub can continue from.
    fn prepare(&self, path: &Path, remote: &Metadata) -> Result<()> {
        remove_both(path)?;
        let blob = self.cached.blob_path(remote.etag());
        let part = blob.with_extension("part");
        if as_sha256(remote.etag()).is_none() && !is_weights(path) {
            disk::remove_file(&blob)?;
            return disk::remove_file(&part);
        }
        if blob.is_file() {
            fs::rename(&blob, &part).with_context(|| format!("failed to rename {}", blob.display()))?;
        }
        let size = remote.size() as u64;
        match fs::metadata(&part).map(|metadata| metadata.len()) {
            Ok(length) if length > size => disk::remove_file(&part),
            // One byte is left to ask for; the digest is checked afterwards.
            Ok(length) if length == size && size > 0 => fs::File::options()
                .write(true)
                .open(&part)
                .and_then(|file| file.set_len(size - 1))
                .with_context(|| format!("failed to shorten {}", part.display())),
            _ => Ok(()),
        }
    }
}

/// hf-hub's progress on ours. It calls `init` twice, and counts bytes that were there before.
struct Bridge<'a> {
    progress: &'a dyn Progress,
    what: String,
    begun: bool,
}

impl hf_hub::api::Progress for Bridge<'_> {
    fn init(&mut self, size: usize, _filename: &str) {
        if !self.begun {
            self.progress.begin(&self.what, Some(size as u64));
            self.begun = true;
        }
    }

    fn update(&mut self, size: usize) {
        self.progress.advance(size as u64);
    }

    fn finish(&mut self) {}
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

fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(error) => match **error {
            ureq::Error::StatusCode(code) => Some(code),
            _ => None,
        },
        _ => None,
    }
}

/// Whether the network is to blame. An error of the disk arrives in the same variant as a connection that broke.
fn is_transport(error: &ApiError) -> bool {
    match error {
        ApiError::RequestError(_) => true,
        ApiError::IoError(error) => {
            !matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
        }
        _ => false,
    }
}
