//! What brings an adapter back: changes of its update, from mild to strong, and the search for the mildest one that passes.
//!
//! Values in, values out: nothing here asks a model. `factors` is the algebra of a low-rank product, `repair` one change of an
//! adapter, `soup` the mean of several, `distance` how large a change is, `split` the items that a search may look at.

pub mod distance;
pub mod factors;
pub mod repair;
pub mod soup;
pub mod split;
