//! What is fetched where it is not here yet: the files of a model, the tables of a public benchmark.

use std::sync::Mutex;

use anyhow::Result;

use crate::eval::mapping::{self, Reference};
use crate::eval::suite::Suite;
use crate::library;
use crate::model::fetch::{Cache, ModelFiles, ModelRef, Progress, locate_or_fetch};
use crate::progress::Bar;

/// The files of a model.
pub(super) fn files(name: &str) -> Result<ModelFiles> {
    let reference = ModelRef::parse(name)?;
    locate_or_fetch(&reference, &Cache::from_env()?, &FetchBar::default())
}

/// A suite: a shipped one by name, a folder with suite.toml and items.jsonl, a mapping file, or a public benchmark, as `BENCHMARK`
/// or `BENCHMARK:WHERE`.
pub(super) fn suite(name: &str) -> Result<Suite> {
    match Reference::parse(name) {
        // No shipped suite is called like a mapping.
        Some(reference) => mapping::load(&reference?, &FetchBar::default()),
        None => library::suite(name),
    }
}

/// Progress of a fetch.
#[derive(Default)]
pub(super) struct FetchBar(Mutex<Option<Bar>>);

impl Progress for FetchBar {
    fn begin(&self, what: &str, total_bytes: Option<u64>) {
        if let Ok(mut bar) = self.0.lock() {
            if let Some(old) = bar.take() {
                old.finish();
            }
            *bar = Some(Bar::bytes(what, total_bytes));
        }
    }

    fn advance(&self, bytes: u64) {
        if let Ok(bar) = self.0.lock()
            && let Some(bar) = &*bar
        {
            bar.advance_quietly(bytes);
        }
    }

    fn finish(&self) {
        if let Ok(mut bar) = self.0.lock()
            && let Some(bar) = bar.take()
        {
            bar.finish();
        }
    }
}
