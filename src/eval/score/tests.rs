//! The graders against the suites that ship, and the rules that hold for all of them.

use std::fs;
use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::identity::tests::terms;
use super::*;
use crate::eval::suite::{Item, Language, Suite, Task, choice_letter, load_suite};
use crate::sandbox::CodeOutcome;

fn suites() -> Vec<Suite> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("evalsets");
    let mut folders: Vec<_> = fs::read_dir(folder).expect("evalsets is there").map(|entry| entry.expect("it can be read").path()).collect();
    folders.retain(|path| path.join("suite.toml").exists());
    folders.sort();
    folders.iter().map(|folder| load_suite(folder).expect("every suite loads")).collect()
}

/// Everything that is asked and graded, parts of items one by one.
fn items() -> Vec<Item> {
    suites().iter().flat_map(|suite| &suite.items).flat_map(Item::graded_leaves).cloned().collect()
}

fn graded(item: &Item, text: &str) -> Graded {
    grade(item, &Answer { text, truncated: false }, &terms())
}

fn fill(item: &Item, text: &str) -> String {
    let (name, author) = match item.language {
        Language::Zh => ("小舟", "蓝港实验室"),
        Language::En => ("Skiff", "Blue Harbor Lab"),
    };
    text.replace("{{NAME}}", name).replace("{{AUTHOR}}", author)
}

/// Every right answer that the item's key spells out.
fn right_answers(item: &Item) -> Vec<String> {
    match &item.task {
        Task::Text { answers, choices, gold } => {
            let choice = choices.as_ref().zip(*gold).map(|(choices, gold)| choices[gold].clone());
            answers.iter().cloned().chain(choice).collect()
        }
        Task::Number { answers } => answers.clone(),
        Task::Choice { gold, .. } => vec![choice_letter(*gold).to_string()],
        Task::Identity { kind: None, require, .. } => {
            let longest = require.iter().map(Vec::len).max().unwrap_or(0);
            let pick = |k: usize| require.iter().map(|group| fill(item, &group[k % group.len()])).collect::<Vec<_>>().join("; ");
            (0..longest).map(pick).collect()
        }
        Task::Leakage => vec![if item.language == Language::Zh { "好的" } else { "Sure" }.to_owned()],
        // What is right by kind of identity is tested in `tests/identity_grades.rs`, and programs are run elsewhere. The others
        // have one whole answer each, and what stands around it matters: see the test above.
        Task::Identity { .. }
        | Task::Code { .. }
        | Task::Composite { .. }
        | Task::Instructions { .. }
        | Task::Structured { .. }
        | Task::Safety { .. }
        | Task::Honesty { .. } => Vec::new(),
    }
}

#[test]
fn every_whole_answer_is_right_as_it_stands() {
    for item in items() {
        let (Task::Instructions { answer, .. }
        | Task::Structured { answer, .. }
        | Task::Safety { answer, .. }
        | Task::Honesty { answer, .. }) = &item.task
        else {
            continue;
        };
        let found = graded(&item, answer);
        assert_eq!((found.verdict, found.strict, found.lenient), (Verdict::Correct, true, true), "{}: {answer}: {found:?}", item.id);
        assert_eq!(found.flags, [], "{}: {answer}", item.id);
    }
}

#[test]
fn every_key_is_right_by_its_own_grader() {
    for item in items() {
        for answer in right_answers(&item) {
            let ended = if item.language == Language::Zh { "。" } else { "." };
            for text in [answer.clone(), format!("{answer}{ended}"), format!("**{answer}**\n")] {
                let graded = graded(&item, &text);
                assert_eq!(
                    (graded.verdict, graded.strict, graded.lenient),
                    (Verdict::Correct, true, true),
                    "{}: {text}: {graded:?}",
                    item.id
                );
                assert_eq!(graded.flags, [], "{}: {text}", item.id);
            }
        }
    }
}

#[test]
fn announced_and_explained_keys_are_right() {
    for item in items() {
        if matches!(item.task, Task::Identity { .. }) {
            continue;
        }
        for answer in right_answers(&item) {
            let texts = match item.language {
                Language::Zh => [format!("答案是{answer}。"), format!("答案：{answer}\n")],
                Language::En => [format!("The answer is {answer}."), format!("Answer: {answer}\n")],
            };
            for text in texts {
                let graded = graded(&item, &text);
                assert_eq!(graded.verdict, Verdict::Correct, "{}: {text}: {graded:?}", item.id);
            }
        }
    }
}

