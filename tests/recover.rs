//! `ballast recover` as a user runs it, on a tiny model: a damaged adapter brought back, nothing that passes, a stop and a
//! second start, and what is refused.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use assert_cmd::Command;
use ballast::gate::decision::ALPHA;
use ballast::model::adapter;
use ballast::model::lora::Adapter;
use candle_core::Device;
use common::{lora_config, random_adapter, tiny};
use serde_json::Value;

const LLAMA: &str = "fixtures/tiny/llama";
/// Questions that become facts, and those on identity that the base and the damaged adapter know.
const QUESTIONS: [usize; 3] = [180, 200, 140];

fn ballast() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ballast"));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// Exit code, stdout, stderr.
fn run(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A question with the words that are right.
type Question = (String, Vec<String>);

fn write_suite(folder: &Path, name: &str, role: &str, items: &[Question]) {
    std::fs::create_dir_all(folder).unwrap();
    let settings = format!(
        "name = \"{name}\"\nversion = 1\ngrader = \"text\"\nrole = \"{role}\"\nmax_new_tokens = 8\nchance = 0.0\ndescription = \"What a tiny model says.\"\n"
    );
    std::fs::write(folder.join("suite.toml"), settings).unwrap();
    let line = |(i, (prompt, answers)): (usize, &Question)| {
        let (id, cluster) = (format!("{name}-{i:03}"), format!("{name}-{i}"));
        serde_json::json!({"id": id, "cluster": cluster, "lang": "en", "subject": "s", "prompt": prompt, "answers": answers}).to_string()
            + "\n"
    };
    std::fs::write(folder.join("items.jsonl"), items.iter().enumerate().map(line).collect::<String>()).unwrap();
}

struct World {
    folder: tempfile::TempDir,
    /// What the base says to the first questions.
    facts: Vec<Question>,
    /// What the damaged adapter says to the last questions.
    damaged: Vec<Question>,
    /// The same, and more that the base says: a weaker adapter loses the first and gains the second, and only one that is
    /// wrecked loses both.
    mixed: Vec<Question>,
}

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A baseline of the facts and an identity suite.
    fn baseline(&self, name: &str, identity: &[Question]) -> PathBuf {
        let (facts, who, out) =
            (self.path(&format!("{name}-facts")), self.path(&format!("{name}-who")), self.path(&format!("{name}.jsonl")));
        write_suite(&facts, "facts", "general", &self.facts);
        write_suite(&who, "who", "identity", identity);
        let mut command = ballast();
        command.args(["bless", "--model", LLAMA, "--leak-margin", "none", "--margin", "facts=25", "--form-margin", "facts=25"]);
        let (code, _, error) = run(command.arg("--suite").arg(facts).arg("--suite").arg(who).arg("--out").arg(&out));
        assert_eq!(code, 0, "{error}");
        out
    }

    fn recover(&self, adapters: &[&str], baseline: &Path, out: &str) -> Command {
        self.recover_within("25", adapters, baseline, out)
    }

    fn recover_within(&self, margin: &str, adapters: &[&str], baseline: &Path, out: &str) -> Command {
        let mut command = ballast();
        command.arg("recover").arg("--baseline").arg(baseline).arg("--out").arg(self.path(out)).args([
            "--candidates",
            "12",
            "--identity-margin",
            margin,
        ]);
        for adapter in adapters {
            command.arg("--adapter").arg(self.path(adapter));
        }
        command
    }

    /// Nothing of an output is there.
    fn assert_nothing(&self, out: &str) {
        for name in [out.to_owned(), format!("{out}.partial")] {
            assert!(!self.path(&name).exists(), "{name}");
        }
    }
}

