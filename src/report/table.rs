//! The one table of reports: typed cells under a header. A reader gets few digits and `n/a`, a program six digits and an empty cell.

use super::document::{Block, Span, Text, code, paragraph};
use super::text::{NONE, fixed, p_value, percent, point_range, points, range, significant};
use crate::analysis::view::Subject;
use crate::stats::Interval;

/// Rows that a reader still takes in at once.
const LONG: usize = 24;
/// Digits for programs: more than the data carry, and the same on every machine.
const DIGITS: usize = 6;

/// What a number is, and so how it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// A fraction of 1 in percent.
    Percent,
    /// A difference of fractions in percentage points, with its sign.
    Points,
    /// A p-value.
    P,
    /// Three significant digits.
    Significant,
    /// So many digits after the point.
    Digits(usize),
}

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// Nothing belongs here.
    Empty,
    /// Not measured.
    Missing,
    /// Words.
    Words(Text),
    /// A number.
    Number(f64, Unit),
    /// An interval.
    Range(Interval, Unit),
}

impl Cell {
    fn number(value: impl Into<Option<f64>>, unit: Unit) -> Self {
        value.into().map_or(Self::Missing, |value| Self::Number(value, unit))
    }

    /// A fraction of 1 in percent.
    pub(super) fn percent(fraction: impl Into<Option<f64>>) -> Self {
        Self::number(fraction, Unit::Percent)
    }

    /// A difference of fractions in percentage points.
    pub(super) fn points(difference: impl Into<Option<f64>>) -> Self {
        Self::number(difference, Unit::Points)
    }

    /// A p-value.
    pub(super) fn p(p: impl Into<Option<f64>>) -> Self {
        Self::number(p, Unit::P)
    }

    /// A number with three significant digits.
    pub(super) fn significant(value: impl Into<Option<f64>>) -> Self {
        Self::number(value, Unit::Significant)
    }

    /// A number with so many digits after the point.
    pub(super) fn fixed(value: impl Into<Option<f64>>, digits: usize) -> Self {
        Self::number(value, Unit::Digits(digits))
    }

    /// An interval of fractions, in percent.
    pub(super) fn range(interval: impl Into<Option<Interval>>) -> Self {
        interval.into().map_or(Self::Missing, |interval| Self::Range(interval, Unit::Percent))
    }

    /// An interval of differences, in percentage points.
    pub(super) fn point_range(interval: impl Into<Option<Interval>>) -> Self {
        interval.into().map_or(Self::Missing, |interval| Self::Range(interval, Unit::Points))
    }

    /// For readers.
    pub(super) fn text(&self) -> Text {
        match self {
            Self::Empty => Text::default(),
            Self::Missing => NONE.into(),
            Self::Words(text) => text.clone(),
            Self::Number(value, unit) => match unit {
                Unit::Percent => percent(*value),
                Unit::Points => points(*value),
                Unit::P => p_value(Some(*value)),
                Unit::Significant => significant(*value),
                Unit::Digits(digits) => fixed(*value, *digits),
            }
            .into(),
            Self::Range(interval, Unit::Points) => point_range(*interval).into(),
            Self::Range(interval, _) => range(*interval).into(),
        }
    }

    /// For programs: fractions stay fractions of 1.
    pub(super) fn value(&self) -> String {
        match self {
            Self::Empty | Self::Missing => String::new(),
            Self::Words(text) => text.letters(),
            Self::Number(value, _) => fixed(*value, DIGITS),
            Self::Range(interval, _) => format!("{} {}", fixed(interval.low, DIGITS), fixed(interval.high, DIGITS)),
        }
    }
}

macro_rules! words {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Cell {
            fn from(words: $kind) -> Self {
                Self::Words(words.into())
            }
        }

        impl From<Option<$kind>> for Cell {
            fn from(words: Option<$kind>) -> Self {
                words.map_or(Self::Missing, Self::from)
            }
        }
    )*};
}

words!(Text, Span, String, &str, usize);

/// A column's heading.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Heading {
    /// Its words.
    pub(super) words: Text,
    /// Whether numbers stand under it, on the right.
    pub(super) numbers: bool,
}

