//! Where an endpoint is. Errors never repeat an address that may hold a password.

use anyhow::{Context, Result, bail, ensure};
use ureq::http::Uri;

/// The address of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Ends in `/v1` or whatever stands in its place, without a slash.
    base: String,
    loopback: bool,
    encrypted: bool,
}

impl Address {
    /// Reads an address; `/v1` is added where it has no path.
    pub fn parse(text: &str) -> Result<Self> {
        ensure!(
            !text.contains('@'),
            "the endpoint's address holds a user name or password: put the key into an environment variable and name that with --api-key-env"
        );
        ensure!(
            !text.contains(['?', '#']),
            "the endpoint's address holds a query: give the address alone, and name a key's environment variable with --api-key-env"
        );
        let uri: Uri = text.parse().with_context(|| format!("{text} is not the address of an endpoint"))?;
        let encrypted = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => bail!("{text} is not an http or https address: give one such as http://127.0.0.1:8080/v1"),
        };
        let host = uri.host().filter(|host| !host.is_empty()).with_context(|| format!("{text} names no host"))?;
        let mut path = uri.path().trim_end_matches('/');
        for end in ["/chat/completions", "/completions"] {
            path = path.strip_suffix(end).unwrap_or(path);
        }
        let path = if path.is_empty() { "/v1" } else { path };
        let authority = uri.authority().context("an address without a host")?;
        Ok(Self { base: format!("{}://{authority}{path}", uri.scheme_str().unwrap_or("http")), loopback: is_loopback(host), encrypted })
    }

    /// As records name it.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A path of the OpenAI interface.
    pub fn api(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    /// A path of the server's own, beside the OpenAI interface.
    pub fn own(&self, path: &str) -> String {
        format!("{}/{path}", self.base.strip_suffix("/v1").unwrap_or(&self.base))
    }

    /// Whether it is on this machine.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Whether a key may be sent there: nobody on the way can read it.
    pub fn keeps_secrets(&self) -> bool {
        self.encrypted || self.loopback
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_found_in_whatever_is_given() {
        for given in
            ["http://127.0.0.1:8080", "http://127.0.0.1:8080/", "http://127.0.0.1:8080/v1/", "http://127.0.0.1:8080/v1/chat/completions"]
        {
            let address = Address::parse(given).unwrap();
            assert_eq!(address.api("models"), "http://127.0.0.1:8080/v1/models", "{given}");
            assert_eq!(address.own("tokenize"), "http://127.0.0.1:8080/tokenize");
        }
        assert_eq!(Address::parse("https://example.com/openai/v2").unwrap().base(), "https://example.com/openai/v2");
    }

    #[test]
    fn what_may_hold_a_secret_is_refused_and_not_repeated() {
        for given in ["https://me:secret@example.com/v1", "https://example.com/v1?key=secret", "https://example.com/v1#secret"] {
            let error = format!("{:#}", Address::parse(given).unwrap_err());
            assert!(error.contains("--api-key-env") && !error.contains("secret"), "{error}");
        }
        assert!(Address::parse("ftp://example.com").is_err());
        assert!(Address::parse("example.com").is_err());
    }

    #[test]
    fn a_key_goes_over_tls_or_to_this_machine() {
        let keeps = |text: &str| Address::parse(text).unwrap().keeps_secrets();
        assert!(keeps("https://example.com") && keeps("http://127.0.0.1:1") && keeps("http://[::1]:1") && keeps("http://localhost:1"));
        assert!(!keeps("http://example.com") && !keeps("http://10.0.0.1") && !keeps("http://localhost.example.com"));
    }
}
