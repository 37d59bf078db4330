//! `MAPPING:WHERE#OPTIONS` as the user wrote it, and the files that it means.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::file::Mapping;
use super::shipped::SHIPPED;
use super::split;
use crate::eval::suite::PromptFormat;
use crate::files::{read_text, sha256};
use crate::model::fetch::{Fetcher, HubRef, Progress, sha256_file};

/// Folders below the one that was named: `all/test/anatomy.csv` is the deepest that occurs.
const DEEPEST: usize = 4;

/// Files in a folder, so that a mistaken `/` ends soon.
const MOST_FILES: usize = 100_000;

/// A mapping and where the rows are.
#[derive(Debug, Clone)]
pub struct Reference {
    /// As the user wrote it: a shipped mapping's name, or a file.
    written: String,
    /// What the columns mean.
    pub mapping: Arc<Mapping>,
    /// What the user says about how it is asked.
    asked: Options,
    place: Place,
}

/// How a suite is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asking {
    /// Worked examples before each question.
    pub shots: usize,
    /// Chat or plain text.
    pub form: PromptFormat,
}

/// What `#shots=5,form=plain` after the place says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Options {
    shots: Option<usize>,
    form: Option<PromptFormat>,
}

#[derive(Debug, Clone)]
enum Place {
    /// Where the mapping itself says; its files are named from this folder on.
    Own(PathBuf),
    /// A file or folder of the user's.
    Path(PathBuf),
    /// A data set on the hub, or one of its files or folders.
    Hub { dataset: HubRef, path: Option<String> },
}

impl Reference {
    /// What the user wrote, or None where it is neither a mapping's file nor begins with the name of a shipped one.
    pub fn parse(text: &str) -> Option<Result<Self>> {
        let (before, options) = match text.rsplit_once('#').filter(|(_, options)| options.contains('=')) {
            Some((before, options)) => (before, Some(options)),
            None => (text, None),
        };
        let (written, place) = match before.split_once(':') {
            Some((name, place)) if shipped(name).is_some() => (name, Some(place)),
            _ => (before, None),
        };
        let is_file = Path::new(written).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
        if shipped(written).is_none() && !is_file {
            return None;
        }
        let read = || -> Result<Self> {
            let asked = options.map(Options::parse).transpose()?.unwrap_or_default();
            let (mapping, folder) = match shipped(written) {
                Some(text) => (Mapping::parse(text, &format!("evalsets/mappings/{written}.toml"))?, PathBuf::new()),
                None => of_file(Path::new(written))?,
            };
            let place = place.map_or_else(|| Ok(Place::Own(folder)), Place::parse)?;
            let reference = Self { written: written.to_owned(), mapping: Arc::new(mapping), asked, place };
            reference.asking()?;
            Ok(reference)
        };
        Some(read().with_context(|| format!("`{text}` cannot be used as a suite")))
    }

    /// A suite's name with how it is to be asked written to it; only one that a mapping reads can be.
    pub fn asked(name: &str, shots: Option<usize>, form: Option<PromptFormat>) -> Result<String> {
        if shots.is_none() && form.is_none() {
            return Ok(name.to_owned());
        }
        let Some(reference) = Self::parse(name) else {
            bail!("`{name}` cannot be asked with shots or form: they are of suites that a mapping reads, such as mmlu:FOLDER");
        };
        let mut reference = reference?;
        reference.asked = Options { shots: shots.or(reference.asked.shots), form: form.or(reference.asked.form) };
        reference.asking()?;
        Ok(reference.to_string())
    }

    /// How it is asked: as the user says, or else as the mapping does.
    pub fn asking(&self) -> Result<Asking> {
        let mapping = &self.mapping;
        let own = mapping.examples.as_ref().map_or(0, |examples| examples.shots);
        let asking = Asking { shots: self.asked.shots.unwrap_or(own), form: self.asked.form.unwrap_or(mapping.asked) };
        let cannot = |what: &str| anyhow!("{} cannot be asked with {what} in its mapping", self.written);
        ensure!(asking.shots == 0 || mapping.examples.is_some(), cannot("examples: there is no [examples] that says where they are"));
        ensure!(
            asking.form == PromptFormat::Chat || mapping.text.is_some(),
            cannot("another form than chat: there is no [text] with the words")
        );
        Ok(asking)
    }

