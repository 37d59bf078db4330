//! Programs: finding the one in an answer, and what its run is worth. Running it is the sandbox's work.
//!
//! A fenced block is preferred; of several, the first that defines the function. Without fences the code starts at the first
//! line that is Python at its left edge (def, class, import, from, a decorator) and goes on while lines are indented or are
//! themselves such lines; the talk around it is dropped. Strict, verdict and lenient are one: all tests passed.
//!
//! Not repaired: a function under another name, wrong indentation, prompts of an interactive session.

use super::identity::IdentityTerms;
use super::{Answer, Flag, Graded, Verdict, outcome};
use crate::eval::suite::Item;
use crate::sandbox::CodeOutcome;

/// A program that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeRun {
    /// The program, as extracted.
    pub code: String,
    /// How it ended.
    pub outcome: CodeOutcome,
    /// The error message.
    pub detail: Option<String>,
}

/// Grades an answer by the run of its program; None when [`extract_code`] found none. A program that fails a test is Wrong, one that
/// did not run to its end is Error.
pub fn grade_code(item: &Item, answer: &Answer, identity: &IdentityTerms, run: Option<CodeRun>) -> Graded {
    let outcome = run.as_ref().map(|run| run.outcome);
    let right = outcome == Some(CodeOutcome::Passed);
    let verdict = match outcome {
        Some(CodeOutcome::Passed) => Verdict::Correct,
        _ if answer.truncated => Verdict::Truncated,
        None => Verdict::Unparsed,
        Some(CodeOutcome::Failed) => Verdict::Wrong,
        Some(_) => Verdict::Error,
    };
    let mut flags = outcome::flags(item, answer, identity, right);
    match outcome {
        None | Some(CodeOutcome::Passed | CodeOutcome::Failed) => {}
        Some(CodeOutcome::TimedOut) => flags.push(Flag::Timeout),
        Some(_) => flags.push(Flag::ExecutionError),
    }
    let (extracted, detail) = match run {
        Some(run) => (Some(run.code), run.detail),
        None => (None, Some("no program".to_owned())),
    };
    Graded { verdict, extracted, strict: right, lenient: right, flags, detail }
}

/// The program of an answer, ready to be run, or None.
pub fn extract_code(answer: &str, entry_point: &str) -> Option<String> {
    let answer = answer.replace("\r\n", "\n");
    let fences = fenced(&answer);
    let plain = unfenced(&answer, entry_point);
    let defining = fences.iter().map(|fence| dedent(&fence.code)).find(|code| defines(code, entry_point));
    let plain_defining = || plain.clone().filter(|code| defines(code, entry_point));
    let first = || fences.iter().filter(|fence| fence.is_python).map(|fence| dedent(&fence.code)).find(|code| !code.trim().is_empty());
    let code = defining.or_else(plain_defining).or_else(first).or_else(|| plain.clone())?;
    let code = code.trim_end();
    (!code.trim().is_empty()).then(|| format!("{code}\n"))
}

struct Fence {
    code: String,
    is_python: bool,
}

pub(super) const FENCE: &str = "```";

/// The blocks between fences; a last one may lack its end.
fn fenced(answer: &str) -> Vec<Fence> {
    let mut fences = Vec::new();
    let mut rest = answer;
    while let Some(at) = rest.find(FENCE) {
        let inside = rest[at..].trim_start_matches('`');
        let (block, after) = inside.split_once(FENCE).unwrap_or((inside, ""));
        // "```python" names the language in the rest of its line, or in its first word when all is on one line.
        let (info, code) = match block.split_once('\n') {
            Some((info, code)) if info.split_whitespace().count() <= 1 => (info.trim(), code),
            _ if block.trim_start().starts_with("python ") => ("python", block.trim_start().trim_start_matches("python").trim_start()),
            _ => ("", block),
        };
        let is_python = info.is_empty() || info.to_lowercase().starts_with("py");
        fences.push(Fence { code: code.to_owned(), is_python });
        rest = after.trim_start_matches('`');
    }
    fences
}

