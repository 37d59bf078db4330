//! Every comparison of a report, made once.

use super::comparison::Comparison;
use super::view::View;

/// The variant of identity rows alone, which the article and the second table compare with.
pub(crate) const ALONE: &str = "A";

/// A run with its comparisons.
pub(crate) struct Results<'a> {
    /// The run.
    pub(crate) view: View<'a>,
    /// Variants against the base, suite by suite.
    pub(crate) to_base: Vec<Comparison<'a>>,
    /// Other variants against variant A; empty where there is none.
    pub(crate) to_alone: Vec<Comparison<'a>>,
}

impl<'a> Results<'a> {
    /// Compares everything.
    pub(crate) fn new(view: View<'a>) -> Self {
        let to_base = Comparison::family(&view, view.base());
        let to_alone = view.variant(ALONE).map(|alone| Comparison::family(&view, alone)).unwrap_or_default();
        Self { view, to_base, to_alone }
    }

    /// A variant against the base on a suite.
    pub(crate) fn against_base(&self, variant: &str, suite: &str) -> Option<&Comparison<'a>> {
        self.to_base.iter().find(|found| found.variant == variant && found.suite == suite)
    }
}
