//! No more requests than a number per minute, evenly spaced, over all threads that ask.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When the next request may go.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// So many requests per minute; None sets no limit.
    pub(super) fn new(per_minute: Option<NonZeroU32>) -> Self {
        let interval = per_minute.map_or(Duration::ZERO, |n| Duration::from_mins(1) / n.get());
        Self { interval, next: Mutex::new(None) }
    }

    /// Takes a place and says how long to wait for it.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        if self.interval.is_zero() {
            return Duration::ZERO;
        }
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let at = next.map_or(now, |next| next.max(now));
        *next = Some(at + self.interval);
        at - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_spaced_and_time_that_passed_is_not_made_up_for() {
        let pace = Pace::new(NonZeroU32::new(60));
        let start = Instant::now();
        let wait = |after: u64| pace.wait(start + Duration::from_millis(after)).as_millis();
        assert_eq!([wait(0), wait(0), wait(500)], [0, 1000, 1500]);
        assert_eq!([wait(60_000), wait(60_000)], [0, 1000]);
        let free = Pace::new(None);
        assert_eq!(free.wait(start) + free.wait(start), Duration::ZERO);
    }
}
