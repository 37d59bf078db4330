//! Most memory in use since the last reset: of this process on a CPU, of the whole device on a GPU.
//!
//! A GPU is asked through nvidia-smi some fifty times a second, so both programs are measured by the same outside
//! observer, with context and caches included; a shorter peak can be missed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::device::DeviceChoice;
use crate::train::telemetry::peak_mib;

/// A running observer; dropping it ends it.
pub(super) enum Meter {
    Host,
    Device {
        smi: Child,
        peak: Arc<AtomicU64>,
    },
    /// There is no nvidia-smi.
    Blind,
}

impl Meter {
    pub(super) fn start(choice: DeviceChoice) -> Self {
        let DeviceChoice::Cuda(ordinal) = choice else { return Self::Host };
        let spawned = Command::new("nvidia-smi")
            .args([&format!("--id={ordinal}"), "--query-gpu=memory.used", "--format=csv,noheader,nounits", "-lms", "20"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut smi) = spawned else { return Self::Blind };
        let peak = Arc::new(AtomicU64::new(0));
        if let Some(out) = smi.stdout.take() {
            let peak = Arc::clone(&peak);
            std::thread::spawn(move || {
                for mib in BufReader::new(out).lines().map_while(Result::ok).filter_map(|line| line.trim().parse().ok()) {
                    peak.fetch_max(mib, Ordering::Relaxed);
                }
            });
        }
        Self::Device { smi, peak }
    }

    /// Forgets what was seen.
    pub(super) fn reset(&self) {
        match self {
            // Linux: writing 5 sets VmHWM to what is resident now. Elsewhere the peak stays that of the whole process.
            Self::Host => drop(std::fs::write("/proc/self/clear_refs", "5")),
            Self::Device { peak, .. } => peak.store(0, Ordering::Relaxed),
            Self::Blind => {}
        }
    }

    /// MiB.
    pub(super) fn peak(&self) -> Option<f64> {
        match self {
            Self::Host => peak_mib(),
            Self::Device { peak, .. } => Some(peak.load(Ordering::Relaxed)).filter(|mib| *mib > 0).map(|mib| mib as f64),
            Self::Blind => None,
        }
    }

    /// Whether what another process uses on the same device is seen too.
    pub(super) fn sees_others(&self) -> bool {
        matches!(self, Self::Device { .. })
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Self::Device { smi, .. } = self {
            // It may have ended by itself.
            let _ = smi.kill();
            let _ = smi.wait();
        }
    }
}
