//! JSON over HTTP with an endpoint: bounded in time and size, asked again where that can help, and never redirected, so that a
//! key goes to one address and nowhere else.

use std::io::Read;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;
use thiserror::Error;
use ureq::http::{Response, header};
use ureq::{Agent, Body};

use super::pace::Pace;
use super::{Address, Key, Patience, redact};
use crate::counted::counted;

/// Most bytes of a reply. The longest answer of a suite has some thousand tokens; echoed log-probabilities take some 100 bytes each.
const LARGEST: u64 = 1 << 24;
const CONNECT: Duration = Duration::from_secs(15);
/// How long a wait sleeps before it looks whether it is still wanted.
const NAP: Duration = Duration::from_millis(50);

/// Why there is no reply. Nothing here holds the key.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum Failure {
    /// The server understood and said no: to ask again would not help.
    #[error("{url} refused the request with status {status}: {said}{}", remedy(*status))]
    Refused {
        /// Where.
        url: String,
        /// HTTP status.
        status: u16,
        /// What it said.
        said: String,
    },
    /// It could not be reached, or had no time, as often as it was asked.
    #[error("{url} gave no answer, asked {} over {seconds} s: {last}", counted(*tries, "time"))]
    Unavailable {
        /// Where.
        url: String,
        /// Requests made.
        tries: usize,
        /// Time from the first to the end of the last.
        seconds: u64,
        /// What the last one came to.
        last: String,
    },
    /// What came back is not what an endpoint answers.
    #[error("{url} answered with {what}: is it the address of an OpenAI-compatible endpoint, with its /v1?")]
    NotAnEndpoint {
        /// Where.
        url: String,
        /// What came.
        what: String,
    },
    /// Another request failed first.
    #[error("the request was given up")]
    Stopped,
}

fn remedy(status: u16) -> &'static str {
    match status {
        401 | 403 => ". Put the key into an environment variable and name it with --api-key-env",
        404 => ". Is the address right, and the name of --served-model?",
        _ => "",
    }
}

/// What one request came to.
enum Outcome {
    Reply(Value),
    Failed(Failure),
    Again { why: String, after: Option<Duration> },
}

/// A client of one endpoint.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    address: Address,
    key: Option<Key>,
    patience: Patience,
    pace: Pace,
    stopped: AtomicBool,
    requests: AtomicU64,
}

