//! The grade of an answer to any item, programs run: the one way from a text to what it is worth, whoever gave it.

use anyhow::Result;

use super::budget::Budgets;
use super::program::check_program;
use super::score::{Answer, CodeRun, Graded, IdentityTerms, extract_code, grade, grade_composite};
use super::suite::Item;
use crate::sandbox::Sandbox;

/// What grading needs beside the answer.
#[derive(Clone, Copy)]
pub struct Grader<'a> {
    /// Names that count as the new identity.
    pub identity: &'a IdentityTerms,
    /// Where programs run.
    pub sandbox: &'a Sandbox,
    /// How long they may.
    pub budgets: &'a Budgets,
}

impl Grader<'_> {
    /// Grades an answer; an item that asks for a program has it run.
    pub fn grade(&self, item: &Item, answer: &Answer<'_>) -> Result<Graded> {
        let Some(program) = item.program() else { return Ok(grade(item, answer, self.identity)) };
        let run = match extract_code(answer.text, program.entry_point) {
            None => None,
            Some(code) => {
                let limits = self.budgets.limits(self.sandbox, item)?;
                let checked = check_program(self.sandbox, program, &code, &limits)?;
                let detail = Some(checked.detail).filter(|detail| !detail.is_empty());
                Some(CodeRun { code, outcome: checked.outcome, detail })
            }
        };
        // Of an item that asks for nothing but a program this is the grade of the program.
        Ok(grade_composite(item, answer, self.identity, run))
    }
}
