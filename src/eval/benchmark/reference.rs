//! `BENCHMARK:WHERE#OPTIONS` as the user wrote it, and the files that it means.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::{BENCHMARKS, Benchmark, split};
use crate::eval::suite::PromptFormat;
use crate::model::fetch::{Fetcher, HubRef, Progress};

/// Folders below the one that was named: `all/test/anatomy.csv` is the deepest that occurs.
const DEEPEST: usize = 4;

/// A benchmark and where its files are.
#[derive(Debug, Clone)]
pub struct Reference {
    /// Which one.
    pub benchmark: &'static Benchmark,
    /// How it is asked.
    pub asking: Asking,
    place: Place,
}

/// How a benchmark is asked: as `#shots=5,form=plain` after the place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asking {
    /// Worked examples before each question.
    pub shots: usize,
    /// Chat or plain text.
    pub form: PromptFormat,
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
        let read = || -> Result<Self> {
            let (place, asking) = match place.rsplit_once('#').filter(|(_, options)| options.contains('=')) {
                Some((place, options)) => (place, Asking::parse(options)?),
                None => (place, Asking::default()),
            };
            Ok(Self { benchmark, asking, place: Place::parse(place)? })
        };
        Some(read().with_context(|| format!("`{text}` is not a benchmark")))
    }

    /// A suite's name with how it is to be asked written to it; only a benchmark of multiple choice can be.
    pub fn asked(name: &str, shots: Option<usize>, form: Option<PromptFormat>) -> Result<String> {
        if shots.is_none() && form.is_none() {
            return Ok(name.to_owned());
        }
        let Some(reference) = Self::parse(name) else {
            bail!("`{name}` cannot be asked with shots or form: they are of the benchmarks {}", Benchmark::with_examples());
        };
        let mut reference = reference?;
        let own = reference.asking;
        reference.asking = Asking { shots: shots.unwrap_or(own.shots), form: form.unwrap_or(own.form) };
        Ok(reference.to_string())
    }

    /// The files with the items, in order of their names.
    pub(super) fn files(&self, fetcher: impl Fn() -> Result<Fetcher>, progress: &dyn Progress) -> Result<Vec<PathBuf>> {
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
                ensure!(path.is_file(), "there is no file or folder {}", path.display());
                Ok(vec![path.clone()])
            }
            Place::Hub { dataset, path } => {
                let name = self.benchmark.name;
                let part = path.as_ref().map_or_else(|| name.to_owned(), |path| format!("{name}/{path}"));
                fetcher()?.dataset(dataset, &part, &|names| self.choose_below(path.as_deref(), names), progress)
            }
        }
    }

    /// The files of another split than the one asked, which stands beside it: where examples come from.
    pub(super) fn files_beside(&self, split: &str, fetcher: impl Fn() -> Result<Fetcher>, progress: &dyn Progress) -> Result<Vec<PathBuf>> {
        match &self.place {
            Place::Path(path) => {
                let folder = beside(path);
                let mut names = Vec::new();
                list(&folder, "", DEEPEST, &mut names)?;
                let of_split = names.iter().any(|name| split::split_of(name) == Some(split));
                ensure!(of_split, "{}: there is no {split} split, from which examples would come", folder.display());
                let chosen = split::choose(&names, split, self.benchmark.config)?;
                Ok(chosen.iter().map(|name| folder.join(name)).collect())
            }
            Place::Hub { dataset, .. } => {
                let choose = |names: &[String]| split::choose(names, split, self.benchmark.config);
                fetcher()?.dataset(dataset, &format!("{}-{split}", self.benchmark.name), &choose, progress)
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
        ensure!(!below.is_empty(), "the repository has no file or folder {path}");
        let chosen = self.choose(path.rsplit('/').next().unwrap_or(path), &below).with_context(|| path.to_owned())?;
        Ok(chosen.into_iter().map(|name| format!("{path}/{name}")).collect())
    }

    /// Of the names below a folder those of the benchmark's split, or of the split that the folder itself is called by.
    fn choose(&self, folder: &str, names: &[String]) -> Result<Vec<String>> {
        let split = split::split_of(&format!("{folder}/")).unwrap_or(self.benchmark.split);
        split::choose(names, split, self.benchmark.config)
    }
}

impl Asking {
    fn parse(text: &str) -> Result<Self> {
        let mut asking = Self::default();
        for option in text.split(',') {
            match option.split_once('=') {
                Some(("shots", count)) => {
                    asking.shots = count.parse().map_err(|_| anyhow!("`{option}` is not a number of examples, as in shots=5"))?;
                }
                Some(("form", form)) => asking.form = form.parse()?,
                _ => bail!("`{option}` is no way of asking: after # come shots=N and form=chat, plain or cloze"),
            }
        }
        Ok(asking)
    }
}

/// The folder that holds the split of a path together with the others.
fn beside(path: &Path) -> PathBuf {
    let of_split =
        |folder: &Path| folder.file_name().is_some_and(|name| split::split_of(&format!("{}/", name.to_string_lossy())).is_some());
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = if path.is_dir() { path } else { path.parent().map(Path::to_owned).unwrap_or_default() };
    match folder.parent() {
        Some(above) if of_split(&folder) => above.to_owned(),
        _ => folder,
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
        }?;
        if self.asking == Asking::default() { Ok(()) } else { write!(f, "#{}", self.asking) }
    }
}

impl fmt::Display for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shots={},form={}", self.shots, self.form)
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
