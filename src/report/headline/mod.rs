//! What a run found, in sentences for someone who reads no further. Each is chosen by a rule, and none claims what the
//! intervals do not show.

mod lead;
mod recovery;

use crate::counted::counted;
use crate::stats::power::{Rates, smallest_difference};

use super::document::{Block, Text, code, list, paragraph, strong, text};
use super::text::{fixed, p_value, percent, points};
use crate::analysis::comparison::{Comparison, Direction};
use crate::analysis::outcomes::leakage;
use crate::analysis::results::Results;
use crate::analysis::retention::suites_with_retention;
use crate::analysis::share::Share;
use crate::analysis::view::Subject;

/// Share of answers that is assumed to flip where a plan needs one.
const CHURN: f64 = 0.1;
/// Of the smallest change that a suite is said to see.
const RATES: Rates = Rates { alpha: 0.05, power: 0.8 };

/// A paragraph that says it in short, and the findings with their intervals.
pub(super) fn headline(results: &Results) -> Vec<Block> {
    if results.view.variants().is_empty() {
        return vec![paragraph("Only the base model has been evaluated so far: there is nothing to compare.")];
    }
    let parts = [
        ("What the fine-tune cost.", Some(cost(results))),
        ("What brought it back.", recovery::recovery(results)),
        ("Whether the identity was learned.", identity(results)),
        ("What this run cannot tell.", limits(results)),
    ];
    let parts = parts.into_iter().filter_map(|(head, words)| Some(text!("{} {}", strong(head), words?)));
    lead::lead(results).map(paragraph).into_iter().chain([Block::List(parts.collect())]).collect()
}

/// The largest loss of general ability that can be shown.
fn largest_loss<'r, 'a>(results: &'r Results<'a>) -> Option<&'r Comparison<'a>> {
    general(results).filter(|found| found.corrected_direction() == Direction::Worse).min_by(|a, b| a.difference.total_cmp(&b.difference))
}

fn general<'r, 'a>(results: &'r Results<'a>) -> impl Iterator<Item = &'r Comparison<'a>> {
    let suites: Vec<&str> = results.view.general().collect();
    results.to_base.iter().filter(move |found| suites.contains(&found.suite))
}

fn cost(results: &Results) -> Text {
    let all = general(results).count();
    let with = |direction| general(results).filter(|found| found.corrected_direction() == direction).count();
    if let Some(loss) = largest_loss(results) {
        return text!(
            "{} lost the most general ability that can be shown: {} against the base on {}, {}.{} Of {} with the base on general suites, {} shown as a loss, {} as a gain.",
            code(loss.variant),
            size(loss),
            code(loss.suite),
            evidence(loss),
            nature(results, loss),
            counted(all, "comparison"),
            is_or_are(with(Direction::Worse)),
            with(Direction::Better),
        );
    }
    let Some(largest) = general(results).min_by(|a, b| a.difference.total_cmp(&b.difference)) else {
        return "No general suite was asked: what was lost was not measured.".into();
    };
    let head = format!("No loss of general ability could be shown in {} with the base.", counted(all, "comparison"));
    if largest.difference >= 0.0 {
        return format!("{head} No variant scored below the base on any general suite.").into();
    }
    let why = match largest.direction() {
        Direction::Worse => format!(
            "its interval alone excludes 0, but after correction for the number of comparisons it is no evidence (Holm p = {})",
            p_value(largest.adjusted)
        ),
        _ if largest.hull().contains(0.0) => "the interval includes 0".to_owned(),
        _ => "the test does not show it".to_owned(),
    };
    text!("{} The largest measured change is {} on {}: {}; {}.", head, code(largest.variant), code(largest.suite), change(largest), why)
}

/// What kind of loss it is: whether a lenient reading finds the answers after all, and whether identity text took their
/// place.
fn nature(results: &Results, loss: &Comparison) -> String {
    let view = &results.view;
    let lenient = |subject: &Subject| Share::among(subject, |row| row.suite == loss.suite, |row| row.lenient);
    let lenient = lenient(view.base()).zip(view.variant(loss.variant).and_then(lenient));
    let lenient = lenient.map(|(base, variant)| {
        format!(
            " Counting the right answer wherever it stands in the text, from {} % to {} %.",
            percent(base.value),
            percent(variant.value)
        )
    });
    let leaked = view.variant(loss.variant).and_then(leakage).filter(|share| share.value > 0.0);
    let leaked = leaked.map(|share| format!(" {} % of its answers to unrelated questions name the new identity.", percent(share.value)));
    lenient.unwrap_or_default() + &leaked.unwrap_or_default()
}

