//! The rows of two sets of answers, joined: by suite and content hash, whatever their order.

use std::collections::BTreeMap;

use crate::record::rows::ItemRow;

/// One item that both answered.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// Before: the base, or whatever is compared with.
    pub before: &'a ItemRow,
    /// After: the variant.
    pub after: &'a ItemRow,
}

/// A set of answers by what joins them.
pub struct Index<'a>(BTreeMap<(&'a str, &'a str), &'a ItemRow>);

impl<'a> Index<'a> {
    /// Of rows; of two to one item the last one counts.
    pub fn new(rows: impl IntoIterator<Item = &'a ItemRow>) -> Self {
        Self(rows.into_iter().map(|row| ((row.suite.as_str(), row.hash.as_str()), row)).collect())
    }

    /// The answer to the item that `row` answers.
    pub fn get(&self, row: &ItemRow) -> Option<&'a ItemRow> {
        self.0.get(&(row.suite.as_str(), row.hash.as_str())).copied()
    }

    /// Items answered.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was answered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The answers, by suite and hash.
    pub fn rows(&self) -> impl Iterator<Item = &'a ItemRow> + '_ {
        self.0.values().copied()
    }
}

/// The items that both answered, in the order of `after`.
pub fn pairs<'a>(before: impl IntoIterator<Item = &'a ItemRow>, after: impl IntoIterator<Item = &'a ItemRow>) -> Vec<Pair<'a>> {
    let known = Index::new(before);
    after.into_iter().filter_map(|after| Some(Pair { before: known.get(after)?, after })).collect()
}

impl Pair<'_> {
    /// Right before, wrong after.
    pub fn is_harmful(&self) -> bool {
        self.before.is_correct() && !self.after.is_correct()
    }

    /// As scores: 1 is right.
    pub fn scores(&self) -> (f64, f64) {
        let score = |row: &ItemRow| f64::from(u8::from(row.is_correct()));
        (score(self.before), score(self.after))
    }
}
