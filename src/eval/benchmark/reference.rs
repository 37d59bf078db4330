//! `BENCHMARK:WHERE` as the user wrote it, and the files that it means.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use super::{BENCHMARKS, Benchmark, split};
use crate::model::fetch::{Fetcher, HubRef, Progress};

/// Folders below the one that was named: `all/test/anatomy.csv` is the deepest that occurs.
const DEEPEST: usize = 4;

/// A benchmark and where its files are.
#[derive(Debug, Clone)]
pub struct Reference {
    /// Which one.
    pub benchmark: &'static Benchmark,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    /// A file or folder of the user's.
    Path(PathBuf),
    /// A data set on the hub, or one of its files or folders.
    Hub { dataset: HubRef, path: Option<String> },
}

impl Reference {
    /// What the user wrote, or None where it does not begin with a benchmark's name and a colon.
    pub fn parse(text: &str) -> Option<Result<Self>> {
        let (name, place) = text.split_once(':')?;
        let benchmark = BENCHMARKS.iter().find(|benchmark| benchmark.name == name)?;
        Some(Place::parse(place).map(|place| Self { benchmark, place }).with_context(|| format!("`{text}` is not a benchmark")))
    }

    /// The files with the items, in order of their names.
    pub(super) fn files(&self, fetcher: impl FnOnce() -> Result<Fetcher>, progress: &dyn Progress) -> Result<Vec<PathBuf>> {
        match &self.place {
            Place::Path(path) if path.is_dir() => {
                let mut names = Vec::new();
                list(path, "", DEEPEST, &mut names)?;
                let folder = path.canonicalize().unwrap_or_else(|_| path.clone());
                let folder = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let chosen = self.choose(&folder, &names).with_context(|| path.display().to_string())?;
                Ok(chosen.iter().map(|name| path.join(name)).collect())
            }
            Place::Path(path) => {
                anyhow::ensure!(path.is_file(), "there is no file or folder {}", path.display());
                Ok(vec![path.clone()])
            }
            Place::Hub { dataset, path } => {
                let name = self.benchmark.name;
                let part = path.as_ref().map_or_else(|| name.to_owned(), |path| format!("{name}/{path}"));
                fetcher()?.dataset(dataset, &part, &|names| self.choose_below(path.as_deref(), names), progress)
            }
        }
    }

    /// Of the names of a repository's files those that a path in it means.
    fn choose_below(&self, path: Option<&str>, names: &[String]) -> Result<Vec<String>> {
        let Some(path) = path else { return self.choose("", names) };
        if names.iter().any(|name| name == path) {
            return Ok(vec![path.to_owned()]);
        }
        let below: Vec<String> = names.iter().filter_map(|name| Some(name.strip_prefix(path)?.strip_prefix('/')?.to_owned())).collect();
        anyhow::ensure!(!below.is_empty(), "the repository has no file or folder {path}");
        let chosen = self.choose(path.rsplit('/').next().unwrap_or(path), &below).with_context(|| path.to_owned())?;
        Ok(chosen.into_iter().map(|name| format!("{path}/{name}")).collect())
    }

    /// Of the names below a folder those of the benchmark's split, or of the split that the folder itself is called by.
    fn choose(&self, folder: &str, names: &[String]) -> Result<Vec<String>> {
        let split = split::split_of(&format!("{folder}/")).unwrap_or(self.benchmark.split);
        split::choose(names, split, self.benchmark.config)
    }
}

impl Place {
    fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            bail!("after the colon comes a file, a folder or hf:datasets/OWNER/REPO");
        }
        if !text.starts_with("hf:") {
            return Ok(Self::Path(PathBuf::from(text)));
        }
        let (dataset, path) = HubRef::parse_dataset(text)
            .ok_or_else(|| anyhow!("{text} is not a data set on the hub: write hf:datasets/OWNER/REPO or hf:datasets/OWNER/REPO/PATH"))?;
        Ok(Self::Hub { dataset, path })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.benchmark.name)?;
        match &self.place {
            Place::Path(path) => path.display().fmt(f),
            Place::Hub { dataset, path: None } => dataset.fmt(f),
            Place::Hub { dataset, path: Some(path) } => write!(f, "{dataset}/{path}"),
        }
    }
}

/// Paths of all files below a folder, with `/`; hidden ones are left out.
fn list(folder: &Path, prefix: &str, depth: usize, names: &mut Vec<String>) -> Result<()> {
    let context = || format!("failed to read {}", folder.display());
    for entry in fs::read_dir(folder).with_context(context)? {
        let entry = entry.with_context(context)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') {
            continue;
        }
        let name = format!("{prefix}{name}");
        if !entry.path().is_dir() {
            names.push(name);
        } else if depth > 0 {
            list(&entry.path(), &format!("{name}/"), depth - 1, names)?;
        }
    }
    Ok(())
}
