mod own;
mod shipped;

use std::fs;
use std::io::Write;
use std::path::Path;

use tempfile::TempDir;

use super::{Reference, load_with};
use crate::eval::suite::{Item, Language, PromptFormat, Scoring, Suite, Task};
use crate::model::fetch::Silent;

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

fn read(benchmark: &str, path: &Path) -> anyhow::Result<Suite> {
    let reference = Reference::parse(&format!("{benchmark}:{}", path.display())).unwrap()?;
    load_with(&reference, || anyhow::bail!("the hub is not asked"), &Silent)
}

/// The one file as a benchmark.
fn suite(benchmark: &str, name: &str, bytes: &[u8]) -> Suite {
    let folder = folder(&[(name, bytes)]);
    read(benchmark, &folder.path().join(name)).unwrap()
}

fn error(benchmark: &str, name: &str, bytes: &str) -> String {
    let folder = folder(&[(name, bytes.as_bytes())]);
    let error = format!("{:#}", read(benchmark, &folder.path().join(name)).unwrap_err());
    error.replace(&format!("{}/", folder.path().display()), "")
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn choice(item: &Item) -> (&[String], usize) {
    let Task::Choice { choices, gold } = &item.task else { panic!("{item:?}") };
    (choices, *gold)
}

const HULLS: &str = "question,choice0,choice1,choice2,choice3,answer\n\
                     \"Which, of these, floats? \",lead,\" cork\",iron,gold,1\nWhich is a knot?,oak,elm,bowline,ash,2\n";

#[test]
fn mmlu_is_read_from_its_test_files() {
    let files: [(&str, &[u8]); 4] = [
        ("test/boats_test.csv", HULLS.as_bytes()),
        ("test/knots_test.csv", HULLS.as_bytes()),
        ("dev/boats_dev.csv", HULLS.as_bytes()),
        ("README.txt", b"not a table"),
    ];
    let folder = folder(&files);
    let suite = read("mmlu", folder.path()).unwrap();
    let ids: Vec<&str> = suite.items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids, ["boats-0", "boats-1", "knots-0", "knots-1"]);
    let item = &suite.items[0];
    assert_eq!((item.language, item.subject.as_str()), (Language::En, "boats"));
    assert_eq!(item.user_prompt(), "Which, of these, floats?\nA. lead\nB. cork\nC. iron\nD. gold\nAnswer with the letter only.");
    assert_eq!(choice(item).1, 1);
    assert_eq!((suite.name.as_str(), suite.chance, suite.scoring), ("mmlu", 0.25, Scoring::Likelihood));

    // The folder itself, a file, and a split by name.
    assert_eq!(read("mmlu", &folder.path().join("test")).unwrap().digest, suite.digest);
    assert_eq!(read("mmlu", &folder.path().join("test/knots_test.csv")).unwrap().items.len(), 2);
    assert_eq!(read("mmlu", &folder.path().join("dev")).unwrap().items.len(), 2);
    // The files as first published have letters and no header.
    let letters = self::suite(
        "mmlu",
        "boats_test.csv",
        b"\"Which, of these, floats?\",lead,cork,iron,gold,B\nWhich is a knot?,oak,elm,bowline,ash,C\n",
    );
    assert_eq!(letters.items, read("mmlu", &folder.path().join("test/boats_test.csv")).unwrap().items);
}

#[test]
fn chinese_benchmarks_have_letters() {
    let cmmlu = suite("cmmlu", "船舶.csv", ",Question,A,B,C,D,Answer\n0,下列哪一种能浮在水面,铅,软木,铁,金,B\n".as_bytes());
    assert_eq!(cmmlu.items[0].user_prompt(), "下列哪一种能浮在水面\nA. 铅\nB. 软木\nC. 铁\nD. 金\n请只回答选项字母。");
    let ceval = "id,question,A,B,C,D,answer\n0,下列哪一种能浮在水面____,铅,软木,铁,金,B\n";
    let files: [(&str, &[u8]); 2] =
        [("val/boats_val.csv", ceval.as_bytes()), ("test/boats_test.csv", b"id,question,A,B,C,D\n0,q,1,2,3,4\n")];
    let folder = folder(&files);
    let suite = read("ceval", folder.path()).unwrap();
    assert_eq!((suite.items.len(), suite.items[0].subject.as_str(), suite.items[0].language), (1, "boats", Language::Zh));
    let missing = format!("{:#}", read("ceval", &folder.path().join("test")).unwrap_err());
    assert!(missing.contains("its val split has them") && missing.contains("boats_test.csv:2: `answer` is missing"), "{missing}");
}

