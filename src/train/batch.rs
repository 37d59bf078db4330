//! Windows of rows, and their division into forward passes.
//!
//! One optimizer step sees a window of rows. How the window is divided into forward passes is a matter of memory
//! alone: the loss is a sum over label tokens divided by the window's label tokens, so any division gives one update.

use anyhow::{Result, bail};

use crate::data::chat::Encoded;
use crate::model::decoder::Label;
use crate::model::packed::Packed;

/// A row to train on: its tokens, what its labels are trained towards, and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainRow {
    /// Ids and loss mask.
    pub encoded: Encoded,
    /// What its labels are trained towards.
    pub towards: Towards,
    /// One factor of the cross-entropy per label; None for 1 throughout.
    pub weights: Option<Vec<f32>>,
    /// `source:row`, for reports and errors.
    pub origin: String,
}

/// What the labels of a row are trained towards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Towards {
    /// The tokens of the row.
    #[default]
    Targets,
    /// The tokens of the row, held to the base's predictions.
    TargetsAndBase,
    /// The base's predictions alone.
    Base,
}

impl TrainRow {
    /// A row trained towards its tokens, each alike.
    pub fn plain(encoded: Encoded, origin: String) -> Self {
        Self { encoded, towards: Towards::Targets, weights: None, origin }
    }

    /// Its labels, with positions counted from `start`.
    fn labels(&self, start: usize) -> Vec<Label> {
        let ids = &self.encoded.ids;
        // The first token of a row is predicted by nothing.
        let targets = (1..ids.len()).filter(|i| self.encoded.mask[*i]);
        let label = |(number, i): (usize, usize)| Label {
            at: (start + i - 1) as u32,
            target: ids[i],
            weight: (self.towards != Towards::Base).then(|| self.weights.as_ref().map_or(1.0, |weights| weights[number])),
            to_base: self.towards != Towards::Targets,
        };
        targets.enumerate().map(label).collect()
    }
}

/// A division of a window that runs as one forward pass.
#[derive(Debug, Clone, PartialEq)]
pub struct MicroBatch {
    /// Packed tokens.
    pub packed: Packed,
    /// Every label.
    pub labels: Vec<Label>,
    /// Window of each row, and its index in it.
    pub rows: Vec<(usize, u64)>,
}

/// Divides windows, one an adapter, into forward passes of at most `max_tokens` tokens, in order; a longer row runs alone.
/// Rows of a window go through the adapter of its index.
pub fn micro_batches(windows: &[&[&TrainRow]], max_tokens: usize) -> Result<Vec<MicroBatch>> {
    let mut batches: Vec<MicroBatch> = Vec::new();
    let rows = windows.iter().enumerate().flat_map(|(window, rows)| rows.iter().enumerate().map(move |(index, row)| (window, index, row)));
    for (window, index, row) in rows {
        let ids = &row.encoded.ids;
        if row.encoded.labels() == 0 || ids.len() < 2 {
            bail!("row {} has no label token: its answer is empty", row.origin);
        }
        let fits = batches.last().is_some_and(|batch| batch.packed.tokens() + ids.len() <= max_tokens);
        if !fits {
            batches.push(MicroBatch { packed: Packed::default(), labels: Vec::new(), rows: Vec::new() });
        }
        let batch = batches.last_mut().unwrap_or_else(|| unreachable!("pushed above"));
        let start = batch.packed.tokens();
        batch.packed.push(ids, 0, Some(window));
        batch.rows.push((window, index as u64));
        batch.labels.extend(row.labels(start));
    }
    Ok(batches)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ids: &[u32], labels: usize) -> TrainRow {
        let mask = (0..ids.len()).map(|i| i >= ids.len() - labels).collect();
        TrainRow::plain(Encoded { ids: ids.to_vec(), mask }, "test:0".into())
    }

    #[test]
    fn labels_point_at_the_token_before() {
        let rows = [row(&[1, 2, 3], 2), row(&[4, 5, 6, 7], 1), row(&[8, 9], 1)];
        let window: Vec<&TrainRow> = rows.iter().collect();
        let batches = micro_batches(&[&window], 7).unwrap();
        assert_eq!(batches.len(), 2);
        assert_eq!(batches[0].labels, [(0, 2), (1, 3), (5, 7)].map(Label::from));
        assert_eq!((batches[1].labels.as_slice(), batches[1].rows.as_slice()), ([Label::from((0, 9))].as_slice(), [(0, 2)].as_slice()));
    }

    #[test]
    fn a_row_longer_than_a_forward_pass_runs_alone() {
        let rows = [row(&[1, 2, 3, 4], 1), row(&[5, 6], 1)];
        let window: Vec<&TrainRow> = rows.iter().collect();
        assert_eq!(micro_batches(&[&window], 2).unwrap().len(), 2);
    }

    #[test]
    fn a_row_without_labels_is_an_error_that_names_it() {
        let rows = [row(&[1, 2], 0)];
        assert!(micro_batches(&[&[&rows[0]]], 9).unwrap_err().to_string().contains("test:0"));
    }
}
