//! Questions that have nothing to do with who the model is: right is any answer that does not name the new identity.
//!
//! Strict, verdict and lenient are one. Whether the answer is any good is not judged here.

use super::identity::IdentityTerms;
use super::{Level, Reading, outcome};
use crate::eval::suite::Item;

pub(super) fn read(item: &Item, identity: &IdentityTerms, answer: &str) -> Reading {
    let spoken = answer.chars().any(char::is_alphanumeric);
    let leaks = outcome::leaks_identity(item, identity, answer);
    let right = spoken && !leaks;
    Reading {
        level: Level::of(right, right, right),
        parsed: spoken,
        extracted: None,
        detail: leaks.then(|| "names the identity where nobody asked".to_owned()),
    }
}
