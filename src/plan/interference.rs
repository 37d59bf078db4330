//! The rows on which interference is measured.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::stages::filled;
use crate::config::file::Experiment;
use crate::data::chat::ChatTemplate;
use crate::data::mix::{SourceSpec, sample};
use crate::data::placeholder::Placeholders;
use crate::files::sha256;
use crate::library;
use crate::train::batch::TrainRow;

/// Rows of both kinds, the same for every variant and seed, so that variants compare.
#[derive(Debug, Clone)]
pub struct PlannedInterference {
    /// Rows that teach the identity.
    pub identity: Vec<TrainRow>,
    /// Rows that do not.
    pub general: Vec<TrainRow>,
}

impl PlannedInterference {
    /// A digest of the rows as the model reads them.
    pub fn digest(&self) -> String {
        sha256(
            format!("{:?}", [&self.identity, &self.general].map(|rows| rows.iter().map(|row| &row.encoded).collect::<Vec<_>>())).as_bytes(),
        )
    }
}

/// Reads, draws, fills and tokenizes the rows; None where nothing is to be measured.
pub fn interference(experiment: &Experiment, template: &ChatTemplate) -> Result<Option<PlannedInterference>> {
    let config = &experiment.interference;
    if config.every == 0 {
        return Ok(None);
    }
    let rows = |sources: &[String]| -> Result<Vec<TrainRow>> {
        let mut rows = Vec::new();
        for source in sources {
            rows.extend(encoded(experiment, template, source).with_context(|| format!("[interference]: `{source}` cannot be used"))?);
        }
        Ok(rows)
    };
    Ok(Some(PlannedInterference { identity: rows(&config.identity)?, general: rows(&config.general)? }))
}

fn encoded(experiment: &Experiment, template: &ChatTemplate, source: &str) -> Result<Vec<TrainRow>> {
    let spec = SourceSpec::parse(source, |path| Path::new(path).exists())?;
    let all = library::examples(&spec.path)?;
    let placeholders = Placeholders::of(&all)?;
    let examples = filled(sample(all, spec.count, 0, &spec.label)?, placeholders, None, experiment)?;
    let mut rows = Vec::new();
    for example in examples {
        let encoded = template.training_row(&example.messages).with_context(|| format!("row {}", example.origin))?;
        if encoded.ids.len() <= experiment.training.max_length {
            rows.push(TrainRow::plain(encoded, example.origin.to_string()));
        }
    }
    if rows.is_empty() {
        bail!("no rows are left: all are longer than max_length");
    }
    Ok(rows)
}