/// The text with its fenced blocks taken out.
pub(super) fn fenced_out(text: &str) -> String {
    text.split(FENCE).enumerate().filter(|(i, _)| i % 2 == 0).map(|(_, talk)| talk).collect()
}

/// The Python among the lines of a text without fences: its parts up to and including the one that defines the function.
fn unfenced(answer: &str, entry_point: &str) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut lines = answer.lines().map(strip_ticks).peekable();
    while let Some(line) = lines.next() {
        if !starts_code(line.trim_start(), entry_point) {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let mut part = vec![line];
        let mut in_string = toggles_string(line);
        while let Some(line) = lines.next_if(|line| in_string || continues_code(line, indent, entry_point)) {
            in_string ^= toggles_string(line);
            part.push(line);
        }
        parts.push(dedent(&part.join("\n")).trim_end().to_owned());
        if defines(&parts[parts.len() - 1], entry_point) {
            break;
        }
    }
    (!parts.is_empty()).then(|| parts.join("\n\n"))
}

/// `code` in ticks on its own line.
fn strip_ticks(line: &str) -> &str {
    let inside = line.trim().strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
    inside.filter(|inside| !inside.contains('`')).unwrap_or(line)
}

fn starts_code(line: &str, entry_point: &str) -> bool {
    let first_word = |keyword: &str| line.strip_prefix(keyword).and_then(|rest| rest.strip_prefix(' ')).map(str::trim_start);
    let names = |text: &str| text.chars().all(|c| c.is_alphanumeric() || "_., *()".contains(c));
    if let Some(rest) = first_word("def").or_else(|| first_word("async def")) {
        return rest.contains('(') && rest.chars().take_while(|c| *c != '(').all(|c| c.is_alphanumeric() || c == '_');
    }
    if let Some(rest) = first_word("import") {
        // "import the module" is talk.
        return names(rest)
            && rest.split(',').all(|name| matches!(name.split_whitespace().collect::<Vec<_>>().as_slice(), [_] | [_, "as", _]));
    }
    if let Some(rest) = first_word("from") {
        return rest.split_once(" import ").is_some_and(|(module, rest)| !module.trim().contains(' ') && names(rest));
    }
    let decorator =
        line.strip_prefix('@').is_some_and(|rest| rest.starts_with(|c: char| c.is_alphabetic()) && !rest.trim_end().contains(' '));
    let class = first_word("class").is_some_and(|rest| rest.trim_end().ends_with(':'));
    decorator || class || assigns(line, entry_point)
}

fn continues_code(line: &str, indent: usize, entry_point: &str) -> bool {
    let own = line.len() - line.trim_start().len();
    if line.trim().is_empty() || own > indent {
        return true;
    }
    let text = line.trim_start();
    own == indent && (starts_code(text, entry_point) || text.starts_with(['#', ')', ']', '}']) || is_assignment(text))
}

