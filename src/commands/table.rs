//! `ballast table`: answers of any number of runs as one frame, by group or row by row.

use anyhow::{Result, bail};

use super::answer_sets::read_answer_sets;
use super::print;
use crate::analysis::across::{frame, group_columns, grouped};
use crate::cli::TableArgs;
use crate::counted::counted;
use crate::files::write_atomic;
use crate::frame::{Column, height, write_parquet};
use crate::report::across;
use crate::shown;

/// What the printed table is grouped by without `--by`.
const BY: [&str; 3] = ["model", "variant", "suite"];

pub(super) fn table(args: &TableArgs) -> Result<()> {
    let mut sources = Vec::new();
    for path in &args.runs {
        sources.extend(read_answer_sets(path)?);
    }
    let rows = frame(&sources)?;
    let by: Vec<&str> = if args.by.is_empty() { BY.to_vec() } else { args.by.iter().map(String::as_str).collect() };
    let groups = grouped(&rows, &by)?;
    let Some(out) = &args.out else { return print(&across::groups(&groups, &by)) };
    let by_group = !args.by.is_empty();
    let columns = if by_group { group_columns(&groups, &by) } else { rows };
    match out.extension().and_then(|extension| extension.to_str()) {
        Some("parquet") => write_parquet(&columns, out)?,
        Some("csv") => write_atomic(out, &csv(&columns)?)?,
        Some("md") => {
            let text = if by_group { across::groups(&groups, &by) } else { across::columns(&columns) };
            write_atomic(out, text.as_bytes())?;
        }
        _ => bail!("--out {}: name a file that ends in .parquet, .csv or .md", out.display()),
    }
    print(&format!("{}, {}: {}\n", counted(height(&columns), "row"), counted(columns.len(), "column"), out.display()))
}

fn csv(columns: &[Column]) -> Result<Vec<u8>> {
    let header: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let rows = (0..height(columns)).map(|row| columns.iter().map(move |column| column.text(row).unwrap_or_default()));
    shown::csv(&header, rows)
}
