//! Training data: from the files a user names to the ordered, filled-in rows that a stage trains on.
//!
//! The files follow the path of a row: [`read`] turns any accepted file into [`Example`]s, [`mix`] draws and orders
//! them, [`identity`] fills in the model's name and author where [`placeholder`] finds them meant, and [`overlap`] finds rows that repeat an evaluation item
//! or an anchor row. Only [`read`] touches the disk; everything else takes values and returns values.

pub mod chat;
pub mod example;
pub mod identity;
pub mod language;
pub mod mix;
pub mod overlap;
pub mod placeholder;
pub mod read;
pub mod thinking;

pub use example::{Example, Message, Origin, Role};
pub use language::Language;
