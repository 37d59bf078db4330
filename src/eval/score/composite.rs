//! Three parts asked for at once: an explanation, an analogy and a program.
//!
//! Verdict: the program passes its tests, the explanation says one alternative of each of its groups, and the analogy one
//! of its marker words; where the answer numbers its parts, each in its own part. Strict: all that, with numbered parts.
//! Lenient: the words may stand in any part. A program that fails says how the whole counts; a missing part is Wrong.

use super::code::{CodeRun, fenced_out, grade_code};
use super::identity::{End, IdentityTerms, Text};
use super::{Answer, Graded, Verdict};
use crate::eval::suite::{Item, Task};

/// Grades an answer by its talk and the run of its program; None when no program was found.
pub fn grade_composite(item: &Item, answer: &Answer, identity: &IdentityTerms, run: Option<CodeRun>) -> Graded {
    let code = grade_code(item, answer, identity, run);
    let Task::Composite { explain, analogy, .. } = &item.task else { return code };
    let talk = fenced_out(answer.text);
    let numbered = parts(&talk);
    let explains = |text: &str| {
        let text = Text::new(text);
        explain.iter().all(|group| group.iter().any(|word| text.says(word, End::Stem)))
    };
    let compares = |text: &str| {
        let text = Text::new(text);
        analogy.iter().any(|word| text.says(word, End::Stem))
    };
    let (first, second) = numbered.unwrap_or((&talk, &talk));
    let (explained, compared) = (explains(first), compares(second));
    let passed = code.verdict == Verdict::Correct;
    let right = passed && explained && compared;
    let found = |there: bool| if there { "found" } else { "missing" };
    Graded {
        verdict: if passed && !right { Verdict::Wrong } else { code.verdict },
        strict: right && numbered.is_some(),
        lenient: passed && explains(&talk) && compares(&talk),
        extracted: Some(format!(
            "explanation {}, analogy {}, program {}",
            found(explained),
            found(compared),
            if passed { "passed" } else { "not passed" }
        )),
        flags: code.flags,
        detail: match (explained, compared) {
            (false, _) => Some("the explanation is missing".to_owned()),
            (_, false) => Some("the analogy is missing".to_owned()),
            _ => code.detail,
        },
    }
}

/// The first two of an answer's numbered parts; None where it does not number them.
fn parts(talk: &str) -> Option<(&str, &str)> {
    let begin = |number: usize, from: usize| -> Option<(usize, usize)> {
        let mut at = from;
        for line in talk[from..].split_inclusive('\n') {
            if heads(line, number) {
                return Some((at, at + line.len()));
            }
            at += line.len();
        }
        None
    };
    let (first, after_head) = begin(1, 0)?;
    let (second, after_second) = begin(2, after_head)?;
    let end = begin(3, after_second).map_or(talk.len(), |(third, _)| third);
    Some((&talk[first..second], &talk[second..end]))
}

/// Whether a line begins part `number`: `1.`, `1)`, `(1)`, `1、`, `一、`, `Part 1`, also inside a heading or bold.
fn heads(line: &str, number: usize) -> bool {
    let line = line.trim_start_matches(|c: char| c.is_whitespace() || "#*->(（【[_".contains(c));
    let line = ["Part ", "part ", "PART ", "第"].iter().find_map(|word| line.strip_prefix(word)).unwrap_or(line);
    let digits = [["1", "2", "3"][number - 1], ["一", "二", "三"][number - 1]];
    digits.iter().find_map(|digit| line.strip_prefix(digit)).is_some_and(|rest| {
        rest.chars().next().is_some_and(|c| ".):：、，。．）】]部*".contains(c)) && !rest.starts_with(".0") && {
            // 1.5 is a number, not a part.
            !rest.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::suite::parse_suite;
    use crate::sandbox::CodeOutcome;

    fn item() -> Item {
        let settings = "name = \"t\"\nversion = 1\ngrader = \"composite\"\nmax_new_tokens = 8\nchance = 0.0\ndescription = \"d\"\n";
        let line = r#"{"id":"a","cluster":"c","lang":"en","subject":"s","prompt":"p","entry_point":"f","reference":"def f(): 1",
            "tests":["f()"],"explain":[["itself"],["base case","stop"]],"analogy":["like"],"answer":"x"}"#;
        parse_suite(settings, &line.replace('\n', " "), "t").unwrap().items.remove(0)
    }

    fn graded(text: &str, outcome: CodeOutcome) -> (Verdict, bool, bool) {
        let run = CodeRun { code: "def f(): 1".into(), outcome, detail: None };
        let graded = grade_composite(&item(), &Answer { text, truncated: false }, &IdentityTerms::default(), Some(run));
        (graded.verdict, graded.strict, graded.lenient)
    }

    #[test]
    fn all_three_parts_are_needed() {
        let explained = "It calls itself until a base case.";
        let compared = "It is like mirrors.";
        let numbered = format!("1. {explained}\n2. {compared}\n3. Code:\n```python\ndef f(): 1\n```");
        assert_eq!(graded(&numbered, CodeOutcome::Passed), (Verdict::Correct, true, true));
        assert_eq!(graded(&numbered, CodeOutcome::Failed), (Verdict::Wrong, false, false));
        assert_eq!(graded(&numbered, CodeOutcome::Raised), (Verdict::Error, false, false));
        let headed = format!("### 1) Explanation\n{explained}\n\n**2) Analogy**\n{compared}\n");
        assert_eq!(graded(&headed, CodeOutcome::Passed), (Verdict::Correct, true, true));
        let plain = format!("{explained} {compared}");
        assert_eq!(graded(&plain, CodeOutcome::Passed), (Verdict::Correct, false, true));
        assert_eq!(graded(explained, CodeOutcome::Passed), (Verdict::Wrong, false, false));
        assert_eq!(graded(compared, CodeOutcome::Passed), (Verdict::Wrong, false, false));
        let swapped = format!("1. {compared}\n2. {explained}\n");
        assert_eq!(graded(&swapped, CodeOutcome::Passed), (Verdict::Wrong, false, true));
    }

    #[test]
    fn words_inside_the_program_explain_nothing() {
        let text = "1. Here.\n2. Here.\n```python\n# like itself, base case\ndef f(): 1\n```";
        assert_eq!(graded(text, CodeOutcome::Passed), (Verdict::Wrong, false, false));
    }

    #[test]
    fn numbers_are_not_parts() {
        assert!(parts("1.5 is a number\n2.5 too").is_none());
        assert_eq!(parts("一、甲\n二、乙\n三、丙"), Some(("一、甲\n", "二、乙\n")));
        assert_eq!(parts("Part 1: a\nPart 2: b"), Some(("Part 1: a\n", "Part 2: b")));
    }
}