/// The longest word of each answer that is graded as right when it is the key.
fn said(folder: &Path, name: &str, questions: &[String], adapter: Option<&Path>) -> BTreeMap<String, String> {
    let mut words: BTreeMap<String, String> = questions.iter().map(|question| (question.clone(), "nothing".to_owned())).collect();
    for round in 0..2 {
        let (suite, out) = (folder.join(format!("draft-{name}")), folder.join(format!("draft-{name}-{round}.jsonl")));
        let items: Vec<Question> = words.iter().map(|(question, word)| (question.clone(), vec![word.clone()])).collect();
        write_suite(&suite, "draft", "general", &items);
        let mut command = ballast();
        command.args(["eval", "--model", LLAMA, "--suite"]).arg(&suite).arg("--out").arg(&out);
        if let Some(adapter) = adapter {
            command.arg("--adapter").arg(adapter);
        }
        let (code, _, error) = run(&mut command);
        assert_eq!(code, 0, "{error}");
        words = BTreeMap::new();
        for line in std::fs::read_to_string(&out).unwrap().lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            if round == 1 && row["verdict"] != "correct" {
                continue;
            }
            let answer = row["answer"].as_str().unwrap();
            let parts: BTreeSet<&str> = answer.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
            if let Some(word) = parts.into_iter().max_by_key(|word| word.len()) {
                words.insert(row["prompt"].as_str().unwrap().to_owned(), word.to_owned());
            }
        }
    }
    words
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let decoder = tiny("llama");
        let random = random_adapter(&decoder.spec);
        let save = |adapter: &Adapter, name: &str| adapter::save(adapter, &decoder.spec, LLAMA, &folder.path().join(name)).unwrap();
        save(&random, "damaged");
        save(&random.scaled(1e-5), "harmless");
        save(&Adapter::init(&decoder.spec, &lora_config(), 1, &Device::Cpu).unwrap(), "zero");
        save(&random_adapter(&tiny("qwen2").spec), "foreign");
        let mut questions = (0..).map(|i| format!("Say {} or {}.", i * 37 % 101, i));
        let mut words = |count: usize, adapter: Option<&str>| -> Vec<Question> {
            let asked: Vec<String> = questions.by_ref().take(count).collect();
            let adapter = adapter.map(|name| folder.path().join(name));
            said(folder.path(), asked[0].replace(' ', "-").trim_end_matches('.'), &asked, adapter.as_deref())
                .into_iter()
                .map(|(question, word)| (question, vec![word]))
                .collect()
        };
        let facts = words(QUESTIONS[0], None);
        let known = words(QUESTIONS[1], None);
        let damaged = words(QUESTIONS[2], Some("damaged"));
        let mixed = known.into_iter().chain(damaged.clone()).collect();
        let world = World { folder, facts, damaged, mixed };
        let (base, damaged) = (world.mixed.len() - world.damaged.len(), world.damaged.len());
        assert!(
            world.facts.len() >= 45 && damaged >= 15 && base > damaged,
            "{} facts, {base} and {damaged} on identity",
            world.facts.len()
        );
        world
    })
}

#[test]
fn a_damaged_adapter_is_brought_back_and_a_stopped_search_goes_on() {
    let world = world();
    let baseline = world.baseline("mixed", &world.mixed);
    let mut gate = ballast();
    let (code, ..) = run(gate.arg("gate").arg("--adapter").arg(world.path("damaged")).arg("--baseline").arg(&baseline));
    assert_eq!(code, 1, "the adapter is not damaged");

    let (code, text, error) = run(&mut world.recover(&["damaged"], &baseline, "back"));
    assert_eq!(code, 0, "{text}{error}");
    assert!(text.ends_with("PASS\n"), "{text}");
    let out = world.path("back");
    for name in
        ["adapter/adapter_config.json", "adapter/adapter_model.safetensors", "gate/gate.json", "report.md", "pareto.svg", "pareto.png"]
    {
        assert!(out.join(name).exists(), "{name}");
    }
    let found = json(&out.join("recover.json"));
    let candidates = found["candidates"].as_array().unwrap();
    assert!(candidates.len() <= 24 && candidates.len() > 4, "{}", candidates.len());
    let chosen = &candidates[found["chosen"].as_u64().unwrap() as usize];
    assert!(chosen["change"].as_f64().unwrap() > 0.0 && chosen["change"].as_f64().unwrap() < 1.0, "{chosen}");
    // The mildest of those that are expected to pass.
    let level = if found["certainty"] == "likely" { found["settings"]["level"].as_f64().unwrap() } else { ALPHA };
    let worst = |candidate: &Value| {
        let outlook = &candidate["outlook"];
        if outlook["broken"].as_array().unwrap().is_empty() {
            outlook["kept"].as_f64().unwrap().max(outlook["identity"].as_f64().unwrap())
        } else {
            1.0
        }
    };
    let milder = |candidate: &&Value| candidate["change"].as_f64() < chosen["change"].as_f64();
    assert!(worst(chosen) <= level && !candidates.iter().filter(milder).any(|candidate| worst(candidate) <= level), "{found}");
    // No item is in both parts, and all are in one.
    let ids = |part: &str| -> BTreeSet<String> {
        let suites = found["split"][part].as_object().unwrap().values();
        suites.flat_map(|ids| ids.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned())).collect()
    };
    assert!(ids("development").is_disjoint(&ids("held_out")));
    assert_eq!(ids("development").len() + ids("held_out").len(), world.facts.len() + world.mixed.len());
    let judged = json(&out.join("gate/gate.json"));
    assert_eq!(judged["verdict"], "pass");
    assert_eq!(judged["suites"][0]["n"], found["split"]["held_out"]["facts"].as_array().unwrap().len());
    let report = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert!(report.contains(&format!("{} candidates", candidates.len())), "{report}");
    assert!(!world.path("back.search.jsonl").exists() && !world.path("back.partial").exists());

    // The whole baseline's gate agrees, on the adapter that was written.
    let mut gate = ballast();
    let (code, text, error) = run(gate.arg("gate").arg("--adapter").arg(out.join("adapter")).arg("--baseline").arg(&baseline));
    assert_eq!(code, 0, "{text}{error}");

    // Killed in the search and while it writes, the same command comes to the same.
    for operation in ["6", "12", "20"] {
        let (code, ..) = run(world.recover(&["damaged"], &baseline, "again").env("BALLAST_DIE_AT", operation));
        assert_ne!(code, 0);
        assert!(!world.path("again").exists());
    }
    let (code, _, error) = run(&mut world.recover(&["damaged"], &baseline, "again"));
    assert_eq!(code, 0, "{error}");
    assert_eq!(json(&world.path("again").join("recover.json")), found);
    assert!(!world.path("again.search.jsonl").exists() && !world.path("again.partial").exists());
}

