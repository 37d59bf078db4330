//! What ends a run on a terminal.

use super::document::{Block, Text, paragraph, text};
use super::table::Table;
use super::text::{percent, points};
use super::warnings::warnings;
use crate::analysis::comparison::Direction;
use crate::analysis::results::Results;
use crate::analysis::share::Share;
use crate::counted::counted;

/// Accuracy of everything in percent, with the difference to the base.
pub(super) fn summary(results: &Results) -> Vec<Block> {
    let view = &results.view;
    let table = Table::by_suite(&view.subjects, &view.suites, |subject, suite| {
        let share = Share::accuracy(subject, suite)?;
        let Some(found) = results.against_base(subject.name, suite) else { return Some(percent(share.value)) };
        let mark = if found.corrected_direction() == Direction::Unclear { ' ' } else { '*' };
        Some(format!("{} ({}){mark}", percent(share.value), points(found.difference)))
    });
    let legend = "accuracy in %, difference to the base in points; * shown after correction, all else: no difference could be shown";
    let unfinished = view.run.missing.iter().map(|name| text!("not finished: {}", name.as_str()));
    let warned = Some(warnings(results).len()).filter(|n| *n > 0).map(|n| text!("{} in the report", counted(n, "warning")));
    let lines = [Text::from(legend)].into_iter().chain(unfinished).chain(warned);
    std::iter::once(table.block()).chain(lines.map(paragraph)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample::run;
    use crate::analysis::view::View;
    use crate::report::render::terminal;

    #[test]
    fn the_summary_marks_only_what_is_shown() {
        let mut run = run();
        run.missing.push("B-s7".to_owned());
        let text = terminal::document(&summary(&Results::new(View::new(&run))));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "       fact-qa        reasoning-zh   identity");
        assert_eq!(lines[1], "base   80.0           80.0           0.0");
        assert_eq!(lines[2], "A      30.0 (-50.0)*  30.0 (-50.0)*  95.0 (+95.0)*");
        assert_eq!(lines[4], "mixed  78.3 (-1.7)    78.3 (-1.7)    96.7 (+96.7)*");
        assert!(text.contains("not finished: B-s7\n2 warnings in the report\n"), "{text}");
    }
}
