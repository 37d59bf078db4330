//! What the user writes for a model: a name of the catalogue, a repository on the hub, a GGUF file or a folder.

use std::fmt;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::files;
use crate::model::catalogue::{self, CATALOGUE, Entry};

const HUB_PREFIX: &str = "hf:";
const DATASETS: &str = "datasets/";

/// What a model folder needs beside its weights.
pub(super) const REQUIRED: [&str; 2] = ["config.json", "tokenizer.json"];
/// The weights in one file.
pub(super) const SINGLE: &str = "model.safetensors";
/// Which tensor is in which file, where the weights are in several.
pub(super) const INDEX: &str = "model.safetensors.index.json";

/// One model, named but not yet fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelRef {
    /// A model of the catalogue.
    Catalogue(&'static Entry),
    /// A repository on the hub.
    Hub(HubRef),
    /// A GGUF file of the user's.
    Gguf(PathBuf),
    /// A folder of the user's with `config.json`, `tokenizer.json` and safetensors.
    Folder(PathBuf),
}

/// A repository on the hub, `hf:owner/repo` or `hf:owner/repo@revision`; of data `hf:datasets/owner/repo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubRef {
    /// What the repository holds.
    pub kind: RepoKind,
    /// `owner/repo`.
    pub repo: String,
    /// Branch, tag or commit; `main` unless given.
    pub revision: String,
}

/// What a repository on the hub holds: models and data sets have name spaces of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RepoKind {
    /// A model.
    #[default]
    Model,
    /// A data set.
    Dataset,
}

/// Why a text does not name a model, and what would.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ModelRefError {
    /// No catalogue name, and not written like a path.
    #[error(
        "unknown model {name:?}{}; {}",
        suggestion(.similar),
        choices()
    )]
    UnknownName {
        /// What was written.
        name: String,
        /// Catalogue names that are spelled much like it, the closest first.
        similar: Vec<&'static str>,
    },
    /// `hf:` followed by something that is not a repository.
    #[error("{text:?} is not a hub repository: write hf:owner/repo or hf:owner/repo@revision")]
    HubSyntax {
        /// What was written.
        text: String,
    },
    /// A path that leads nowhere.
    #[error("there is no file or folder {}{}", .path.display(), .hub.as_ref().map(|repo| format!("; for the hub repository write hf:{repo}")).unwrap_or_default())]
    NoSuchPath {
        /// The path.
        path: PathBuf,
        /// The same text, where it could be a repository's name.
        hub: Option<String>,
    },
    /// A file that is not GGUF.
    #[error("{} is not a GGUF file ({reason}); give a complete .gguf file, or a folder with config.json, tokenizer.json and *.safetensors", .path.display())]
    NotGguf {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        reason: String,
    },
    /// A folder without everything that a model needs.
    #[error("{} is not a complete model folder: it lacks {}{}", .path.display(), .lacking.join(", "), .gguf.as_ref().map(|file| format!("; to use its GGUF file, give {}", file.display())).unwrap_or_default())]
    Incomplete {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        lacking: Vec<String>,
        /// A GGUF file in it, which may be what was meant.
        gguf: Option<PathBuf>,
    },
}

impl ModelRef {
    /// Reads what the user wrote. Paths are looked at: what is returned exists and is complete.
    pub fn parse(text: &str) -> Result<Self, ModelRefError> {
        if let Some(rest) = text.strip_prefix(HUB_PREFIX) {
            return HubRef::parse(rest).map(Self::Hub).ok_or_else(|| ModelRefError::HubSyntax { text: text.to_owned() });
        }
        if let Some(entry) = catalogue::find(text) {
            return Ok(Self::Catalogue(entry));
        }
        let path = PathBuf::from(text);
        let names_gguf = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"));
        if path.is_dir() {
            check_folder(&path)?;
            Ok(Self::Folder(path))
        } else if path.exists() {
            check_gguf(&path)?;
            Ok(Self::Gguf(path))
        } else if names_gguf || text.contains(['/', '\\']) || text.starts_with(['.', '~']) {
            let hub = (!names_gguf).then(|| HubRef::parse(text)).flatten().map(|_| text.to_owned());
            Err(ModelRefError::NoSuchPath { path, hub })
        } else {
            Err(ModelRefError::UnknownName { name: text.to_owned(), similar: similar_names(text) })
        }
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Catalogue(entry) => f.write_str(entry.name),
            Self::Hub(hub) => hub.fmt(f),
            Self::Gguf(path) | Self::Folder(path) => path.display().fmt(f),
        }
    }
}

impl HubRef {
    /// Parses what follows `hf:`. Names become paths in the cache, so nothing that could leave it is let through.
    fn parse(text: &str) -> Option<Self> {
        let (repo, revision) = text.split_once('@').unwrap_or((text, "main"));
        let (owner, name) = repo.split_once('/')?;
        (is_plain(owner) && is_plain(name) && revision.split('/').all(is_plain)).then(|| Self {
            kind: RepoKind::Model,
            repo: repo.to_owned(),
            revision: revision.to_owned(),
        })
    }

