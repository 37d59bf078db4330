//! The article's accuracies beside those of this run.

use super::{ALONE, BASE, IDENTITY, MIXTURE, RECIPE, SUITES, is_the_articles};
use crate::analysis::results::Results;
use crate::analysis::share::Share;
use crate::analysis::view::View;
use crate::eval::suite::SuiteRole;

/// One accuracy of the article with the one measured here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::report) struct Beside<'a> {
    /// Base or variant.
    pub(in crate::report) subject: &'a str,
    /// Suite.
    pub(in crate::report) suite: &'a str,
    /// The article's number; it gives none of the base on identity.
    pub(in crate::report) theirs: Option<f64>,
    /// This run's.
    pub(in crate::report) ours: Option<Share>,
}

/// Every accuracy of base and the article's variants on the suites that the article has too; none where the experiment
/// is another.
pub(in crate::report) fn beside<'a>(results: &Results<'a>) -> Vec<Beside<'a>> {
    if !is_the_articles(results) {
        return Vec::new();
    }
    let view = &results.view;
    let known = |suite: &&&str| view.role(suite) == SuiteRole::Identity || SUITES.iter().any(|(name, ..)| name == *suite);
    let mut all = Vec::new();
    for suite in view.suites.iter().filter(known) {
        for subject in &view.subjects {
            if subject.name == view.base().name || [ALONE, MIXTURE, RECIPE].contains(&subject.name) {
                all.push(Beside {
                    subject: subject.name,
                    suite,
                    theirs: theirs(view, suite, subject.name),
                    ours: Share::accuracy(subject, suite),
                });
            }
        }
    }
    all
}

fn theirs(view: &View, suite: &str, subject: &str) -> Option<f64> {
    if view.role(suite) == SuiteRole::Identity {
        return IDENTITY.iter().find(|(name, _)| *name == subject).map(|(_, level)| *level);
    }
    let (_, alone, mixture, recipe) = SUITES.iter().find(|(name, ..)| *name == suite)?;
    match subject {
        ALONE => Some(*alone),
        MIXTURE => Some(*mixture),
        RECIPE => Some(*recipe),
        _ => Some(BASE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample::run;

    #[test]
    fn each_number_stands_beside_its_own() {
        let mut sample = run();
        let all = beside(&Results::new(View::new(&sample)));
        let of = |subject: &str, suite: &str| all.iter().find(|one| (one.subject, one.suite) == (subject, suite)).unwrap();
        assert_eq!(of("A", "fact-qa").theirs, Some(0.62));
        assert!((of("A", "fact-qa").ours.unwrap().value - 0.3).abs() < 1e-12);
        assert_eq!((of("base", "fact-qa").theirs, of("base", "identity").theirs), (Some(0.96), None));
        assert_eq!(all.len(), 12);
        drop(all);
        sample.experiment.variants[1].name = "other".to_owned();
        assert!(beside(&Results::new(View::new(&sample))).is_empty());
    }
}
