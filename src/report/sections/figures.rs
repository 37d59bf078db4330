//! The figures with how to read them.

use crate::report::document::{Block, under};
use crate::report::figures::Figure;

/// The section.
pub(super) fn section(figures: &[Figure]) -> Vec<Block> {
    under("Figures", figures.iter().cloned().map(Block::Figure).collect())
}
