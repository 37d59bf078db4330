//! A program in an answer, run against the tests of its item.

use anyhow::{Result, bail};

use super::suite::Task;
use crate::sandbox::{Checked, CodeTask, Limits, Sandbox, check};

/// Runs the tests of a code task against a program. The task's setup runs before the program in the candidate's process, as
/// if the answer had repeated it, and before the tests in theirs.
pub fn check_program(sandbox: &Sandbox, task: &Task, program: &str) -> Result<Checked> {
    let Task::Code { entry_point, setup, tests, .. } = task else { bail!("only a code item has a program to run") };
    let task = CodeTask { entry_point: entry_point.clone(), setup: setup.clone(), tests: tests.clone() };
    check(sandbox, &task, &with_setup(setup, program), &Limits::default())
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
