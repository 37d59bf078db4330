//! What brings an adapter back: changes of its update, from mild to strong, and the search for the mildest one that passes.
//!
//! Values in, values out: nothing here asks a model. `factors` is the algebra of a low-rank product, `repair` one change of an
//! adapter, `soup` the mean of several, `distance` how large a change is. `split` parts a baseline's items into those that the
//! search may look at and those of the verdict, `outlook` says what the first let expect of the second, `path` has the ways
//! that are walked, `search` walks them, `result` is what is written down. `commands` asks the model.

pub mod distance;
pub mod factors;
pub mod outlook;
pub mod path;
pub mod repair;
pub mod result;
pub mod search;
pub mod soup;
pub mod split;
