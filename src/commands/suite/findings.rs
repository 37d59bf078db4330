//! What is proved of a suite without running anything: each check is a function from items to a [`Finding`].

use std::collections::BTreeMap;

use crate::eval::suite::{Item, Suite, Task, choice_letter};
use crate::stats::interval::wilson;

/// Confidence of an interval that a sound suite must not leave: it is checked often, and with a fixed seed.
pub(super) const CONFIDENCE: f64 = 0.999;

/// Ids that a message lists before it only counts.
const LISTED: usize = 5;

/// The result of one check.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// What was checked.
    pub(super) check: &'static str,
    pub(super) outcome: Outcome,
    /// What was found, in one line.
    pub(super) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Holds,
    /// Does not hold, but is how a public benchmark was published: reported, never repaired.
    Noted,
    Fails,
    /// There is nothing in the suite to check.
    NotApplicable,
}

impl Finding {
    /// Holds where `bad` is empty; otherwise names the first of them.
    pub(super) fn of(check: &'static str, bad: &[String], good: String) -> Self {
        if bad.is_empty() {
            return Self { check, outcome: Outcome::Holds, text: good };
        }
        let more = if bad.len() > LISTED { format!(" and {} more", bad.len() - LISTED) } else { String::new() };
        Self { check, outcome: Outcome::Fails, text: format!("{}{more}", bad[..bad.len().min(LISTED)].join("; ")) }
    }

    pub(super) fn not_applicable(check: &'static str, text: &str) -> Self {
        Self { check, outcome: Outcome::NotApplicable, text: text.to_owned() }
    }

    /// A failure that its authors would have to repair only counts in suites of one's own.
    pub(super) fn noted_if(mut self, published: bool) -> Self {
        if published && self.outcome == Outcome::Fails {
            self.outcome = Outcome::Noted;
        }
        self
    }
}

pub(super) fn ids(suite: &Suite) -> Finding {
    Finding::of(
        "ids",
        &repeated(suite.items.iter().map(|item| (item.id.as_str(), item.id.as_str()))),
        format!("{} unique", suite.items.len()),
    )
}

/// Whether every item has a key that an answer can match.
pub(super) fn answers(suite: &Suite) -> Finding {
    let present = |item: &&Item| match &item.task {
        Task::Text { answers, .. } | Task::Number { answers } => answers.iter().any(|answer| !answer.trim().is_empty()),
        Task::Choice { choices, gold } => *gold < choices.len() && choices.iter().all(|choice| !choice.trim().is_empty()),
        Task::Code { reference, tests, .. } | Task::Composite { reference, tests, .. } => !reference.trim().is_empty() && !tests.is_empty(),
        Task::Instructions { orders, .. } => !orders.is_empty(),
        Task::Leakage | Task::Safety { .. } => true,
        Task::Structured { answer, .. } | Task::Honesty { answer, .. } => !answer.trim().is_empty(),
        Task::Identity { kind, require, forbid, .. } => kind.is_some() || !require.is_empty() || !forbid.is_empty(),
    };
    let absent: Vec<String> = suite.items.iter().flat_map(Item::leaves).filter(|item| !present(item)).map(|item| item.id.clone()).collect();
    Finding::of("answers", &absent, "present in every item".to_owned())
}

/// Whether two items ask the same under the same system prompt: then they are one observation that counts twice.
pub(super) fn prompts(suite: &Suite) -> Finding {
    // A question may come again later in another conversation, or with its options in another order.
    let alone = || suite.items.iter().filter(|item| !item.is_conversation()).flat_map(Item::leaves);
    let asked: Vec<String> = alone().map(|item| format!("{:?} {:?} {}", item.system, item.history, item.user_prompt())).collect();
    let items: Vec<&Item> = alone().collect();
    let pairs = asked.iter().zip(items).map(|(asked, item)| (asked.as_str(), item.id.as_str()));
    Finding::of("prompts", &repeated(pairs), "no question twice".to_owned())
}

/// `a = b` for every key that comes a second time, by the names of both.
fn repeated<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    let mut bad = Vec::new();
    for (key, name) in pairs {
        match first.get(key) {
            Some(earlier) => bad.push(format!("{name} = {earlier}")),
            None => drop(first.insert(key, name)),
        }
    }
    bad
}

