//! The few lines that end a run on a terminal.

use super::text::{NONE, count, percent, points};
use super::warnings::warnings;
use crate::analysis::comparison::Direction;
use crate::analysis::results::Results;
use crate::analysis::share::Share;

/// Accuracy of everything in percent, with the difference to the base.
pub(super) fn summary(results: &Results) -> String {
    let view = &results.view;
    let mut rows = vec![std::iter::once(String::new()).chain(view.suites.iter().map(ToString::to_string)).collect::<Vec<_>>()];
    for subject in &view.subjects {
        let cells = view.suites.iter().map(|suite| {
            let Some(share) = Share::accuracy(subject, suite) else { return NONE.to_owned() };
            let Some(found) = results.against_base(subject.name, suite) else { return percent(share.value) };
            let mark = if found.corrected_direction() == Direction::Unclear { ' ' } else { '*' };
            format!("{} ({}){mark}", percent(share.value), points(found.difference))
        });
        rows.push(std::iter::once(subject.name.to_owned()).chain(cells).collect());
    }
    let widths: Vec<usize> =
        (0..=view.suites.len()).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    let aligned = rows.iter().map(|row| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    });
    let legend = "accuracy in %, difference to the base in points; * shown after correction, all else: no difference could be shown";
    let mut lines: Vec<String> = aligned.chain([legend.to_owned()]).collect();
    lines.extend(view.run.missing.iter().map(|name| format!("not finished: {name}")));
    lines.extend(Some(warnings(results).len()).filter(|n| *n > 0).map(|n| format!("{} in the report", count(n, "warning"))));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample::run;
    use crate::analysis::view::View;

    #[test]
    fn the_summary_marks_only_what_is_shown() {
        let mut run = run();
        run.missing.push("B-s7".to_owned());
        let text = summary(&Results::new(View::new(&run)));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "       fact-qa        reasoning-zh   identity");
        assert_eq!(lines[1], "base   80.0           80.0           0.0");
        assert_eq!(lines[2], "A      30.0 (-50.0)*  30.0 (-50.0)*  95.0 (+95.0)*");
        assert_eq!(lines[4], "mixed  78.3 (-1.7)    78.3 (-1.7)    96.7 (+96.7)*");
        assert!(text.contains("not finished: B-s7\n2 warnings in the report\n"), "{text}");
    }
}
