//! What a pack says of itself, and whether its files are what it says.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::error::Invalid;
use crate::files::{file_sha256, read_json};

/// The manifest's file, the first of an archive.
pub const MANIFEST: &str = "pack.json";
/// Folder of the adapter.
pub const ADAPTER: &str = "adapter";
/// File of the system prompt.
pub const SYSTEM: &str = "system.txt";
/// File of the chat template.
pub const TEMPLATE: &str = "chat_template.jinja";
/// What the manifest says it is.
const KIND: &str = "ballast-pack";
/// Version of the format.
const SCHEMA: u32 = 1;

/// The manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    kind: String,
    schema: u32,
    /// The pack's name, which scripts are called by.
    pub name: String,
    /// The model that it belongs to.
    pub base: Base,
    /// sha256 of the adapter's tensors and scale as they act.
    pub adapter: String,
    /// Version of Ballast that made it.
    pub ballast: String,
    /// All other files, by name.
    pub files: Vec<Member>,
}

/// The base of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// What it is asked for by: a catalogue name, hf:owner/repo, or the name of a file or folder.
    pub model: String,
    /// sha256 of its weights.
    pub weights: String,
    /// sha256 of its tokenizer.
    pub tokenizer: String,
    /// sha256 of its chat template.
    pub template: String,
}

/// A file of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Path in the pack, with `/`.
    pub path: String,
    /// Bytes.
    pub bytes: u64,
    /// sha256 of them.
    pub sha256: String,
}

/// Files of one pack, and letters of a path in it.
const MOST_FILES: usize = 256;
const LONGEST_PATH: usize = 160;

impl Manifest {
    /// A manifest of the present format.
    pub fn new(name: &str, base: Base, adapter: String, files: Vec<Member>) -> Self {
        let ballast = env!("CARGO_PKG_VERSION").to_owned();
        Self { kind: KIND.to_owned(), schema: SCHEMA, name: name.to_owned(), base, adapter, ballast, files }
    }

    /// Refuses what is no manifest of this format, and paths that lead out of the pack or stand for one file twice.
    pub fn checked(self) -> Result<Self> {
        ensure!(self.kind == KIND, "it is a `{}`, not a {KIND}", self.kind);
        ensure!(self.schema == SCHEMA, "its format is version {}: this Ballast reads {SCHEMA}", self.schema);
        check_name(&self.name)?;
        ensure!(self.files.len() <= MOST_FILES, "it lists {} files: a pack has at most {MOST_FILES}", self.files.len());
        let mut seen = std::collections::HashSet::new();
        for member in &self.files {
            check_path(&member.path)?;
            // Some systems hold one file under both spellings.
            ensure!(seen.insert(member.path.to_lowercase()), "it lists `{}` twice", member.path);
        }
        ensure!(!seen.contains(MANIFEST), "it lists itself");
        for needed in ["adapter/adapter_config.json", "adapter/adapter_model.safetensors", SYSTEM, TEMPLATE] {
            ensure!(seen.contains(needed), "it lists no `{needed}`");
        }
        Ok(self)
    }

    /// Fails where a base is another one than the pack's.
    pub fn check_base(&self, found: &Base) -> Result<()> {
        for (what, own, there) in [
            ("weights", &self.base.weights, &found.weights),
            ("tokenizer", &self.base.tokenizer, &found.tokenizer),
            ("chat template", &self.base.template, &found.template),
        ] {
            ensure!(
                own == there,
                "the pack `{}` belongs to another base: it was made for `{}`, and the {what} of `{}` are not the same (sha256 {} there, {} here)",
                self.name,
                self.base.model,
                found.model,
                short(own),
                short(there)
            );
        }
        Ok(())
    }
}

fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

/// A name that files and served models can be called by.
pub fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    ensure!(
        !name.is_empty() && name.len() <= 48 && name.chars().all(plain) && name.starts_with(|c: char| c.is_ascii_alphanumeric()),
        "`{}` is no name for a pack: use lower-case letters, digits, - and _, at most 48",
        name.escape_debug()
    );
    Ok(())
}

/// A path below the pack's own folder, in letters that every system has.
pub(super) fn check_path(path: &str) -> Result<()> {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.ends_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    ensure!(
        path.len() <= LONGEST_PATH && path.split('/').count() <= 4 && path.split('/').all(plain),
        "it names `{}`, which is no path of a pack",
        path.escape_debug()
    );
    Ok(())
}

/// Reads the manifest of an unpacked folder and holds every file against it.
pub fn open(folder: &Path) -> Result<Manifest> {
    let path = folder.join(MANIFEST);
    ensure!(path.is_file(), "{} is no unpacked pack: it has no {MANIFEST} (`ballast unpack FILE --out DIR` makes one)", folder.display());
    let manifest = read_json::<Manifest>(&path)?.checked().map_err(|why| why.context(path.display().to_string()))?;
    for member in &manifest.files {
        let file = folder.join(&member.path);
        ensure!(file.is_file(), "{} is missing from the pack", file.display());
        if file_sha256(&file)? != member.sha256 {
            bail!(Invalid(format!("{} is not what was packed: unpack the archive again", file.display())));
        }
    }
    Ok(manifest)
}
