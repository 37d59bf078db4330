//! A run as a report sees it: the base and each variant with its seeds, and the suites in order.

use crate::eval::suite::{Constant, SuiteRole};
use crate::plan::run::Run;
use crate::record::rows::ItemRow;
use crate::record::run_dir::Cell;

/// Confidence of every interval in a report.
pub(crate) const CONFIDENCE: f64 = 0.95;
/// Level of every test in a report.
pub(crate) const ALPHA: f64 = 0.05;

/// A run, arranged.
pub(crate) struct View<'a> {
    /// The run.
    pub(crate) run: &'a Run,
    /// Suites in the experiment's order.
    pub(crate) suites: Vec<&'a str>,
    /// The base, then every variant with a finished cell, in the experiment's order.
    pub(crate) subjects: Vec<Subject<'a>>,
}

/// The base or a variant: one cell a seed.
pub(crate) struct Subject<'a> {
    /// Name in tables.
    pub(crate) name: &'a str,
    /// At least one; the base has exactly one.
    pub(crate) cells: Vec<&'a Cell>,
}

impl<'a> View<'a> {
    /// Arranges a run.
    pub(crate) fn new(run: &'a Run) -> Self {
        let variants = run.experiment.variants.iter().map(|variant| {
            let cells = run.cells.iter().filter(|cell| cell.record.variant == variant.name).collect();
            Subject { name: &variant.name, cells }
        });
        let base = Subject { name: "base", cells: vec![&run.base] };
        Self {
            run,
            suites: run.experiment.suites.iter().map(|suite| suite.name.as_str()).collect(),
            subjects: std::iter::once(base).chain(variants.filter(|variant| !variant.cells.is_empty())).collect(),
        }
    }

    /// The base.
    pub(crate) fn base(&self) -> &Subject<'a> {
        &self.subjects[0]
    }

    /// All but the base.
    pub(crate) fn variants(&self) -> &[Subject<'a>] {
        &self.subjects[1..]
    }

    /// A variant by name.
    pub(crate) fn variant(&self, name: &str) -> Option<&Subject<'a>> {
        self.variants().iter().find(|subject| subject.name == name)
    }

    /// Suites in which change is not wanted.
    pub(crate) fn general(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.suites.iter().copied().filter(|suite| self.role(suite) == SuiteRole::General)
    }

    /// Suites in which change is wanted.
    pub(crate) fn identity(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.suites.iter().copied().filter(|suite| self.role(suite) == SuiteRole::Identity)
    }

    /// What a suite is for.
    pub(crate) fn role(&self, suite: &str) -> SuiteRole {
        self.run.meta.role(suite)
    }

    /// What an answer without the skill scores: a random chooser, or the best single answer to all items.
    pub(crate) fn floor(&self, suite: &str) -> f64 {
        self.run.meta.suites.get(suite).map_or(0.0, crate::record::rows::SuiteMeta::floor)
    }

    /// The best known answers without the skill to a suite, the best first; none where chance is more, or they were not sought.
    pub(crate) fn constants(&self, suite: &str) -> Vec<&'a Constant> {
        let meta = self.run.meta.suites.get(suite).filter(|meta| meta.floor.is_some());
        let mut constants: Vec<&Constant> = meta.map(|meta| meta.constants.iter().collect()).unwrap_or_default();
        constants.sort_by_key(|constant| std::cmp::Reverse(constant.right));
        constants
    }

    /// Most seeds of any variant.
    pub(crate) fn seeds(&self) -> usize {
        self.variants().iter().map(|subject| subject.cells.len()).max().unwrap_or(0)
    }

    /// Seeds in words: `seed 42`, `seeds 42, 43`.
    pub(crate) fn seed_names(&self) -> String {
        let seeds: Vec<String> = self.run.experiment.seeds.iter().map(ToString::to_string).collect();
        format!("seed{} {}", if seeds.len() == 1 { "" } else { "s" }, seeds.join(", "))
    }

    /// Model, device, day, seeds and size of the measurement, for the head of the page and of every figure.
    pub(crate) fn subtitle(&self) -> String {
        let meta = &self.run.meta;
        let items = self.run.base.items.len();
        format!("{}, {}, {}, {}, n = {items} items", meta.model, meta.device, meta.date, self.seed_names())
    }
}

impl<'a> Subject<'a> {
    /// The rows of one suite, a list a seed.
    pub(crate) fn rows(&self, suite: &str) -> Vec<Vec<&'a ItemRow>> {
        self.cells.iter().map(|cell| suite_rows(cell, suite)).collect()
    }
}

/// The rows of one suite.
pub(crate) fn suite_rows<'a>(cell: &'a Cell, suite: &str) -> Vec<&'a ItemRow> {
    cell.items.iter().filter(|row| row.suite == suite).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::outcomes::leakage;
    use crate::analysis::sample::run;
    use crate::record::rows::ItemRow;

    /// The sample run with its suites called otherwise, and what they are for written down.
    fn renamed(names: [(&str, &str, SuiteRole); 3]) -> Run {
        let mut run = run();
        for (old, new, role) in names {
            let mut meta = run.meta.suites.remove(old).unwrap();
            meta.role = Some(role);
            run.meta.suites.insert(new.to_owned(), meta);
            run.experiment.suites.iter_mut().filter(|suite| suite.name == old).for_each(|suite| suite.name = new.to_owned());
            let cells = std::iter::once(&mut run.base).chain(&mut run.cells);
            let rows = cells.flat_map(|cell| cell.items.iter_mut().chain(&mut cell.probe)).filter(|row| row.suite == old);
            rows.for_each(|row: &mut ItemRow| (row.suite, row.role) = (new.to_owned(), Some(role)));
        }
        run
    }

    #[test]
    fn what_a_suite_is_for_is_what_it_declares_and_not_its_name() {
        let (before, after) = (run(), {
            use SuiteRole::{General, Identity};
            renamed([
                ("fact-qa", "identity-of-plants", General),
                ("reasoning-zh", "leakage-of-pipes", General),
                ("identity", "who-are-you", Identity),
            ])
        });
        let (before, after) = (View::new(&before), View::new(&after));
        assert_eq!(before.general().collect::<Vec<_>>(), ["fact-qa", "reasoning-zh"]);
        assert_eq!(after.general().collect::<Vec<_>>(), ["identity-of-plants", "leakage-of-pipes"]);
        assert_eq!(after.identity().collect::<Vec<_>>(), ["who-are-you"]);
        for (old, new) in before.subjects.iter().zip(&after.subjects) {
            assert_eq!(leakage(old), leakage(new), "{}", old.name);
        }
    }
}