    /// The files with the items, in order of their names.
    pub(super) fn files(&self, fetcher: impl Fn() -> Result<Fetcher>, progress: &dyn Progress) -> Result<Vec<PathBuf>> {
        let source = &self.mapping.source;
        match &self.place {
            Place::Path(path) => self.below(path),
            Place::Hub { dataset, path } => {
                let part = path.as_ref().map_or_else(|| self.written.clone(), |path| format!("{}/{path}", self.written));
                fetcher()?.dataset(dataset, &part, &|names| self.choose_below(path.as_deref(), names), progress)
            }
            Place::Own(folder) => {
                let files = match self.own_dataset()? {
                    Some(dataset) => {
                        let choose = |names: &[String]| -> Result<Vec<String>> {
                            if source.files.is_empty() {
                                return self.choose_below(None, names);
                            }
                            let parts = source.files.iter().map(|path| self.choose_below(Some(path), names));
                            Ok(parts.collect::<Result<Vec<_>>>()?.concat())
                        };
                        fetcher()?.dataset(&dataset, &self.part(&source.files, self.split())?, &choose, progress)?
                    }
                    None if source.files.is_empty() => bail!("{} names no files of its own: write {}:FOLDER", self.written, self.written),
                    None => {
                        let parts = source.files.iter().map(|file| self.below(&folder.join(file)));
                        parts.collect::<Result<Vec<_>>>()?.concat()
                    }
                };
                check_digests(&files, &source.sha256, progress)?;
                Ok(files)
            }
        }
    }

    /// The files of another split than the one asked, which stands beside it, or those that the mapping names: where examples
    /// come from.
    pub(super) fn files_beside(&self, fetcher: impl Fn() -> Result<Fetcher>, progress: &dyn Progress) -> Result<Vec<PathBuf>> {
        let Some(examples) = &self.mapping.examples else { bail!("there is no [examples]") };
        let config = self.mapping.source.config.as_deref();
        let split = examples.split.as_deref();
        match (&self.place, self.own_dataset()?) {
            (Place::Own(folder), None) if !examples.files.is_empty() => Ok(examples.files.iter().map(|file| folder.join(file)).collect()),
            (Place::Own(_), Some(dataset)) if !examples.files.is_empty() => {
                let choose = |names: &[String]| -> Result<Vec<String>> {
                    let missing = examples.files.iter().find(|file| !names.contains(file));
                    missing.map_or_else(|| Ok(examples.files.clone()), |file| bail!("the repository has no file {file}"))
                };
                fetcher()?.dataset(&dataset, &self.part(&examples.files, "examples")?, &choose, progress)
            }
            (Place::Hub { dataset, .. }, _) => {
                let split = split.context("[examples] names no split")?;
                let choose = |names: &[String]| split::choose(names, split, config);
                fetcher()?.dataset(dataset, &format!("{}-{split}", self.written), &choose, progress)
            }
            (Place::Own(_), Some(dataset)) => {
                let split = split.context("[examples] names neither a split nor files")?;
                let choose = |names: &[String]| split::choose(names, split, config);
                fetcher()?.dataset(&dataset, &self.part(&[], split)?, &choose, progress)
            }
            (Place::Path(_) | Place::Own(_), _) => {
                let split = split.context("[examples] names neither a split nor files beside the mapping")?;
                let path = match &self.place {
                    Place::Path(path) => path.clone(),
                    Place::Own(folder) => folder.join(self.mapping.source.files.first().map_or("", String::as_str)),
                    Place::Hub { .. } => PathBuf::new(),
                };
                let folder = beside(&path);
                let mut names = Vec::new();
                list(&folder, "", DEEPEST, &mut names)?;
                let of_split = names.iter().any(|name| split::split_of(name) == Some(split));
                ensure!(of_split, "{}: there is no {split} split, from which examples would come", folder.display());
                let chosen = split::choose(&names, split, config)?;
                Ok(chosen.iter().map(|name| folder.join(name)).collect())
            }
        }
    }

    /// The data set on the hub that the mapping names, if the rows are to come from there.
    fn own_dataset(&self) -> Result<Option<HubRef>> {
        let source = &self.mapping.source;
        let (Place::Own(_), Some(hub)) = (&self.place, &source.hub) else { return Ok(None) };
        let revision = source.revision.as_ref().map_or_else(String::new, |revision| format!("@{revision}"));
        let (dataset, path) = HubRef::parse_dataset(&format!("hf:datasets/{hub}{revision}"))
            .ok_or_else(|| anyhow!("[source] hub is `{hub}`: write OWNER/REPO, and a revision without a slash"))?;
        ensure!(path.is_none(), "[source] hub is `{hub}`: write OWNER/REPO, and paths in it as `files`");
        Ok(Some(dataset))
    }

