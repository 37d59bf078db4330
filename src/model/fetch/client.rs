//! Requests to the hub: redirects are followed by hand, so that the token goes to the hub's own origin and nowhere else.
//!
//! An origin is scheme, host and port together. A hub sends large files from another host, which gets its permission in the
//! address that the hub redirects to; a token that went along would be given away, over plain HTTP even to the wire.

use std::io::Read;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ureq::http::{Response, Uri, header};
use ureq::{Agent, Body};

/// Redirects that are followed.
const REDIRECTS: usize = 8;
/// For a connection, and for the head of an answer. A body may take long.
const CONNECT: Duration = Duration::from_secs(15);
const ANSWER: Duration = Duration::from_mins(1);

/// What the hub says about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Described {
    /// Name of the content: as the hub wrote it, which is not to be trusted as part of a path.
    pub(super) etag: String,
    /// Bytes. Of a file that is compressed on the way, those.
    pub(super) size: u64,
}

/// A client of one hub.
pub(super) struct Client {
    agent: Agent,
    origin: Origin,
    token: Option<String>,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    fn of(uri: &Uri) -> Result<Self> {
        let scheme = uri.scheme_str().unwrap_or_default().to_ascii_lowercase();
        let port = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => bail!("{uri} is no http or https address"),
        };
        let host = uri.host().filter(|host| !host.is_empty()).with_context(|| format!("{uri} names no host"))?;
        Ok(Self { scheme, host: host.to_ascii_lowercase(), port: uri.port_u16().unwrap_or(port) })
    }
}

impl Client {
    pub(super) fn new(endpoint: &str, token: Option<&str>) -> Result<Self> {
        let uri: Uri = endpoint.parse().with_context(|| format!("{endpoint} is not the address of a hub: set HF_ENDPOINT to one"))?;
        let config = Agent::config_builder().max_redirects(0).timeout_connect(Some(CONNECT)).timeout_recv_response(Some(ANSWER));
        Ok(Self { agent: config.build().into(), origin: Origin::of(&uri)?, token: token.map(str::to_owned) })
    }

    /// The body of an answer that is no redirect, of `whole` bytes at most.
    pub(super) fn text(&self, url: &str, whole: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let (_, answer) = self.follow(url, None)?;
        answer.into_body().into_reader().take(whole + 1).read_to_end(&mut bytes).map_err(ureq::Error::Io)?;
        ensure!(bytes.len() as u64 <= whole, "{url} answered with more than {whole} bytes");
        Ok(bytes)
    }

    /// Asks for the first byte of a file, to know its name and size.
    pub(super) fn describe(&self, url: &str) -> Result<Described> {
        let (first, last) = self.follow(url, Some("bytes=0-0"))?;
        let etag = named(&first, "x-linked-etag").or_else(|| named(&first, "etag")).or_else(|| named(&last, "etag"));
        let etag = etag.with_context(|| format!("{url} came without an etag, which names its content: is it a hub?"))?;
        let range = named(&last, "content-range");
        let size = match range.as_deref().and_then(|range| range.rsplit_once('/')) {
            Some((_, size)) => size.parse().ok(),
            // A file of no bytes has no first one.
            None => named(&last, "content-length").and_then(|length| length.parse().ok()),
        };
        Ok(Described {
            etag: etag.trim_start_matches("W/").replace('"', ""),
            size: size.with_context(|| format!("{url} came without its size"))?,
        })
    }

    /// The body of a file from `start` on.
    pub(super) fn body(&self, url: &str, start: u64) -> Result<impl Read + use<>> {
        let (_, answer) = self.follow(url, Some(&format!("bytes={start}-")))?;
        ensure!(start == 0 || answer.status().as_u16() == 206, "{url} does not continue a file where it was cut off");
        Ok(answer.into_body().into_reader())
    }

    /// The first answer from another origin's point of view (the one that redirects there, or the only one) and the last.
    fn follow(&self, url: &str, range: Option<&str>) -> Result<(Response<()>, Response<Body>)> {
        let mut uri: Uri = url.parse().with_context(|| format!("{url} is no address"))?;
        let mut first: Option<Response<()>> = None;
        for _ in 0..=REDIRECTS {
            let origin = Origin::of(&uri)?;
            let mut request = self.agent.get(&uri);
            if let Some(range) = range {
                request = request.header(header::RANGE, range);
            }
            if let Some(token) = self.token.as_ref().filter(|_| origin == self.origin) {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            let answer = request.call()?;
            let head = head(&answer);
            if !answer.status().is_redirection() {
                return Ok((first.unwrap_or(head), answer));
            }
            let to = named(&head, "location").with_context(|| format!("{uri} redirects to nowhere"))?;
            let next = resolved(&uri, &to)?;
            let elsewhere = Origin::of(&next)?;
            ensure!(
                origin.scheme == "http" || elsewhere.scheme == "https",
                "{uri} redirects from https to http, which anybody can read and change"
            );
            if elsewhere != origin && first.is_none() {
                first = Some(head);
            }
            uri = next;
        }
        bail!("{url} redirects more than {REDIRECTS} times")
    }
}

/// Status and headers of an answer.
fn head(answer: &Response<Body>) -> Response<()> {
    let mut head = Response::new(());
    (*head.status_mut(), *head.headers_mut()) = (answer.status(), answer.headers().clone());
    head
}

fn named<T>(answer: &Response<T>, name: &str) -> Option<String> {
    Some(answer.headers().get(name)?.to_str().ok()?.to_owned())
}

/// Where a redirect leads: an address, or a path on the same host.
fn resolved(from: &Uri, to: &str) -> Result<Uri> {
    let next: Uri = match to.strip_prefix("//") {
        Some(rest) => format!("{}://{rest}", from.scheme_str().unwrap_or("https")).parse(),
        None => to.parse(),
    }
    .with_context(|| format!("{from} redirects to {to:?}, which is no address"))?;
    // A bare word parses as a host without a scheme, and is neither.
    if next.scheme().is_some() && next.host().is_some() {
        return Ok(next);
    }
    ensure!(to.starts_with('/'), "{from} redirects to {to:?}, which is neither an address nor a path from the root");
    let mut parts = from.clone().into_parts();
    parts.path_and_query = next.into_parts().path_and_query;
    Uri::from_parts(parts).with_context(|| format!("{from} redirects to {to:?}, which is no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Option<Origin> {
        Origin::of(&url.parse().ok()?).ok()
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert_eq!(origin("https://hub.example/a"), origin("https://HUB.example:443/b"));
        for other in [
            "http://hub.example/",
            "https://hub.example:8443/",
            "https://hub.example.evil/",
            "https://hub.example@evil.example/",
            "https://evil.example/hub.example",
        ] {
            assert_ne!(origin("https://hub.example/"), origin(other), "{other}");
        }
        assert_eq!(origin("ftp://hub.example/"), None);
        assert_eq!(origin("file:///etc/passwd"), None);
    }

    #[test]
    fn redirects_are_resolved_as_a_browser_does() {
        let from: Uri = "https://hub.example/a/b?c".parse().unwrap();
        let to = |to: &str| resolved(&from, to).map(|uri| uri.to_string()).ok();
        assert_eq!(to("/x?y").as_deref(), Some("https://hub.example/x?y"));
        assert_eq!(to("http://other.example/x").as_deref(), Some("http://other.example/x"));
        assert_eq!(to("//other.example/x").as_deref(), Some("https://other.example/x"));
        assert_eq!(to("x"), None);
    }
}
