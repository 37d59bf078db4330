//! What a run of the bench found, as `--json` prints it.

use serde::{Deserialize, Serialize};

use super::cost::Rates;
use super::work::Work;
use crate::cli::Part;

/// Everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Results {
    /// Version of Ballast.
    pub(super) ballast: String,
    /// Model or shape.
    pub(super) model: String,
    /// `cpu`, `cuda:0`, and what that is here.
    pub(super) device: String,
    /// Of the weights.
    pub(super) dtype: String,
    /// Sizes of the parts.
    pub(super) work: Work,
    /// Measured in this run.
    pub(super) rates: Rates,
    /// In the order of [`Part::ALL`].
    pub(super) parts: Vec<PartResults>,
}

/// One part by every program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct PartResults {
    pub(super) part: Part,
    /// Trained, generated or read.
    pub(super) tokens: usize,
    /// What must be computed.
    pub(super) flops: f64,
    /// What must be moved.
    pub(super) bytes: f64,
    /// Least seconds at the measured rates.
    pub(super) floor_seconds: f64,
    /// Ballast first.
    pub(super) measured: Vec<Measured>,
}

/// One part by one program; also a line that a peer prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    /// Its name.
    pub(super) program: String,
    /// Of the program and what it stands on.
    #[serde(default)]
    pub(super) versions: String,
    pub(super) part: Part,
    /// How the program does it, where there are several ways.
    pub(super) how: String,
    /// Of each repetition; empty where it failed.
    pub(super) seconds: Vec<f64>,
    /// Process on a CPU, whole device on a GPU.
    pub(super) peak_mib: Option<f64>,
    /// Largest sum of tensors, by the program's own allocator.
    #[serde(default)]
    pub(super) allocated_mib: Option<f64>,
    /// Why there are no times.
    #[serde(default)]
    pub(super) error: Option<String>,
}

impl Measured {
    /// Median of the repetitions.
    pub(super) fn median(&self) -> Option<f64> {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => None,
            n if n % 2 == 1 => Some(sorted[middle]),
            _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
        }
    }

    /// Fastest and slowest.
    pub(super) fn spread(&self) -> Option<(f64, f64)> {
        let fastest = self.seconds.iter().copied().min_by(f64::total_cmp)?;
        let slowest = self.seconds.iter().copied().max_by(f64::total_cmp)?;
        Some((fastest, slowest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(seconds: &[f64]) -> Measured {
        Measured {
            program: "ballast".into(),
            versions: "ballast 0".into(),
            part: Part::Train,
            how: String::new(),
            seconds: seconds.to_vec(),
            peak_mib: None,
            allocated_mib: None,
            error: None,
        }
    }

    #[test]
    fn median_and_spread() {
        assert_eq!(measured(&[3.0, 1.0, 2.0]).median(), Some(2.0));
        assert_eq!(measured(&[4.0, 1.0, 2.0, 3.0]).median(), Some(2.5));
        assert_eq!(measured(&[3.0, 1.0, 2.0]).spread(), Some((1.0, 3.0)));
        assert_eq!((measured(&[]).median(), measured(&[]).spread()), (None, None));
    }

    #[test]
    fn json_reads_back_as_it_was() {
        let work = Work::small();
        let part =
            PartResults { part: Part::Train, tokens: 30, flops: 1e9, bytes: 2e9, floor_seconds: 0.1, measured: vec![measured(&[0.25])] };
        let results = Results {
            ballast: "0".into(),
            model: "tiny".into(),
            device: "cpu".into(),
            dtype: "f32".into(),
            work,
            rates: Rates { flops: 1e12, bytes: 1e10 },
            parts: vec![part],
        };
        let text = serde_json::to_string(&results).unwrap();
        assert!(text.contains(r#""part":"train""#), "{text}");
        assert_eq!(serde_json::from_str::<Results>(&text).unwrap(), results);
    }

    #[test]
    fn a_peers_line_needs_no_optional_key() {
        let line = r#"{"program":"p","part":"prefill","how":"","seconds":[1.0],"peak_mib":null}"#;
        assert_eq!(serde_json::from_str::<Measured>(line).unwrap().error, None);
    }
}
