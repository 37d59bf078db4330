//! A pack: one archive with everything that an adapter needs to be itself somewhere else, beside the base.
//!
//! An identity is lost in deployment when the adapter is put on another base, the chat template is guessed, or the system
//! prompt is forgotten. So a pack names its base by digest and carries the rest: the adapter, also in llama.cpp's form, the
//! template, the system prompt, what the gate said, a model card, and scripts that start it. `manifest` is what a pack says of
//! itself; `archive` writes it, the same bytes for the same contents, and reads it without trusting it; `scripts` and `card`
//! are its texts.

mod archive;
mod card;
mod manifest;
mod scripts;

pub use archive::{unpack, write};
pub use card::card;
pub use manifest::{ADAPTER, Base, MANIFEST, Manifest, Member, SYSTEM, TEMPLATE, check_name, open};
pub use scripts::{Launch, scripts};
