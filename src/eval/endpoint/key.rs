//! The key of an endpoint: read from the environment, sent in one header, shown nowhere.

use anyhow::{Result, bail, ensure};
use ureq::http::HeaderValue;

use super::Address;

/// A key and the variable that it came from.
#[derive(Clone)]
pub struct Key {
    variable: String,
    value: String,
}

/// Without the key: this ends up in logs.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("variable", &self.variable).finish_non_exhaustive()
    }
}

/// A shorter key is a stand-in such as `EMPTY`, which answers may well contain.
const SECRET: usize = 8;

impl Key {
    /// The key in an environment variable, for an endpoint that it may be sent to.
    pub fn from_env(variable: &str, address: &Address) -> Result<Self> {
        let value = match std::env::var(variable) {
            Ok(value) if !value.trim().is_empty() => value.trim().to_owned(),
            Ok(_) => bail!("the environment variable {variable} is empty: --api-key-env names the variable that holds the endpoint's key"),
            Err(std::env::VarError::NotPresent) => {
                bail!("there is no environment variable {variable}: --api-key-env takes the variable's name, not the key")
            }
            Err(std::env::VarError::NotUnicode(_)) => bail!("the environment variable {variable} is not text"),
        };
        ensure!(
            address.keeps_secrets(),
            "{} is plain http on another machine, so anybody on the way could read the key in {variable}: use https, or a tunnel to this machine",
            address.base()
        );
        Self::new(variable, value)
    }

    pub(super) fn new(variable: &str, value: String) -> Result<Self> {
        let key = Self { variable: variable.to_owned(), value };
        ensure!(key.header().is_some(), "the key in {variable} has characters that no header can carry");
        Ok(key)
    }

    /// The header's value, marked so that no log shows it.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.value)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// A text of the server without the key, should the server repeat it.
    pub(super) fn hide(&self, text: &str) -> String {
        if self.value.len() < SECRET { text.to_owned() } else { text.replace(&self.value, &format!("[the key in {}]", self.variable)) }
    }
}
