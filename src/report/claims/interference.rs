//! The article's reasons for forgetting: gradient interference, a gradient 3.2 times that of full fine-tuning on q_proj and
//! v_proj, and rows that cover too little of what the model represents.

use super::{Finding, Replication};
use crate::analysis::interference::{Pull, pulls};
use crate::analysis::results::ALONE;
use crate::analysis::view::View;
use crate::counted::counted;
use crate::model::lora::Module;
use crate::report::text::{NONE, percent, significant};

/// The article's peak over full fine-tuning.
const PEAK: f64 = 3.2;
/// A peak within this factor of the article's is as large.
const ALIKE: f64 = 1.25;
/// A cosine this near 0 pulls neither way.
const NEAR: f64 = 0.05;
/// Rows that visit less than this share of the directions cover too little.
const COVERED: f64 = 0.5;

/// The findings; none where interference was not measured.
pub(super) fn findings(view: &View) -> Vec<Finding> {
    let cells = view.variant(ALONE).map(|subject| subject.cells.as_slice()).unwrap_or_default();
    let of = |module: Option<Module>| -> Vec<Pull> { cells.iter().flat_map(|cell| pulls(cell, module)).collect() };
    if of(None).is_empty() {
        return Vec::new();
    }
    let mut findings = vec![against(&of(None))];
    findings.extend([Module::Q, Module::V].map(|module| peak(module, &of(Some(module)))));
    findings.push(coverage(&of(None)));
    findings
}

fn against(pulls: &[Pull]) -> Finding {
    let cosines: Vec<f64> = pulls.iter().filter_map(|pull| pull.cosine).collect();
    let (low, high) = ends(&cosines);
    Finding {
        claim: format!("{ALONE}'s identity rows pull against general rows (gradient interference)"),
        theirs: "below 0".to_owned(),
        ours: numbers(&cosines, || format!("cosine {low:.3} to {high:.3} over {}", counted(cosines.len(), "measurement"))),
        verdict: match cosines.as_slice() {
            [] => Replication::NotMeasured,
            all if all.iter().all(|cosine| *cosine < -NEAR) => Replication::Reproduced,
            all if all.iter().all(|cosine| *cosine > NEAR) => Replication::Opposite,
            _ => Replication::NotShown,
        },
    }
}

fn peak(module: Module, pulls: &[Pull]) -> Finding {
    let ratios: Vec<f64> = pulls.iter().filter_map(Pull::ratio).collect();
    let (_, peak) = ends(&ratios);
    Finding {
        claim: format!("{ALONE}'s gradient of the whole {}_proj peaks at {PEAK} times that of general rows", module.name()),
        theirs: format!("{PEAK} times"),
        ours: numbers(&ratios, || format!("{} times", significant(peak))),
        verdict: match peak {
            _ if ratios.is_empty() => Replication::NotMeasured,
            peak if peak <= 1.0 => Replication::Opposite,
            peak if peak < PEAK / ALIKE => Replication::Smaller,
            peak if peak > PEAK * ALIKE => Replication::Larger,
            _ => Replication::Reproduced,
        },
    }
}

fn coverage(pulls: &[Pull]) -> Finding {
    // A property of the rows and the base: the first measurement, before training moved anything.
    let first = pulls.iter().filter(|pull| pull.step == 0).find_map(|pull| Some((pull.overlap?, pull.overlap_by_chance)));
    Finding {
        claim: format!("{ALONE}'s rows cover less than half of what general rows use"),
        theirs: "too little".to_owned(),
        ours: first.map_or_else(
            || NONE.to_owned(),
            |(overlap, chance)| format!("{} % of directions, {} % by chance", percent(overlap), percent(chance)),
        ),
        verdict: match first {
            None => Replication::NotMeasured,
            Some((overlap, _)) if overlap < COVERED => Replication::Reproduced,
            Some(_) => Replication::Opposite,
        },
    }
}

fn numbers(of: &[f64], text: impl FnOnce() -> String) -> String {
    if of.is_empty() { NONE.to_owned() } else { text() }
}

fn ends(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)))
}

#[cfg(test)]
mod tests {
    use super::Replication::{Larger, NotMeasured, NotShown, Opposite, Reproduced, Smaller};
    use super::*;
    use crate::analysis::interference::tests::row;
    use crate::analysis::sample::run;

    #[test]
    fn signs_peaks_and_coverage_decide() {
        let mut run = run();
        assert!(findings(&View::new(&run)).is_empty());
        let with = |run: &mut crate::plan::run::Run, cosines: [f64; 2], norm: f64| {
            run.cells[0].interference = vec![row(0, Module::Q, [1.0, 1.0], cosines[0]), row(6, Module::Q, [norm, 1.0], cosines[1])];
            findings(&View::new(run)).into_iter().map(|finding| finding.verdict).collect::<Vec<_>>()
        };
        assert_eq!(with(&mut run, [-0.1, -0.2], 3.0), [Reproduced, Reproduced, NotMeasured, Reproduced]);
        assert_eq!(with(&mut run, [-0.1, 0.2], 2.0), [NotShown, Smaller, NotMeasured, Reproduced]);
        assert_eq!(with(&mut run, [0.1, 0.2], 9.0), [Opposite, Larger, NotMeasured, Reproduced]);
        assert_eq!(with(&mut run, [0.1, 0.2], 0.5)[1], Opposite);
    }
}
