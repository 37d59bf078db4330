//! What the records say, in numbers: between the rows and whoever judges or shows them.
//!
//! `pair` joins the rows of two sets of answers, `share` is an accuracy with its interval, `comparison` a paired difference,
//! `retention` what is left of the base above its floor, `outcomes` how answers ended, `distinct` how many of them differ, `dose` what a
//! variant was given, `interference` why it forgot. `view` arranges a run for them, `answer_set` is a cell or a file, `versus` several of
//! them side by side, `across` any number of runs as one
//! frame. Each is written once, and `report`, `gate` and the commands take it from here. Nothing here knows a file format or a sentence.

pub mod across;
pub mod answer_set;
pub mod comparison;
pub mod distinct;
pub mod dose;
pub mod flips;
pub(crate) mod interference;
pub mod outcomes;
pub mod pair;
pub mod results;
pub mod retention;
#[cfg(test)]
pub(crate) mod sample;
pub mod share;
pub mod versus;
pub mod view;
