//! Grading of a code task: two sandboxed processes, so that the candidate's code never meets the verdict.
//!
//! One process holds the candidate and answers calls of its functions. The other runs the tests, with the entry point
//! bound to such a call, and never sees the candidate's code. Only plain data with its exact type crosses, rebuilt on
//! the tests' side, so neither a redefined `assert`, an object that claims to equal everything, an early exit nor
//! forged frames can do more than return a value. The scripts and their protocol are in `wire.py`.
//!
//! After tests that all held, the function is called once for each of the task's [`Cases`]: it must return what the reference
//! returned, down to the types, and change its arguments where the reference did and nowhere else.
//!
//! What crosses: `None`, bool, int, float, complex, str, bytes, bytearray, list, tuple, range, dict and its views, set,
//! frozenset, those plain types themselves, Counter, OrderedDict, defaultdict, deque, date, time, datetime, timedelta,
//! Decimal and Fraction. Functions and iterators cross as a proxy that calls back. Exceptions cross as their nearest
//! built-in type. Arguments changed in place are changed for the test too.
//!
//! Not covered: entry points that return objects of own classes (named tuples and data classes included) fail, also
//! where the tests would accept them; identity is kept only for an argument that is returned itself; two arguments
//! that are one object arrive as two. A function that a test passes is called with whatever the candidate chooses, so
//! tests pass none that gives access to the interpreter (built-in ones are safe: the candidate gets its own).

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::cases::Cases;
use super::parent::{Finished, Job};
use super::policy::{Ending, Limits, Sandbox};

/// A programming task: what the candidate must define, and the tests of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeTask {
    /// The function that the tests call.
    pub entry_point: String,
    /// Python run once before the tests, on their side: imports and helper functions. May be empty.
    pub setup: String,
    /// Python statements such as `assert add(1, 2) == 3`; each counts as one and passes when nothing is raised.
    pub tests: Vec<String>,
    /// Inputs with the reference's answers. All of them count as one more test.
    pub cases: Option<Cases>,
}

/// The result of one candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// What became of it; of several failing tests, the first one's.
    pub outcome: CodeOutcome,
    /// How many tests passed.
    pub passed: usize,
    /// How many there are.
    pub total: usize,
    /// The first failing test, exception or limit in one line; empty when all passed.
    pub detail: String,
    /// Processor time of the candidate's process, the interpreter's own start included.
    pub cpu: Duration,
}

/// What became of a candidate. Everything but `Passed` counts as wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CodeOutcome {
    /// Every test passed.
    Passed,
    /// A test failed, or an answer was not plain data.
    Failed,
    /// The code raised an exception, when loaded or when called.
    Raised,
    /// The code is not Python.
    SyntaxError,
    /// Processor time or time on the clock ran out.
    TimedOut,
    /// Memory ran out.
    OutOfMemory,
    /// Too much was printed, written or answered.
    OutputLimit,
    /// The process ended before it answered: it left by itself or crashed.
    Killed,
}

/// Room on the checker's report channel for one test.
const REPORT_BYTES: usize = 2 << 10;

/// Runs a candidate's source against the tests. An error means that nothing was measured: the sandbox does not work
/// here, or the task itself is broken.
pub fn check(sandbox: &Sandbox, task: &CodeTask, source: &str, limits: &Limits) -> Result<Checked> {
    ensure!(!task.tests.is_empty(), "the code task for {} has no tests", task.entry_point);
    let [candidate_script, checker_script] = scripts(sandbox)?;
    let cases = task.cases.as_ref().map(|cases| (&cases.rows, &cases.answers, cases.loose));
    let task_text = serde_json::to_string(&(&task.entry_point, &task.setup, &task.tests, cases))?;
    let report_bytes = REPORT_BYTES * (task.tests.len() + 8);
    let [candidate, checker] = sandbox.run_pair([
        Job {
            script: START,
            files: vec![(START, STARTER), (CODE, candidate_script), ("solution.py", source.as_bytes())],
            limits: limits.clone(),
        },
        Job {
            script: START,
            files: vec![(START, STARTER), (CODE, checker_script), ("task.json", task_text.as_bytes())],
            limits: Limits { file_bytes: 0, output_bytes: report_bytes, ..limits.clone() },
        },
    ])?;

    let report = Report::read(&checker.stderr);
    if let Some((_, text)) = report.first(|kind| kind == "broken") {
        bail!("the tests of {} are broken: {text}", task.entry_point);
    }
    let limited = [&candidate, &checker].iter().any(|end| !matches!(end.ending, Ending::Exited(_) | Ending::Signalled(_)));
    // Nothing hostile has run before this step, so a process that missed it failed for the machine's reasons.
    ensure!(
        limited || report.has("candidate started"),
        "the processes of the code task did not start: {} {}",
        String::from_utf8_lossy(&checker.stderr),
        String::from_utf8_lossy(&candidate.stderr),
    );

    let (passed, total) = (report.passed(), task.tests.len() + usize::from(task.cases.is_some()));
    let (outcome, detail) = if report.has("done") && passed == total {
        (CodeOutcome::Passed, String::new())
    } else {
        report.failure(&candidate, &checker, limits)
    };
    Ok(Checked { outcome, passed, total, detail: one_line(&detail), cpu: candidate.cpu })
}

