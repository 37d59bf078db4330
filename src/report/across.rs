//! Answers across runs as a Markdown table: accuracy by group, or any columns as they are.

use super::document::{Span, code, foreign};
use super::render::markdown;
use super::table::{Cell, Table};
use crate::analysis::across::Group;
use crate::frame::{Column, height};

/// Accuracy by group, in percent.
pub fn groups(groups: &[Group], by: &[&str]) -> String {
    let keys = by.iter().enumerate();
    let table = keys.fold(Table::of(groups), |table, (place, name)| {
        table.words(*name, |group| group.keys.get(place).and_then(Option::as_deref).map_or(Cell::Empty, |key| code(key).into()))
    });
    let table = table
        .numbers("accuracy %", |group| Cell::percent(group.accuracy.map(|share| share.value)))
        .numbers("95 % interval", |group| Cell::range(group.accuracy.map(|share| share.interval)))
        .numbers("over", |group| group.accuracy.map(|share| if share.over_seeds { "cells" } else { "items" }))
        .numbers("cells", |group| group.cells)
        .numbers("answers", |group| group.answers)
        .numbers("failures", |group| group.failures);
    markdown::document(&[table.table().block()])
}

/// Columns as they are, one line per row.
pub fn columns(columns: &[Column]) -> String {
    let table = columns.iter().fold(Table::of(0..height(columns)), |table, column| {
        table.words(column.name.as_str(), |row| -> Span { foreign(&column.text(*row).unwrap_or_default()) })
    });
    markdown::document(&[table.table().block()])
}
