//! How long work tells how far it is, without knowing about terminals.

/// Told about one piece of work at a time: `begin`, any number of `advance`, `finish`.
///
/// A `begin` without a `finish` before it replaces the piece before: that one failed.
pub trait Progress {
    /// Work starts; `total_bytes` where it is known.
    fn begin(&self, what: &str, total_bytes: Option<u64>);
    /// So many bytes more are done.
    fn advance(&self, bytes: u64);
    /// The work is done.
    fn finish(&self);
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _what: &str, _total_bytes: Option<u64>) {}
    fn advance(&self, _bytes: u64) {}
    fn finish(&self) {}
}
