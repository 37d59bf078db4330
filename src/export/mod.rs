//! A base and an adapter in the forms that other programs load.
//!
//! `delta` folds an adapter into one weight in f32 and proves of what was written that it is base + adapter, computed
//! another way; `checkpoint` writes a Hugging Face folder, with what a GGUF base does not have by `companions`. Everything is
//! written beside its place and renamed when it has been read back.

mod checkpoint;
mod companions;
mod delta;

pub use checkpoint::checkpoint;
pub use delta::{Rounding, Slack, fold, narrow};
