//! A program in an answer, run against the tests of its item.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use anyhow::Result;

use super::suite::Program;
use crate::random::derive;
use crate::sandbox::{Cases, Checked, CodeTask, Limits, Sandbox, check};

/// Runs the tests of an item's program against a source. The setup runs before the source in the candidate's process, as if
/// the answer had repeated it, and before the tests in theirs.
pub fn check_program(sandbox: &Sandbox, program: Program<'_>, source: &str, limits: &Limits) -> Result<Checked> {
    let Program { entry_point, tests, setup, .. } = program;
    let cases = cases(sandbox, program)?.as_deref().cloned();
    let task = CodeTask { entry_point: entry_point.to_owned(), setup: setup.to_owned(), tests: tests.to_vec(), cases };
    check(sandbox, &task, &with_setup(setup, source), limits)
}

/// Cases by all that they follow from: the reference is asked once per program and process.
static CASES: LazyLock<Mutex<HashMap<String, Arc<Cases>>>> = LazyLock::new(Mutex::default);

fn cases(sandbox: &Sandbox, program: Program<'_>) -> Result<Option<Arc<Cases>>> {
    let Some(inputs) = program.inputs else { return Ok(None) };
    let Program { entry_point, reference, setup, .. } = program;
    let key = serde_json::to_string(&(entry_point, reference, setup, inputs))?;
    let known = || CASES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(cases) = known().get(&key).map(Arc::clone) {
        return Ok(Some(cases));
    }
    let cases = Arc::new(Cases::draw(sandbox, entry_point, setup, reference, inputs, derive(0, &["inputs", entry_point]))?);
    known().insert(key, Arc::clone(&cases));
    Ok(Some(cases))
}

/// The program after the setup. What Python wants first in a file stays first.
fn with_setup(setup: &str, program: &str) -> String {
    if setup.trim().is_empty() {
        return program.to_owned();
    }
    let is_future = |line: &&str| line.starts_with("from __future__ import ") && !line.contains('(');
    let future: String = program.lines().filter(is_future).flat_map(|line| [line, "\n"]).collect();
    let rest: String = program.lines().filter(|line| !is_future(line)).flat_map(|line| [line, "\n"]).collect();
    format!("{future}{}\n\n{rest}", setup.trim_end())
}

#[cfg(test)]
mod tests {
    use super::with_setup;

    #[test]
    fn the_setup_comes_before_the_program_but_after_future_imports() {
        assert_eq!(with_setup("", "def f(): pass\n"), "def f(): pass\n");
        assert_eq!(with_setup("import math\n", "def f(): pass\n"), "import math\n\ndef f(): pass\n");
        let program = "from __future__ import annotations\ndef f(): pass\n";
        assert_eq!(with_setup("import math", program), "from __future__ import annotations\nimport math\n\ndef f(): pass\n");
    }
}
