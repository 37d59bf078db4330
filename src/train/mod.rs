//! Training of one variant's adapter: stages of windows of rows, each window one optimizer step.
//!
//! The semantics are those of ms-swift's LoRA fine-tuning, step for step: loss is the mean over all label tokens of a
//! window, however its rows are packed into forward passes; gradients are clipped by their total norm; AdamW decays
//! A and B; the learning rate warms up linearly and falls by a cosine; a following stage starts from the weights alone.

pub mod batch;
pub mod checkpoint;
pub mod interference;
pub mod optim;
pub mod run;
pub mod schedule;
pub mod step;
pub mod telemetry;
pub mod weights;