impl Client {
    /// A client that asks at most so many times per minute.
    pub fn new(address: Address, key: Option<Key>, patience: Patience, per_minute: Option<NonZeroU32>) -> Self {
        let config = Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(patience.timeout));
        // A proxy of the environment is not between this machine and itself.
        let config = if address.is_loopback() { config.proxy(None) } else { config };
        Self {
            agent: config.build().into(),
            address,
            key,
            patience,
            pace: Pace::new(per_minute),
            stopped: AtomicBool::new(false),
            requests: AtomicU64::new(0),
        }
    }

    /// Where the endpoint is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Has every request of other threads end soon.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Sends a body and gives the reply.
    pub(super) fn post(&self, url: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(url, Some(body))
    }

    /// The reply of something that not every server offers; None where it is not offered.
    pub(super) fn optional(&self, url: &str, body: Option<&Value>) -> Result<Option<Value>, Failure> {
        match self.ask(url, body) {
            Ok(value) => Ok(Some(value)),
            Err(Failure::Refused { status: 400 | 404 | 405 | 422 | 501, .. } | Failure::NotAnEndpoint { .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    fn ask(&self, url: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let request = self.requests.fetch_add(1, Ordering::SeqCst);
        let start = Instant::now();
        let mut retry = 0;
        loop {
            self.sleep(self.pace.wait(Instant::now()))?;
            let (why, after) = match self.once(url, body) {
                Outcome::Reply(value) => return Ok(value),
                Outcome::Failed(failure) => return Err(failure),
                Outcome::Again { why, after } => (why, after),
            };
            let wait = (retry < self.patience.retries).then(|| self.patience.wait(retry, after, request)).flatten();
            let Some(wait) = wait else {
                let last = match after {
                    Some(after) if retry < self.patience.retries => format!("{why}, and asks to be left alone for {} s", after.as_secs()),
                    _ => why,
                };
                return Err(Failure::Unavailable {
                    url: url.to_owned(),
                    tries: retry as usize + 1,
                    seconds: start.elapsed().as_secs(),
                    last,
                });
            };
            self.sleep(wait)?;
            retry += 1;
        }
    }

    fn sleep(&self, wait: Duration) -> Result<(), Failure> {
        let end = Instant::now() + wait;
        loop {
            if self.is_stopped() {
                return Err(Failure::Stopped);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(NAP));
        }
    }

    fn once(&self, url: &str, body: Option<&Value>) -> Outcome {
        let key = self.key.as_ref().and_then(Key::header);
        let sent = if let Some(body) = body {
            let mut request = self.agent.post(url).header(header::CONTENT_TYPE, "application/json");
            if let Some(key) = key {
                request = request.header(header::AUTHORIZATION, key);
            }
            request.send(body.to_string())
        } else {
            let mut request = self.agent.get(url);
            if let Some(key) = key {
                request = request.header(header::AUTHORIZATION, key);
            }
            request.call()
        };
        match sent {
            Ok(answer) => self.read(url, answer),
            Err(error) => self.not_sent(url, &error),
        }
    }

    fn read(&self, url: &str, answer: Response<Body>) -> Outcome {
        let status = answer.status();
        let after = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let after = after.filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0).map(|s| Duration::from_secs_f64(s.min(1e9)));
        let not_an_endpoint = |what: String| Outcome::Failed(Failure::NotAnEndpoint { url: url.to_owned(), what });
        if status.is_redirection() {
            return not_an_endpoint(format!("a redirect (status {}), which is not followed", status.as_u16()));
        }
        let mut bytes = Vec::new();
        let read = answer.into_body().into_reader().take(LARGEST + 1).read_to_end(&mut bytes);
        if bytes.len() as u64 > LARGEST {
            return not_an_endpoint(format!("more than {} MiB", LARGEST >> 20));
        }
        if let Err(error) = read {
            return self.not_sent(url, &ureq::Error::from(error));
        }
        if !status.is_success() {
            let said = redact::said(&bytes, self.key.as_ref());
            let again = status.is_server_error() && status.as_u16() != 501 || matches!(status.as_u16(), 408 | 425 | 429);
            return if again {
                Outcome::Again { why: format!("status {}: {said}", status.as_u16()), after }
            } else {
                Outcome::Failed(Failure::Refused { url: url.to_owned(), status: status.as_u16(), said })
            };
        }
        match serde_json::from_slice::<Value>(&bytes) {
            Ok(mut value) => {
                if let Some(key) = &self.key {
                    redact::hide(&mut value, key);
                }
                Outcome::Reply(value)
            }
            Err(error) if error.is_eof() => Outcome::Again { why: "the reply was cut off".to_owned(), after: None },
            Err(_) => not_an_endpoint(format!("something that is not JSON: {}", redact::said(&bytes, self.key.as_ref()))),
        }
    }

    /// A request or a reply that broke on the way.
    fn not_sent(&self, url: &str, error: &ureq::Error) -> Outcome {
        let hide = |text: String| self.key.as_ref().map_or(text.clone(), |key| key.hide(&text));
        let why = hide(match error {
            ureq::Error::Timeout(_) => format!("no whole reply within {} s (--timeout)", self.patience.timeout.as_secs_f64()),
            error => error.to_string(),
        });
        match error {
            ureq::Error::Io(_)
            | ureq::Error::Timeout(_)
            | ureq::Error::ConnectionFailed
            | ureq::Error::HostNotFound
            | ureq::Error::Protocol(_) => Outcome::Again { why, after: None },
            _ => Outcome::Failed(Failure::NotAnEndpoint { url: url.to_owned(), what: format!("an error: {why}") }),
        }
    }
}
