//! A gate's result as GitHub shows it, in a step's summary or a comment on a pull request: the verdict first, then a table,
//! then what explains it, folded away.

use crate::counted::counted;
use crate::gate::decision::{Decision, LossTest};
use crate::gate::judge::SuiteResult;
use crate::gate::result::{Flip, GateResult};
use crate::report::document::{Block, Span, Text, code, foreign, not_right, paragraph, quoted, strong, text};
use crate::report::render::markdown;
use crate::report::table::{Cell, Table};
use crate::report::text::{NONE, fixed, or_none, percent, significant};

/// The first line: a comment with it is the one to replace.
const MARK: &str = "ballast-gate";
/// Letters of a question or an answer.
const LETTERS: usize = 300;

/// The Markdown, with an empty line at its end: others' may follow in the same file.
pub fn summary(result: &GateResult) -> String {
    markdown::document(&page(result)) + "\n"
}

fn page(result: &GateResult) -> Vec<Block> {
    let mut blocks = vec![Block::Mark(MARK), heading(result)];
    if !result.reasons.is_empty() {
        blocks.push(Block::List(result.reasons.iter().map(|reason| foreign(reason).into()).collect()));
    }
    if !result.suites.is_empty() {
        blocks.push(table(result).block());
        let lost = result.suites.iter().filter_map(lost).map(Block::Paragraph);
        blocks.push(Block::Folded("Guards, floors and failures".to_owned(), std::iter::once(guards(result).block()).chain(lost).collect()));
    }
    if !result.flips.is_empty() {
        let mut flips = Vec::new();
        for found in &result.flips {
            flips.extend((!flips.is_empty()).then_some(Block::Rule));
            flips.extend(flip(found));
        }
        let lost = counted(result.flips.len(), "item");
        blocks.push(Block::Folded(format!("{lost} that the base answers and this adapter does not"), flips));
    }
    blocks.push(Block::Folded("Evidence".to_owned(), vec![Block::List(evidence(result))]));
    blocks
}

fn heading(result: &GateResult) -> Block {
    let meaning = match result.verdict {
        Decision::Pass => "every loss is shown to be smaller than its margin",
        Decision::Regress => "a loss is shown, and it reaches its margin",
        Decision::Inconclusive => "too few items, or too many flips, to say",
        Decision::Invalid => "the measurement cannot be trusted",
    };
    let alert = match result.verdict {
        Decision::Pass => "NOTE",
        Decision::Inconclusive => "WARNING",
        Decision::Regress | Decision::Invalid => "CAUTION",
    };
    let verdict = strong(format!("Ballast gate: {}", result.verdict.word()));
    Block::Alert(alert, text!("{}, {}. Adapter {}.", verdict, meaning, code(&result.adapter.folder)))
}

fn table(result: &GateResult) -> Table {
    let word = |suite: &SuiteResult| suite.verdict.map_or("not asked".into(), |verdict| Text::from(strong(verdict.word())));
    Table::of(&result.suites)
        .words("suite", |suite| code(&suite.suite))
        .words("verdict", |suite| word(suite))
        .numbers("n", |suite| suite.n)
        .numbers("base %", |suite| Cell::percent(suite.before))
        .numbers("adapter %", |suite| Cell::percent(suite.after))
        .numbers("difference", |suite| Cell::points(suite.before.zip(suite.after).map(|(before, after)| after - before)))
        .numbers("91 % interval", |suite| Cell::point_range(suite.loss.and_then(|test| test.interval)))
        .numbers("margin", |suite| Cell::percent(suite.loss.map(|test| test.margin)))
        .numbers("p of no loss", |suite| Cell::significant(suite.loss.and_then(|test| test.p_corrected)))
        .numbers("flips - / +", |suite| suite.loss.map(|test| format!("{} / {}", test.harmful, test.beneficial)))
        .numbers("retention %", |suite| Cell::percent(suite.retention))
        .table()
}

/// A test beside that of accuracy, in its own words.
struct Guard {
    suite: Text,
    what: &'static str,
    verdict: Decision,
    change: Cell,
    interval: Cell,
    asked: String,
}

impl Guard {
    fn of_loss(suite: impl Into<Text>, what: &'static str, test: &LossTest) -> Self {
        Self {
            suite: suite.into(),
            what,
            verdict: test.verdict,
            change: Cell::points(test.difference),
            interval: Cell::point_range(test.interval),
            asked: format!("loses less than {} points", percent(test.margin)),
        }
    }
}

