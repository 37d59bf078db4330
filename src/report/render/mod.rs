//! Documents written down, one medium a file. Each takes blocks and returns text or bytes, and knows nothing of runs.

pub(super) mod csv;
pub(super) mod html;
pub(super) mod markdown;
pub(super) mod terminal;
