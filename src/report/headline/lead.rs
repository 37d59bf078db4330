//! The first paragraph: what happened, in round numbers and without a term of statistics. It says nothing that the
//! paragraphs after it do not say with their intervals.

use super::recovery::better;
use super::{largest_loss, learned};
use crate::analysis::comparison::{Comparison, Direction};
use crate::analysis::results::Results;
use crate::report::document::{Text, code, strong, text};
use crate::report::text::fixed;

/// The paragraph; none without a general suite.
pub(super) fn lead(results: &Results) -> Option<Text> {
    results.view.general().next()?;
    let Some(loss) = largest_loss(results) else {
        return Some(text!(
            "{} none of the fine-tunes is shown to have made the model worse at what it could do before. With so few questions that is no proof that none did.",
            strong("In short:")
        ));
    };
    let cost = text!(
        "{} fine-tune {} made the model forget. Of the {} questions it answers {} % rightly, where the untouched model answers {} %: a loss that chance alone does not explain.",
        strong("In short:"),
        code(loss.variant),
        code(loss.suite),
        round(loss.after),
        round(loss.before),
    );
    let better = better(results, loss);
    let back = better.first().map_or_else(|| " No other fine-tune is shown to do better.".into(), |best| recovery(results, best));
    Some(text!("{}{}", cost, back))
}

fn recovery(results: &Results, best: &Comparison) -> Text {
    let place = match results.against_base(best.variant, best.suite).map(Comparison::direction) {
        Some(Direction::Unclear) => ", which this test cannot tell from the untouched model",
        Some(Direction::Worse) => ", still below the untouched model",
        Some(Direction::Better) => ", above the untouched model",
        None => "",
    };
    let identity = match learned(results, best.variant) {
        Some(true) => " It learned its new identity as well.",
        Some(false) => " But it is not shown to have learned its new identity, so it may have kept the old knowledge by learning little.",
        None => "",
    };
    text!(" Fine-tune {} keeps more, at {} %{}.{}", code(best.variant), round(best.after), place, identity)
}

/// A share in whole percent.
fn round(share: f64) -> String {
    fixed(share * 100.0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample::{cell, run};
    use crate::analysis::view::View;
    use crate::report::render::markdown::inline;

    fn text(run: &crate::plan::run::Run) -> String {
        inline(&lead(&Results::new(View::new(run))).unwrap())
    }

    #[test]
    fn the_first_paragraph_tells_loss_and_recovery_in_round_numbers() {
        let told = text(&run());
        assert!(told.contains("it answers 30 % rightly, where the untouched model answers 80 %"), "{told}");
        assert!(told.contains("`mixed` keeps more, at 78 %, which this test cannot tell from the untouched model. It learned"), "{told}");
    }

    #[test]
    fn nothing_shown_is_nothing_claimed() {
        let mut run = run();
        run.cells = vec![cell("A", 42, 0.77, 0.0), cell("B", 42, 0.8, 0.0)];
        assert!(text(&run).contains("none of the fine-tunes is shown") && text(&run).contains("no proof"));
        run.experiment.suites.retain(|suite| suite.name == "identity");
        assert_eq!(lead(&Results::new(View::new(&run))), None);
    }

    #[test]
    fn a_variant_that_learned_nothing_is_said_to_have_learned_nothing() {
        let mut run = run();
        run.cells = vec![cell("A", 42, 0.3, 0.9), cell("B", 42, 0.8, 0.0)];
        assert!(text(&run).contains("may have kept the old knowledge by learning little"), "{}", text(&run));
    }
}