/// Rows under a header.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Table {
    /// One per column.
    pub(super) header: Vec<Heading>,
    /// As many cells as columns in each.
    pub(super) rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table of these things, one per row; its columns follow.
    pub(super) fn of<T>(things: impl IntoIterator<Item = T>) -> Columns<T> {
        let things: Vec<T> = things.into_iter().collect();
        let rows = things.iter().map(|_| Vec::new()).collect();
        Columns { things, table: Self { header: Vec::new(), rows } }
    }

    /// A table with a row per subject and a column per suite.
    pub(super) fn by_suite<'a: 's, 's, C: Into<Cell>>(
        subjects: impl IntoIterator<Item = &'s Subject<'a>>,
        suites: &[&str],
        mut cell: impl FnMut(&Subject<'a>, &str) -> C,
    ) -> Self {
        let named = Self::of(subjects).words("", |subject| code(subject.name));
        named.across(suites, |suite| code(suite).into(), |subject, suite| cell(subject, suite)).table
    }

    /// Whether there is nothing to show.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// As a block.
    pub(super) fn block(self) -> Block {
        Block::Table(self)
    }

    /// As a block behind a line to click on.
    pub(super) fn folded(self, summary: &str) -> Block {
        Block::Folded(summary.to_owned(), vec![self.block()])
    }

    /// As a block, folded if it is long.
    pub(super) fn folded_if_long(self, summary: &str) -> Block {
        if self.rows.len() > LONG { self.folded(summary) } else { self.block() }
    }

    /// Under what there is to know of it, folded if it is long; nothing without rows.
    pub(super) fn explained(self, note: impl Into<Text>, summary: &str) -> Vec<Block> {
        if self.is_empty() { Vec::new() } else { vec![paragraph(note), self.folded_if_long(summary)] }
    }
}

/// A table in the making: what each row is about, and the columns so far.
pub(super) struct Columns<T> {
    things: Vec<T>,
    table: Table,
}

impl<T> Columns<T> {
    /// Another column of words.
    pub(super) fn words<C: Into<Cell>>(self, heading: impl Into<Text>, cell: impl FnMut(&T) -> C) -> Self {
        self.column(heading.into(), false, cell)
    }

    /// Another column of numbers.
    pub(super) fn numbers<C: Into<Cell>>(self, heading: impl Into<Text>, cell: impl FnMut(&T) -> C) -> Self {
        self.column(heading.into(), true, cell)
    }

    /// Another column of numbers where it has any.
    pub(super) fn numbers_if<C: Into<Cell>>(self, so: bool, heading: impl Into<Text>, cell: impl FnMut(&T) -> C) -> Self {
        if so { self.numbers(heading, cell) } else { self }
    }

    /// A column of numbers for each of these.
    pub(super) fn across<K, C: Into<Cell>>(
        self,
        keys: impl IntoIterator<Item = K>,
        heading: impl Fn(&K) -> Text,
        mut cell: impl FnMut(&T, &K) -> C,
    ) -> Self {
        keys.into_iter().fold(self, |table, key| table.numbers(heading(&key), |thing| cell(thing, &key)))
    }

    /// The table.
    pub(super) fn table(self) -> Table {
        self.table
    }

    fn column<C: Into<Cell>>(mut self, words: Text, numbers: bool, mut cell: impl FnMut(&T) -> C) -> Self {
        self.table.header.push(Heading { words, numbers });
        for (row, thing) in self.table.rows.iter_mut().zip(&self.things) {
            row.push(cell(thing).into());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_get_few_digits_and_programs_get_six() {
        let cells = [Cell::percent(0.5), Cell::points(-0.031), Cell::p(0.0004), Cell::fixed(1.23456, 2), Cell::percent(None), Cell::Empty];
        assert_eq!(cells.clone().map(|cell| cell.text().letters()), ["50.0", "-3.1", "<0.001", "1.23", "n/a", ""]);
        assert_eq!(cells.map(|cell| cell.value()), ["0.500000", "-0.031000", "0.000400", "1.234560", "", ""]);
    }

    #[test]
    fn columns_are_filled_row_by_row() {
        let table = Table::of([1, 2]).words("a", ToString::to_string).across(["x", "y"], |key| (*key).into(), |n, key| format!("{key}{n}"));
        let table = table.numbers_if(false, "never", |_| "").table();
        let rows: Vec<Vec<String>> = table.rows.iter().map(|row| row.iter().map(Cell::value).collect()).collect();
        assert_eq!(rows, [["1", "x1", "y1"], ["2", "x2", "y2"]]);
        assert_eq!(table.header.iter().map(|heading| heading.numbers).collect::<Vec<_>>(), [false, true, true]);
    }

    #[test]
    fn only_a_long_table_is_folded() {
        let of = |rows: usize| Table::of(0..rows).words("a", |_| "x").table().folded_if_long("all");
        assert!(matches!(of(LONG), Block::Table(_)));
        assert!(matches!(of(LONG + 1), Block::Folded(..)));
    }
}
