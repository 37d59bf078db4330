//! What brought back the largest loss, among the variants of the run.

use super::{change, largest_loss, learned};
use crate::analysis::comparison::{Comparison, Direction, corrected};
use crate::analysis::results::Results;
use crate::analysis::view::Subject;
use crate::counted::counted;
use crate::report::document::{Text, code, list, text};
use crate::report::text::{percent, points};

/// Other variants named beside the best.
const OTHERS: usize = 3;

/// The sentences.
pub(super) fn recovery(results: &Results) -> Option<Text> {
    let Some(loss) = largest_loss(results) else {
        return Some("No loss was shown, so nothing can be shown to have brought it back.".into());
    };
    let view = &results.view;
    let lost = view.variant(loss.variant)?;
    let better = better(results, loss);
    let Some((best, rest)) = better.split_first() else {
        return Some(text!("On {} no variant could be shown to do better than {}.", code(loss.suite), code(lost.name)));
    };
    let against_base = results.against_base(best.variant, best.suite).map(|base| match base.direction() {
        Direction::Worse => format!("; it stays below the base ({})", change(base)),
        Direction::Better => format!("; it is above the base ({})", change(base)),
        Direction::Unclear => format!("; against the base no difference could be shown ({})", change(base)),
    });
    Some(text!(
        "{}{}.{}{}",
        gain(results, best),
        against_base.unwrap_or_default(),
        dose_remark(lost, view.variant(best.variant)?),
        also(rest)
    ))
}

/// The variants shown to do better than the one that lost the most, where it lost it; the best recovery first.
pub(super) fn better<'a>(results: &Results<'a>, loss: &Comparison<'a>) -> Vec<Comparison<'a>> {
    let view = &results.view;
    let Some(lost) = view.variant(loss.variant) else { return Vec::new() };
    let others = view.variants().iter().filter(|other| other.name != lost.name);
    let mut found = corrected(others.filter_map(|other| Comparison::of(view, lost, other, loss.suite)).collect());
    found.retain(|found| found.corrected_direction() == Direction::Better);
    found.sort_by(|a, b| worth(results, loss, b).total_cmp(&worth(results, loss, a)).then(b.difference.total_cmp(&a.difference)));
    found
}

/// What the best variant has over the one that lost the most.
fn gain(results: &Results, best: &Comparison) -> Text {
    let hull = best.hull();
    let identity = match learned(results, best.variant) {
        Some(true) => ", with the identity learned",
        Some(false) => ", but it was not shown to have learned the identity",
        None => "",
    };
    text!(
        "On {} {} answers {} % where {} answers {} %: {} points (95 % interval {} to {}){}",
        code(best.suite),
        code(best.variant),
        percent(best.after),
        code(best.reference),
        percent(best.before),
        points(best.difference),
        points(hull.low),
        points(hull.high),
        identity
    )
}

/// The other variants that do better.
fn also(rest: &[Comparison]) -> Text {
    let name = |other: &Comparison| text!("{} ({})", code(other.variant), points(other.difference));
    let names: Vec<Text> = rest.iter().take(OTHERS).map(name).collect();
    match rest.len().saturating_sub(OTHERS) {
        _ if names.is_empty() => Text::default(),
        0 => text!(" Also shown to do better there: {}.", list(names)),
        more => text!(" Also shown to do better there: {}, and {} more.", Text::join(names, ", "), more),
    }
}

/// What a variant is worth as a recovery: the weaker of what it has of the lost ability and of the identity, both
/// relative to the variant that lost the most. One that never learned the identity has recovered nothing: it has not
/// paid.
fn worth(results: &Results, loss: &Comparison, found: &Comparison) -> f64 {
    let ability = (found.difference / -loss.difference).min(1.0);
    let stated = |name: &str| {
        let suites: Vec<f64> = results.view.identity().filter_map(|suite| Some(results.against_base(name, suite)?.after)).collect();
        suites.iter().sum::<f64>() / suites.len() as f64
    };
    match learned(results, found.variant) {
        Some(false) => -1.0,
        Some(true) if stated(loss.variant) > 0.0 => ability.min(stated(found.variant) / stated(loss.variant)),
        _ => ability,
    }
}

/// That two variants differ in more than their data, where they do.
fn dose_remark(lost: &Subject, best: &Subject) -> Text {
    let dose = |subject: &Subject| {
        let stages = &subject.cells[0].record.stages;
        let steps: usize = stages.iter().map(|stage| stage.steps).sum();
        let rate = stages.iter().map(|stage| stage.learning_rate).reduce(f64::max)?;
        Some(format!("{} at up to {rate:e}", counted(steps, "step")))
    };
    if let Some((of, lambda)) = &best.cells[0].record.derived {
        return text!(" It is {}'s adapter at {} of its strength.", code(of), lambda.to_string());
    }
    match (dose(lost), dose(best)) {
        (Some(theirs), Some(ours)) if theirs != ours => text!(
            " Their doses differ too ({}: {}; {}: {}), so the data alone cannot be given the credit.",
            code(lost.name),
            theirs,
            code(best.name),
            ours
        ),
        _ => Text::default(),
    }
}
