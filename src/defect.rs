//! Panics: defects of Ballast, on whatever thread. Each ends in one line that asks to report it; the command in exit code 70.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::shown::visible;

/// Whether any thread panicked, those that nobody waits for among them.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// What `work` comes to; None if it panicked, or any other thread while it ran. The first panic is `told` in one line, with a
/// backtrace behind it where `RUST_BACKTRACE` asks for one.
pub fn guarded<T>(told: impl Fn(&str) + Send + Sync + 'static, work: impl FnOnce() -> T) -> Option<T> {
    panic::set_hook(Box::new(move |panic| {
        // What panics while others unwind follows from the first.
        if !PANICKED.swap(true, Ordering::SeqCst) {
            told(&words(panic));
        }
    }));
    // Nothing that `work` saw is looked at again.
    let ended = panic::catch_unwind(AssertUnwindSafe(work)).ok();
    ended.filter(|_| !PANICKED.load(Ordering::SeqCst))
}

fn words(panic: &PanicHookInfo<'_>) -> String {
    let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
    let why = panic.payload_as_str().unwrap_or("no reason given");
    let version = env!("CARGO_PKG_VERSION");
    let line = format!(
        "Ballast {version} failed{place}: {}. This is a defect of Ballast: please report this line with the command that was given",
        visible(&why.replace(['\n', '\r'], " "))
    );
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured { format!("{line}\n{trace}") } else { line }
}
