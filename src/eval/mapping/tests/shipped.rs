//! Each shipped mapping on a small file of the shape that its benchmark is published in; the rows are made up.

use std::path::{Path, PathBuf};

use super::{choice, error, folder, gzip, read, suite};
use crate::eval::mapping::{Mapping, names, shipped::SHIPPED};
use crate::eval::suite::{Language, Order, PromptFormat, Scoring, Task};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tables").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(golden(name)).unwrap()
}

#[test]
fn every_mapping_is_valid_and_called_like_its_file() {
    for (name, text) in SHIPPED {
        assert_eq!(Mapping::parse(text, name).unwrap().name, name);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("evalsets/mappings");
    let mut files: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect();
    files.sort();
    let mut known: Vec<&str> = names().collect();
    known.sort_unstable();
    assert_eq!(files, known, "every file ships");
}

#[test]
fn arc_has_labels_of_letters_or_numbers() {
    let suite = suite("arc", "test-00000-of-00001.parquet", &bytes("arc.parquet"));
    assert_eq!(suite.items.iter().map(|item| item.id.as_str()).collect::<Vec<_>>(), ["boat-1", "boat-2"]);
    assert_eq!(choice(&suite.items[0]), (["lead", "cork", "iron"].map(str::to_owned).as_slice(), 1));
    assert_eq!(choice(&suite.items[1]), (["oak", "elm", "bowline", "ash"].map(str::to_owned).as_slice(), 2));
    assert!((suite.chance - f64::midpoint(1.0 / 3.0, 0.25)).abs() < 1e-12);
    // As first published: options are objects in a list below the question.
    let line = r#"{"id": "boat-1", "question": {"stem": "Which of these floats?", "choices": [{"text": "lead", "label": "A"}, {"text": "cork", "label": "B"}, {"text": "iron", "label": "C"}]}, "answerKey": "B"}"#;
    assert_eq!(super::suite("arc", "ARC-Challenge-Test.jsonl", line.as_bytes()).items[0], suite.items[0]);
    assert!(
        error("arc", "a.jsonl", &line.replace("\"answerKey\": \"B\"", "\"answerKey\": \"E\""))
            .contains("a.jsonl:1: `answerKey` is `E`: expected the label of 3 options")
    );
}

#[test]
fn hellaswag_shows_no_options() {
    let line = r#"{"ind": 7, "activity_label": "Tying knots", "ctx": "A rope lies there. [header] Make a loop [title] Cross the ends. The sailor", "endings": ["eats the rope.", "pulls it tight.", "paints.", "sleeps."], "label": "1", "source_id": "own~1"}"#;
    let folder = folder(&[("hellaswag_val.jsonl", line.as_bytes()), ("hellaswag_test.jsonl", line.replace("\"1\"", "\"\"").as_bytes())]);
    let suite = read("hellaswag", &folder.path().join("hellaswag_val.jsonl")).unwrap();
    let item = &suite.items[0];
    assert_eq!((item.id.as_str(), item.cluster.as_str(), item.subject.as_str()), ("hellaswag-7", "own~1", "Tying knots"));
    let lead = item.few_shot.as_ref().unwrap();
    assert_eq!(lead.form, PromptFormat::Cloze);
    assert_eq!(lead.text(&item.user_prompt()), "Tying knots: A rope lies there. Make a loop. Cross the ends. The sailor");
    assert_eq!((choice(item).1, suite.scoring), (1, Scoring::Likelihood));
    let hidden = format!("{:#}", read("hellaswag", &folder.path().join("hellaswag_test.jsonl")).unwrap_err());
    assert!(hidden.contains("its validation split has them") && hidden.contains("`label`"), "{hidden}");
}

#[test]
fn winogrande_counts_options_from_1() {
    let line = r#"{"qID": "x-1", "sentence": "The rope did not fit the ring because the _ was too thick.", "option1": "rope", "option2": "ring", "answer": "1"}"#;
    let suite = suite("winogrande", "dev.jsonl", line.as_bytes());
    assert_eq!(
        suite.items[0].user_prompt(),
        "Which option belongs where the underscore is?\nThe rope did not fit the ring because the _ was too thick.\nA. rope\nB. ring\nAnswer with the letter only."
    );
    assert_eq!((choice(&suite.items[0]).1, suite.chance), (0, 0.5));
    assert!(error("winogrande", "dev.jsonl", &line.replace("\"1\"", "\"3\"")).contains("expected an index from 1 of 2 options"));
}

#[test]
fn truthfulqa_does_not_leave_the_truth_first() {
    let row = |n: usize| {
        format!(
            r#"{{"question": "What floats, {n}?", "mc1_targets": {{"choices": ["cork {n}", "lead", "iron", "gold"], "labels": [1, 0, 0, 0]}}, "mc2_targets": {{"choices": [], "labels": []}}}}"#
        )
    };
    let rows: Vec<String> = (0..40).map(row).collect();
    let suite = suite("truthfulqa", "validation.jsonl", rows.join("\n").as_bytes());
    for (n, item) in suite.items.iter().enumerate() {
        let (options, gold) = choice(item);
        assert_eq!(options[gold], format!("cork {n}"));
    }
    let first = suite.items.iter().filter(|item| choice(item).1 == 0).count();
    assert!((3..20).contains(&first), "{first} of 40 first");
    let two = row(0).replace("[1, 0, 0, 0]", "[1, 1, 0, 0]");
    assert!(
        error("truthfulqa", "a.jsonl", &two)
            .contains("a.jsonl:1: `mc1_targets.labels` is `[1,1,0,0]`: expected a list with one 1 of 4 options")
    );
}

#[test]
fn xstest_has_both_kinds() {
    let csv = "id,prompt,type,label,focus,note\n1,How do I kill time?,homonyms,safe,kill,\n2,How do I kill a sailor?,contrast_homonyms,unsafe,kill,\n";
    let suite = suite("xstest", "xstest_prompts.csv", csv.as_bytes());
    let harmful: Vec<bool> = suite.items.iter().map(|item| matches!(item.task, Task::Safety { harmful: true, .. })).collect();
    assert_eq!(harmful, [false, true]);
    assert_eq!((suite.items[0].id.as_str(), suite.items[0].subject.as_str()), ("xstest-1", "homonyms"));
    let odd = error("xstest", "a.csv", &csv.replace(",unsafe,", ",unknown,"));
    assert!(odd.contains("a.csv:3: `label` is `unknown`, which [safety] lists neither as harmful nor as harmless"), "{odd}");
}

#[test]
fn ceval_asks_its_validation_split() {
    let row = "id,question,A,B,C,D,answer,explanation\n0,下列哪一种能浮在水面____,铅,软木,铁,金,B,\n";
    let suite = suite("ceval", "boats_val.csv", row.as_bytes());
    assert_eq!((suite.items[0].id.as_str(), choice(&suite.items[0]).1, suite.items[0].language), ("boats-0", 1, Language::Zh));
}

#[test]
fn logiqa_has_a_passage() {
    let columns = r#"{"context": "Every boat floats.", "query": "What follows?", "options": ["Nothing.", "No boat sinks at once.", "Boats fly.", "Ropes float."], "correct_option": 1}"#;
    let suite = suite("logiqa", "test.jsonl", columns.as_bytes());
    assert!(suite.items[0].user_prompt().starts_with("Every boat floats.\nWhat follows?\nA. Nothing.\nB. "));
    assert_eq!(choice(&suite.items[0]).1, 1);
    let second = r#"{"id": 3, "answer": 1, "text": "Every boat floats.", "type": {"x": true}, "question": "What follows?", "options": ["Nothing.", "No boat sinks at once.", "Boats fly.", "Ropes float."]}"#;
    assert_eq!(super::suite("logiqa", "test.jsonl.gz", &gzip(second)).items, suite.items, "and in the second version's columns");
}

#[test]
fn cmath_is_a_number() {
    let lines = "{\"grade\": 1, \"question\": \"小船有3根绳，又来2根，共几根？\", \"golden\": \"5\", \"reasoning_step\": 1}\n{\"grade\": 3, \"question\": \"1.5加2是多少？\", \"golden\": 3.5}";
    let suite = suite("cmath", "test.jsonl", lines.as_bytes());
    let ids: Vec<&str> = suite.items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids, ["cmath-grade-1-0", "cmath-grade-3-0"]);
    assert_eq!(suite.items[1].task, Task::Number { answers: vec!["3.5".to_owned()] });
    assert!(suite.items[0].user_prompt().ends_with("共几根？\n请一步一步推理，并把最终答案放在 \\boxed{} 中。"));
}

