//! A batch: rows of tokens laid end to end, each starting at its own position.

use crate::model::ops::attention::Segment;

/// Token ids, positions and row bounds of one forward pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packed {
    /// All tokens, row after row.
    pub ids: Vec<u32>,
    /// Each token's position in its row.
    pub positions: Vec<u32>,
    /// Where each row lies.
    pub rows: Vec<Segment>,
}

impl Packed {
    /// Whole rows, each from position 0.
    pub fn from_rows<R: AsRef<[u32]>>(rows: &[R]) -> Self {
        let mut packed = Self::default();
        for row in rows {
            packed.push(row.as_ref(), 0);
        }
        packed
    }

    /// Appends a row whose first token is at the given position: 0, or the length of what a cache holds of it.
    pub fn push(&mut self, ids: &[u32], first_position: usize) {
        self.rows.push(Segment { start: self.ids.len(), len: ids.len() });
        self.positions.extend((0..ids.len()).map(|i| (first_position + i) as u32));
        self.ids.extend_from_slice(ids);
    }

    /// Tokens in all rows.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Index of each row's last token: the positions that predict what comes next.
    pub fn last_tokens(&self) -> Vec<u32> {
        self.rows.iter().map(|row| (row.start + row.len - 1) as u32).collect()
    }
}
