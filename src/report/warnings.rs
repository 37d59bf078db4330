//! What a reader must know before believing the tables.

use crate::eval::score::{Flag, Verdict};

use super::document::{Text, code, list_of_some, text};
use super::text::{percent, share_text, significant};
use crate::analysis::distinct::repeated;
use crate::analysis::dose::Dose;
use crate::analysis::outcomes::{Outcomes, leakage};
use crate::analysis::results::Results;
use crate::analysis::retention::suites_with_retention;
use crate::analysis::view::{View, suite_rows};
use crate::counted::counted;

/// Fewer items than this tell little.
const FEW: usize = 30;
/// A share of truncated answers above this may be the limit's fault.
const TRUNCATED: f64 = 0.1;
/// A share of unparsed answers above this may be the reader's fault.
const UNPARSED: f64 = 0.2;
/// Shares above this of what should not happen at all.
const FLAGGED: f64 = 0.1;
/// Identity text in this share of unrelated answers is worth a line.
const LEAKED: f64 = 0.05;
/// With the adapter off, logits may differ from the base's by rounding alone.
const ROUNDING: f64 = 1e-2;

/// All warnings.
pub(super) fn warnings(results: &Results) -> Vec<Text> {
    let view = &results.view;
    let mut all: Vec<Text> = [unfinished(view), few_items(view), at_chance(view)].into_iter().flatten().collect();
    all.extend(unmatched(results));
    all.extend(repeating(view));
    all.extend(answers(view));
    all.extend([leaks(view), left_out(view)].into_iter().flatten());
    all.extend(liveness(view));
    all
}

fn unfinished(view: &View) -> Option<Text> {
    Some(text!("Not finished, and so not in any table: {}.", list_of_some(view.run.missing.iter().map(|name| code(name)))?))
}

fn few_items(view: &View) -> Option<Text> {
    let few = view.suites.iter().filter_map(|suite| {
        let n = suite_rows(&view.run.base, suite).len();
        (n < FEW).then(|| text!("{} ({})", code(suite), n))
    });
    Some(text!("Fewer than {} items, so only very large changes can be seen: {}.", FEW, list_of_some(few)?))
}

fn at_chance(view: &View) -> Option<Text> {
    let measured = suites_with_retention(view);
    let at = view.general().filter(|suite| !measured.contains(suite) && !suite_rows(&view.run.base, suite).is_empty());
    let at = list_of_some(at.map(|suite| text!("{} (chance {} %)", code(suite), percent(view.floor(suite)))))?;
    Some(text!("The base itself is not shown to be above chance on {}: there is little to lose, and retention is n/a.", at))
}

fn repeating(view: &View) -> Option<Text> {
    let few = repeated(view)
        .into_iter()
        .map(|(subject, suite, share)| text!("{} on {} ({} % differ)", code(subject), code(suite), percent(share)));
    let few = list_of_some(few)?;
    Some(text!(
        "Fewer than a quarter of the answers about identity differ: one sentence is said to nearly everything, whatever is asked: {}.",
        few
    ))
}

fn unmatched(results: &Results) -> Vec<Text> {
    let short = results.to_base.iter().filter_map(|found| {
        let asked = suite_rows(&results.view.run.base, found.suite).len();
        (found.n < asked).then(|| {
            text!("{} on {}: only {} of {} items can be paired with the base.", code(found.variant), code(found.suite), found.n, asked)
        })
    });
    short.collect()
}

/// Answers lost to form, a line a kind.
fn answers(view: &View) -> Vec<Text> {
    let all = Outcomes::all(view);
    let line = |head: &str, limit: f64, counted: &dyn Fn(&Outcomes) -> usize| {
        let found = all.iter().filter_map(|outcome| {
            let share = counted(outcome) as f64 / outcome.answers as f64;
            (share > limit).then(|| text!("{} on {} ({} %)", code(outcome.subject), code(outcome.suite), percent(share)))
        });
        Some(text!("{}: {}.", head, list_of_some(found)?))
    };
    let flag = |flag: Flag| move |outcome: &Outcomes| outcome.flagged(flag);
    let lines = [
        line("More than 10 % of answers hit the token limit and count as wrong", TRUNCATED, &|o| o.with(Verdict::Truncated)),
        line("More than 20 % of answers could not be read and count as wrong", UNPARSED, &|o| o.with(Verdict::Unparsed)),
        line("More than 10 % of answers end in a loop", FLAGGED, &flag(Flag::Loop)),
        line("More than 10 % of answers are empty", FLAGGED, &flag(Flag::Empty)),
        line("More than 10 % of answers are in the wrong language", FLAGGED, &flag(Flag::WrongLanguage)),
        line("More than 10 % of answers decline", FLAGGED, &flag(Flag::Refusal)),
        line("More than 10 % of answers never close their thinking and count as wrong", FLAGGED, &flag(Flag::UnclosedThinking)),
        line("More than 10 % of answers give the question back", FLAGGED, &flag(Flag::Echo)),
        line("More than 10 % of answers claim to be another model where nobody asked", FLAGGED, &flag(Flag::Residue)),
        line("Programs ran out of time, which may differ on a slower machine", 0.0, &flag(Flag::Timeout)),
    ];
    lines.into_iter().flatten().collect()
}

