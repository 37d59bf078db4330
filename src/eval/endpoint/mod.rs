//! A served model: items put to an OpenAI-compatible endpoint, and its replies graded as a local model's answers are.
//!
//! What can be known of a served model is what it says: there are no weights to digest and no logits to prove an adapter by.
//! So the prompts are held against a local base's own rendering where one is named ([`prompts`]), the settings that are asked for
//! are written down, and nothing is claimed of the server's determinism.
//!
//! Keys of a reply that are not read here cannot change what the read ones mean, and every server adds its own; they are not
//! refused. What is read is: a reply without a text, or one that ended for an unknown reason, is an error.

mod address;
mod chat;
mod client;
mod completion;
mod key;
mod offers;
mod pace;
mod patience;
pub mod prompts;
mod redact;
mod run;

pub use address::Address;
pub use client::{Client, Failure};
pub use key::Key;
pub use offers::{Offers, Server};
pub use patience::Patience;
pub use run::{Served, needs_logits};
