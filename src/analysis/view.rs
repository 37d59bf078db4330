//! A run as a report sees it: the base and each variant with its seeds, and the suites in order.

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
        self.suites.iter().copied().filter(|suite| !is_identity(suite) && !is_leakage(suite))
    }

    /// Suites in which change is wanted.
    pub(crate) fn identity(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.suites.iter().copied().filter(|suite| is_identity(suite))
    }

    /// Accuracy of a random chooser.
    pub(crate) fn chance(&self, suite: &str) -> f64 {
        self.run.meta.suites.get(suite).map_or(0.0, |meta| meta.chance)
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

/// Suites that ask who the model is, by the last part of their name.
pub(crate) fn is_identity(suite: &str) -> bool {
    named(suite, "identity")
}

/// Whether a suite asks for nothing but silence about the identity: what is lost on it is manners, not knowledge.
fn is_leakage(suite: &str) -> bool {
    named(suite, "leakage")
}

fn named(suite: &str, kind: &str) -> bool {
    suite.trim_end_matches('/').rsplit('/').next().is_some_and(|name| name.starts_with(kind))
}