#[test]
fn gsm8k_is_a_number() {
    let line = r#"{"question": "Ann ties 2 knots a day. How many in 600 days?", "answer": "2*600=<<2*600=1200>>1200\n#### 1,200"}"#;
    let suite = suite("gsm8k", "test.jsonl", line.as_bytes());
    let item = &suite.items[0];
    assert_eq!(item.task, Task::Number { answers: vec!["1200".to_owned()] });
    assert!(item.user_prompt().ends_with("600 days?\nPlease reason step by step, and put your final answer within \\boxed{}."));
    assert_eq!((item.prompt.lines().count(), suite.scoring, suite.chance), (1, Scoring::Generated, 0.0));
}

/// Three examples of boats, one of which asks what an item asks, and three of knots.
fn with_examples() -> TempDir {
    let header = "question,choice0,choice1,choice2,choice3,answer\n";
    let row = |question: &str, gold: usize| format!("{question},one,two,three,four,{gold}\n");
    let boats = [row("Dev boat 1?", 3), row("\"Which, of these, floats?\"", 1), row("Dev boat 2?", 0), row("Dev boat 3?", 2)];
    let knots = [row("Dev knot 1?", 0), row("Dev knot 2?", 1), row("Dev knot 3?", 2)];
    let (boats, knots) = (format!("{header}{}", boats.concat()), format!("{header}{}", knots.concat()));
    folder(&[
        ("test/boats_test.csv", HULLS.as_bytes()),
        ("test/knots_test.csv", HULLS.as_bytes()),
        ("dev/boats_dev.csv", boats.as_bytes()),
        ("dev/knots_dev.csv", knots.as_bytes()),
    ])
}

fn read_as(options: &str, path: &Path) -> anyhow::Result<Suite> {
    let reference = Reference::parse(&format!("mmlu:{}#{options}", path.display())).unwrap()?;
    load_with(&reference, || anyhow::bail!("the hub is not asked"), &Silent)
}

#[test]
fn examples_come_before_the_question_as_text() {
    let folder = with_examples();
    let suite = read_as("shots=2,form=plain", folder.path()).unwrap();
    assert_eq!(
        suite.description,
        "MMLU: multiple choice with four options over 57 subjects, English, 2 examples as plain, scored by likelihood."
    );
    let text = |index: usize| suite.items[index].few_shot.as_ref().unwrap().text(&suite.items[index].user_prompt());
    let options = "A. one\nB. two\nC. three\nD. four\nAnswer:";
    // The second row of the examples is the question itself: it would give the answer away.
    assert_eq!(
        text(0),
        format!(
            "The following are multiple choice questions (with answers) about boats.\n\nDev boat 1?\n{options} D\n\nDev boat 2?\n{options} A\n\n\
             Which, of these, floats?\nA. lead\nB. cork\nC. iron\nD. gold\nAnswer:"
        )
    );
    // To another item it is an example like any.
    assert!(text(1).contains("Dev boat 1?") && text(1).contains(&format!("floats?\n{options} B\n\nWhich is a knot?")), "{}", text(1));
    assert!(text(2).starts_with("The following are multiple choice questions (with answers) about knots.\n\nDev knot 1?"));
    // Without the options the answer is a text.
    let cloze = read_as("shots=1,form=cloze", folder.path()).unwrap();
    assert_eq!(
        cloze.items[0].few_shot.as_ref().unwrap().text(&cloze.items[0].user_prompt()),
        "The following are questions (with answers) about boats.\n\nQuestion: Dev boat 1?\nAnswer: four\n\nQuestion: Which, of these, floats?\nAnswer:"
    );
    // The question that is asked, compared and counted is the same as without examples.
    let plain = read("mmlu", folder.path()).unwrap();
    let of = |suite: &Suite| suite.items.iter().map(|item| (item.id.clone(), item.prompt.clone(), item.task.clone())).collect::<Vec<_>>();
    assert_eq!(of(&suite), of(&plain));
}