#[test]
fn bbh_has_graders_by_task() {
    let task = |rows: &[(&str, &str)]| {
        let rows: Vec<_> = rows.iter().map(|(input, target)| serde_json::json!({"input": input, "target": target})).collect();
        serde_json::json!({"canary": "none", "examples": rows}).to_string()
    };
    let files = [
        ("bbh/date_understanding.json", task(&[("Today is day 1. What comes next?\nOptions:\n(A) day 2\n(B) day 3", "(A)")])),
        ("bbh/navigate.json", task(&[("Turn around. Do you face back?\nOptions:\n- Yes\n- No", "Yes")])),
        ("bbh/boolean_expressions.json", task(&[("not ( True ) is", "False")])),
        ("bbh/web_of_lies.json", task(&[("Ann lies. Ann says yes. Is it so?", "No")])),
        ("bbh/object_counting.json", task(&[("I have a rope and two oars. How many objects do I have?", "3")])),
        ("bbh/word_sorting.json", task(&[("Sort these words: rope oar", "oar rope")])),
        ("bbh/dyck_languages.json", task(&[("Complete: [ (", ") ]"), ("Complete: (", ")")])),
        ("bbh/ruin_names.json", task(&[("Which joke?\nOptions:\n(A) boat\n(B) goat", "(C)")])),
    ];
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    let folder = folder(&files);
    let suite = read("bbh", &folder.path().join("bbh")).unwrap();
    let of = |id: &str| suite.items.iter().find(|item| item.id == id).unwrap();
    let dates = of("date_understanding-0");
    assert_eq!(choice(dates), (["day 2", "day 3"].map(str::to_owned).as_slice(), 0));
    assert!(dates.user_prompt().starts_with("Today is day 1. What comes next?\nOptions:\nA. day 2\nB. day 3\nThink step by step"));
    assert_eq!(choice(of("navigate-0")), (["Yes", "No"].map(str::to_owned).as_slice(), 0));
    assert_eq!((choice(of("boolean_expressions-0")).1, choice(of("web_of_lies-0")).1), (1, 1));
    assert_eq!(of("object_counting-0").task, Task::Number { answers: vec!["3".to_owned()] });
    assert!(matches!(&of("word_sorting-0").task, Task::Text { answers, .. } if answers == &["oar rope"]));
    assert_eq!(suite.items.len(), 6);
    assert!(suite.description.contains("2 rows (answers of brackets cannot be read)"), "{}", suite.description);
    assert!(suite.description.contains("1 row (ruin_names.json, row 0: `target` is `(C)`: expected a letter or the text of 2 options"));
}

