//! The best that one answer to every item of a suite scores, over the usual answers, stored ones and those of training rows.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;

use super::findings::Finding;
use super::scripted;
use crate::commands::answer_sets::read_answer_sets;
use crate::eval::floor::{best_constant, filled, renamed, usual_answers};
use crate::eval::score::IdentityTerms;
use crate::eval::suite::Suite;
use crate::library;

/// A floor is written with two decimals or more.
const TOLERANCE: f64 = 0.005;
/// Characters of an answer that are shown.
const SHOWN: usize = 60;

/// All different answers of runs and of training rows, names of their identities exchanged for the scripted models'.
pub(super) fn stored(paths: &[PathBuf], rows: &[String]) -> Result<Vec<String>> {
    let identity = scripted::identity();
    let mut answers = BTreeSet::new();
    for source in paths.iter().map(|path| read_answer_sets(path)).collect::<Result<Vec<_>>>()?.into_iter().flatten() {
        let from = source.conditions.map(|conditions| conditions.identity).unwrap_or_default();
        for row in source.cell.items.iter().chain(&source.cell.probe) {
            let parts = row.parts.iter().map(|part| &part.answer);
            answers.extend(parts.chain([&row.answer]).map(|answer| renamed(answer, &from, &identity)));
        }
    }
    for source in rows {
        answers.extend(library::examples(source)?.iter().map(|row| filled(&row.answer_text(), &identity)));
    }
    Ok(answers.into_iter().collect())
}

/// The best constant answer, held against the suite's floor.
pub(super) fn best(suite: &Suite, stored: &[String], identity: &IdentityTerms) -> Finding {
    let mut answers: Vec<String> = usual_answers(&suite.items).iter().map(|answer| filled(answer, identity)).collect();
    answers.extend_from_slice(stored);
    let Some(best) = best_constant(&suite.items, &answers, identity) else {
        return Finding::not_applicable("constant", "no items");
    };
    let text = if best.share == 0.0 {
        format!("none of {} answers is right on any item", answers.len())
    } else {
        format!("{:.3} by `{}`, the best of {} answers; floor {:.3}", best.share, shortened(&best.answer), answers.len(), suite.floor)
    };
    let above = best.share > suite.floor + TOLERANCE;
    let bad = if above { vec![format!("{text}: write floor = {:.3}", best.share)] } else { Vec::new() };
    // Where no floor is written, nothing was promised: what was found is told.
    Finding::of("constant", &bad, text).noted_if(suite.floor <= suite.chance)
}

fn shortened(answer: &str) -> String {
    let line = answer.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= SHOWN { line } else { line.chars().take(SHOWN).chain("...".chars()).collect() }
}