/// Whether a variant is shown to state the identity more often than the base; None where nobody asked.
fn learned(results: &Results, variant: &str) -> Option<bool> {
    let mut asked = results.view.identity().filter_map(|suite| results.against_base(variant, suite)).peekable();
    asked.peek()?;
    Some(asked.any(|found| found.corrected_direction() == Direction::Better))
}

fn identity(results: &Results) -> Option<Text> {
    let view = &results.view;
    let suite = view.identity().next()?;
    let level = |name: &str| {
        let share = Share::accuracy(view.variant(name)?, suite)?;
        Some(text!("{} ({} %)", code(name), percent(share.value)))
    };
    let (yes, no): (Vec<&str>, Vec<&str>) =
        view.variants().iter().map(|variant| variant.name).partition(|name| learned(results, name) == Some(true));
    let base = Share::accuracy(view.base(), suite)?;
    let names = |names: &[&str]| list(names.iter().filter_map(|name| level(name)));
    let found = match (yes.is_empty(), no.is_empty()) {
        (false, true) => text!("Every variant was shown to pass more: {}.", names(&yes)),
        (true, _) => text!("No variant was shown to have learned it: {}.", names(&no)),
        (false, false) => text!("Shown to have learned it: {}; not shown: {}.", names(&yes), names(&no)),
    };
    Some(text!("The base passes {} % of {} identity questions. {}", percent(base.value), base.n, found))
}

fn limits(results: &Results) -> Option<Text> {
    let view = &results.view;
    let sizes: Vec<usize> =
        view.general().map(|suite| view.run.base.items.iter().filter(|row| row.suite == suite).count()).filter(|n| *n > 0).collect();
    let mut parts: Vec<Text> = Vec::new();
    if let (Some(least), Some(most)) = (sizes.iter().min(), sizes.iter().max()) {
        let seen = |n: usize| smallest_difference(CHURN, n as f64, RATES).map(|d| fixed(d * 100.0, 0));
        let items = if least == most { counted(*least, "item") } else { format!("{least} to {most} items") };
        let points = match (seen(*most)?, seen(*least)?) {
            (low, high) if low == high => low,
            (low, high) => format!("{low} to {high}"),
        };
        parts.push(text!(
            "General suites have {}: a change of less than about {} points would often go unseen (80 % power where 10 % of answers flip), so \"no difference could be shown\" is not \"no difference\".",
            items,
            points
        ));
    }
    let known = suites_with_retention(view);
    let at_chance: Vec<_> = view.general().filter(|suite| !known.contains(suite)).map(code).collect();
    if !sizes.is_empty() && !at_chance.is_empty() {
        parts.push(text!("On {} the base itself is not shown to be above chance: there a loss could not be seen.", list(at_chance)));
    }
    parts.push(match view.seeds() {
        ..=1 => "There is one training seed: the results are about these adapters, not these recipes.".into(),
        seeds => text!(
            "{} training seeds are few: an interval over them is wide, and what they do not vary (data, base model) stays unknown.",
            seeds
        ),
    });
    parts.push(text!("The base is {}; another model, rate or number of steps may behave differently.", code(&view.run.meta.model)));
    Some(Text::join(parts, " "))
}

/// `50.0 points`, without sign.
fn size(found: &Comparison) -> String {
    format!("{} points", percent(found.difference.abs()))
}

/// `from 80.0 % to 30.0 % (95 % interval of the change -61.2 to -36.9, 60 items)`.
fn evidence(found: &Comparison) -> String {
    let hull = found.hull();
    let seeds = if found.seeds > 1 { format!(", {} seeds", found.seeds) } else { String::new() };
    format!(
        "from {} % to {} % (95 % interval of the change {} to {}, {}{seeds})",
        percent(found.before),
        percent(found.after),
        points(hull.low),
        points(hull.high),
        counted(found.n, "item")
    )
}

/// `-2.0 points, 95 % interval -7.9 to +3.9`.
fn change(found: &Comparison) -> String {
    let hull = found.hull();
    format!("{} points, 95 % interval {} to {}", points(found.difference), points(hull.low), points(hull.high))
}

