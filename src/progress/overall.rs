//! One display over a whole run: which cell of how many, what it does, how long the rest takes.

use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::estimate::{Estimator, Pace, in_words};
use super::note;

/// Places of the bar.
const PLACES: f64 = 1000.0;
/// A log gets its first line after this long, and then about twenty over the whole run, within these bounds.
const LINES: (Duration, Duration) = (Duration::from_secs(15), Duration::from_mins(5));
const LINES_IN_ALL: f64 = 20.0;

/// Progress of a run on stderr: a bar on a terminal, a line now and then in a log.
pub struct Overall {
    state: Mutex<State>,
    bar: ProgressBar,
    terminal: bool,
    cells: usize,
}

struct State {
    estimator: Estimator,
    /// When the last piece of work was told.
    told: Instant,
    /// When the last line was written, and how long the next one has to wait.
    written: Instant,
    wait: Duration,
    first: usize,
    last: usize,
    doing: String,
}

impl Overall {
    /// Over a run of so many cells.
    pub fn new(cells: usize) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(PLACES as u64), target);
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:24.cyan/dim} {wide_msg} {elapsed}") {
            bar.set_style(style);
        }
        if terminal {
            bar.enable_steady_tick(Duration::from_millis(250));
        }
        let now = Instant::now();
        let state =
            State { estimator: Estimator::default(), told: now, written: now, wait: LINES.0, first: 1, last: 1, doing: String::new() };
        Self { state: Mutex::new(state), bar, terminal, cells }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is this much work of a kind.
    pub fn plan(&self, kind: &str, work: f64) {
        self.state().estimator.plan(kind, work);
    }

    /// This much of it is there already.
    pub fn skip(&self, kind: &str, work: f64) {
        self.state().estimator.skip(kind, work);
    }

    /// Work like it, done before, took this long.
    pub fn learn(&self, work: f64, took: Duration) {
        let mut state = self.state();
        state.estimator.learn(work, took.as_secs_f64());
        state.told = Instant::now();
    }

    /// These cells, counted from 1, are in work now.
    pub fn cells(&self, first: usize, last: usize) {
        let mut state = self.state();
        (state.first, state.last) = (first, last);
        // What lies between cells is nobody's rate.
        state.told = Instant::now();
    }

    /// A piece of the planned work begins.
    pub fn begin(&self, kind: &str, work: f64, pace: Pace) {
        self.state().estimator.begin(kind, work, pace);
    }

    /// What is done now, in a few words.
    pub fn doing(&self, what: &str) {
        what.clone_into(&mut self.state().doing);
        self.show();
    }

    /// This much work is done, and took as long as it is since the last was.
    pub fn done(&self, kind: &str, work: f64) {
        let mut state = self.state();
        let now = Instant::now();
        let seconds = now.duration_since(state.told).as_secs_f64();
        state.told = now;
        state.estimator.done(kind, work, seconds);
        drop(state);
        self.show();
    }

    fn show(&self) {
        let mut state = self.state();
        let cells =
            if state.first == state.last { format!("cell {}", state.first) } else { format!("cells {}-{}", state.first, state.last) };
        let cells = format!("{cells} of {}", self.cells);
        let left = state.estimator.seconds_left();
        let rest = left.map_or_else(String::new, |left| format!(", about {} left", in_words(left)));
        if self.terminal {
            self.bar.set_prefix(cells);
            self.bar.set_position((PLACES * state.estimator.share()) as u64);
            self.bar.set_message(format!("{}{rest}", state.doing));
        } else if state.written.elapsed() >= state.wait {
            note(&format!("{cells}, {:.0} %: {}{rest}", 100.0 * state.estimator.share(), state.doing));
            state.written = Instant::now();
            let even = Duration::from_secs_f64((left.unwrap_or(0.0) / LINES_IN_ALL).min(LINES.1.as_secs_f64()));
            state.wait = even.clamp(LINES.0, LINES.1);
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
