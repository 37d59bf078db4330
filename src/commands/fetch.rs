//! `ballast fetch`: a model into the cache.

use anyhow::Result;

use super::fetched::{self, FetchBar};
use super::print;
use crate::cli::FetchArgs;
use crate::model::catalogue::CATALOGUE;
use crate::model::fetch::{Cache, ModelFiles, ModelRef, verify};

pub(super) fn fetch(args: &FetchArgs) -> Result<()> {
    let Some(name) = &args.model else { return list() };
    let path = match fetched::files(name)? {
        ModelFiles::Gguf(path) | ModelFiles::Folder(path) => path,
    };
    if args.verify {
        for file in verify(&ModelRef::parse(name)?, &Cache::from_env()?, &FetchBar::default())? {
            print(&format!("{}  {}\n", file.sha256, file.path.display()))?;
        }
    }
    print(&format!("{}\n", path.display()))
}

fn list() -> Result<()> {
    for entry in CATALOGUE {
        let size = entry.bytes().map_or("from the hub".to_owned(), |bytes| format!("{:.0} MB", bytes as f64 / 1e6));
        print(&format!("{:<30} {:<8} {:<14} {}\n", entry.name, entry.architecture, size, entry.licence))?;
    }
    print("hf:owner/repo, a GGUF file or a safetensors folder also works\n")
}
