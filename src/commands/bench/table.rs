//! Results as a Markdown table: a part a block of rows, Ballast first.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::results::{Measured, PartResults, Results};

const HEADER: [&str; 9] = ["work", "program", "how", "seconds", "spread", "tokens/s", "of the floor", "peak memory", "ballast is"];

pub(super) fn render(results: &Results) -> String {
    let mut text = format!("{}, {}, {} weights\n", results.model, results.device, results.dtype);
    let versions: BTreeSet<&str> = results.parts.iter().flat_map(|part| &part.measured).map(|m| m.versions.as_str()).collect();
    let _ = writeln!(text, "{}", versions.into_iter().collect::<Vec<_>>().join("; "));
    let _ = writeln!(
        text,
        "measured here: matmul {}FLOP/s ({n} x {n} x {n}), copy {}B/s ({}B)\n",
        scaled(results.rates.flops),
        scaled(results.rates.bytes),
        scaled(results.work.copy as f64),
        n = results.work.matmul,
    );
    let rows: Vec<[String; 9]> = results.parts.iter().flat_map(|part| rows(part, results)).collect();
    let mut line = |cells: &[String]| {
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    };
    let widths: Vec<usize> =
        (0..HEADER.len()).map(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0).max(HEADER[i].len())).collect();
    let padded = |cells: &[&str]| -> Vec<String> { cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect() };
    line(&padded(&HEADER));
    line(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>());
    for row in &rows {
        line(&padded(&row.each_ref().map(String::as_str)));
    }
    for measured in results.parts.iter().flat_map(|part| &part.measured) {
        if let Some(error) = &measured.error {
            let _ = writeln!(text, "\n{}, {}, {}: {error}", measured.program, results.work.title(measured.part), measured.how);
        }
    }
    text
}

fn rows(part: &PartResults, results: &Results) -> Vec<[String; 9]> {
    let ours = part.measured.iter().find(|measured| measured.program == super::PROGRAM).and_then(Measured::median);
    let row = |(index, measured): (usize, &Measured)| {
        let title = if index == 0 { results.work.title(part.part) } else { String::new() };
        let median = measured.median();
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "n/a".to_owned());
        let ratio = if measured.program == super::PROGRAM { None } else { median.zip(ours) };
        [
            title,
            measured.program.clone(),
            measured.how.clone(),
            or_none(median.map(seconds)),
            or_none(measured.spread().map(|(fastest, slowest)| format!("{} to {}", seconds(fastest), seconds(slowest)))),
            or_none(median.map(|median| format!("{:.0}", part.tokens as f64 / median))),
            or_none(median.map(|median| percent(part.floor_seconds / median))),
            or_none(measured.peak_mib.map(memory)),
            ratio.map_or_else(String::new, |(theirs, ours)| format!("{:.2}x as fast", theirs / ours)),
        ]
    };
    let floor = [
        String::new(),
        "floor".to_owned(),
        format!("{}FLOP, {}B", scaled(part.flops), scaled(part.bytes)),
        seconds(part.floor_seconds),
        String::new(),
        format!("{:.0}", part.tokens as f64 / part.floor_seconds),
        String::new(),
        String::new(),
        String::new(),
    ];
    part.measured.iter().enumerate().map(row).chain([floor]).collect()
}

/// One measurement as a line of progress.
pub(super) fn note(measured: &Measured, title: &str) -> String {
    let time = match (measured.median(), &measured.error) {
        (Some(median), _) => format!("{} s", seconds(median)),
        (None, error) => format!("failed: {}", error.as_deref().unwrap_or("no time")),
    };
    format!("{}: {title} ({}): {time}", measured.program, measured.how)
}

/// Three significant digits.
fn seconds(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 1.0 => format!("{v:.2}"),
        v if v >= 0.1 => format!("{v:.3}"),
        v if v >= 0.01 => format!("{v:.4}"),
        v => format!("{v:.2e}"),
    }
}

fn memory(mib: f64) -> String {
    if mib < 1024.0 { format!("{mib:.1} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}

fn percent(share: f64) -> String {
    if share < 0.1 { format!("{:.1} %", 100.0 * share) } else { format!("{:.0} %", 100.0 * share) }
}

/// With the unit's prefix, and a space before it.
fn scaled(value: f64) -> String {
    let (factor, prefix) = [(1e12, "T"), (1e9, "G"), (1e6, "M")].into_iter().find(|(factor, _)| value >= *factor).unwrap_or((1.0, ""));
    format!("{:.1} {prefix}", value / factor)
}

/// Where the time of one run went, the most expensive kernels first.
pub(super) fn profile(title: &str, spent: &[(String, usize, f64)]) -> String {
    let total: f64 = spent.iter().map(|(_, _, seconds)| seconds).sum();
    let mut text = format!("{title}: {:.1} ms in kernels, one after the other", 1e3 * total);
    for (name, calls, seconds) in spent.iter().take(24) {
        let (ms, share, each) = (1e3 * seconds, 100.0 * seconds / total, 1e6 * seconds / *calls as f64);
        let _ = write!(text, "\n  {ms:9.2} ms  {share:5.1} %  {calls:6} x {each:8.1} us  {name}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::cost::Rates;
    use super::super::work::Work;
    use super::*;
    use crate::cli::Part;

    #[test]
    fn a_part_is_ours_theirs_with_the_ratio_and_the_floor() {
        let measured = |program: &str, how: &str, seconds: &[f64], error: Option<&str>| Measured {
            program: program.into(),
            versions: format!("{program} 1"),
            part: Part::Prefill,
            how: how.into(),
            seconds: seconds.to_vec(),
            peak_mib: Some(1536.0),
            allocated_mib: None,
            error: error.map(str::to_owned),
        };
        let part = PartResults {
            part: Part::Prefill,
            tokens: 32,
            flops: 2e9,
            bytes: 3e6,
            floor_seconds: 0.25,
            measured: vec![
                measured("ballast", "end to end", &[1.0, 0.5, 0.75], None),
                measured("peer", "padded", &[1.5], None),
                measured("peer", "other", &[], Some("out of memory")),
            ],
        };
        let results = Results {
            ballast: "0.1.0".into(),
            model: "tiny".into(),
            device: "cpu".into(),
            dtype: "f32".into(),
            work: Work::small(),
            rates: Rates { flops: 2e11, bytes: 1e10 },
            parts: vec![part],
        };
        insta::assert_snapshot!(render(&results), @"
        tiny, cpu, f32 weights
        ballast 1; peer 1
        measured here: matmul 200.0 GFLOP/s (256 x 256 x 256), copy 10.0 GB/s (1.0 MB)

        | work                   | program | how               | seconds | spread        | tokens/s | of the floor | peak memory | ballast is    |
        | ---------------------- | ------- | ----------------- | ------- | ------------- | -------- | ------------ | ----------- | ------------- |
        | prefill, 2 x 16 tokens | ballast | end to end        | 0.750   | 0.500 to 1.00 | 43       | 33 %         | 1.5 GiB     |               |
        |                        | peer    | padded            | 1.50    | 1.50 to 1.50  | 21       | 17 %         | 1.5 GiB     | 2.00x as fast |
        |                        | peer    | other             | n/a     | n/a           | n/a      | n/a          | 1.5 GiB     |               |
        |                        | floor   | 2.0 GFLOP, 3.0 MB | 0.250   |               | 128      |              |             |               |

        peer, prefill, 2 x 16 tokens, other: out of memory
        ");
    }
}
