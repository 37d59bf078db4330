//! `ballast suite`: what a suite asks, and proof that it measures what it says.

mod check;
mod constant;
mod findings;
mod floor;
mod scripted;
mod show;

pub(super) use check::check;
pub(super) use floor::floor;
pub(super) use show::show;

use std::collections::BTreeMap;

use crate::counted::counted;
use crate::eval::suite::{Language, Suite};

/// `200 items (100 en, 100 zh), 10 subjects`
fn size(suite: &Suite) -> String {
    let mut languages: BTreeMap<Language, usize> = BTreeMap::new();
    for item in &suite.items {
        *languages.entry(item.language).or_default() += 1;
    }
    let languages: Vec<String> = languages.iter().map(|(language, count)| format!("{count} {language}")).collect();
    let items = suite.items.len();
    let subjects = suite.items.iter().map(|item| item.subject.as_str()).collect::<std::collections::BTreeSet<_>>().len();
    format!("{} ({}), {}", counted(items, "item"), languages.join(", "), counted(subjects, "subject"))
}
