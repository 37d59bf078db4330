//! Progress on stderr: a bar with time left on a terminal, a line now and then elsewhere. Results go to stdout.

mod estimate;
mod overall;

pub use estimate::{Estimator, Pace, in_words};
pub use overall::Overall;

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::shown::visible;

/// Time between two lines where there is no terminal.
const QUIET: Duration = Duration::from_secs(20);

/// A piece of work of known length.
pub struct Bar {
    bar: ProgressBar,
    title: String,
    plain: Option<Mutex<Plain>>,
}

/// What a log is told from.
struct Plain {
    written: Instant,
    told: Instant,
    estimator: Estimator,
}

impl Bar {
    /// Work of `length` units, called by `title`.
    pub fn new(title: &str, length: usize) -> Self {
        Self::styled(title, Some(length as u64), "{prefix:<24} {wide_bar:.cyan/dim} {pos}/{len} {msg} {elapsed} left {eta}")
    }

    /// A transfer, of unknown length where the sender does not say.
    pub fn bytes(title: &str, length: Option<u64>) -> Self {
        Self::styled(title, length, "{prefix} {wide_bar:.cyan/dim} {bytes}/{total_bytes} {bytes_per_sec} left {eta}")
    }

    fn styled(title: &str, length: Option<u64>, template: &str) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(length, target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(title.to_owned());
        if terminal {
            bar.enable_steady_tick(Duration::from_millis(250));
        } else {
            note(&match length {
                Some(length) => format!("{title}: {length} to do"),
                None => title.to_owned(),
            });
        }
        let mut estimator = Estimator::default();
        estimator.plan("", length.unwrap_or(0) as f64);
        estimator.begin("", length.unwrap_or(0) as f64, Pace::Late);
        let plain = Plain { written: Instant::now(), told: Instant::now(), estimator };
        Self { bar, title: title.to_owned(), plain: (!terminal).then(|| Mutex::new(plain)) }
    }

    /// `units` were there already.
    pub fn skip(&self, units: u64) {
        self.bar.inc(units);
        if let Some(Ok(mut plain)) = self.plain.as_ref().map(Mutex::lock) {
            plain.estimator.done("", units as f64, 0.0);
        }
    }

    /// `units` more are done.
    pub fn advance(&self, units: u64) {
        self.bar.inc(units);
        let Some(Ok(mut plain)) = self.plain.as_ref().map(Mutex::lock) else { return };
        let seconds = plain.told.elapsed().as_secs_f64();
        plain.told = Instant::now();
        plain.estimator.done("", units as f64, seconds);
        if plain.written.elapsed() >= QUIET {
            plain.written = Instant::now();
            let length = self.bar.length().map_or_else(String::new, |length| format!("/{length}"));
            let left = plain.estimator.seconds_left().map_or_else(String::new, |left| format!(", about {} left", in_words(left)));
            note(&format!("{}: {}{length} {}{left}", self.title, self.bar.position(), self.bar.message()));
        }
    }

    /// `units` more are done, which only a terminal is told.
    pub fn advance_quietly(&self, units: u64) {
        self.bar.inc(units);
    }

    /// A few words beside the bar.
    pub fn message(&self, text: String) {
        self.bar.set_message(text);
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// A line on stderr.
#[expect(clippy::print_stderr, reason = "the one place that reports progress")]
pub fn note(text: &str) {
    eprintln!("{}", visible(text));
}