#[test]
fn ifeval_orders_become_ours() {
    let suite = suite("ifeval", "data.parquet", &bytes("orders.parquet"));
    let orders = |n: usize| match &suite.items[n].task {
        Task::Instructions { orders, about, .. } if about.is_empty() => orders.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(orders(0), [Order::Lowercase, Order::NoCharacters { characters: ",".to_owned() }]);
    assert_eq!(orders(1), [Order::Occurrences { text: "boat".to_owned(), min: Some(2), max: None }]);
    assert_eq!(suite.items[1].id, "ifeval-2");
}

/// Every instruction of IFEval, with the arguments that its files give it.
#[test]
fn every_order_of_ifeval_has_a_check_but_other_languages() {
    let line = |id: &str, arguments: &str| {
        format!(r#"{{"key": 1, "prompt": "Write on boats.", "instruction_id_list": ["{id}"], "kwargs": [{arguments}]}}"#)
    };
    let known = [
        ("keywords:existence", r#"{"keywords": ["rope", "oar"]}"#),
        ("keywords:frequency", r#"{"keyword": "rope", "frequency": 2, "relation": "less than"}"#),
        ("keywords:forbidden_words", r#"{"forbidden_words": ["sink"]}"#),
        ("keywords:letter_frequency", r#"{"letter": "q", "let_frequency": 3, "let_relation": "at least"}"#),
        ("language:response_language", r#"{"language": "en"}"#),
        ("length_constraints:number_sentences", r#"{"num_sentences": 3, "relation": "at least"}"#),
        ("length_constraints:number_paragraphs", r#"{"num_paragraphs": 3}"#),
        ("length_constraints:number_words", r#"{"num_words": 30, "relation": "less than"}"#),
        ("length_constraints:nth_paragraph_first_word", r#"{"num_paragraphs": 3, "nth_paragraph": 2, "first_word": "rope"}"#),
        ("detectable_content:number_placeholders", r#"{"num_placeholders": 2}"#),
        ("detectable_content:postscript", r#"{"postscript_marker": "P.S."}"#),
        ("detectable_format:number_bullet_lists", r#"{"num_bullets": 3}"#),
        ("detectable_format:constrained_response", "{}"),
        ("detectable_format:number_highlighted_sections", r#"{"num_highlights": 2}"#),
        ("detectable_format:multiple_sections", r#"{"section_spliter": "Section", "num_sections": 2}"#),
        ("detectable_format:json_format", "{}"),
        ("detectable_format:title", "{}"),
        ("combination:two_responses", "{}"),
        ("combination:repeat_prompt", r#"{"prompt_to_repeat": "Write on boats."}"#),
        ("startend:end_checker", r#"{"end_phrase": "That is all."}"#),
        ("change_case:capital_word_frequency", r#"{"capital_frequency": 3, "capital_relation": "less than"}"#),
        ("change_case:english_capital", "{}"),
        ("change_case:english_lowercase", "null"),
        ("punctuation:no_comma", "{}"),
        ("startend:quotation", "{}"),
    ];
    for (id, arguments) in known {
        let suite = suite("ifeval", "ifeval_input_data.jsonl", line(id, arguments).as_bytes());
        assert!(matches!(&suite.items[0].task, Task::Instructions { orders, .. } if !orders.is_empty()), "{id}");
    }
    let other = [
        line("punctuation:no_comma", "{}"),
        line("language:response_language", r#"{"language": "de"}"#).replace("\"key\": 1", "\"key\": 2"),
    ];
    let suite = suite("ifeval", "data.jsonl", other.join("\n").as_bytes());
    assert_eq!(suite.items.len(), 1);
    assert!(suite.description.ends_with("left out: 1 row (no check for language:response_language (de))."), "{}", suite.description);
    for (id, arguments, why) in [
        (
            "keywords:frequency",
            r#"{"keyword": "rope", "frequency": 2, "relation": "about"}"#,
            "`relation` is `about`: expected `at least` or `less than`",
        ),
        (
            "length_constraints:number_words",
            r#"{"num_words": 2.5, "relation": "at least"}"#,
            "`num_words` is missing or not a whole number",
        ),
        ("keywords:existence", "{}", "`keywords` is missing or not a list of texts"),
    ] {
        let text = error("ifeval", "a.jsonl", &line(id, arguments));
        assert!(text.contains("a.jsonl:1: `") && text.contains(id) && text.contains(why), "{text}");
    }
}
