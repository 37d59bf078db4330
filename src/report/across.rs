//! Answers across runs as a Markdown table: accuracy by group, or any columns as they are.

use super::table::Table;
use super::text::{code, or_none, percent, plain, range};
use crate::analysis::across::{Group, value};
use crate::frame::{Column, height};

/// Accuracy by group, in percent.
pub fn groups(groups: &[Group], by: &[&str]) -> String {
    let header = by.iter().copied().chain(["accuracy %", "95 % interval", "over", "cells", "answers", "failures"]);
    let mut table = Table::new(header, by.len());
    for group in groups {
        let keys = group.keys.iter().map(|key| key.as_deref().map_or_else(String::new, code));
        let share = group.accuracy;
        let numbers = [
            or_none(share, |share| percent(share.value)),
            or_none(share, |share| range(share.interval)),
            or_none(share, |share| if share.over_seeds { "cells" } else { "items" }.to_owned()),
            group.cells.to_string(),
            group.answers.to_string(),
            group.failures.to_string(),
        ];
        table.push(keys.chain(numbers).collect());
    }
    table.markdown() + "\n"
}

/// Columns as they are, one line per row.
pub fn columns(columns: &[Column]) -> String {
    let mut table = Table::new(columns.iter().map(|column| column.name.clone()), columns.len());
    for row in 0..height(columns) {
        table.push(columns.iter().map(|column| plain(&value(columns, &column.name, row).unwrap_or_default())).collect());
    }
    table.markdown() + "\n"
}