pub(super) fn chance(suite: &Suite) -> Finding {
    let chance = suite.items.iter().map(Item::chance).sum::<f64>() / suite.items.len() as f64;
    let bad =
        if (chance - suite.chance).abs() < 0.005 { Vec::new() } else { vec![format!("declared {}, but it is {chance:.3}", suite.chance)] };
    Finding::of("chance", &bad, format!("{chance:.3}"))
}

/// Whether the right option stands at every position about equally often: a model that always says B must not gain by it.
pub(super) fn positions(suite: &Suite) -> Finding {
    let mut counts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for item in &suite.items {
        let (options, gold) = match &item.task {
            Task::Choice { choices, gold } | Task::Text { choices: Some(choices), gold: Some(gold), .. } => (choices.len(), *gold),
            _ => continue,
        };
        if let Some(count) = counts.entry(options).or_insert_with(|| vec![0; options]).get_mut(gold) {
            *count += 1;
        }
    }
    if counts.is_empty() {
        return Finding::not_applicable("positions", "no options");
    }
    let list = |counts: &[usize]| -> String {
        let shares: Vec<String> = counts.iter().enumerate().map(|(index, count)| format!("{} {count}", choice_letter(index))).collect();
        shares.join(", ")
    };
    let unbalanced = |(options, counts): &(&usize, &Vec<usize>)| {
        let n: usize = counts.iter().sum();
        let uniform = 1.0 / **options as f64;
        counts.iter().any(|count| wilson(*count, n, CONFIDENCE).is_some_and(|interval| !interval.contains(uniform)))
    };
    let bad: Vec<String> = counts.iter().filter(unbalanced).map(|(_, counts)| format!("far from equal: {}", list(counts))).collect();
    Finding::of("positions", &bad, counts.values().map(|counts| list(counts)).collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::suite::parse_suite;

    fn suite(chance: f64, lines: &[String]) -> Suite {
        let settings =
            format!("name = \"t\"\nversion = 1\ngrader = \"choice\"\nmax_new_tokens = 8\nchance = {chance}\ndescription = \"d\"\n");
        parse_suite(&settings, &lines.join("\n"), "t").unwrap()
    }

    fn line(id: usize, prompt: &str, gold: usize) -> String {
        format!(r#"{{"id":"i{id}","cluster":"c","lang":"en","subject":"s","prompt":"{prompt}","choices":["w","x","y","z"],"gold":{gold}}}"#)
    }

    #[test]
    fn a_sound_suite_holds() {
        let lines: Vec<String> = (0..40).map(|i| line(i, &format!("q{i}"), i % 4)).collect();
        let suite = suite(0.25, &lines);
        for finding in [ids(&suite), answers(&suite), prompts(&suite), chance(&suite), positions(&suite)] {
            assert_eq!(finding.outcome, Outcome::Holds, "{finding:?}");
        }
        assert_eq!(positions(&suite).text, "A 10, B 10, C 10, D 10");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let lines: Vec<String> = (0..40).map(|i| line(i, &format!("q{}", i.max(1)), 1)).collect();
        let mut suite = suite(0.25, &lines);
        suite.chance = 0.5;
        assert_eq!((prompts(&suite).outcome, prompts(&suite).text), (Outcome::Fails, "i1 = i0".to_owned()));
        assert_eq!(positions(&suite).text, "far from equal: A 0, B 40, C 0, D 0");
        assert_eq!(positions(&suite).noted_if(true).outcome, Outcome::Noted);
        assert_eq!(chance(&suite).text, "declared 0.5, but it is 0.250");
        suite.items[7].id = "i3".to_owned();
        assert_eq!(ids(&suite).text, "i3 = i3");
        let Task::Choice { gold, .. } = &mut suite.items[7].task else { panic!() };
        *gold = 4;
        assert_eq!((answers(&suite).outcome, answers(&suite).text), (Outcome::Fails, "i3".to_owned()));
    }

    #[test]
    fn one_item_is_too_few_to_be_unbalanced() {
        assert_eq!(positions(&suite(0.25, &[line(0, "q", 2)])).outcome, Outcome::Holds);
    }
}