    /// Parses `hf:datasets/owner/repo[@revision][/path]` into a data set and the file or folder of it that is meant; None for
    /// anything else. The path ends the name of the revision, so one with a slash cannot be named here.
    pub fn parse_dataset(text: &str) -> Option<(Self, Option<String>)> {
        let rest = text.strip_prefix(HUB_PREFIX)?.strip_prefix(DATASETS)?;
        let mut parts = rest.trim_end_matches('/').splitn(3, '/');
        let (owner, name, path) = (parts.next()?, parts.next()?, parts.next());
        let model = Self::parse(&format!("{owner}/{name}"))?;
        let good_path = path.is_none_or(|path| path.split('/').all(is_plain));
        good_path.then(|| (Self { kind: RepoKind::Dataset, ..model }, path.map(str::to_owned)))
    }
}

/// Part of a path that names something below where it stands.
pub(super) fn is_plain(part: &str) -> bool {
    !part.is_empty()
        && part.len() <= 200
        && !part.starts_with(['.', '-'])
        && !part.contains("..")
        && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

impl fmt::Display for HubRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let datasets = if self.kind == RepoKind::Dataset { DATASETS } else { "" };
        write!(f, "{HUB_PREFIX}{datasets}{}", self.repo)?;
        if self.revision != "main" {
            write!(f, "@{}", self.revision)?;
        }
        Ok(())
    }
}

/// Whether the folder has all files of a model, every shard that its index lists among them.
pub(super) fn check_folder(path: &Path) -> Result<(), ModelRefError> {
    let mut lacking: Vec<String> = REQUIRED.into_iter().filter(|name| !path.join(name).exists()).map(str::to_owned).collect();
    let names: Vec<PathBuf> = fs::read_dir(path).map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default();
    let first = |extension: &str| {
        let mut found = names.iter().filter(|name| name.extension().is_some_and(|e| e == extension));
        found.next().cloned()
    };
    if path.join(SINGLE).exists() {
        // The whole model in one file: an index beside it is left over.
    } else if path.join(INDEX).exists() {
        match files::read(&path.join(INDEX), files::TEXT).ok().and_then(|bytes| shards(&bytes)) {
            Some(shards) => lacking.extend(shards.into_iter().filter(|shard| !path.join(shard).exists())),
            None => lacking.push(format!("a readable {INDEX}")),
        }
    } else if first("safetensors").is_none() {
        lacking.push("*.safetensors".to_owned());
    }
    if lacking.is_empty() {
        return Ok(());
    }
    Err(ModelRefError::Incomplete { path: path.to_owned(), lacking, gguf: first("gguf") })
}

/// The files that an index of shards lists, each once; `None` if it is not such an index, or one of them is not a
/// plain file name.
pub(super) fn shards(index: &[u8]) -> Option<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: std::collections::BTreeMap<String, String>,
    }
    let index: Index = serde_json::from_slice(index).ok()?;
    let mut files: Vec<String> = index.weight_map.into_values().collect();
    files.sort();
    files.dedup();
    let plain = |name: &String| name.ends_with(".safetensors") && is_plain(name);
    (!files.is_empty() && files.iter().all(plain)).then_some(files)
}

fn check_gguf(path: &Path) -> Result<(), ModelRefError> {
    let mut start = Vec::new();
    let read = files::open(path).and_then(|file| Ok(file.take(64).read_to_end(&mut start)?));
    let reason = match read {
        Err(error) => format!("{error:#}"),
        Ok(_) if start.starts_with(b"GGUF") => return Ok(()),
        Ok(_) if start.starts_with(b"version https://git-lfs") => "it is a Git LFS pointer; `git lfs pull` gets the file itself".to_owned(),
        Ok(0) => "it is empty".to_owned(),
        Ok(_) => "it does not start with GGUF".to_owned(),
    };
    Err(ModelRefError::NotGguf { path: path.to_owned(), reason })
}

fn choices() -> String {
    let names: Vec<&str> = CATALOGUE.iter().map(|entry| entry.name).collect();
    format!(
        "give one of {}, or hf:owner/repo, or the path of a .gguf file, or of a folder with config.json, \
         tokenizer.json and *.safetensors",
        names.join(", ")
    )
}

fn suggestion(similar: &[&str]) -> String {
    match similar {
        [] => String::new(),
        names => format!(" (did you mean {}?)", names.join(" or ")),
    }
}

