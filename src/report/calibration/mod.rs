//! The gate's own test report: its rule by simulation, and the whole of it on a model.

mod measured;
mod simulated;

pub use measured::{Measurement, measured};
pub use simulated::simulated;