    /// What names a choice of files in the cache: other settings of a mapping must not find what these chose.
    fn part(&self, files: &[String], split: &str) -> Result<String> {
        let choice = serde_json::to_vec(&(files, split, &self.mapping.source.config))?;
        Ok(format!("{}-{}", self.mapping.name, &sha256(&choice)[..12]))
    }

    fn split(&self) -> &str {
        self.mapping.source.split.as_deref().unwrap_or("test")
    }

    /// A file itself, or what a folder has of the split.
    fn below(&self, path: &Path) -> Result<Vec<PathBuf>> {
        if !path.is_dir() {
            ensure!(path.is_file(), "there is no file or folder {}", path.display());
            return Ok(vec![path.to_owned()]);
        }
        let mut names = Vec::new();
        list(path, "", DEEPEST, &mut names)?;
        let folder = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let folder = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let chosen = self.choose(&folder, &names).with_context(|| path.display().to_string())?;
        Ok(chosen.iter().map(|name| path.join(name)).collect())
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

    /// Of the names below a folder those of the split that is asked, or of the split that the folder itself is called by.
    fn choose(&self, folder: &str, names: &[String]) -> Result<Vec<String>> {
        let split = split::split_of(&format!("{folder}/")).unwrap_or_else(|| self.split());
        split::choose(names, split, self.mapping.source.config.as_deref())
    }
}

/// The text of a shipped mapping.
fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// A mapping of the user's, and the folder from which its files are named.
fn of_file(path: &Path) -> Result<(Mapping, PathBuf)> {
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let is_suite = path.file_name().is_some_and(|name| name == "suite.toml") && folder.join("items.jsonl").exists();
    ensure!(!is_suite, "it belongs to a suite with items.jsonl beside it: name the folder");
    Ok((Mapping::parse(&read_text(path)?, &path.display().to_string())?, folder))
}

/// Fails where a file's bytes are not those that the mapping was written for.
fn check_digests(files: &[PathBuf], digests: &BTreeMap<String, String>, progress: &dyn Progress) -> Result<()> {
    if digests.is_empty() {
        return Ok(());
    }
    for file in files {
        let (_, wanted) = digests
            .iter()
            .find(|(name, _)| file.ends_with(name))
            .ok_or_else(|| anyhow!("[source] sha256 has no digest for {}, which is read", file.display()))?;
        let found = sha256_file(file, progress)?;
        ensure!(
            found.eq_ignore_ascii_case(wanted),
            "{}: sha256 is {found}, but [source] says {wanted}: it is another version",
            file.display()
        );
    }
    Ok(())
}

impl Options {
    fn parse(text: &str) -> Result<Self> {
        let mut options = Self::default();
        for option in text.split(',') {
            match option.split_once('=') {
                Some(("shots", count)) => {
                    let shots = count.parse().map_err(|_| anyhow!("`{option}` is not a number of examples, as in shots=5"))?;
                    options.shots = Some(shots);
                }
                Some(("form", form)) => options.form = Some(form.parse()?),
                _ => bail!("`{option}` is no way of asking: after # come shots=N and form=chat, plain or cloze"),
            }
        }
        Ok(options)
    }
}

impl Asking {
    /// Neither examples nor another form.
    pub(super) const PLAIN_QUESTION: Self = Self { shots: 0, form: PromptFormat::Chat };
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
        f.write_str(&self.written)?;
        match &self.place {
            Place::Own(_) => Ok(()),
            Place::Path(path) => write!(f, ":{}", path.display()),
            Place::Hub { dataset, path: None } => write!(f, ":{dataset}"),
            Place::Hub { dataset, path: Some(path) } => write!(f, ":{dataset}/{path}"),
        }?;
        let shots = self.asked.shots.map(|shots| format!("shots={shots}"));
        let form = self.asked.form.map(|form| format!("form={form}"));
        let options: Vec<String> = shots.into_iter().chain(form).collect();
        if options.is_empty() { Ok(()) } else { write!(f, "#{}", options.join(",")) }
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
            ensure!(names.len() < MOST_FILES, "{} holds more than {MOST_FILES} files: name a smaller folder", folder.display());
            names.push(name);
        } else if depth > 0 {
            list(&entry.path(), &format!("{name}/"), depth - 1, names)?;
        }
    }
    Ok(())
}