#[test]
fn examples_come_before_the_question_as_turns() {
    let folder = with_examples();
    let suite = read_as("shots=3", &folder.path().join("test")).unwrap();
    let few_shot = suite.items[2].few_shot.as_ref().unwrap();
    assert_eq!((few_shot.form, few_shot.head.as_str(), few_shot.shots.len()), (PromptFormat::Chat, "", 3));
    let asked = "Dev knot 2?\nA. one\nB. two\nC. three\nD. four\nAnswer with the letter only.";
    assert_eq!((few_shot.shots[1].question.as_str(), few_shot.shots[1].answer.as_str()), (asked, "B"));
    assert!(suite.items[2].user_prompt().ends_with("\nAnswer with the letter only."));
}

#[test]
fn chinese_benchmarks_lead_in_their_own_words() {
    let rows = ",Question,A,B,C,D,Answer\n0,哪一种能浮,铅,软木,铁,金,B\n";
    let files: [(&str, &[u8]); 2] =
        [("test/agronomy.csv", rows.as_bytes()), ("dev/agronomy.csv", "Question,A,B,C,D,Answer\n何物,甲,乙,丙,丁,C\n".as_bytes())];
    let folder = folder(&files);
    let suite = Reference::parse(&format!("cmmlu:{}#shots=1,form=plain", folder.path().display())).unwrap().unwrap();
    let suite = load_with(&suite, || anyhow::bail!("the hub is not asked"), &Silent).unwrap();
    assert_eq!(
        suite.items[0].few_shot.as_ref().unwrap().text(&suite.items[0].user_prompt()),
        "以下是关于农学的单项选择题，请直接给出正确答案的选项。\n\n题目：何物\nA. 甲\nB. 乙\nC. 丙\nD. 丁\n答案是：C\n\n\
         题目：哪一种能浮\nA. 铅\nB. 软木\nC. 铁\nD. 金\n答案是："
    );
}

#[test]
fn the_way_of_asking_is_part_of_the_digest() {
    let folder = with_examples();
    let zero = read("mmlu", folder.path()).unwrap().digest;
    assert_eq!(zero, read_as("shots=0,form=chat", folder.path()).unwrap().digest);
    let digests =
        ["form=cloze", "form=plain", "shots=1", "shots=2", "shots=2,form=plain"].map(|way| read_as(way, folder.path()).unwrap().digest);
    let different: std::collections::BTreeSet<&String> = digests.iter().chain([&zero]).collect();
    assert_eq!(different.len(), 6);
}

#[test]
fn examples_that_cannot_be_had_are_an_error() {
    let folder = with_examples();
    let error = |options: &str, path: &Path| format!("{:#}", read_as(options, path).unwrap_err());
    let many = error("shots=4", folder.path());
    assert!(many.contains("subject knots has 3 rows in the dev split: 4 examples were asked for"), "{many}");
    assert!(error("shots=1", &folder.path().join("dev")).contains("asks the very dev split that its examples would come from"));
    std::fs::remove_dir_all(folder.path().join("dev")).unwrap();
    let none = error("shots=1", folder.path());
    assert!(none.contains("there is no dev split, from which examples would come"), "{none}");
    assert!(read_as("form=plain", folder.path()).is_ok(), "plain without examples needs no dev split");
    for (options, expected) in [
        ("shots=five", "`shots=five` is not a number of examples"),
        ("form=text", "`text` is not a prompt format: use chat, plain or cloze"),
        ("shot=5", "`shot=5` is no way of asking"),
    ] {
        let message = format!("{:#}", Reference::parse(&format!("mmlu:data#{options}")).unwrap().unwrap_err());
        assert!(message.contains(expected), "{message}");
    }
    let other = format!("{:#}", Reference::asked("fact-qa", Some(5), None).unwrap_err());
    assert!(other.contains("`fact-qa` cannot be asked with shots or form: they are of suites that a mapping reads"), "{other}");
    assert_eq!(Reference::asked("mmlu:data#form=plain", Some(5), None).unwrap(), "mmlu:data#shots=5,form=plain");
}

