//! The best that answers score which never look at their question: what a model without the skill could get by always saying
//! the same.
//!
//! Such a model still sees the language of a question and the form of the answer it asks for, so the best constant is sought for
//! every language and grader apart; one answer to all questions is never better. An answer may also give the question back.
//!
//! An item of parts is right only if every part is. Programs are not run: a program that defines the function asked for counts
//! as right, which is the most that it could be.

mod candidates;
mod keys;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::score::{Answer, CodeRun, Glance, IdentityTerms, Verdict, extract_code, grade, grade_composite};
use super::suite::{Constant, Item, Language, Task};
use crate::sandbox::CodeOutcome;

pub use candidates::{candidates, filled, renamed, unfilled};
pub use keys::floor_of_keys;

/// Stands for the question in an answer that gives it back.
const PROMPT: &str = "{{PROMPT}}";

/// The best of some answers for every language and grader, the first of equals. Kinds of questions on which none is ever right
/// have no entry.
pub fn best_constants(items: &[Item], answers: &[String], identity: &IdentityTerms) -> Vec<Constant> {
    let mut kinds: BTreeMap<(Language, &str), Vec<&Item>> = BTreeMap::new();
    for item in items {
        kinds.entry((item.language, item.task.grader())).or_default().push(item);
    }
    let best = |((language, grader), items): ((Language, &str), Vec<&Item>)| {
        let (right, answer) = best(&Questions::of(&items), answers, identity)?;
        Some(Constant { language, grader: grader.to_owned(), right, of: items.len(), answer: answer.clone() })
    };
    kinds.into_iter().filter_map(best).collect()
}

/// The share of the items that answers are right on.
pub fn share(constants: &[Constant], items: &[Item]) -> f64 {
    constants.iter().map(|constant| constant.right).sum::<usize>() as f64 / items.len().max(1) as f64
}

/// How many of some items one answer is right on.
pub fn right(items: &[Item], answer: &str, identity: &IdentityTerms) -> usize {
    let items: Vec<&Item> = items.iter().collect();
    Questions::of(&items).right(answer, identity, 0).unwrap_or_default()
}

fn best<'a>(questions: &Questions, answers: &'a [String], identity: &IdentityTerms) -> Option<(usize, &'a String)> {
    let (most, perfect) = (AtomicUsize::new(1), AtomicUsize::new(usize::MAX));
    let count = |(place, answer): (usize, &String)| {
        // Nothing is better than an earlier answer that is right everywhere.
        if place > perfect.load(Ordering::Relaxed) {
            return None;
        }
        let right = questions.right(answer, identity, most.load(Ordering::Relaxed))?;
        most.fetch_max(right, Ordering::Relaxed);
        if right == questions.items.len() {
            perfect.fetch_min(place, Ordering::Relaxed);
        }
        Some(right)
    };
    let counts: Vec<Option<usize>> = answers.par_iter().enumerate().map(count).collect();
    let mut best: Option<(usize, &String)> = None;
    for (count, answer) in counts.into_iter().zip(answers) {
        if let Some(right) = count.filter(|right| *right > best.map_or(0, |(most, _)| most)) {
            best = Some((right, answer));
        }
    }
    best
}

/// Items as lists of places in their different questions: minimal pairs repeat a few keys, and one answer has one verdict by each.
struct Questions<'a> {
    leaves: Vec<&'a Item>,
    items: Vec<Vec<usize>>,
}

impl<'a> Questions<'a> {
    fn of(items: &[&'a Item]) -> Self {
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        let mut leaves: Vec<&'a Item> = Vec::new();
        let mut place = |leaf: &'a Item| {
            // A verdict on identity and on a number rests on the key; other graders read the question too.
            let key = match &leaf.task {
                Task::Identity { .. } | Task::Number { .. } => format!("{:?} {:?}", leaf.language, leaf.task),
                _ => format!("{}", leaves.len()),
            };
            *places.entry(key).or_insert_with(|| {
                leaves.push(leaf);
                leaves.len() - 1
            })
        };
        let items = items.iter().map(|item| item.graded_leaves().into_iter().map(&mut place).collect()).collect();
        Self { leaves, items }
    }

    /// Items on which an answer is right; None once they can no longer be `least` many.
    fn right(&self, answer: &str, identity: &IdentityTerms, least: usize) -> Option<usize> {
        let glance = (!answer.contains(PROMPT)).then(|| Glance::of(answer));
        let could = |place: &usize| glance.as_ref().is_none_or(|glance| glance.could_be_right(self.leaves[*place]));
        let mut verdicts: Vec<Option<bool>> = vec![None; self.leaves.len()];
        let mut right = 0;
        for (asked, item) in self.items.iter().enumerate() {
            if right + self.items.len() - asked < least {
                return None;
            }
            let is_right = |place: &usize| *verdicts[*place].get_or_insert_with(|| is_right(self.leaves[*place], answer, identity));
            right += usize::from(item.iter().all(could) && item.iter().all(is_right));
        }
        Some(right)
    }
}

