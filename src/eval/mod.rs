//! Evaluation: suites of items, answers of a model to them, and what the answers are worth.

pub mod budget;
pub mod drift;
pub mod endpoint;
pub mod floor;
pub mod generate;
pub mod grading;
pub mod likelihood;
pub mod mapping;
pub mod program;
pub mod prompt;
pub mod rivals;
pub mod run;
pub mod sample;
pub mod score;
pub mod suite;
mod whole;