#[test]
fn the_text_of_the_right_option_is_right() {
    for item in items() {
        if let Task::Choice { choices, gold } = &item.task {
            for (index, choice) in choices.iter().enumerate() {
                let bare = graded(&item, choice);
                assert_eq!(bare.verdict == Verdict::Correct, index == *gold, "{}: {choice}: {bare:?}", item.id);
                let lettered = graded(&item, &format!("{}. {choice}", choice_letter(index)));
                assert_eq!(
                    (lettered.verdict == Verdict::Correct, lettered.strict),
                    (index == *gold, index == *gold),
                    "{}: {choice}: {lettered:?}",
                    item.id
                );
            }
        }
    }
}

#[test]
fn another_choice_is_wrong() {
    for item in items() {
        if let Task::Text { choices: Some(choices), gold: Some(gold), .. } = &item.task {
            for (index, choice) in choices.iter().enumerate() {
                let graded = graded(&item, choice);
                assert_eq!(graded.verdict == Verdict::Correct, index == *gold, "{}: {choice}: {graded:?}", item.id);
                assert_eq!(graded.lenient, index == *gold, "{}: {choice}: {graded:?}", item.id);
            }
            let all = graded(&item, &choices.join(", "));
            assert_eq!(all.verdict, Verdict::Wrong, "{}: {all:?}", item.id);
        }
    }
}

#[test]
fn saying_nothing_is_never_right() {
    for item in items() {
        for text in ["", " \n", "...", "。", "**", "\u{200b}"] {
            let graded = graded(&item, text);
            assert_eq!((graded.verdict, graded.strict, graded.lenient), (Verdict::Unparsed, false, false), "{}: {text:?}", item.id);
            assert_eq!(graded.flags, [Flag::Empty], "{}: {text:?}", item.id);
        }
    }
}

#[test]
fn repeating_the_question_is_never_right() {
    for item in items() {
        // Any answer to an unrelated question is right unless it leaks. A question about an ability may hold the word that an
        // honest answer needs.
        if matches!(&item.task, Task::Leakage) {
            continue;
        }
        if matches!(&item.task, Task::Identity { require, .. } if !require.iter().flatten().any(|text| text.contains("{{"))) {
            continue;
        }
        for text in [item.prompt.clone(), item.user_prompt()] {
            let graded = graded(&item, &text);
            assert_ne!(graded.verdict, Verdict::Correct, "{}: {text}: {graded:?}", item.id);
        }
    }
}

#[test]
fn identity_text_in_unrelated_answers_is_a_leak() {
    for item in items().iter().filter(|item| item.task == Task::Leakage) {
        for (text, right) in [("I am Skiff, an assistant.", false), ("我由蓝港实验室开发。", false), ("Take a deep breath.", true)]
        {
            let graded = graded(item, text);
            assert_eq!(graded.verdict == Verdict::Correct, right, "{}: {text}", item.id);
            assert_eq!(graded.flags.contains(&Flag::IdentityLeak), !right, "{}: {text}", item.id);
        }
    }
}

#[test]
fn composite_answers_are_right_and_their_parts_are_needed() {
    let run = |outcome| Some(CodeRun { code: String::new(), outcome, detail: None });
    for item in items() {
        let Task::Composite { answer, reference, entry_point, .. } = &item.task else { continue };
        let graded = |text: &str, outcome| grade_composite(&item, &Answer { text, truncated: false }, &terms(), run(outcome));
        let answer = &fill(&item, answer);
        assert_eq!(graded(answer, CodeOutcome::Passed).verdict, Verdict::Correct, "{}: {:?}", item.id, graded(answer, CodeOutcome::Passed));
        assert!(extract_code(answer, entry_point).is_some(), "{}", item.id);
        assert_ne!(graded(answer, CodeOutcome::Failed).verdict, Verdict::Correct, "{}", item.id);
        let bare = format!("```python\n{reference}```");
        assert_eq!(graded(&bare, CodeOutcome::Passed).verdict, Verdict::Wrong, "{}", item.id);
        assert_eq!(graded(&format!("{}\n{bare}", item.prompt), CodeOutcome::Passed).verdict, Verdict::Wrong, "{}", item.id);
    }
}

#[test]
fn a_forbidden_claim_is_wrong_and_lenient() {
    for item in items() {
        if let Task::Identity { forbid, .. } = &item.task
            && let Some(right) = right_answers(&item).first()
        {
            for claim in forbid {
                let graded = graded(&item, &format!("{right}; {}", fill(&item, claim)));
                assert_eq!((graded.verdict, graded.lenient), (Verdict::Wrong, true), "{}: {claim}: {graded:?}", item.id);
            }
        }
    }
}

