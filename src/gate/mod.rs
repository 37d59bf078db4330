//! The gate: may this adapter replace the base, given what the base answered when the baseline was blessed?
//!
//! Values in, values out: nothing here reads a file, asks a model or prints. `mark` is an answer as a baseline keeps it,
//! `baseline` the committed file, `decision` the one rule from paired answers to a verdict, `family` what the number of suites
//! costs it, `judge` that rule over all suites and guards, `drift` the limits on the base's own words, `result` everything a gate says, `answers` the rule on answers alone.
//! `simulate` tests the rule itself. `commands` asks the model and `report::gate` writes the result down.

pub mod answers;
pub mod baseline;
pub mod decision;
pub mod drift;
pub mod family;
pub mod judge;
pub mod result;
pub mod simulate;
