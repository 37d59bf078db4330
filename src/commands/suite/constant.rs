//! The best that answers score which never look at their question: over what anybody would say, the keys' own answers, stored
//! ones and those of training rows.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;

use super::findings::Finding;
use super::scripted;
use crate::commands::answer_sets::read_answer_sets;
use crate::eval::floor::{best_constants, candidates, filled, renamed, share, unfilled};
use crate::eval::suite::{Constant, Suite};
use crate::library;

/// A floor is written with three decimals or more.
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

/// The best constants over the suite's own, the usual and stored answers, names of the scripted models' identity taken out; and
/// how many answers were tried.
pub(super) fn measured(suite: &Suite, stored: &[String]) -> (Vec<Constant>, usize) {
    let identity = scripted::identity();
    let mut tried: Vec<String> = suite.constants.iter().map(|constant| filled(&constant.answer, &identity)).collect();
    tried.extend(candidates(&suite.items, &identity));
    tried.extend_from_slice(stored);
    let mut found = best_constants(&suite.items, &tried, &identity);
    for constant in &mut found {
        constant.answer = unfilled(&constant.answer, &identity);
    }
    (found, tried.len())
}

/// The best constants, held against the suite's floor.
pub(super) fn best(suite: &Suite, stored: &[String]) -> Finding {
    let (found, tried) = measured(suite, stored);
    let score = share(&found, &suite.items);
    let text = match found.iter().max_by_key(|constant| constant.right) {
        None => format!("none of {tried} answers is right on any item"),
        Some(most) => {
            let by = format!("`{}` on {} {}", shortened(&most.answer), most.language, most.grader);
            format!("{score:.3} by constants, the best of {tried} answers ({by}); floor {:.3}", suite.floor)
        }
    };
    let above = score > suite.floor + TOLERANCE;
    let bad = if above { vec![format!("{text}: write it anew with `ballast suite floor`")] } else { Vec::new() };
    // Where no constants are written, nothing was promised: what was found is told.
    Finding::of("constant", &bad, text).noted_if(suite.constants.is_empty() && suite.floor <= suite.chance)
}

/// One line of an answer.
pub(super) fn shortened(answer: &str) -> String {
    let line = answer.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= SHOWN { line } else { line.chars().take(SHOWN).chain("...".chars()).collect() }
}
