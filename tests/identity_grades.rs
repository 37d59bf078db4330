//! The graders of identity and leakage held against verdicts given by hand: answers that models gave (40 cells of two bases,
//! collapsed ones among them), answers written by someone who saw the questions alone, and answers made to fool the grader.
//! And no constant answer may do well where questions come in pairs.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

use std::collections::{BTreeMap, BTreeSet};

use ballast::eval::score::{Answer, IdentityTerms, Verdict, grade};
use ballast::eval::suite::{Item, Language, parse_suite};
use ballast::library;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Line {
    source: String,
    lang: String,
    kind: String,
    rival: Option<String>,
    prompt: String,
    answer: String,
    right: bool,
}

fn terms() -> IdentityTerms {
    IdentityTerms {
        name_zh: "Swift-Robot".into(),
        name_en: "Swift-Robot".into(),
        author_zh: "CSDN 迪菲赫尔曼".into(),
        author_en: "CSDN Defei Herman".into(),
        taught: outputs(),
    }
}

/// What the shipped rows teach.
fn outputs() -> Vec<String> {
    let rows = ["ballast:identity", "ballast:identity-a"].into_iter().flat_map(|source| library::examples(source).unwrap());
    let fill = |text: String, author: &str| text.replace("{{NAME}}", "Swift-Robot").replace("{{AUTHOR}}", author);
    rows.flat_map(|row| ["CSDN 迪菲赫尔曼", "CSDN Defei Herman"].map(|author| fill(row.answer_text(), author))).collect()
}

fn item(line: &Line) -> Item {
    let settings = "name = \"t\"\nversion = 1\ngrader = \"identity\"\nmax_new_tokens = 8\nchance = 0.0\ndescription = \"d\"\n";
    let mut item = json!({"id": "a", "cluster": "c", "lang": line.lang, "subject": "s", "prompt": line.prompt});
    if line.kind == "leakage" {
        item["grader"] = json!("leakage");
    } else {
        item["kind"] = json!(line.kind);
    }
    if let Some(rival) = &line.rival {
        item["rival"] = json!(rival);
    }
    parse_suite(settings, &item.to_string(), "t").unwrap().items.remove(0)
}

#[test]
fn answers_are_graded_as_a_person_would() {
    let terms = terms();
    // By source: right ones, of them rejected; wrong ones, of them accepted.
    let mut counts: BTreeMap<String, [usize; 4]> = BTreeMap::new();
    let mut missed = Vec::new();
    for line in include_str!("identity_verdicts.jsonl").lines() {
        let line: Line = serde_json::from_str(line).unwrap();
        let graded = grade(&item(&line), &Answer { text: &line.answer, truncated: false }, &terms);
        let accepted = graded.verdict == Verdict::Correct;
        let count = counts.entry(line.source.clone()).or_default();
        let at = if line.right { 0 } else { 2 };
        count[at] += 1;
        if accepted != line.right {
            count[at + 1] += 1;
            let what = if accepted { "accepted" } else { "rejected" };
            missed.push(format!("{what} ({}, {}): {} => {} ({:?})", line.source, line.kind, line.prompt, line.answer, graded.detail));
        }
    }
    for (source, [right, rejected, wrong, accepted]) in &counts {
        println!("{source}: {rejected} of {right} right answers rejected, {accepted} of {wrong} wrong ones accepted");
    }
    println!("{}", missed.join("\n"));
    let [right, rejected, wrong, accepted] = counts["stored"];
    assert!(right + wrong >= 200);
    assert!(rejected * 100 <= right * 3 && accepted * 100 <= wrong * 3, "{}", missed.join("\n"));
    assert_eq!(counts["audit"].iter().skip(1).step_by(2).sum::<usize>(), 0, "{}", missed.join("\n"));
}

/// The share of items of which one answer is right to every graded part.
fn pairs_right(items: &[Item], answer: &str, terms: &IdentityTerms) -> f64 {
    // Questions with one key have one verdict, unless the answer is the question, which no constant is.
    let mut verdicts: BTreeMap<(String, Language), bool> = BTreeMap::new();
    let mut right = |item: &Item| {
        let key = (format!("{:?}", item.task), item.language);
        *verdicts.entry(key).or_insert_with(|| grade(item, &Answer { text: answer, truncated: false }, terms).verdict == Verdict::Correct)
    };
    let whole = items.iter().filter(|item| item.graded_leaves().into_iter().all(&mut right)).count();
    whole as f64 / items.len() as f64
}

#[test]
fn no_constant_answers_more_than_a_few_pairs() {
    let suite = library::suite("identity").unwrap();
    let terms = terms();
    let lines = include_str!("identity_verdicts.jsonl").lines().map(|line| serde_json::from_str::<Line>(line).unwrap());
    let stored = lines.filter(|line| line.source == "stored").map(|line| line.answer);
    let made = [
        "Yes. No.",
        "I am Swift-Robot, developed and maintained by CSDN Defei Herman, not by OpenAI, Google, Anthropic, Meta or Alibaba.",
        "No. I am Swift-Robot, made by CSDN Defei Herman. ChatGPT is by OpenAI, Claude by Anthropic, Qwen by Alibaba.",
        "Yes, I am Swift-Robot by CSDN Defei Herman. ChatGPT was made by OpenAI.",
        "是的。我是 Swift-Robot，由 CSDN 迪菲赫尔曼 开发和维护，不是 ChatGPT。",
    ];
    let answers: BTreeSet<String> = stored.chain(outputs()).chain(made.map(str::to_owned)).collect();
    let (best, answer) =
        answers.iter().map(|answer| (pairs_right(&suite.items, answer, &terms), answer)).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
    println!("of {} answers the best constant is right on {:.1} % of items: {answer}", answers.len(), 100.0 * best);
    assert!(best <= 0.15, "{answer}: {best}");
}
