//! What a user asks for: `file.rs` is the experiment as written, `plan.rs` what it comes to once files are read.

pub mod builtin;
pub mod file;
pub mod plan;