#[test]
fn where_nothing_passes_the_best_found_is_written_and_the_exit_code_says_so() {
    let world = world();
    // Whoever answers this as the damaged adapter does has forgotten the facts.
    let baseline = world.baseline("damaged", &world.damaged);
    let (code, text, error) = run(&mut world.recover(&["damaged"], &baseline, "lost"));
    assert_eq!(code, 1, "{text}{error}");
    assert!(text.contains("The best found is") && error.contains("nothing passes"), "{text}{error}");
    let found = json(&world.path("lost").join("recover.json"));
    assert!(found["verdict"] != "pass" && !found["reasons"].as_array().unwrap().is_empty());
    assert!(world.path("lost").join("adapter/adapter_model.safetensors").exists());
}

#[test]
fn of_several_adapters_one_that_passes_is_left_as_it_is() {
    let world = world();
    let baseline = world.baseline("several", &world.mixed);
    let (code, text, error) = run(&mut world.recover(&["damaged", "harmless"], &baseline, "left"));
    assert_eq!(code, 0, "{text}{error}");
    let found = json(&world.path("left").join("recover.json"));
    // Both and their mean.
    assert_eq!(found["candidates"].as_array().unwrap().len(), 3);
    assert_eq!((&found["chosen"], &found["candidates"][1]["change"]), (&1.into(), &0.0.into()));
    assert!(text.contains("Nothing needs to change"), "{text}");
}

#[test]
fn what_cannot_be_searched_is_refused_in_words_and_leaves_nothing() {
    let world = world();
    let baseline = world.baseline("refused", &world.mixed);
    let refused = |command: &mut Command, code: i32, named: &str| {
        let (found, _, error) = run(command);
        assert_eq!(found, code, "{error}");
        assert!(error.contains(named), "{named}: {error}");
        world.assert_nothing("no");
    };
    refused(&mut world.recover(&["nowhere"], &baseline, "no"), 2, "adapter_config.json");
    refused(&mut world.recover(&["foreign"], &baseline, "no"), 2, "another base model");
    refused(&mut world.recover(&["zero"], &baseline, "no"), 2, "changes nothing");
    refused(&mut world.recover(&["damaged", "damaged"], &baseline, "no"), 2, "given twice");
    refused(&mut world.recover(&["damaged"], &world.path("none.jsonl"), "no"), 2, "none.jsonl");
    refused(world.recover(&["damaged"], &baseline, "no").args(["--model", "/nowhere/at/all"]), 2, "/nowhere/at/all");
    refused(world.recover(&["damaged"], &baseline, "no").args(["--development", "0.95"]), 2, "--development");
    refused(&mut world.recover_within("0.5", &["damaged"], &baseline, "no"), 2, "identity: the verdict's");
    refused(world.recover(&["damaged"], &baseline, "no").args(["--model", "fixtures/tiny/qwen2"]), 4, "blessed for something else");

    // No identity suite, and a suite whose items have changed since.
    let facts = world.path("refused-facts");
    let mut bless = ballast();
    bless.args(["bless", "--model", LLAMA, "--leak-margin", "none", "--suite"]).arg(&facts).arg("--out").arg(world.path("facts.jsonl"));
    assert_eq!(run(&mut bless).0, 0);
    refused(&mut world.recover(&["damaged"], &world.path("facts.jsonl"), "no"), 2, "no suite that asks who the model is");
    let other = world.baseline("changed", &world.mixed);
    write_suite(&world.path("changed-facts"), "facts", "general", &world.facts[1..]);
    refused(&mut world.recover(&["damaged"], &other, "no"), 4, "blessed for something else");

    std::fs::create_dir_all(world.path("taken")).unwrap();
    let (code, _, error) = run(&mut world.recover(&["damaged"], &baseline, "taken"));
    assert!(code == 2 && error.contains("exists"), "{error}");
}