/// Catalogue names that contain the text, or are a few letters away from it.
fn similar_names(text: &str) -> Vec<&'static str> {
    let text = text.to_lowercase();
    let mut scored: Vec<(usize, &str)> = CATALOGUE
        .iter()
        .map(|entry| {
            let contained = text.len() >= 3 && entry.name.contains(&text);
            (if contained { 0 } else { strsim::levenshtein(&text, entry.name) }, entry.name)
        })
        .filter(|(distance, name)| *distance <= name.len() / 3)
        .collect();
    scored.sort_by_key(|(distance, _)| *distance);
    scored.into_iter().map(|(_, name)| name).take(3).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        ModelRef::parse(text).expect_err("does not name a model").to_string()
    }

    fn hub(repo: &str, revision: &str) -> ModelRef {
        ModelRef::Hub(HubRef { kind: RepoKind::Model, repo: repo.to_owned(), revision: revision.to_owned() })
    }

    #[test]
    fn every_form_is_read_and_printed_back() {
        for entry in CATALOGUE {
            assert_eq!(ModelRef::parse(entry.name), Ok(ModelRef::Catalogue(entry)));
        }
        let cases = [("hf:Qwen/Qwen2.5-7B", hub("Qwen/Qwen2.5-7B", "main")), ("hf:a/b@refs/pr/1", hub("a/b", "refs/pr/1"))];
        for (text, expected) in cases {
            let parsed = ModelRef::parse(text).expect("is a model");
            assert_eq!(parsed.to_string(), text);
            assert_eq!(parsed, expected);
        }
    }

    #[test]
    fn a_repository_cannot_leave_the_cache() {
        for text in ["hf:", "hf:a", "hf:a/b/c", "hf:../b", "hf:a/..", "hf:a/b@", "hf:a/b@../x", "hf:a/b@/x", "hf:a b/c"] {
            assert!(error(text).contains("write hf:owner/repo"), "{text}");
        }
        let dataset = |text: &str| HubRef::parse_dataset(text).map(|(repo, path)| (repo.to_string(), path));
        let path = |text: &str| Some(text.to_owned());
        assert_eq!(dataset("hf:datasets/a/b"), Some(("hf:datasets/a/b".to_owned(), None)));
        assert_eq!(dataset("hf:datasets/a/b@v1/c/d.csv"), Some(("hf:datasets/a/b@v1".to_owned(), path("c/d.csv"))));
        for text in
            ["a/b", "hf:a/b", "hf:datasets/a", "hf:datasets/../b", "hf:datasets/a/b/../c", "hf:datasets/a/b//c", "hf:datasets/a/b/.git"]
        {
            assert_eq!(dataset(text), None, "{text}");
        }
        let index = br#"{"weight_map": {"a": "../../escape.safetensors"}}"#;
        assert_eq!(shards(index), None);
    }

    #[test]
    fn an_unknown_name_gets_the_closest_ones() {
        let text = error("smolm2-135m-instruct");
        assert!(text.contains("did you mean smollm2-135m-instruct?"), "{text}");
        assert!(text.contains("hf:owner/repo") && text.contains("qwen2.5-7b-instruct"), "{text}");
        let text = error("qwen2.5-coder");
        assert!(text.contains("mean qwen2.5-coder-0.5b-instruct or qwen2.5-coder-1.5b-instruct?"), "{text}");
        assert!(!error("gpt-2").contains("did you mean"));
    }

    #[test]
    fn a_wrong_path_says_what_is_missing() {
        assert_eq!(error("no/such/model.gguf"), "there is no file or folder no/such/model.gguf");
        assert_eq!(error("Qwen/Qwen2.5-7B"), "there is no file or folder Qwen/Qwen2.5-7B; for the hub repository write hf:Qwen/Qwen2.5-7B");

        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, content: &str| fs::write(path(name), content).expect("written");
        let parse = |path: &Path| ModelRef::parse(path.to_str().expect("plain text"));

        write("model.gguf", "version https://git-lfs.github.com/spec/v1\n");
        let text = parse(&path("model.gguf")).expect_err("is a pointer").to_string();
        assert!(text.contains("git lfs pull"), "{text}");
        let text = parse(folder.path()).expect_err("is incomplete").to_string();
        assert!(text.contains("lacks config.json, tokenizer.json, *.safetensors; to use its GGUF file"), "{text}");
        write("model.gguf", "GGUF and the rest");
        assert_eq!(parse(&path("model.gguf")), Ok(ModelRef::Gguf(path("model.gguf"))));

        write("config.json", "{}");
        write("tokenizer.json", "{}");
        write(INDEX, r#"{"weight_map": {"x": "a.safetensors", "y": "b.safetensors", "z": "a.safetensors"}}"#);
        write("a.safetensors", "");
        let text = parse(folder.path()).expect_err("lacks a shard").to_string();
        assert!(text.contains("lacks b.safetensors"), "{text}");
        write("b.safetensors", "");
        assert_eq!(parse(folder.path()), Ok(ModelRef::Folder(folder.path().to_owned())));
    }
}
