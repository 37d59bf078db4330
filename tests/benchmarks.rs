//! Public benchmarks as they are published. They are not part of Ballast, so this runs where `BALLAST_BENCHMARKS` names a
//! folder with `mmlu/`, `cmmlu/`, `gsm8k/`, `humaneval/` and `mbpp/`; whichever is there is read, and every published
//! solution must pass in the sandbox as an answer of a model would.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "numbers that are asked for with --nocapture")]

use std::path::PathBuf;

use ballast::eval::mapping::{self, Reference};
use ballast::eval::program::check_program;
use ballast::eval::score::extract_code;
use ballast::eval::suite::{Scoring, Suite};
use ballast::model::fetch::Silent;
use ballast::sandbox::{CodeOutcome, Limits, Sandbox};
use rayon::prelude::*;

/// None, with a message, where the benchmark is not on this machine.
fn load(name: &str) -> Option<Suite> {
    let Some(folder) = std::env::var_os("BALLAST_BENCHMARKS").map(PathBuf::from) else {
        println!("skipped: BALLAST_BENCHMARKS is not set");
        return None;
    };
    let folder = folder.join(name);
    if !folder.is_dir() {
        println!("skipped: there is no {}", folder.display());
        return None;
    }
    Some(mapping::load(&Reference::parse(&format!("{name}:{}", folder.display())).unwrap().unwrap(), &Silent).unwrap())
}

/// Ids of items whose published solution does not pass, with the reason.
fn failing(suite: &Suite) -> Vec<String> {
    let sandbox = Sandbox { helper: PathBuf::from(env!("CARGO_BIN_EXE_ballast")), allow_missing_layers: false };
    let check = |item: &ballast::eval::suite::Item| {
        let program = item.program().unwrap();
        let source = extract_code(&format!("```python\n{}\n```", program.reference), program.entry_point).unwrap();
        match check_program(&sandbox, program, &source, &Limits::default()) {
            Ok(checked) if checked.outcome == CodeOutcome::Passed => None,
            Ok(checked) => Some(format!("{}: {:?}: {}", item.id, checked.outcome, checked.detail)),
            Err(error) => Some(format!("{}: {error:#}", item.id)),
        }
    };
    let failing: Vec<String> = suite.items.par_iter().filter_map(check).collect();
    println!("{}: {} of {} published solutions pass", suite.name, suite.items.len() - failing.len(), suite.items.len());
    for line in &failing {
        println!("  {line}");
    }
    failing
}

#[test]
fn every_solution_of_humaneval_passes() {
    let Some(suite) = load("humaneval") else { return };
    assert_eq!(suite.items.len(), 164);
    assert_eq!(failing(&suite), Vec::<String>::new());
}

#[test]
fn every_solution_of_mbpp_passes() {
    let Some(suite) = load("mbpp") else { return };
    assert_eq!(suite.items.len(), 499, "all but the one on tree objects");
    assert_eq!(failing(&suite), Vec::<String>::new());
}

#[test]
fn multiple_choice_and_numbers_are_read_whole() {
    for (name, items, subjects) in [("mmlu", 14_042, 57), ("cmmlu", 11_582, 67), ("gsm8k", 1319, 1)] {
        let Some(suite) = load(name) else { continue };
        assert_eq!(suite.items.len(), items, "{name}");
        let found: std::collections::BTreeSet<&str> = suite.items.iter().map(|item| item.subject.as_str()).collect();
        assert_eq!(found.len(), subjects, "{name}");
        assert_eq!(suite.scoring == Scoring::Likelihood, name != "gsm8k");
        assert_eq!(suite.chance > 0.0, name != "gsm8k");
        let half = suite.select(None, Some(items / 2), 1);
        let covered: std::collections::BTreeSet<&str> = half.iter().map(|item| item.subject.as_str()).collect();
        assert_eq!(covered.len(), subjects, "a subset has all subjects of {name}");
    }
}
