//! JUnit XML as Jenkins, GitLab and GitHub's test reporters read it: a suite is a testsuite, each question asked of it a
//! testcase. Regress is a failure, Invalid an error, Inconclusive skipped with a message.

#[cfg(test)]
mod schema;

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite, XmlString};

use crate::gate::decision::{Decision, LossTest};
use crate::gate::family::Together;
use crate::gate::judge::SuiteResult;
use crate::gate::result::GateResult;
use crate::report::text::{or_none, percent, point_range, points, range, significant};
use crate::shown::visible;

struct Case {
    name: &'static str,
    verdict: Decision,
    message: String,
}

struct Suite {
    name: String,
    cases: Vec<Case>,
}

/// The XML document.
pub fn junit(result: &GateResult) -> Result<String> {
    let mut report = Report::new("ballast gate");
    report.add_test_suites(
        std::iter::once(measurement(result))
            .chain(result.suites.iter().map(of_suite))
            .chain(result.leakage.map(|test| leakage(&test)))
            .chain(result.together.map(|test| together(&test)))
            .map(Suite::xml),
    );
    report.set_time(Duration::ZERO);
    let xml = report.to_string().context("failed to write JUnit XML")?;
    // Jenkins' schema has a count of skipped tests on each testsuite, but not on the whole.
    Ok(xml.replacen(&format!(" skipped=\"{}\"", report.skipped), "", 1))
}

impl Suite {
    fn xml(self) -> TestSuite {
        let mut suite = TestSuite::new(text(&self.name));
        suite.set_time(Duration::ZERO);
        suite.add_test_cases(self.cases.into_iter().map(|case| case.xml(&self.name)));
        suite
    }
}

impl Case {
    fn xml(self, suite: &str) -> TestCase {
        let message = text(&self.message);
        let failed = |kind, name: &str| {
            let mut status = TestCaseStatus::non_success(kind);
            status.set_message(message.clone()).set_type(name).set_description(message.clone());
            status
        };
        let status = match self.verdict {
            Decision::Pass => TestCaseStatus::success(),
            Decision::Inconclusive => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(message.clone());
                status
            }
            Decision::Regress => failed(NonSuccessKind::Failure, "regress"),
            Decision::Invalid => failed(NonSuccessKind::Error, "invalid"),
        };
        let mut case = TestCase::new(self.name, status);
        case.set_classname(text(&format!("ballast.{suite}"))).set_time(Duration::ZERO);
        if self.verdict == Decision::Pass {
            case.set_system_out(message);
        }
        case
    }
}

/// Text on one line, its control characters visible; the two characters that XML 1.0 has no place for become U+FFFD.
fn text(text: &str) -> XmlString {
    XmlString::new(visible(&text.replace(['\n', '\r', '\t'], " ")).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}"))
}

/// Whether the measurement can be trusted at all.
fn measurement(result: &GateResult) -> Suite {
    let case = |name, problems: Vec<String>, good: String| Case {
        name,
        verdict: if problems.is_empty() { Decision::Pass } else { Decision::Invalid },
        message: if problems.is_empty() { good } else { problems.join("; ") },
    };
    let evidence = result.mismatches.iter().map(ToString::to_string).collect();
    let liveness = match result.liveness {
        Some(proof) => proof.problems(),
        None if !result.suites.is_empty() => Vec::new(),
        None if result.mismatches.is_empty() => result.reasons.clone(),
        None => vec!["not tried: the evidence differs".to_owned()],
    };
    let acts = result.liveness.map_or("not tried: there are answers only, and no model".to_owned(), |proof| {
        format!("largest logit change {}, with the adapter off {}", proof.largest_change, proof.largest_change_off)
    });
    let drift = result.drift.map(|test| Case { name: "drift", verdict: test.verdict, message: test.words() });
    let mut cases = vec![
        case("evidence", evidence, "everything is as it was when the baseline was blessed".to_owned()),
        case("liveness", liveness, acts),
    ];
    cases.extend(drift);
    Suite { name: "measurement".to_owned(), cases }
}

