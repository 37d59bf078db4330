//! `ballast suite floor`: what answers without the skill score, written into suite.toml beside the answers themselves.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::constant::{measured, shortened, stored};
use crate::cli::SuiteFloorArgs;
use crate::commands::{fetched, print};
use crate::eval::floor::share;
use crate::eval::suite::{Constant, Suite, load_suite};
use crate::files::{read_text, write_atomic};
use crate::library;

const HEAD: &str =
    "# The best answers that never look at the question, over stored answers of models and training rows: `ballast suite floor`.";

pub(in crate::commands) fn floor(args: &SuiteFloorArgs) -> Result<()> {
    for name in args.suites.iter().filter(|_| args.write) {
        ensure!(Path::new(name).join("suite.toml").exists(), "--write needs a folder with suite.toml, which {name} is not");
    }
    let shipped: Vec<String> = if args.rows.is_empty() { library::source_names().collect() } else { Vec::new() };
    let answers = stored(&args.answers, if args.rows.is_empty() { &shipped } else { &args.rows })?;
    for name in &args.suites {
        let suite = fetched::suite(name)?;
        let (constants, tried) = measured(&suite, &answers);
        print(&shown(&suite, &constants, tried)?)?;
        if args.write {
            let (folder, path) = (Path::new(name), Path::new(name).join("suite.toml"));
            let floor = share(&constants, &suite.items).max(suite.chance);
            let before = read_text(&path)?;
            write_atomic(&path, written(&before, floor, &constants)?.as_bytes())?;
            // What cannot be read again is put back.
            if let Err(error) = load_suite(folder) {
                write_atomic(&path, before.as_bytes())?;
                return Err(error.context(format!("{} could not be written", path.display())));
            }
        }
    }
    Ok(())
}

fn shown(suite: &Suite, constants: &[Constant], tried: usize) -> Result<String> {
    let score = share(constants, &suite.items);
    let mut text = format!("{:<16} {:5.1} %  best of {tried} answers; chance {:.1} %\n", suite.name, 100.0 * score, 100.0 * suite.chance);
    for Constant { language, grader, right, of, answer } in constants {
        writeln!(text, "  {language} {grader:<13} {right:>3} of {of:<3}  {}", shortened(answer))?;
    }
    Ok(text)
}

/// suite.toml with its floor and constants replaced; everything else stays as it is.
fn written(before: &str, floor: f64, constants: &[Constant]) -> Result<String> {
    #[derive(Serialize)]
    struct Tables<'a> {
        constants: &'a [Constant],
    }
    let kept = before.split(HEAD).next().unwrap_or_default();
    let kept = kept.split("[[constants]]").next().unwrap_or_default();
    let mut text = String::new();
    let mut placed = false;
    for line in kept.trim_end().lines() {
        // Keys of the file itself stand before its first table.
        let key = line.split('=').next().unwrap_or_default().trim();
        if key != "floor" {
            writeln!(text, "{line}")?;
        }
        if key == "chance" {
            writeln!(text, "floor = {floor:.4}")?;
            placed = true;
        }
    }
    ensure!(placed, "suite.toml has no line `chance = ...` to put the floor after");
    if !constants.is_empty() {
        write!(text, "\n{HEAD}\n{}", toml::to_string(&Tables { constants }).context("failed to write the constants")?)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::suite::{Language, parse_suite};

    #[test]
    fn floor_and_constants_are_replaced_and_the_rest_stays() {
        let settings =
            "name = \"t\"\nversion = 1\ngrader = \"text\"\nmax_new_tokens = 8\nchance = 0.0\ndescription = \"d\"\n\n[sets]\na = [\"x\"]\n";
        let items = r#"{"id":"a","cluster":"c","lang":"en","subject":"s","prompt":"p","answers":["cork"]}
{"id":"b","cluster":"c","lang":"en","subject":"s","prompt":"q","answers":["lead"]}"#;
        let constant = |right: usize| {
            [Constant { language: Language::En, grader: "text".to_owned(), right, of: 2, answer: "two\nlines \"quoted\"".to_owned() }]
        };
        let once = written(settings, 0.5, &constant(1)).unwrap();
        let suite = parse_suite(&once, items, "t").unwrap();
        assert_eq!((suite.floor, suite.constants.as_slice()), (0.5, constant(1).as_slice()));
        assert_eq!(written(&once, 0.5, &constant(1)).unwrap(), once);
        assert!(once.starts_with(&settings.replace("chance = 0.0\n", "chance = 0.0\nfloor = 0.5000\n")));
        let none = written(&once, 0.0, &[]).unwrap();
        assert!(!none.contains("constants") && none.contains("[sets]"), "{none}");
        // A floor that its constants do not have, and counts of another suite.
        let wrong = |text: &str| format!("{:#}", parse_suite(text, items, "t").unwrap_err());
        assert!(wrong(&once.replace("floor = 0.5000", "floor = 0.1")).contains("its constants score 0.5000"));
        assert!(wrong(&once.replace("of = 2", "of = 3")).contains("but there are 2"));
    }
}
