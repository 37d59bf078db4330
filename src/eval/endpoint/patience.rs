//! How long to wait for a server, and how often to ask it again.

use std::time::Duration;

use crate::random::{stream, unit};

/// Limits of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For one whole reply.
    pub timeout: Duration,
    /// Tries after the first.
    pub retries: u32,
    /// Before the first of them; each later one waits twice as long.
    pub first_wait: Duration,
    /// Before any of them.
    pub longest_wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { timeout: Duration::from_mins(5), retries: 5, first_wait: Duration::from_secs(1), longest_wait: Duration::from_mins(1) }
    }
}

impl Patience {
    /// How long to wait before a retry, the first being 0: what the server asks for, or twice as long each time, of which up to
    /// half is left out at random so that those who were turned away together do not come back together. None where the server
    /// asks for more than ten times the longest wait.
    pub(super) fn wait(&self, retry: u32, asked: Option<Duration>, request: u64) -> Option<Duration> {
        if let Some(asked) = asked {
            return (asked <= 10 * self.longest_wait).then_some(asked);
        }
        let doubled = self.first_wait.saturating_mul(1 << retry.min(16)).min(self.longest_wait);
        Some(doubled.mul_f64(0.5 + 0.5 * unit(&mut stream(request, u64::from(retry)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_a_server_is_heard() {
        let patience = Patience::default();
        let mut longest = 1.0;
        for retry in 0..20 {
            let wait = patience.wait(retry, None, 7).unwrap().as_secs_f64();
            assert!(wait >= longest / 2.0 && wait <= longest, "retry {retry}: {wait}");
            assert_eq!(patience.wait(retry, None, 7), patience.wait(retry, None, 7));
            longest = f64::min(2.0 * longest, 60.0);
        }
        assert_ne!(patience.wait(3, None, 7), patience.wait(3, None, 8));
        assert_eq!(patience.wait(0, Some(Duration::from_secs(100)), 7), Some(Duration::from_secs(100)));
        assert_eq!(patience.wait(0, Some(Duration::from_hours(1)), 7), None);
    }
}