fn of_suite(suite: &SuiteResult) -> Suite {
    let mut cases = Vec::new();
    if !suite.problems.is_empty() {
        cases.push(Case { name: "items", verdict: Decision::Invalid, message: suite.problems.join("; ") });
    }
    for (name, test) in [("accuracy", suite.loss), ("form", suite.form)] {
        cases.extend(test.map(|test| Case { name, verdict: test.verdict, message: loss(&test) }));
    }
    cases.extend(suite.floor.map(|test| Case {
        name: "floor",
        verdict: test.verdict,
        message: format!("accuracy {} % {}, floor {} %", or_none(suite.after, percent), or_none(test.interval, range), percent(test.floor)),
    }));
    Suite { name: suite.suite.clone(), cases }
}

fn leakage(test: &LossTest) -> Suite {
    Suite { name: "leakage".to_owned(), cases: vec![Case { name: "identity text", verdict: test.verdict, message: loss(test) }] }
}

fn together(test: &Together) -> Suite {
    let verdict = if test.regressed { Decision::Regress } else { Decision::Pass };
    let message = format!(
        "{} points, mean margin {}, corrected p of no loss {}",
        or_none(test.difference, points),
        percent(test.margin),
        or_none(test.p_corrected, significant)
    );
    Suite { name: "all suites".to_owned(), cases: vec![Case { name: "accuracy", verdict, message }] }
}

fn loss(test: &LossTest) -> String {
    let mut message = format!(
        "{} points {}, margin {}, {} harmful and {} beneficial flips of {} items",
        or_none(test.difference, points),
        or_none(test.interval, point_range),
        percent(test.margin),
        test.harmful,
        test.beneficial,
        test.n
    );
    if test.verdict == Decision::Inconclusive {
        let _ = match test.needs {
            Some(items) => write!(message, "; about {items} more items like these would decide"),
            None => write!(message, "; no number of items like these would decide"),
        };
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::result::tests::result;
    use resvg::usvg::roxmltree::Document;

    /// Counts in a testsuite's attributes are those of its testcases.
    fn counts(document: &Document) {
        for suite in document.descendants().filter(|node| node.has_tag_name("testsuite")) {
            let said = |attribute| suite.attribute(attribute).unwrap().parse::<usize>().unwrap();
            let found = |tag| suite.descendants().filter(|node| node.has_tag_name(tag)).count();
            let of = [("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")];
            for (attribute, tag) in of {
                assert_eq!(said(attribute), found(tag), "{attribute}");
            }
        }
    }

    #[test]
    fn every_verdict_is_valid_by_the_schema() {
        let invalid = {
            let mut result = result(&[]);
            (result.suites, result.liveness, result.leakage) = (Vec::new(), None, None);
            result.reasons = vec!["a <broken> \"adapter\" & \u{1b}[2J more".to_owned()];
            result
        };
        let together = {
            let mut result = result(&[]);
            let (difference, p) = (Some(-0.07), Some(0.003));
            result.together =
                Some(Together { regressed: true, margin: 0.05, effective_n: 300.0, difference, p_no_loss: p, p_corrected: p });
            result
        };
        assert!(junit(&together).unwrap().contains("<failure message=\"-7.0 points, mean margin 5.0, corrected p of no loss"));
        for (result, tag, count) in [
            (together, "failure", 1),
            (result(&[]), "failure", 0),
            (result(&[(40, "w")]), "failure", 1),
            (result(&[(8, "w")]), "skipped", 1),
            (invalid, "error", 1),
        ] {
            let xml = junit(&result).unwrap();
            let document = Document::parse(&xml).expect("well-formed XML");
            assert_eq!(document.root_element().tag_name().name(), "testsuites");
            assert_eq!(schema::validate(&xml), Ok(()));
            assert!(!xml.contains('\u{1b}') && document.root_element().attribute("skipped").is_none(), "{xml}");
            counts(&document);
            assert_eq!(document.descendants().filter(|node| node.has_tag_name(tag)).count(), count, "{xml}");
        }
    }

    #[test]
    fn text_of_others_is_one_visible_line() {
        assert_eq!(text("a\tb\nc \u{1b}[2J \u{ffff} <&").as_str(), "a b c \\u001b[2J \u{fffd} <&");
    }

    #[test]
    fn an_inconclusive_case_says_what_is_missing() {
        let xml = junit(&result(&[(8, "w")])).unwrap();
        assert!(xml.contains("<skipped message=\"-4.0 points [") && xml.contains("more items like these would decide"), "{xml}");
    }
}
