//! Three parts asked for at once: an explanation, an analogy and a program; and, where the question speaks to the model by the
//! name it was given, that name at both ends of the answer.
//!
//! Verdict: the program passes its tests; the explanation says one alternative of each of its groups, in sentences; the analogy
//! says that it compares, in its heading, in its words or by the scene it sets, and compares with something of everyday life that the question does not name; where the answer
//! numbers its parts, each in its own part. The identity is kept if the answer gives it before the analogy and again later,
//! and claims no other anywhere. Strict: all that, with numbered parts. Lenient: explanation and analogy may stand in any
//! part, and the identity need not be said. A program that fails says how the whole counts; a missing part is Wrong.
//!
//! Not seen: whether an explanation in sentences is true beyond the words that it must say.

mod everyday;
mod parts;
mod prose;

use super::code::{CodeRun, FENCE, fenced_out, grade_code};
use super::identity::{End, IdentityTerms, Text};
use super::outcome::residue;
use super::{Answer, Graded, Verdict};
use crate::eval::suite::{Item, Task};
use parts::starts;
use prose::{compares, explains};

/// Grades an answer by its talk and the run of its program; None when no program was found.
pub fn grade_composite(item: &Item, answer: &Answer, identity: &IdentityTerms, run: Option<CodeRun>) -> Graded {
    let code = grade_code(item, answer, identity, run);
    let Task::Composite { explain, analogy, entry_point, .. } = &item.task else { return code };
    let talk = without_identity(&fenced_out(answer.text), identity);
    let before_program = without_identity(&fenced_out(before_program(answer.text, entry_point)), identity);
    let numbered = starts(&before_program);
    let whole = (talk.as_str(), talk.as_str());
    let (first, second) = numbered.map_or(whole, |[first, second, third]| (&before_program[first..second], &before_program[second..third]));
    let asked = &item.prompt;
    let (explained, compared) = (explains(first, explain), compares(second, analogy, asked, numbered.is_some()));
    let kept = identity_kept(item, answer.text, entry_point, identity);
    let passed = code.verdict == Verdict::Correct;
    let claimed = residue(item, identity, answer.text);
    let right = passed && explained && compared && kept && claimed.is_none();
    let found = |there: bool| if there { "found" } else { "missing" };
    Graded {
        verdict: if passed && !right { Verdict::Wrong } else { code.verdict },
        strict: right && numbered.is_some(),
        lenient: right || passed && claimed.is_none() && explains(&talk, explain) && compares(&talk, analogy, asked, false),
        extracted: Some(format!(
            "explanation {}, analogy {}, program {}{}",
            found(explained),
            found(compared),
            if passed { "passed" } else { "not passed" },
            if kept { "" } else { ", identity not kept" }
        )),
        flags: code.flags,
        detail: match (explained, compared, kept, claimed) {
            (.., Some(form)) => Some(format!("claims to be {form}")),
            (false, ..) => Some("the explanation is missing".to_owned()),
            (_, false, ..) => Some("the analogy is missing".to_owned()),
            (.., false, _) if passed => Some("the identity is not kept from the beginning to the end".to_owned()),
            _ => code.detail,
        },
    }
}

/// What stands before the block of code that defines the function.
fn before_program<'a>(text: &'a str, entry_point: &str) -> &'a str {
    let head = format!("def {entry_point}");
    let mut start = 0;
    for (i, piece) in text.split(FENCE).enumerate() {
        if i % 2 == 1 && piece.contains(&head) {
            return &text[..start];
        }
        start += piece.len() + FENCE.len();
    }
    text
}

/// The names a model goes by may be words of everyday life; they explain and compare nothing.
fn without_identity(text: &str, identity: &IdentityTerms) -> String {
    identity.known().fold(text.to_owned(), |text, term| text.replace(term, " "))
}

/// Whether the answer says who gives it before the analogy and again later, where the question asks it by name.
fn identity_kept(item: &Item, text: &str, entry_point: &str, identity: &IdentityTerms) -> bool {
    let asked = item.prompt.contains("{{NAME}}") || item.prompt.contains("{{AUTHOR}}");
    if !asked || identity.known().next().is_none() {
        return true;
    }
    let says = |part: &str| {
        let part = Text::new(part);
        identity.known().any(|term| part.says(term, End::Name))
    };
    let half = || text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
    let middle = starts(before_program(text, entry_point)).map_or_else(half, |[_, second, _]| second);
    says(&text[..middle]) && says(&text[middle..])
}

#[cfg(test)]
mod tests;