fn is_right(leaf: &Item, answer: &str, identity: &IdentityTerms) -> bool {
    let back = || identity.asked(&answer.replace(PROMPT, &leaf.user_prompt()), leaf.language);
    let given_back = answer.contains(PROMPT).then(back);
    let text = given_back.as_deref().unwrap_or(answer);
    let spoken = Answer { text, truncated: false };
    let graded = match leaf.program() {
        None => grade(leaf, &spoken, identity),
        Some(program) => {
            let defined = [format!("def {}(", program.entry_point), format!("{} =", program.entry_point)];
            let code = extract_code(text, program.entry_point).filter(|code| defined.iter().any(|form| code.contains(form)));
            let Some(code) = code else { return false };
            grade_composite(leaf, &spoken, identity, Some(CodeRun { code, outcome: CodeOutcome::Passed, detail: None }))
        }
    };
    graded.verdict == Verdict::Correct
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::suite::parse_suite;

    fn identity() -> IdentityTerms {
        let [zh, en] = ["知更鸟", "Robin"].map(str::to_owned);
        let [author_zh, author_en] = ["灯塔", "Lighthouse Works"].map(str::to_owned);
        IdentityTerms { name_zh: zh, name_en: en, author_zh, author_en, taught: Vec::new() }
    }

    fn items(grader: &str, lines: &[&str]) -> Vec<Item> {
        let chance = if grader == "choice" { 0.5 } else { 0.0 };
        let settings =
            format!("name = \"t\"\nversion = 1\ngrader = \"{grader}\"\nmax_new_tokens = 8\nchance = {chance}\ndescription = \"d\"\n");
        let line = |(n, rest): (usize, &&str)| {
            let prompt = if rest.contains("\"parts\"") { String::new() } else { format!(r#""prompt":"p{n}","#) };
            format!(r#"{{"id":"i{n}","cluster":"c","lang":"en","subject":"s",{prompt}{rest}}}"#)
        };
        parse_suite(&settings, &lines.iter().enumerate().map(line).collect::<Vec<_>>().join("\n"), "t").unwrap().items
    }

    fn best(items: &[Item]) -> Vec<(usize, String)> {
        let tried = candidates(items, &identity());
        best_constants(items, &tried, &identity()).into_iter().map(|found| (found.right, found.answer)).collect()
    }

    #[test]
    fn one_letter_and_one_shared_answer() {
        let letters =
            items("choice", &[r#""choices":["x","y"],"gold":1"#, r#""choices":["v","w"],"gold":1"#, r#""choices":["v","w"],"gold":0"#]);
        assert_eq!(best(&letters), [(2, "B".to_owned())]);
        assert!((floor_of_keys(&letters) - 2.0 / 3.0).abs() < 1e-12);
        let texts =
            items("text", &[r#""answers":["cork"]"#, r#""answers":["cork","wood"]"#, r#""answers":["lead"]"#, r#""answers":["iron"]"#]);
        // Two answers in one list are right wherever either is, unless the question names alternatives.
        assert_eq!(best(&texts), [(3, "cork, iron".to_owned())]);
        assert!((floor_of_keys(&texts) - 0.5).abs() < 1e-12);
        assert_eq!(right(&texts, "lead", &identity()), 1);
    }

    #[test]
    fn every_kind_of_question_has_its_own_constant() {
        let two = items(
            "text",
            &[
                r#""answers":["cork"]"#,
                r#""answers":["cork"]"#,
                r#""grader":"number","answers":["7"]"#,
                r#""grader":"number","answers":["7"]"#,
                r#""grader":"number","answers":["8"]"#,
            ],
        );
        let found = best_constants(&two, &candidates(&two, &identity()), &identity());
        assert_eq!(
            found.iter().map(|one| (one.grader.as_str(), one.right, one.of)).collect::<Vec<_>>(),
            [("number", 2, 3), ("text", 2, 2)]
        );
        assert!((share(&found, &two) - 0.8).abs() < 1e-12);
    }

    #[test]
    fn a_pair_fails_who_answers_both_alike() {
        let pair = r#""asked":"apart","parts":[{"prompt":"Is your name Robin?","kind":"affirm"},{"prompt":"Is it Qwen?","kind":"deny","rival":"Qwen"}]"#;
        let items = items("identity", &[pair]);
        assert_eq!(best_constants(&items, &["Yes.", "No."].map(str::to_owned), &identity()), []);
    }

    #[test]
    fn the_question_given_back_is_a_constant_too() {
        let echoed = items("text", &[r#""answers":["p0"]"#, r#""answers":["p1"]"#]);
        assert_eq!(best_constants(&echoed, &["{{PROMPT}}".to_owned()], &identity())[0].right, 2);
    }

    #[test]
    fn a_program_is_right_at_most_where_it_defines_the_function() {
        let one = r#""entry_point":"f","reference":"def f(): return 1","tests":["assert f() == 1"]"#;
        let other = r#""entry_point":"g","reference":"def g(): return 1","tests":["assert g() == 1"]"#;
        let code = items("code", &[one, other]);
        assert_eq!(best_constants(&code, &["```python\ndef f(): return 2\n```".to_owned()], &identity())[0].right, 1);
        assert_eq!(best_constants(&code, &["I call f() and g().".to_owned()], &identity()), []);
        assert_eq!(best_constants(&[], &["x".to_owned()], &identity()), []);
        assert_eq!(best_constants(&code, &[], &identity()), []);
    }
}
