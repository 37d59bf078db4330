//! A gate's result as GitHub shows it, in a step's summary or a comment on a pull request: the verdict first, then a table,
//! then what explains it, folded away.

use crate::gate::decision::{Decision, LossTest};
use crate::gate::judge::SuiteResult;
use crate::gate::result::{Flip, GateResult};
use crate::report::table::{Table, folded};
use crate::report::text::{code, count, fenced, fixed, or_none, percent, plain, point_range, points, range, significant, trimmed};

/// The first line: a comment with it is the one to replace.
const MARKER: &str = "<!-- ballast-gate -->";
/// Letters of a question or an answer.
const LETTERS: usize = 300;

/// The Markdown.
pub fn summary(result: &GateResult) -> String {
    let mut blocks = vec![MARKER.to_owned(), heading(result)];
    if !result.reasons.is_empty() {
        blocks.push(result.reasons.iter().map(|reason| format!("- {}", plain(reason))).collect::<Vec<_>>().join("\n"));
    }
    if !result.suites.is_empty() {
        blocks.push(table(result).markdown());
        blocks.push(folded("Guards, floors and failures", &details(result)));
    }
    if !result.flips.is_empty() {
        let flips: Vec<String> = result.flips.iter().map(flip).collect();
        blocks.push(folded(
            &format!("{} that the base answers and this adapter does not", count(result.flips.len(), "item")),
            &flips.join("\n\n---\n\n"),
        ));
    }
    blocks.push(folded("Evidence", &evidence(result)));
    blocks.join("\n\n") + "\n\n"
}

fn heading(result: &GateResult) -> String {
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
    format!("> [!{alert}]\n> **Ballast gate: {}**, {meaning}. Adapter {}.", result.verdict.word(), code(&result.adapter.folder))
}

fn table(result: &GateResult) -> Table {
    let header = [
        "suite",
        "verdict",
        "n",
        "base %",
        "adapter %",
        "difference",
        "91 % interval",
        "margin",
        "p of no loss",
        "flips - / +",
        "retention %",
    ];
    let mut table = Table::new(header, 2);
    let word = |verdict: Option<Decision>| verdict.map_or("not asked".to_owned(), |verdict| format!("**{}**", verdict.word()));
    for suite in &result.suites {
        let flips = suite.loss.map(|test| format!("{} / {}", test.harmful, test.beneficial));
        table.push(vec![
            code(&suite.suite),
            word(suite.verdict),
            suite.n.to_string(),
            or_none(suite.before, percent),
            or_none(suite.after, percent),
            or_none(suite.before.zip(suite.after), |(before, after)| points(after - before)),
            or_none(suite.loss.and_then(|test| test.interval), point_range),
            or_none(suite.loss, |test| percent(test.margin)),
            or_none(suite.loss.and_then(|test| test.p_corrected), significant),
            or_none(flips, |flips| flips),
            or_none(suite.retention, percent),
        ]);
    }
    table
}

fn details(result: &GateResult) -> String {
    let mut table = Table::new(["suite", "guard", "verdict", "change", "interval", "asked"], 3);
    let mut push = |suite: &str, guard: &str, test: &LossTest| {
        table.push(vec![
            code(suite),
            guard.to_owned(),
            test.verdict.word().to_owned(),
            or_none(test.difference, points),
            or_none(test.interval, point_range),
            format!("loses less than {} points", percent(test.margin)),
        ]);
    };
    for suite in &result.suites {
        if let Some(test) = &suite.form {
            push(&suite.suite, "well-formed answers", test);
        }
    }
    if let Some(test) = &result.leakage {
        push("general suites", "answers without identity text", test);
    }
    for suite in &result.suites {
        if let Some(test) = suite.floor {
            table.push(vec![
                code(&suite.suite),
                "accuracy".to_owned(),
                test.verdict.word().to_owned(),
                or_none(suite.after, percent),
                or_none(test.interval, range),
                format!("exceeds {} %", percent(test.floor)),
            ]);
        }
    }
    if let Some(test) = &result.together {
        table.push(vec![
            "all suites".to_owned(),
            "accuracy".to_owned(),
            if test.regressed { Decision::Regress } else { Decision::Pass }.word().to_owned(),
            or_none(test.difference, points),
            format!("p {}", or_none(test.p_corrected, significant)),
            format!("no loss shown of {} points or more", percent(test.margin)),
        ]);
    }
    let lost: Vec<String> = result.suites.iter().filter_map(lost).collect();
    [vec![table.markdown()], lost].concat().join("\n\n")
}

/// What was lost on a suite, by kind.
fn lost(suite: &SuiteResult) -> Option<String> {
    let failures: Vec<String> = suite.failures.iter().map(|(kind, (base, adapter))| format!("{kind} {base} -> {adapter}")).collect();
    if suite.lost_knowledge + suite.lost_form == 0 && failures.is_empty() {
        return None;
    }
    let mut text = format!(
        "{}: of {}, {} well-formed but wrong, {} lost to form or identity text; churn {} %.",
        code(&suite.suite),
        count(suite.lost_knowledge + suite.lost_form, "lost item"),
        suite.lost_knowledge,
        suite.lost_form,
        or_none(suite.churn, percent)
    );
    if !failures.is_empty() {
        text.extend([" Failures, base -> adapter: ", &failures.join(", "), "."]);
    }
    Some(text)
}

fn flip(flip: &Flip) -> String {
    let why = flip.detail.as_deref().map(|detail| format!(" ({})", code(&trimmed(detail, LETTERS)))).unwrap_or_default();
    let before = flip.before.as_deref().map_or("*(asked again, the base came to another verdict)*".to_owned(), quoted);
    let parts = [
        format!("**{}**", plain(&format!("{} {}", flip.suite, flip.item))),
        quoted(&flip.prompt),
        "The base, right:".to_owned(),
        before,
        format!("This adapter, not right{why}:"),
        quoted(&flip.after),
    ];
    parts.join("\n\n")
}

fn quoted(text: &str) -> String {
    let text = trimmed(text, LETTERS);
    if text.is_empty() { "*(nothing)*".to_owned() } else { fenced(&text) }
}

fn evidence(result: &GateResult) -> String {
    let found = &result.evidence;
    let mut lines = vec![
        format!("Base {}, weights {}, {}", code(&found.model), code(digest(&found.weights)), found.numbers),
        format!(
            "Adapter {}, its configuration names {}",
            or_none(result.adapter.digest.as_deref(), |d| code(digest(d))),
            or_none(result.adapter.base_model.as_deref(), code)
        ),
        format!("Baseline {}, Ballast {}", code(&result.baseline), found.ballast),
    ];
    if let Some(proof) = result.liveness {
        lines.push(format!(
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
        result.loosened.iter().map(|change| format!("Loosened: {}. Reason: {}", plain(&change.changes.join("; ")), plain(&change.reason))),
    );
    lines.iter().map(|line| format!("- {line}")).collect::<Vec<_>>().join("\n")
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
            assert_eq!((lines[0], lines[2]), (MARKER, format!("> [!{alert}]").as_str()));
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
