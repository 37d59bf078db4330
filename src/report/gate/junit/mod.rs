//! JUnit XML as Jenkins, GitLab and GitHub's test reporters read it: a suite is a testsuite, each question asked of it a
//! testcase. Regress is a failure, Invalid an error, Inconclusive skipped with a message.

#[cfg(test)]
mod schema;

use std::fmt::Write;

use crate::gate::decision::{LossTest, Verdict};
use crate::gate::family::Together;
use crate::gate::judge::SuiteResult;
use crate::gate::result::GateResult;
use crate::report::text::{or_none, percent, point_range, points, range, significant};

struct Case {
    name: &'static str,
    verdict: Verdict,
    message: String,
}

struct Suite {
    name: String,
    cases: Vec<Case>,
}

/// The XML document.
pub fn junit(result: &GateResult) -> String {
    let suites: Vec<Suite> = std::iter::once(measurement(result))
        .chain(result.suites.iter().map(of_suite))
        .chain(result.leakage.map(|test| leakage(&test)))
        .chain(result.together.map(|test| together(&test)))
        .collect();
    let count =
        |suites: &[Suite], verdict: Verdict| suites.iter().flat_map(|suite| &suite.cases).filter(|case| case.verdict == verdict).count();
    let tests: usize = suites.iter().map(|suite| suite.cases.len()).sum();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a String cannot fail.
    let _ = writeln!(
        xml,
        "<testsuites name=\"ballast gate\" tests=\"{tests}\" failures=\"{}\" errors=\"{}\" time=\"0\">",
        count(&suites, Verdict::Regress),
        count(&suites, Verdict::Invalid)
    );
    for suite in &suites {
        let of = |verdict| count(std::slice::from_ref(suite), verdict);
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"0\">",
            escaped(&suite.name),
            suite.cases.len(),
            of(Verdict::Regress),
            of(Verdict::Invalid),
            of(Verdict::Inconclusive)
        );
        for case in &suite.cases {
            xml.push_str(&case_xml(&suite.name, case));
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn case_xml(suite: &str, case: &Case) -> String {
    let open = format!("    <testcase name=\"{}\" classname=\"ballast.{}\" time=\"0\"", case.name, escaped(suite));
    let message = escaped(&case.message);
    let inside = match case.verdict {
        Verdict::Pass => format!("<system-out>{message}</system-out>"),
        Verdict::Inconclusive => format!("<skipped message=\"{message}\"/>"),
        Verdict::Regress => format!("<failure message=\"{message}\" type=\"regress\">{message}</failure>"),
        Verdict::Invalid => format!("<error message=\"{message}\" type=\"invalid\">{message}</error>"),
    };
    format!("{open}>\n      {inside}\n    </testcase>\n")
}

/// Whether the measurement can be trusted at all.
fn measurement(result: &GateResult) -> Suite {
    let case = |name, problems: Vec<String>, good: String| Case {
        name,
        verdict: if problems.is_empty() { Verdict::Pass } else { Verdict::Invalid },
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
        cases.push(Case { name: "items", verdict: Verdict::Invalid, message: suite.problems.join("; ") });
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
    let verdict = if test.regressed { Verdict::Regress } else { Verdict::Pass };
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
    if test.verdict == Verdict::Inconclusive {
        let _ = match test.needs {
            Some(items) => write!(message, "; about {items} more items like these would decide"),
            None => write!(message, "; no number of items like these would decide"),
        };
    }
    message
}

/// Text inside XML; characters that XML 1.0 has no place for become U+FFFD.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\r' | '\t' => escaped.push(' '),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(letter),
        }
    }
    escaped
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
        assert!(junit(&together).contains("<failure message=\"-7.0 points, mean margin 5.0, corrected p of no loss"));
        for (result, tag, count) in [
            (together, "failure", 1),
            (result(&[]), "failure", 0),
            (result(&[(40, "w")]), "failure", 1),
            (result(&[(8, "w")]), "skipped", 1),
            (invalid, "error", 1),
        ] {
            let xml = junit(&result);
            let document = Document::parse(&xml).expect("well-formed XML");
            assert_eq!(document.root_element().tag_name().name(), "testsuites");
            assert_eq!(schema::validate(&xml), Ok(()));
            counts(&document);
            assert_eq!(document.descendants().filter(|node| node.has_tag_name(tag)).count(), count, "{xml}");
        }
    }

    #[test]
    fn an_inconclusive_case_says_what_is_missing() {
        let xml = junit(&result(&[(8, "w")]));
        assert!(xml.contains("<skipped message=\"-4.0 points [") && xml.contains("more items like these would decide"), "{xml}");
    }
}