fn guards(result: &GateResult) -> Table {
    let form =
        result.suites.iter().filter_map(|suite| Some(Guard::of_loss(code(&suite.suite), "well-formed answers", suite.form.as_ref()?)));
    let leakage = result.leakage.iter().map(|test| Guard::of_loss("general suites", "answers without identity text", test));
    let floors = result.suites.iter().filter_map(|suite| {
        let test = suite.floor?;
        Some(Guard {
            suite: code(&suite.suite).into(),
            what: "accuracy",
            verdict: test.verdict,
            change: Cell::percent(suite.after),
            interval: Cell::range(test.interval),
            asked: format!("exceeds {} %", percent(test.floor)),
        })
    });
    let together = result.together.iter().map(|test| Guard {
        suite: "all suites".into(),
        what: "accuracy",
        verdict: if test.regressed { Decision::Regress } else { Decision::Pass },
        change: Cell::points(test.difference),
        interval: format!("p {}", or_none(test.p_corrected, significant)).into(),
        asked: format!("no loss shown of {} points or more", percent(test.margin)),
    });
    Table::of(form.chain(leakage).chain(floors).chain(together))
        .words("suite", |guard| guard.suite.clone())
        .words("guard", |guard| guard.what)
        .words("verdict", |guard| guard.verdict.word())
        .numbers("change", |guard| guard.change.clone())
        .numbers("interval", |guard| guard.interval.clone())
        .numbers("asked", |guard| guard.asked.clone())
        .table()
}

/// What was lost on a suite, by kind.
fn lost(suite: &SuiteResult) -> Option<Text> {
    let failures: Vec<String> = suite.failures.iter().map(|(kind, (base, adapter))| format!("{kind} {base} -> {adapter}")).collect();
    if suite.lost_knowledge + suite.lost_form == 0 && failures.is_empty() {
        return None;
    }
    let failed = if failures.is_empty() { String::new() } else { format!(" Failures, base -> adapter: {}.", failures.join(", ")) };
    Some(text!(
        "{}: of {}, {} well-formed but wrong, {} lost to form or identity text; churn {} %.{}",
        code(&suite.suite),
        counted(suite.lost_knowledge + suite.lost_form, "lost item"),
        suite.lost_knowledge,
        suite.lost_form,
        or_none(suite.churn, percent),
        failed
    ))
}

fn flip(flip: &Flip) -> [Block; 6] {
    let again = || paragraph(Span::Emphasis("(asked again, the base came to another verdict)"));
    [
        paragraph(strong(foreign(&format!("{} {}", flip.suite, flip.item)))),
        quoted(&flip.prompt, LETTERS),
        paragraph("The base, right:"),
        flip.before.as_deref().map_or_else(again, |before| quoted(before, LETTERS)),
        paragraph(not_right("This adapter", flip.detail.as_deref(), LETTERS)),
        quoted(&flip.after, LETTERS),
    ]
}

fn evidence(result: &GateResult) -> Vec<Text> {
    let found = &result.evidence;
    let or_none = |name: Option<&str>| name.map_or(NONE.into(), |name| Text::from(code(name)));
    let mut lines = vec![
        text!("Base {}, weights {}, {}", code(&found.model), code(digest(&found.weights)), found.numbers.as_str()),
        text!(
            "Adapter {}, its configuration names {}",
            or_none(result.adapter.digest.as_deref().map(digest)),
            or_none(result.adapter.base_model.as_deref())
        ),
        text!("Baseline {}, Ballast {}", code(&result.baseline), found.ballast.as_str()),
    ];
    if let Some(proof) = result.liveness {
        lines.push(text!(
            "The adapter changes logits by up to {}, switched off by {}; drift {} nats a token, same first choice {} %; the base came to the baseline's verdict on {} of {} items asked again",
            significant(proof.largest_change),
            significant(proof.largest_change_off),
            fixed(proof.kl, 4),
            percent(proof.agreement),
            proof.same_verdict,
            proof.asked_again
        ));
    }
    lines.extend(
        result
            .loosened
            .iter()
            .map(|change| text!("Loosened: {}. Reason: {}", foreign(&change.changes.join("; ")), foreign(&change.reason))),
    );
    lines
}

fn digest(text: &str) -> &str {
    text.get(..12).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::result::tests::result;

    #[test]
    fn the_verdict_comes_first_and_the_marker_before_it() {
        for (lost, word, alert) in [(0, "PASS", "NOTE"), (8, "INCONCLUSIVE", "WARNING"), (40, "REGRESS", "CAUTION")] {
            let text = summary(&result(&[(lost, "w")]));
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!((lines[0], lines[2]), ("<!-- ballast-gate -->", format!("> [!{alert}]").as_str()));
            assert!(lines[3].contains(&format!("**Ballast gate: {word}**")), "{text}");
            assert!(text.contains("| `fact-qa` |") && text.contains("retention"));
        }
    }

    #[test]
    fn flips_are_folded_and_cannot_break_out() {
        let mut result = result(&[(40, "w")]);
        result.flips = vec![Flip {
            suite: "fact-qa".to_owned(),
            item: "fact-1".to_owned(),
            hash: "0".to_owned(),
            prompt: "What?".to_owned(),
            before: None,
            after: "</details> ```".to_owned(),
            mark: "w".to_owned(),
            detail: None,
        }];
        let text = summary(&result);
        assert!(text.contains("<summary>1 item that the base answers") && text.contains("````text\n</details> ```\n````"), "{text}");
    }
}