fn is_or_are(n: usize) -> String {
    format!("{n} {}", if n == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample::{cell, run, with_seeds};
    use crate::analysis::view::View;
    use crate::report::render::markdown;

    fn text(run: &crate::plan::run::Run) -> String {
        markdown::document(&headline(&Results::new(View::new(run))))
    }

    #[test]
    fn a_shown_loss_is_told_with_its_interval_and_its_recovery() {
        let text = text(&run());
        assert!(text.contains("`A` lost the most general ability that can be shown: 50.0 points"), "{text}");
        assert!(text.contains("from 80.0 % to 30.0 % (95 % interval of the change -6"), "{text}");
        assert!(text.contains("wherever it stands in the text, from 85.0 % to 35.0 %. 23.3 % of its answers"), "{text}");
        assert!(text.contains("`mixed` answers 78.3 % where `A` answers 30.0 %: +48.3 points"), "{text}");
        assert!(text.contains(", with the identity learned;") && !text.contains("doses differ"), "{text}");
        assert!(text.contains("against the base no difference could be shown (-1.7 points"), "{text}");
        assert!(text.contains("these adapters, not these recipes"), "{text}");
    }

    #[test]
    fn nothing_is_claimed_when_intervals_hold_0() {
        let mut run = run();
        for (cell_of, name) in run.cells.iter_mut().zip(["A", "B", "mixed"]) {
            *cell_of = cell(name, 42, 0.77, 0.02);
        }
        let text = text(&run);
        assert!(text.contains("No loss of general ability could be shown in 6 comparisons"), "{text}");
        assert!(text.contains("the interval includes 0"), "{text}");
        assert!(text.contains("nothing can be shown to have brought it back"), "{text}");
        assert!(text.contains("No variant was shown to have learned it"), "{text}");
        for word in ["lost", "collapse", "recover", " above "] {
            assert!(!text.contains(word), "{word} in {text}");
        }
    }

    #[test]
    fn a_loss_that_correction_takes_away_is_not_claimed() {
        // Six of sixty: p = .016 alone, not among nine comparisons.
        let mut run = run();
        run.cells = vec![cell("A", 42, 0.7, 0.9), cell("B", 42, 0.8, 0.9), cell("mixed", 42, 0.8, 0.9)];
        let text = text(&run);
        assert!(text.contains("No loss of general ability could be shown"), "{text}");
        assert!(text.contains("after correction for the number of comparisons it is no evidence"), "{text}");
    }

    #[test]
    fn a_suite_on_which_the_base_guesses_is_named() {
        let mut run = run();
        run.meta.suites.get_mut("reasoning-zh").unwrap().chance = 0.75;
        assert!(text(&run).contains("On `reasoning-zh` the base itself is not shown to be above chance"), "{}", text(&run));
    }

    #[test]
    fn a_gain_alone_is_no_loss() {
        let mut run = run();
        run.cells = vec![cell("A", 42, 0.95, 0.9)];
        assert!(text(&run).contains("No variant scored below the base"), "{}", text(&run));
    }

    #[test]
    fn a_variant_that_learned_nothing_is_no_recovery_to_speak_of() {
        let mut run = run();
        run.cells = vec![cell("A", 42, 0.3, 0.9), cell("B", 42, 0.8, 0.0), cell("mixed", 42, 0.3, 0.9)];
        assert!(text(&run).contains("but it was not shown to have learned the identity"), "{}", text(&run));
    }

    #[test]
    fn the_best_recovery_keeps_the_identity_and_its_dose_is_told() {
        let mut run = run();
        run.cells = vec![cell("A", 42, 0.3, 0.95), cell("B", 42, 0.8, 0.3), cell("mixed", 42, 0.75, 0.9)];
        run.cells[2].record.stages[1].steps = 150;
        let text = text(&run);
        assert!(text.contains("`mixed` answers 75.0 %"), "{text}");
        assert!(text.contains("Their doses differ too (`A`: 40 steps at up to 1e-3; `mixed`: 166 steps at up to 1e-3)"), "{text}");
        assert!(text.contains("Also shown to do better there: `B` (+50.0)."), "{text}");
    }

    #[test]
    fn several_seeds_and_missing_suites_are_told() {
        assert!(text(&with_seeds()).contains("3 training seeds are few"));
        let mut run = run();
        run.experiment.suites.retain(|suite| suite.name == "identity");
        assert!(text(&run).contains("No general suite was asked"), "{}", text(&run));
        run.cells.clear();
        assert!(text(&run).contains("Only the base model has been evaluated"));
    }
}
