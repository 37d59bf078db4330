//! Any table as a suite: a mapping, one TOML file, says what its columns mean. Public benchmarks are read so in the files they
//! are published in, and so is a table of one's own; docs/mappings.md is the reference.
//!
//! `reference` is what the user wrote: `MAPPING.toml`, `BENCHMARK` or `BENCHMARK:WHERE`. `split` chooses the files, `table`
//! reads their rows, `cell` and `template` find values in them, `item`, `code` and `orders` make items of them, and `lead` puts
//! examples before the questions. `file` is the mapping as written. No row of a benchmark ships with Ballast; the words in which
//! benchmarks are asked are in `evalsets/mappings` and part of a suite's digest.

mod cell;
mod code;
mod file;
mod item;
mod lead;
mod orders;
mod reference;
mod shipped;
mod split;
mod table;
mod template;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use super::floor::floor_of_keys;
use super::suite::{Item, Suite, SuiteRole};
use crate::files::sha256;
use crate::model::fetch::{Cache, Fetcher, Progress};

pub use file::Mapping;
use item::{Made, Place};
use lead::Example;
pub use reference::{Asking, Reference};
use table::Layout;

/// Names of the mappings that ship with Ballast.
pub fn names() -> impl Iterator<Item = &'static str> {
    shipped::SHIPPED.iter().map(|(name, _)| *name)
}

/// Reads a suite, from the hub if it is there and was not fetched before.
pub fn load(reference: &Reference, progress: &dyn Progress) -> Result<Suite> {
    load_with(reference, || Ok(Fetcher::from_env(Cache::from_env()?)), progress)
}

/// The same with what fetches as a value.
pub fn load_with(reference: &Reference, fetcher: impl Fn() -> Result<Fetcher>, progress: &dyn Progress) -> Result<Suite> {
    let (mapping, asking) = (&*reference.mapping, reference.asking()?);
    let files = reference.files(&fetcher, progress)?;
    let mut rows = mapping.rows(&files)?;
    ensure!(!rows.items.is_empty(), "{reference} has no items{}", rows.left_out_text());
    if asking != Asking::PLAIN_QUESTION {
        let (mut examples, mut split) = (Vec::new(), "the examples".to_owned());
        if asking.shots > 0 {
            let beside = reference.files_beside(&fetcher, progress)?;
            if let Some(name) = mapping.examples.as_ref().and_then(|examples| examples.split.as_ref()) {
                split = format!("the {name} split");
            }
            let same = |path: &PathBuf| files.iter().any(|file| file.canonicalize().ok() == path.canonicalize().ok());
            ensure!(!beside.iter().any(same), "{reference}: asks the very {} that its examples would come from", &split[4..]);
            examples = mapping.examples(&beside)?;
        }
        lead::lead(&mut rows.items, examples, asking, mapping.text.as_ref(), &split)?;
    }
    mapping.suite(rows, asking)
}

/// What the rows of some files became.
#[derive(Debug, Default)]
struct Rows {
    items: Vec<Item>,
    /// The answer of each as an example gives it.
    answers: Vec<Option<String>>,
    /// Rows that are not asked, by reason.
    left_out: BTreeMap<String, usize>,
}

impl Rows {
    /// `; left out: 3 rows (no check for startend:quotation), 1 row (...)`
    fn left_out_text(&self) -> String {
        if self.left_out.is_empty() {
            return String::new();
        }
        let text = |(why, count): (&String, &usize)| format!("{count} {} ({why})", if *count == 1 { "row" } else { "rows" });
        format!("; left out: {}", self.left_out.iter().map(text).collect::<Vec<_>>().join(", "))
    }
}

/// Words of a description that no longer hold once there are examples.
const WITHOUT: &str = "without examples";

impl Mapping {
    fn layout(&self) -> Layout<'_> {
        Layout { headerless: self.source.columns.as_deref(), records: self.source.records.as_deref() }
    }

    /// What the rows of its files become, in order.
    fn rows(&self, files: &[PathBuf]) -> Result<Rows> {
        let (mut rows, mut places) = (Rows::default(), BTreeMap::new());
        // Rows are counted in each subject, so that one file for all and one file per subject give the same ids.
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut unfit = 0;
        for path in files {
            let of_file = split::subject_of(&path.to_string_lossy()).unwrap_or_else(|| self.name.clone());
            let records = table::read(path, self.layout())?;
            ensure!(!records.is_empty(), "{}: there is no row", path.display());
            for record in records {
                let subject = self.subject(&record, &of_file)?;
                let count = counts.entry(subject.clone()).or_default();
                let place = Place { subject: &subject, row: *count };
                *count += 1;
                let made = match self.item(&record, place) {
                    Err(error) if unfit < self.unfit => {
                        unfit += 1;
                        // Reports are read on other machines, where the folder says nothing.
                        let folder = path.parent().map(|folder| format!("{}/", folder.display())).unwrap_or_default();
                        Made::LeftOut(format!("{error:#}").replacen(&folder, "", 1))
                    }
                    made => made?,
                };
                match made {
                    Made::LeftOut(why) => *rows.left_out.entry(why).or_default() += 1,
                    Made::Item(item) => {
                        if let Some(earlier) = places.insert(item.id.clone(), record.place.clone()) {
                            bail!("{}: the id `{}` is taken by {earlier}; name one file or folder of the two", record.place, item.id);
                        }
                        let template = self.examples.as_ref().and_then(|examples| examples.answer.as_ref());
                        // The answer of a row that is only asked may well be missing.
                        let answer = template.map_or_else(|| lead::key(&item), |template| template.fill(&record, &[]).ok());
                        rows.answers.push(answer);
                        rows.items.push(*item);
                    }
                }
            }
        }
        Ok(rows)
    }

    fn examples(&self, files: &[PathBuf]) -> Result<Vec<Example>> {
        let rows = self.rows(files)?;
        let with_answer = rows.items.into_iter().zip(rows.answers).map(|(item, answer)| {
            let answer = answer.with_context(|| format!("example {} has no answer: give [examples] an `answer`", item.id))?;
            Ok(Example { item, answer })
        });
        with_answer.collect()
    }

    fn suite(&self, rows: Rows, asking: Asking) -> Result<Suite> {
        let left_out = rows.left_out_text();
        let items = rows.items;
        let mut hashes: Vec<_> = items.iter().map(|item| (&item.id, &item.subject, item.content_hash())).collect();
        hashes.sort();
        let settings = (&self.name, self.version, self.max_new_tokens, self.scoring);
        let digest = sha256(&serde_json::to_vec(&(settings, hashes))?);
        let examples = if asking.shots == 1 { "example" } else { "examples" };
        let asked = format!("{} {examples} as {}", asking.shots, asking.form);
        let description = match asking {
            Asking::PLAIN_QUESTION => self.description.clone(),
            _ if self.description.contains(WITHOUT) => self.description.replace(WITHOUT, &asked),
            _ => format!("{} ({asked})", self.description.trim_end_matches('.')),
        };
        let chance = items.iter().map(Item::chance).sum::<f64>() / items.len() as f64;
        Ok(Suite {
            name: self.name.clone(),
            version: self.version,
            role: SuiteRole::General,
            description: if left_out.is_empty() { description } else { format!("{}{left_out}.", description.trim_end_matches('.')) },
            max_new_tokens: self.max_new_tokens,
            floor: [floor_of_keys(&items), self.chance.unwrap_or(0.0)].into_iter().fold(chance, f64::max),
            constants: Vec::new(),
            chance,
            scoring: self.scoring,
            digest,
            items,
        })
    }
}

#[cfg(test)]
mod tests;
