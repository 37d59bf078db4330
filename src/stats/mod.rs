//! Pure statistics: numbers in, numbers out, one idea a file.
//!
//! What is undefined is `None`, never zero: no items, one cluster, a base model at chance. Base and variant answer
//! the same items, so every comparison here is paired; nothing here knows a file, a model or a random source that is
//! not seeded.

pub mod bootstrap;
pub mod bound;
pub mod clustered;
pub mod distribution;
pub mod holm;
pub mod interval;
pub mod letters;
pub mod noninferiority;
pub mod paired;
pub mod power;
pub mod retention;

pub use interval::Interval;
pub use paired::Paired;
