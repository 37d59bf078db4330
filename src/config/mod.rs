//! What a user asks for: the experiment as written.

pub mod file;
