//! The experiments, training data and suites that ship inside the binary, so that `ballast run` works in any folder.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::data::example::Example;
use crate::data::read::{parse_examples, read_examples};
use crate::eval::mapping;
use crate::eval::suite::{Suite, load_suite, parse_suite};
use crate::files::read_text;

/// Prefix of a shipped data source in a mixture.
const PREFIX: &str = "ballast:";

const DATA: [(&str, &str); 5] = [
    ("identity", include_str!("../fixtures/identity.json")),
    ("identity-a", include_str!("../fixtures/identity_a.json")),
    ("general-en", include_str!("../fixtures/general_en.json")),
    ("general-zh", include_str!("../fixtures/general_zh.json")),
    ("calibration", include_str!("../fixtures/calibration.json")),
];

const EXPERIMENTS: [(&str, &str); 5] = [
    ("quick", include_str!("../experiments/quick.toml")),
    ("recover", include_str!("../experiments/recover.toml")),
    ("dose", include_str!("../experiments/dose.toml")),
    ("coder", include_str!("../experiments/coder.toml")),
    ("paper", include_str!("../experiments/paper.toml")),
];

macro_rules! suite {
    ($name:literal) => {
        ($name, include_str!(concat!("../evalsets/", $name, "/suite.toml")), include_str!(concat!("../evalsets/", $name, "/items.jsonl")))
    };
}

const SUITES: [(&str, &str, &str); 12] = [
    suite!("fact-qa"),
    suite!("code"),
    suite!("reasoning-en"),
    suite!("reasoning-zh"),
    suite!("identity"),
    suite!("limits"),
    suite!("leakage"),
    suite!("composite"),
    suite!("instructions"),
    suite!("structured"),
    suite!("safety"),
    suite!("honesty"),
];

/// The rows of a source: `ballast:NAME` as shipped, anything else as a file.
pub fn examples(source: &str) -> Result<Vec<Example>> {
    let Some(name) = source.strip_prefix(PREFIX) else { return read_examples(Path::new(source), source) };
    let Some((name, text)) = DATA.iter().find(|(known, _)| *known == name) else {
        let known: Vec<String> = DATA.iter().map(|(known, _)| format!("{PREFIX}{known}")).collect();
        bail!("`{source}` is not shipped with Ballast: use one of {}, or a path", known.join(", "));
    };
    parse_examples(text.as_bytes(), Path::new(&format!("{PREFIX}{name}.json")), source)
}

/// The sources of rows that ship.
pub fn source_names() -> impl Iterator<Item = String> {
    DATA.iter().map(|(name, _)| format!("{PREFIX}{name}"))
}

/// A suite: a shipped one by name, or a folder with suite.toml and items.jsonl. Public benchmarks may have to be fetched,
/// which is for commands to do.
pub fn suite(name: &str) -> Result<Suite> {
    if let Some((name, settings, items)) = SUITES.iter().find(|(known, _, _)| *known == name) {
        return parse_suite(settings, items, &format!("evalsets/{name}"));
    }
    let folder = Path::new(name);
    if !folder.join("suite.toml").exists() {
        let known: Vec<&str> = SUITES.iter().map(|(known, _, _)| *known).collect();
        let benchmarks: Vec<&str> = mapping::names().collect();
        bail!(
            "`{name}` is neither a shipped suite ({}) nor a folder with suite.toml and items.jsonl nor a mapping file ending in .toml nor BENCHMARK or BENCHMARK:WHERE with one of {}",
            known.join(", "),
            benchmarks.join(", ")
        );
    }
    load_suite(folder)
}

/// Names of all shipped suites.
pub fn suite_names() -> impl Iterator<Item = &'static str> {
    SUITES.iter().map(|(name, _, _)| *name)
}

/// Names of all shipped experiments.
pub fn experiment_names() -> impl Iterator<Item = &'static str> {
    EXPERIMENTS.iter().map(|(name, _)| *name)
}

/// The text of an experiment and the name for errors: a shipped one by name, or a file.
pub fn experiment(name: &str) -> Result<(String, String)> {
    if let Some((_, text)) = EXPERIMENTS.iter().find(|(known, _)| *known == name) {
        return Ok(((*text).to_owned(), format!("experiments/{name}.toml")));
    }
    let path = Path::new(name);
    if path.extension().is_none() && !path.exists() {
        let known: Vec<&str> = EXPERIMENTS.iter().map(|(known, _)| *known).collect();
        bail!("`{name}` is neither a shipped experiment ({}) nor a file", known.join(", "));
    }
    Ok((read_text(path).with_context(|| format!("`{name}` cannot be used as an experiment"))?, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::Experiment;

    #[test]
    fn shipped_experiments_are_valid() {
        for name in experiment_names() {
            let (text, label) = experiment(name).unwrap();
            let parsed = Experiment::parse(&text, &label).unwrap();
            assert_eq!(parsed.name, name);
            let again = toml::to_string(&parsed).unwrap();
            assert_eq!(Experiment::parse(&again, "again").unwrap(), parsed, "written and read back");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let (text, label) = experiment("quick").unwrap();
        let error = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            format!("{:#}", Experiment::parse(&text.replacen(from, to, 1), &label).unwrap_err())
        };
        assert!(error("window =", "windw =").contains("windw"));
        assert!(error("seeds = [42]", "seeds = []").contains("seeds is empty"));
        assert!(error("name = \"A\"", "name = \"base\"").contains("taken by the base model"));
        assert!(error("calibration = true", "calibration = true\nepochs = 1").contains("either epochs or steps"));
    }
}
