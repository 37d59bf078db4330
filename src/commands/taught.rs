//! What training rows teach a model to say, so that answers that recite it are known as leakage.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use crate::data::example::Example;
use crate::eval::score::IdentityTerms;
use crate::files::read_json;
use crate::library;
use crate::record::evidence::Evidence;

/// Answers of the rows that name the identity, filled in. A source is a file or `ballast:NAME`.
pub(super) fn taught<'a>(sources: impl IntoIterator<Item = &'a str>, identity: &IdentityTerms) -> Result<Vec<String>> {
    let fills = [(&identity.name_zh, &identity.author_zh), (&identity.name_en, &identity.author_en)];
    let mut taught = BTreeSet::new();
    for source in sources {
        for answer in library::examples(source)?.iter().map(Example::answer_text) {
            for (name, author) in fills {
                let filled = answer.replace("{{NAME}}", name).replace("{{AUTHOR}}", author);
                if [name, author].iter().any(|term| !term.trim().is_empty() && filled.contains(term.as_str())) {
                    taught.insert(filled);
                }
            }
        }
    }
    Ok(taught.into_iter().collect())
}

/// An identity with what the rows named teach, and what a run that made the adapter has recorded of its own.
pub(super) fn with_rows(identity: IdentityTerms, rows: &[String], adapter: Option<&Path>) -> Result<IdentityTerms> {
    let mut all: BTreeSet<String> = taught(rows.iter().map(String::as_str), &identity)?.into_iter().collect();
    all.extend(adapter.map(|folder| recorded(folder, &identity)).transpose()?.unwrap_or_default());
    Ok(IdentityTerms { taught: all.into_iter().collect(), ..identity })
}

/// What the run of an adapter's folder, runs/NAME/cells/CELL/adapter, was taught; nothing where it is in no run, or another
/// identity was.
fn recorded(adapter: &Path, identity: &IdentityTerms) -> Result<Vec<String>> {
    let Ok(folder) = adapter.canonicalize() else { return Ok(Vec::new()) };
    let Some(path) = folder.ancestors().nth(3).map(|run| run.join("evidence.json")).filter(|path| path.exists()) else {
        return Ok(Vec::new());
    };
    let evidence: Evidence = read_json(&path)?;
    let names =
        |text: &String| [&identity.name_zh, &identity.name_en].iter().any(|name| !name.trim().is_empty() && text.contains(name.as_str()));
    Ok(evidence.identity.taught.into_iter().filter(names).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::session::terms;

    #[test]
    fn rows_that_name_the_identity_are_taught_and_an_adapter_brings_its_run_s() {
        let rows = ["ballast:identity".to_owned(), "ballast:general-en".to_owned()];
        let found = with_rows(terms("Skiff", "Blue Harbor"), &rows, None).unwrap();
        assert!(found.taught.len() > 20 && found.taught.iter().all(|text| text.contains("Skiff") || text.contains("Blue Harbor")));
        assert!(with_rows(terms("Skiff", ""), &[], None).unwrap().taught.is_empty());
        let folder = tempfile::tempdir().unwrap();
        let adapter = folder.path().join("cells/A-s1/adapter");
        std::fs::create_dir_all(&adapter).unwrap();
        assert!(with_rows(terms("Skiff", ""), &[], Some(&adapter)).unwrap().taught.is_empty());
        std::fs::write(folder.path().join("evidence.json"), "{}").unwrap();
        let broken = with_rows(terms("Skiff", ""), &[], Some(&adapter)).unwrap_err();
        assert!(format!("{broken:#}").contains("evidence.json"), "{broken:#}");
    }
}
