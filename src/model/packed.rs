//! A batch: rows of tokens laid end to end, each starting at its own position and going through its own adapter.

use crate::model::ops::attention::Segment;

/// Token ids, positions, row bounds and adapters of one forward pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packed {
    /// All tokens, row after row.
    pub ids: Vec<u32>,
    /// Each token's position in its row.
    pub positions: Vec<u32>,
    /// Where each row lies.
    pub rows: Vec<Segment>,
    /// For each row, the index of its adapter in the adapter set; None is the base.
    pub adapters: Vec<Option<usize>>,
}

impl Packed {
    /// Whole rows, each from position 0, through one adapter or the base.
    pub fn from_rows<R: AsRef<[u32]>>(rows: &[R], adapter: Option<usize>) -> Self {
        let mut packed = Self::default();
        for row in rows {
            packed.push(row.as_ref(), 0, adapter);
        }
        packed
    }

    /// Appends a row whose first token is at the given position: 0, or the length of what a cache holds of it.
    pub fn push(&mut self, ids: &[u32], first_position: usize, adapter: Option<usize>) {
        self.rows.push(Segment { start: self.ids.len(), len: ids.len() });
        self.positions.extend((0..ids.len()).map(|i| (first_position + i) as u32));
        self.ids.extend_from_slice(ids);
        self.adapters.push(adapter);
    }

    /// Tokens in all rows.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Index of each row's last token: the positions that predict what comes next.
    pub fn last_tokens(&self) -> Vec<u32> {
        self.rows.iter().map(|row| (row.start + row.len - 1) as u32).collect()
    }

    /// The row that a token belongs to.
    pub(crate) fn row_of(&self, token: u32) -> usize {
        self.rows.partition_point(|row| row.start <= token as usize) - 1
    }

    /// The adapter of the row that a token belongs to.
    pub(crate) fn adapter_of(&self, token: u32) -> Option<usize> {
        self.adapters[self.row_of(token)]
    }
}