const HUMANEVAL: &str = r#"{"task_id": "Own/1", "prompt": "import math\n\n\ndef twice(x):\n    return 2 * x\n\n\ndef hull(x):\n    \"\"\"Twice the root of x.\n    \"\"\"\n", "entry_point": "hull", "canonical_solution": "    return twice(math.sqrt(x))\n", "test": "def check(candidate):\n    assert candidate(4) == 4\n    assert candidate(9) == twice(3)\n"}"#;

#[test]
fn humaneval_keeps_what_stands_before_the_function() {
    let suite = suite("humaneval", "own.jsonl.gz", &gzip(HUMANEVAL));
    let item = &suite.items[0];
    let Task::Code { entry_point, setup, reference, tests, .. } = &item.task else { panic!("{item:?}") };
    assert_eq!((entry_point.as_str(), setup.as_str()), ("hull", "import math\n\n\ndef twice(x):\n    return 2 * x"));
    assert!(reference.ends_with("\"\"\"\n    return twice(math.sqrt(x))\n"));
    assert!(tests.len() == 1 && tests[0].ends_with("\n\ncheck(hull)"));
    assert!(item.user_prompt().starts_with("Please provide a self-contained Python script that solves"));
    assert!(item.user_prompt().ends_with("Twice the root of x.\n    \"\"\"\n```"));
}

#[test]
fn mbpp_finds_the_function_that_the_tests_call() {
    let line = r#"{"text": "Write a function to splice.", "code": "def helper(a):\r\n    return a\r\ndef splice (a, b):\r\n    return helper(a) + b", "task_id": 7, "test_setup_code": "", "test_list": ["assert splice (1, 2) == 3", "assert set([splice(0, 0)]) == {0}"], "challenge_test_list": []}"#;
    let sanitized = r#"{"source_file": "own", "task_id": 8, "prompt": "Write a function to splice.", "code": "def splice(a):\n    return a", "test_imports": ["import math"], "test_list": ["assert math.isclose(splice(1), 1)"]}"#;
    let suite = suite("mbpp", "own.jsonl", format!("{line}\n\n{sanitized}\n").as_bytes());
    let Task::Code { entry_point, setup, tests, reference, .. } = &suite.items[0].task else { panic!() };
    assert_eq!((entry_point.as_str(), setup.as_str(), tests.len()), ("splice", "", 2));
    assert!(!reference.contains('\r'));
    let prompt = suite.items[0].user_prompt();
    assert!(prompt.starts_with("You are an expert Python programmer, and here is your task: Write a function to splice. Your code"));
    assert!(prompt.contains("\n\nassert splice (1, 2) == 3\nassert set([splice(0, 0)]) == {0}\n\n"), "{prompt}");
    assert!(matches!(&suite.items[1].task, Task::Code { setup, .. } if setup == "import math"));
}

#[test]
fn bad_rows_are_named() {
    let header = "question,A,B,C,D,answer\n";
    let cases = [
        ("mmlu", "a.csv", format!("{header}q,1,2,3,4,E\n"), "a.csv:2: `answer` is `E`: expected a letter or an index from 0 of 4 options"),
        ("mmlu", "a.csv", format!("{header}q,1,2,3,4,A\n,1,2,3,4,A\n"), "a.csv:3: `question` is missing: the cell is empty or null"),
        ("mmlu", "a.csv", format!("{header}q,1,2,,4,A\n"), "a.csv:2: `C` is missing: the cell is empty or null"),
        ("mmlu", "a.csv", format!("{header}q,1,2,3,4\n"), "a.csv:2: not csv, or another number of cells"),
        ("mmlu", "a.csv", header.to_owned(), "a.csv: there is no row"),
        (
            "gsm8k",
            "a.jsonl",
            "{\"question\": \"q\", \"answer\": \"18\"}".to_owned(),
            "a.jsonl:1: `answer` has no `####`, after which its answer would be",
        ),
        ("gsm8k", "a.jsonl", "\n{\"question\": ".to_owned(), "a.jsonl:2: not a JSON object"),
        ("gsm8k", "a.jsonl.gz", "plain".to_owned(), "a.jsonl.gz: not a whole gzip file"),
        (
            "gsm8k",
            "a.zip",
            "PK".to_owned(),
            "a.zip cannot be read: tables are files ending in .csv, .tsv, .jsonl, .jsonl.gz, .json, .parquet",
        ),
        ("humaneval", "a.jsonl", HUMANEVAL.replace("\"hull\"", "\"keel\""), "a.jsonl:1: `prompt` does not define `keel`"),
        ("humaneval", "a.jsonl", HUMANEVAL.replace("check(", "verify("), "a.jsonl:1: the test has no `def check(`"),
        ("humaneval", "a.jsonl", format!("{HUMANEVAL}\n{HUMANEVAL}"), "a.jsonl:2: the id `Own/1` is taken by"),
        (
            "mbpp",
            "a.jsonl",
            "{\"task_id\": 1, \"text\": \"t\", \"code\": \"def f(): 1\", \"test_list\": [\"assert g()\"]}".to_owned(),
            "a.jsonl:1: no function that the reference defines",
        ),
        (
            "mbpp",
            "a.jsonl",
            "{\"task_id\": 1, \"text\": \"t\", \"code\": \"def f(): 1\"}".to_owned(),
            "a.jsonl:1: `test_list` is missing or empty",
        ),
    ];
    for (benchmark, name, text, expected) in cases {
        let message = error(benchmark, name, &text);
        assert!(message.contains(expected), "{message}\nshould say\n{expected}");
    }
}

