//! What a question about identity asks for: it decides what a right answer says.

use serde::{Deserialize, Serialize};

/// What a question about identity asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityKind {
    /// The own name.
    Name,
    /// The own author.
    Author,
    /// Either of them.
    Either,
    /// Both of them.
    Both,
    /// A yes: a yes, or name or author said without any denial; no rival may be named without the yes.
    Affirm,
    /// A no: a no, a denial of the rival, or a correction. Name and author alone deny nothing.
    Deny,
    /// Who makes the rival's model: the rival's maker, and neither the own name nor the own author.
    Maker,
    /// A model of the rival: its name, and neither the own name nor the own author.
    Model,
    /// Whether the own author made the rival, or the own name is another's: a no, or the true maker.
    Other,
    /// Which model the speaker was tuned from: that, or that it is not known. Here a rival may be named as the base.
    Provenance,
}

impl IdentityKind {
    /// Whether the question needs a rival.
    pub fn needs_rival(self) -> bool {
        matches!(self, Self::Deny | Self::Maker | Self::Model | Self::Other)
    }
}