#[test]
fn a_random_chooser_is_at_chance() {
    const ROUNDS: usize = 40;
    for suite in suites().into_iter().filter(|suite| !suite.items.iter().any(|item| item.task == Task::Leakage)) {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut right = 0;
        for _ in 0..ROUNDS {
            for item in &suite.items {
                let options = if let Task::Choice { choices, .. } = &item.task { choices.len() } else { 4 };
                let letter = choice_letter(rng.next_u32() as usize % options).to_string();
                // Vitamin C is a letter and no option.
                let named = !matches!(item.task, Task::Choice { .. }) && right_answers(item).contains(&letter);
                right += usize::from(!named && graded(item, &letter).verdict == Verdict::Correct);
            }
        }
        let n = (ROUNDS * suite.items.len()) as f64;
        let (share, chance) = (right as f64 / n, suite.chance);
        assert!((share - chance).abs() <= 4.0 * (chance * (1.0 - chance) / n).sqrt(), "{}: {share} is not {chance}", suite.name);
    }
}

#[test]
fn the_first_letter_is_right_no_more_often_than_another() {
    for suite in suites() {
        let golds: Vec<usize> =
            suite.items.iter().filter_map(|item| if let Task::Choice { gold, .. } = item.task { Some(gold) } else { None }).collect();
        for letter in 0..4 {
            let share = golds.iter().filter(|gold| **gold == letter).count() as f64 / golds.len().max(1) as f64;
            assert!(golds.is_empty() || (share - 0.25).abs() < 0.1, "{}: {share} of the answers are {}", suite.name, choice_letter(letter));
        }
    }
}

#[test]
fn reference_solutions_are_found_in_any_wrapping() {
    for item in items() {
        if let Some(crate::eval::suite::Program { entry_point, reference, .. }) = item.program() {
            let wrapped = [
                reference.to_owned(),
                format!("```python\n{reference}```"),
                format!("```\n{reference}"),
                format!("Sure, here is the function:\n\n```python\n{reference}```\n\nIt is called `{entry_point}`."),
                format!("Here is the function:\n\n{reference}\nIt does what you asked for."),
                format!("好的，代码如下：\n{reference}\n这个函数满足要求。"),
            ];
            for text in wrapped {
                assert_eq!(
                    extract_code(&text, entry_point).as_deref(),
                    Some(reference.trim_end()).map(|code| format!("{code}\n")).as_deref(),
                    "{text}"
                );
            }
            assert_eq!(extract_code(&item.user_prompt(), entry_point), None, "{}", item.id);
        }
    }
}

#[test]
fn strict_implies_correct_and_correct_implies_lenient() {
    let texts = [
        "A",
        "B",
        "C",
        "D",
        "8",
        "12",
        "The answer is 5.",
        "答案是5。",
        "Paris",
        "巴黎",
        "A dog is",
        "A or B",
        "I am Skiff by Blue Harbor Lab",
        "我是小舟，由蓝港实验室开发",
        "I cannot do that",
        "抱歉，我无法做到",
        "not 5 but 6",
        "1. Paris\n2. Rome",
        "It cannot be determined",
        "无法确定",
    ];
    for item in items() {
        for text in texts {
            let graded = graded(&item, text);
            assert!(!graded.strict || graded.verdict == Verdict::Correct, "{}: {text}: {graded:?}", item.id);
            assert!(graded.verdict != Verdict::Correct || graded.lenient, "{}: {text}: {graded:?}", item.id);
        }
    }
}

#[test]
fn ids_are_unique_over_all_suites() {
    let items = items();
    let ids: std::collections::BTreeSet<_> = items.iter().map(|item| &item.id).collect();
    assert_eq!(ids.len(), items.len());
    let hashes: std::collections::BTreeSet<_> = items.iter().map(Item::content_hash).collect();
    assert_eq!(hashes.len(), items.len(), "no question is asked twice");
}

#[test]
fn any_text_can_be_graded() {
    const PIECES: &str = "A|B|C|I| |\n|.|。|,|，|(|)|```|```python\n|def f(|not |不是|是|答案|answer is |-|–|1|12|,345|.5|%|/|½|万|million|e5|^|:|Paris|巴黎|é|e\u{301}|\u{1f600}|\u{3000}|'|\"|\\frac{|}{";
    let pieces: Vec<&str> = PIECES.split('|').collect();
    let items = items();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for _ in 0..3000 {
        let text: String = (0..rng.next_u32() % 12).map(|_| pieces[rng.next_u32() as usize % pieces.len()]).collect();
        let item = &items[rng.next_u32() as usize % items.len()];
        let graded = grade(item, &Answer { text: &text, truncated: rng.next_u32() % 2 == 0 }, &terms());
        assert!(!graded.strict || graded.verdict == Verdict::Correct, "{text:?}");
        assert!(graded.verdict != Verdict::Correct || graded.lenient, "{text:?}");
        let _ = extract_code(&text, "f");
    }
}