/// `NAME = value`, not a sentence and not a comparison.
fn is_assignment(line: &str) -> bool {
    let Some((name, value)) = line.split_once('=') else { return false };
    let name = name.split(':').next().unwrap_or_default().trim();
    !name.is_empty() && !value.starts_with('=') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn assigns(line: &str, name: &str) -> bool {
    line.strip_prefix(name).map(str::trim_start).and_then(|rest| rest.strip_prefix('=')).is_some_and(|rest| !rest.starts_with('='))
}

fn toggles_string(line: &str) -> bool {
    (line.matches("\"\"\"").count() + line.matches("'''").count()) % 2 == 1
}

fn defines(code: &str, entry_point: &str) -> bool {
    code.lines().any(|line| {
        let rest = line.strip_prefix("def ").or_else(|| line.strip_prefix("async def ")).or_else(|| line.strip_prefix("class "));
        let named = rest.map(str::trim_start).and_then(|rest| rest.strip_prefix(entry_point));
        named.is_some_and(|rest| rest.trim_start().starts_with(['(', ':'])) || assigns(line, entry_point)
    })
}

/// Without the indentation that all lines share.
fn dedent(code: &str) -> String {
    let indent = |line: &&str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let shared = code.lines().filter(|line| !line.trim().is_empty()).map(|line| indent(&line)).min().unwrap_or(0);
    let lines: Vec<&str> = code.lines().map(|line| line.get(shared..).unwrap_or_default()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::suite::parse_suite;

    /// (answer, expected program for `f`)
    const CASES: &[(&str, Option<&str>)] = &[
        ("```python\ndef f(x):\n    return x\n```", Some("def f(x):\n    return x\n")),
        ("```\ndef f(x):\n    return x\n```", Some("def f(x):\n    return x\n")),
        ("```py\ndef f(x): return x\n```", Some("def f(x): return x\n")),
        ("Sure! Here it is:\n```python\ndef f(x):\n    return x\n```\nIt returns x.", Some("def f(x):\n    return x\n")),
        ("```python\ndef f(x):\n    return x", Some("def f(x):\n    return x\n")),
        ("```python\nprint(1)\n```\nthen\n```python\ndef f(x):\n    return x\n```", Some("def f(x):\n    return x\n")),
        ("```python\ndef f(x):\n    return x\n```\n```python\nprint(f(1))\n```", Some("def f(x):\n    return x\n")),
        ("```python\ndef f(x):\n    return x\n```\nor\n```python\ndef f(x):\n    return 2\n```", Some("def f(x):\n    return x\n")),
        ("```bash\npip install x\n```\n```python\ndef g(x):\n    return x\n```", Some("def g(x):\n    return x\n")),
        ("- one:\n  ```python\n  def f(x):\n      return x\n  ```", Some("def f(x):\n    return x\n")),
        ("```python def f(x): return x```", Some("def f(x): return x\n")),
        ("```def f(x): return x```", Some("def f(x): return x\n")),
        ("def f(x):\n    return x", Some("def f(x):\n    return x\n")),
        ("Here is the code:\n\ndef f(x):\n    return x\n\nThis returns x.", Some("def f(x):\n    return x\n")),
        ("import math\n\ndef f(x):\n    return math.pi\nExample: f(1)", Some("import math\n\ndef f(x):\n    return math.pi\n")),
        ("from math import pi\ndef f(x):\n    return pi\nprint(f(1))", Some("from math import pi\ndef f(x):\n    return pi\n")),
        ("From the text, import the module.\ndef f(x):\n    return x", Some("def f(x):\n    return x\n")),
        ("from the list we take one\ndef f(x):\n    return x", Some("def f(x):\n    return x\n")),
        (
            "def g(x):\n    return x\n\nNow f:\n\ndef f(x):\n    return g(x)\n\ndef h(): pass",
            Some("def g(x):\n    return x\n\ndef f(x):\n    return g(x)\n\ndef h(): pass\n"),
        ),
        ("@cache\ndef f(x):\n    return x", Some("@cache\ndef f(x):\n    return x\n")),
        ("@all of you:\ndef f(x):\n    return x", Some("def f(x):\n    return x\n")),
        (
            "def f(x):\n    \"\"\"Text\nat the edge\n    \"\"\"\n    return x\nbye",
            Some("def f(x):\n    \"\"\"Text\nat the edge\n    \"\"\"\n    return x\n"),
        ),
        ("def f(\n    x,\n):\n    return x\n\nLIMIT = 3\n# note\nDone.", Some("def f(\n    x,\n):\n    return x\n\nLIMIT = 3\n# note\n")),
        ("f = lambda x: x", Some("f = lambda x: x\n")),
        ("`def f(x): return x`", Some("def f(x): return x\n")),
        ("    def f(x):\n        return x\n    bye", Some("def f(x):\n    return x\n")),
        ("Use it like this:\n```python\nprint(f(1))\n```\ndef f(x):\n    return x", Some("def f(x):\n    return x\n")),
        ("def ff(x):\n    return x", Some("def ff(x):\n    return x\n")),
        ("```python\nprint(1)\n```", Some("print(1)\n")),
        ("def f(x):\r\n    return x\r\n", Some("def f(x):\n    return x\n")),
        ("编写如下：\n```python\ndef f(x):\n    return x  # 返回\n```\n希望有帮助。", Some("def f(x):\n    return x  # 返回\n")),
        ("def f（x）:", None),
        ("I would define a function that returns x.", None),
        ("```python\n```", None),
        ("```", None),
        ("", None),
    ];

    #[test]
    fn cases() {
        for (answer, expected) in CASES {
            assert_eq!(extract_code(answer, "f").as_deref(), *expected, "{answer}");
        }
    }

    #[test]
    fn runs_are_graded() {
        let settings = "name = \"t\"\nversion = 1\ngrader = \"code\"\nmax_new_tokens = 8\nchance = 0.0\ndescription = \"d\"\n";
        let line = r#"{"id":"a","cluster":"c","lang":"zh","subject":"s","prompt":"写 f","entry_point":"f","reference":"def f(): 1","tests":["f()"]}"#;
        let item = &parse_suite(settings, line, "t").expect("the suite is good").items[0];
        let cases = [
            (Some(CodeOutcome::Passed), false, Verdict::Correct, vec![]),
            (Some(CodeOutcome::Passed), true, Verdict::Correct, vec![]),
            (Some(CodeOutcome::Failed), false, Verdict::Wrong, vec![]),
            (Some(CodeOutcome::Failed), true, Verdict::Truncated, vec![]),
            (Some(CodeOutcome::Raised), false, Verdict::Error, vec![Flag::ExecutionError]),
            (Some(CodeOutcome::SyntaxError), false, Verdict::Error, vec![Flag::ExecutionError]),
            (Some(CodeOutcome::SyntaxError), true, Verdict::Truncated, vec![Flag::ExecutionError]),
            (Some(CodeOutcome::TimedOut), false, Verdict::Error, vec![Flag::Timeout]),
            (Some(CodeOutcome::OutOfMemory), false, Verdict::Error, vec![Flag::ExecutionError]),
            (Some(CodeOutcome::OutputLimit), false, Verdict::Error, vec![Flag::ExecutionError]),
            (Some(CodeOutcome::Killed), false, Verdict::Error, vec![Flag::ExecutionError]),
            (None, false, Verdict::Unparsed, vec![]),
            (None, true, Verdict::Truncated, vec![]),
        ];
        for (outcome, truncated, verdict, flags) in cases {
            let answer = Answer { text: "def f(): return 1", truncated };
            let run = outcome.map(|outcome| CodeRun { code: "def f(): return 1\n".to_owned(), outcome, detail: None });
            let graded = grade_code(item, &answer, &IdentityTerms::default(), run);
            assert_eq!((graded.verdict, &graded.flags), (verdict, &flags), "{outcome:?} {truncated}");
            assert_eq!((graded.strict, graded.lenient), (verdict == Verdict::Correct, verdict == Verdict::Correct));
        }
        let empty = grade_code(item, &Answer { text: "", truncated: false }, &IdentityTerms::default(), None);
        assert_eq!((empty.verdict, empty.flags), (Verdict::Unparsed, vec![Flag::Empty]));
        let leak = grade_code(
            item,
            &Answer { text: "我是小舟", truncated: false },
            &IdentityTerms { name_zh: "小舟".into(), ..IdentityTerms::default() },
            None,
        );
        assert_eq!(leak.flags, vec![Flag::IdentityLeak]);
    }
}
