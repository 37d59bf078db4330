//! Where and when something was measured.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::device::DeviceChoice;

/// A processor or GPU by its own name, where the system tells it.
pub(super) fn device_name(device: DeviceChoice) -> Option<String> {
    match device {
        DeviceChoice::Cpu => {
            let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix("model name"))?;
            Some(line.trim_start_matches([' ', '\t', ':']).to_owned())
        }
        DeviceChoice::Cuda(ordinal) => {
            let query = [&format!("--id={ordinal}"), "--query-gpu=name", "--format=csv,noheader"];
            let output = Command::new("nvidia-smi").args(query).output().ok().filter(|output| output.status.success())?;
            Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
    }
}

/// A device, as records and pages name it.
pub(super) fn describe(device: DeviceChoice) -> String {
    let name = device_name(device);
    match device {
        DeviceChoice::Cpu => {
            let name = name.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
            format!("CPU, {} threads, {name}, f32", rayon::current_num_threads())
        }
        DeviceChoice::Cuda(ordinal) => name.map_or_else(|| format!("CUDA device {ordinal}, bf16"), |name| format!("{name}, bf16")),
    }
}

/// Today in UTC, from the days since 1970 (Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days).
pub(super) fn utc_date() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let days = (seconds / 86_400) as i64 + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
