//! What adapters and caches are laid out by: a model's shape, and where its numbers are.

use candle_core::{DType, Device};

use super::spec::Spec;

/// A shape, the type of its numbers, and the device that holds them.
#[derive(Debug, Clone, Copy)]
pub struct Layout<'a> {
    /// Sizes and switches.
    pub spec: &'a Spec,
    /// Type of weights, keys and values.
    pub dtype: DType,
    /// Where they are.
    pub device: &'a Device,
}