#[test]
fn wrong_references_say_what_is_possible() {
    assert!(Reference::parse("fact-qa").is_none());
    assert!(Reference::parse("C:\\suites\\mine").is_none());
    let error = |text: &str| format!("{:#}", Reference::parse(text).unwrap().unwrap_err());
    assert!(error("mmlu:").contains("a file, a folder or hf:datasets/OWNER/REPO"));
    assert!(error("mmlu:hf:owner/repo").contains("write hf:datasets/OWNER/REPO"));
    let missing = format!("{:#}", read("mmlu", Path::new("no/such/folder")).unwrap_err());
    assert!(missing.contains("there is no file or folder no/such/folder"), "{missing}");
}

#[test]
fn the_words_are_part_of_the_digest() {
    let line = r#"{"question": "How many?", "answer": "x #### 3"}"#;
    let one = suite("gsm8k", "a.jsonl", line.as_bytes());
    assert_eq!(one.digest, suite("gsm8k", "b.jsonl", line.as_bytes()).digest, "wherever the file is");
    assert_ne!(one.digest, suite("gsm8k", "a.jsonl", line.replace("many", "much").as_bytes()).digest);
    let mut other = one.items[0].clone();
    other.form = Some("{prompt} Think.".to_owned());
    assert_ne!(one.items[0].content_hash(), other.content_hash());
}

/// The digests of published files as they were before mappings read them: the same questions in the same words.
#[test]
fn published_files_keep_their_digests() {
    let Some(folder) = std::env::var_os("BALLAST_BENCHMARKS").map(std::path::PathBuf::from) else { return };
    for (name, options, digest) in [
        ("mmlu", "", "f414af2b29b3b7356216241e99838464814b0750d9ef47fc70748d1c55a2408d"),
        ("mmlu", "#shots=5,form=plain", "5843ac246ed181cff13ebed88e274b52400e50c2edd1f2a08df3fc3ed4c8cadb"),
        ("cmmlu", "", "88d659de43fe06b52a9a4b19cfecd7459a37da4b9683caa71ba5483877bb4d96"),
        ("cmmlu", "#shots=5,form=cloze", "687e13c5ffabaf0916e51f5bff81569a6b2c2ffc414ea5347d14735f6aae9749"),
        ("cmmlu", "#shots=2", "5d821c4b5c834c0afdfc49bbf04a16719116d79329444e859aa62371a5908033"),
        ("gsm8k", "", "a7f719a8649d754a6146f2b576b78eaf7cc69c4529c3c3e21127b7bd25fba775"),
        ("humaneval", "", "b98fd90bc5950e9f9a05e739897bc75953128f14d4ff891f2b2bc295aeffb242"),
        ("mbpp", "", "dbfd7a584869cdcbde6e4adc80c31ef00bf75bb321cce4deaefb541b4b4b9dad"),
    ] {
        let place = folder.join(name);
        if place.is_dir() {
            let reference = Reference::parse(&format!("{name}:{}{options}", place.display())).unwrap().unwrap();
            assert_eq!(load_with(&reference, || anyhow::bail!("the hub is not asked"), &Silent).unwrap().digest, digest, "{name}{options}");
        }
    }
}