fn leaks(view: &View) -> Option<Text> {
    let leaking = view.subjects.iter().filter_map(|subject| {
        let share = leakage(subject).filter(|share| share.value > LEAKED)?;
        Some(text!("{} {}", code(subject.name), share_text(&share)))
    });
    Some(text!("Identity text stands in more than 5 % of answers to unrelated questions: {}.", list_of_some(leaking)?))
}

fn left_out(view: &View) -> Option<Text> {
    let too_long = Dose::all(view).into_iter().filter(|dose| dose.left_out.0 > 0);
    let too_long = too_long.map(|dose| text!("{} of {} {}", dose.left_out.0, code(dose.variant), code(dose.stage)));
    Some(text!("Training rows left out as longer than max_length: {}.", list_of_some(too_long)?))
}

fn liveness(view: &View) -> Vec<Text> {
    let mut lines = Vec::new();
    for cell in view.variants().iter().flat_map(|variant| &variant.cells) {
        let name = || code(&cell.record.variant);
        match cell.record.liveness {
            None => lines.push(text!("{}: no proof that the adapter acts was recorded.", name())),
            Some(proof) if proof.largest_change == 0.0 => {
                lines.push(text!("{}: the adapter changes nothing. Its rows measure the base.", name()));
            }
            Some(proof) if proof.largest_change_off > ROUNDING => lines.push(text!(
                "{}: with the adapter off, logits differ from the base's by {}: it was not compared with its own base.",
                name(),
                significant(proof.largest_change_off)
            )),
            Some(_) => {}
        }
        let broken = cell.train.iter().filter(|row| row.loss.is_some_and(|loss| !loss.is_finite()) || !row.norms.total.is_finite()).count();
        if broken > 0 {
            lines.push(text!("{}: the loss or gradient was not finite in {}.", name(), counted(broken, "step")));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample::run;
    use crate::report::render::markdown;

    fn all(run: &crate::plan::run::Run) -> String {
        warnings(&Results::new(View::new(run))).iter().map(markdown::inline).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_sound_run_warns_of_its_leak_alone() {
        let text = all(&run());
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("unrelated questions: `A` 23.3 %"), "{text}");
    }

    #[test]
    fn each_trouble_has_its_line() {
        let mut run = run();
        run.missing.push("B-s7".to_owned());
        run.base.items.retain(|row| row.suite != "fact-qa" || row.item.ends_with('1'));
        run.meta.suites.get_mut("reasoning-zh").unwrap().chance = 0.9;
        for row in run.cells[0].items.iter_mut().filter(|row| row.suite == "fact-qa").take(20) {
            row.verdict = Verdict::Truncated;
            row.flags = vec![Flag::Timeout];
        }
        run.cells[1].record.liveness = None;
        run.cells[2].train[3].loss = Some(f64::NAN);
        run.cells[2].record.stages[0].sources[0].too_long = 2;
        let text = all(&run);
        for part in [
            "Not finished, and so not in any table: `B-s7`",
            "Fewer than 30 items, so only very large changes can be seen: `fact-qa` (6)",
            "not shown to be above chance on `reasoning-zh` (chance 90.0 %)",
            "token limit and count as wrong: `A` on `fact-qa` (40.0 %)",
            "ran out of time, which may differ on a slower machine: `A` on `fact-qa`",
            "`B`: no proof that the adapter acts",
            "`mixed`: the loss or gradient was not finite in 1 step.",
            "longer than max_length: 2 of `mixed` `anchor`",
        ] {
            assert!(text.contains(part), "{part}\nis not in\n{text}");
        }
    }
}