const START: &str = "start.py";
const CODE: &str = "harness.bin";
const STARTER: &[u8] = b"import marshal\nwith open('harness.bin', 'rb') as file:\n    code = file.read()\nexec(marshal.loads(code))\n";

/// Both scripts as bytecode, made once per process.
fn scripts(sandbox: &Sandbox) -> Result<[&'static [u8]; 2]> {
    static CANDIDATE: OnceLock<Vec<u8>> = OnceLock::new();
    static CHECKER: OnceLock<Vec<u8>> = OnceLock::new();
    let made = |cell: &'static OnceLock<Vec<u8>>, text| match cell.get() {
        Some(code) => Ok(code.as_slice()),
        None => sandbox.compile(text).map(|code| cell.get_or_init(|| code).as_slice()),
    };
    Ok([
        made(&CANDIDATE, concat!(include_str!("wire.py"), "\n\n", include_str!("candidate.py")))?,
        made(&CHECKER, concat!(include_str!("wire.py"), "\n\n", include_str!("checker.py")))?,
    ])
}

/// What the checker wrote: one kind and text a step, until it ended or was killed.
struct Report(Vec<(String, String)>);

/// Steps that say how far it came; every other kind but `passed` is a failure.
const STEPS: [&str; 4] = ["started", "candidate started", "candidate ready", "done"];

impl Report {
    fn read(bytes: &[u8]) -> Self {
        let lines = bytes.split(|byte| *byte == b'\n');
        // A line cut short by a kill ends it.
        Self(lines.map_while(|line| serde_json::from_slice(line).ok()).collect())
    }

    fn has(&self, step: &str) -> bool {
        self.0.iter().any(|(kind, _)| kind == step)
    }

    fn passed(&self) -> usize {
        self.0.iter().filter(|(kind, _)| kind == "passed").count()
    }

    fn first(&self, wanted: impl Fn(&str) -> bool) -> Option<&(String, String)> {
        self.0.iter().find(|(kind, _)| wanted(kind))
    }

    /// Why it did not pass: the first step that failed, or the limit that ended a process before it could say so.
    fn failure(&self, candidate: &Finished, checker: &Finished, limits: &Limits) -> (CodeOutcome, String) {
        let failed = self.first(|kind| kind != "passed" && !STEPS.contains(&kind));
        let outcome = match failed.map(|(kind, _)| kind.as_str()) {
            Some("failed" | "refused" | "forged") => CodeOutcome::Failed,
            Some("raised") => CodeOutcome::Raised,
            Some("syntax") => CodeOutcome::SyntaxError,
            Some("memory") => CodeOutcome::OutOfMemory,
            Some("output") => CodeOutcome::OutputLimit,
            Some(_) => return death(candidate, limits),
            None if matches!(checker.ending, Ending::Exited(_)) => return death(candidate, limits),
            None => return death(checker, limits),
        };
        (outcome, failed.map(|(_, text)| text.clone()).unwrap_or_default())
    }
}

fn death(process: &Finished, limits: &Limits) -> (CodeOutcome, String) {
    match process.ending {
        Ending::CpuLimit => (CodeOutcome::TimedOut, format!("used {:?} of processor time", limits.cpu)),
        Ending::WallLimit => (CodeOutcome::TimedOut, format!("did not end within {:?}", limits.wall)),
        Ending::OutputLimit => (CodeOutcome::OutputLimit, "printed or wrote too much".to_owned()),
        // The candidate can print this word itself; it only chooses the name of its own failure.
        _ if String::from_utf8_lossy(&process.stderr).contains("MemoryError") => (CodeOutcome::OutOfMemory, "ran out of memory".to_owned()),
        Ending::Exited(code) => (CodeOutcome::Killed, format!("left with exit code {code} before it answered")),
        Ending::Signalled(signal) => (CodeOutcome::Killed, format!("was ended by signal {signal} before it answered")),
    }
}

/// One printable line: the text came from a hostile program and goes to terminals and tables. Addresses are cut, so
/// that a repeated run gives the same row.
fn one_line(text: &str) -> String {
    let mut parts = text.split(" at 0x");
    let mut line = parts.next().unwrap_or_default().to_owned();
    line.extend(parts.map(|part| part.trim_start_matches(|digit: char| digit.is_ascii_hexdigit())));
    line.chars().map(|character| if character.is_control() { ' ' } else { character }).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn details_repeat_and_print() {
        assert_eq!(one_line("got <A object at 0x7f12ab>, <B at 0x0>\n\u{1b}[1m"), "got <A object>, <B>  [1m");
        assert_eq!(one_line(&"é".repeat(400)).chars().count(), 300);
    }
}
