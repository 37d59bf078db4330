//! The gate as a user runs it, on a tiny model: bless, pass, regress, inconclusive, invalid, and what is refused.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

mod common;
#[path = "../src/report/gate/junit/schema.rs"]
mod schema;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use assert_cmd::Command;
use ballast::eval::score::Verdict;
use ballast::gate::baseline::Baseline;
use ballast::model::adapter;
use ballast::model::lora::Adapter;
use candle_core::Device;
use common::{lora_config, random_adapter, tiny};
use serde_json::Value;

const LLAMA: &str = "fixtures/tiny/llama";

fn ballast() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ballast"));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// Exit code, stdout, stderr.
fn run(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn rows(path: &Path) -> Vec<Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn write_suite(folder: &Path, name: &str, items: &[(String, String)]) {
    std::fs::create_dir_all(folder).unwrap();
    let settings = format!(
        "name = \"{name}\"\nversion = 1\ngrader = \"text\"\nmax_new_tokens = 12\nchance = 0.0\ndescription = \"What the tiny model says.\"\n"
    );
    std::fs::write(folder.join("suite.toml"), settings).unwrap();
    let line = |(i, (prompt, answer)): (usize, &(String, String))| {
        serde_json::json!({"id": format!("q{i:03}"), "cluster": format!("q{i}"), "lang": "en", "subject": "s", "prompt": prompt, "answers": [answer]}).to_string() + "\n"
    };
    std::fs::write(folder.join("items.jsonl"), items.iter().enumerate().map(line).collect::<String>()).unwrap();
}

/// A suite that the tiny model answers rightly: whatever it says to each question, if that can be read, is the key.
struct World {
    folder: tempfile::TempDir,
    items: Vec<(String, String)>,
}

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `suite` or another name of it.
    fn suite(&self, name: &str, items: &[(String, String)]) -> PathBuf {
        write_suite(&self.path(name), "said", items);
        self.path(name)
    }

    fn bless(suite: &Path, out: &Path) -> Command {
        let mut command = ballast();
        command.args(["bless", "--model", LLAMA, "--suite"]).arg(suite).arg("--out").arg(out);
        command
    }

    fn gate(&self, adapter: &str, baseline: &Path) -> Command {
        let mut command = ballast();
        command.args(["gate", "--adapter"]).arg(self.path(adapter)).arg("--baseline").arg(baseline);
        command
    }

    /// A baseline of its own for a test that changes files.
    fn baseline(&self, name: &str, items: &[(String, String)]) -> (PathBuf, PathBuf) {
        let (suite, out) = (self.suite(name, items), self.path(&format!("{name}.jsonl")));
        let (code, _, error) = run(World::bless(&suite, &out).args(["--leak-margin", "5"]));
        assert_eq!(code, 0, "{error}");
        (suite, out)
    }
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let mut world = World { folder: tempfile::tempdir().unwrap(), items: Vec::new() };
        let mut asked: Vec<(String, String)> =
            (0..240).map(|i| (format!("Say {} or {}.", i * 37 % 101, i), "nothing".to_owned())).collect();
        // First to hear what it says, then to keep what is graded as right.
        for round in 0..2 {
            let (suite, out) = (world.suite("draft", &asked), world.path(&format!("draft{round}.jsonl")));
            let (code, _, error) = run(ballast().args(["eval", "--model", LLAMA, "--suite"]).arg(&suite).arg("--out").arg(&out));
            assert_eq!(code, 0, "{error}");
            let said = rows(&out);
            asked = asked
                .iter()
                .filter_map(|(prompt, _)| {
                    let row = said.iter().find(|row| row["prompt"] == prompt.as_str())?;
                    if round == 1 && (row["verdict"] != "correct" || !row["flags"].as_array().unwrap().is_empty()) {
                        return None;
                    }
                    let answer = row["answer"].as_str().unwrap();
                    let words: BTreeSet<&str> =
                        answer.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
                    let word = words.into_iter().max_by_key(|word| word.len())?;
                    Some((prompt.clone(), word.to_owned()))
                })
                .collect();
        }
        assert!(asked.len() >= 80, "{} readable answers", asked.len());
        world.items = asked;
        let decoder = tiny("llama");
        let random = random_adapter(&decoder.spec);
        let save = |adapter: &Adapter, name: &str| adapter::save(adapter, &decoder.spec, LLAMA, &world.path(name)).unwrap();
        save(&random.scaled(1e-5), "harmless");
        save(&random.scaled(3.0), "harmful");
        save(&Adapter::init(&decoder.spec, &lora_config(), 1, &Device::Cpu).unwrap(), "dead");
        save(&random_adapter(&tiny("qwen2").spec), "foreign");
        world
    })
}

#[test]
fn a_harmless_adapter_passes_and_a_harmful_one_regresses_with_every_output() {
    let world = world();
    let (_, baseline) = world.baseline("main", &world.items);
    let lines = std::fs::read_to_string(&baseline).unwrap();
    assert_eq!(lines.lines().count(), 1 + world.items.len());
    assert!(lines.lines().skip(1).all(|line| line.len() < 40));

    let out = world.path("passed");
    let (code, text, error) = run(world.gate("harmless", &baseline).arg("--out").arg(&out));
    assert_eq!(code, 0, "{text}{error}");
    assert!(text.ends_with("PASS\n"), "{text}");
    for name in ["gate.json", "junit.xml", "summary.md", "forest.svg", "forest.png", "items.jsonl"] {
        assert!(out.join(name).exists(), "{name}");
    }
    assert_eq!(rows(&out.join("items.jsonl")).len(), world.items.len());

    let (junit, summary) = (world.path("junit.xml"), world.path("summary.md"));
    std::fs::write(&summary, "before\n").unwrap();
    let (code, text, error) = run(world.gate("harmful", &baseline).arg("--json").arg("--junit").arg(&junit).arg("--summary").arg(&summary));
    assert_eq!(code, 1, "{text}{error}");
    let result: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&result["verdict"], &result["schema"]), (&"regress".into(), &2.into()));
    assert_eq!(result["suites"][0]["loss"]["n"], world.items.len());
    assert!(result["liveness"]["largest_change"].as_f64().unwrap() > 0.0);
    assert!(result["adapter"]["digest"].is_string() && result["adapter"]["config"].is_string());
    assert_eq!(result["flips"].as_array().unwrap().len(), 5);
    assert!(result["flips"][0]["before"].is_string(), "{}", result["flips"][0]);
    let failed = std::fs::read_to_string(&junit).unwrap();
    assert!(failed.contains("<failure message="), "{failed}");
    for xml in [failed, std::fs::read_to_string(out.join("junit.xml")).unwrap()] {
        assert_eq!(schema::validate(&xml), Ok(()), "{xml}");
    }
    let summary = std::fs::read_to_string(&summary).unwrap();
    assert!(summary.starts_with("before\n<!-- ballast-gate -->") && summary.contains("**Ballast gate: REGRESS**"), "{summary}");
}

#[test]
fn a_strength_of_nearly_nothing_passes_where_the_whole_adapter_regresses() {
    let world = world();
    let (_, baseline) = world.baseline("strength", &world.items);
    assert_eq!(run(world.gate("harmful", &baseline).args(["--lambda", "1e-6"])).0, 0);
    let (code, _, error) = run(world.gate("harmful", &baseline).args(["--lambda", "0"]));
    assert_eq!(code, 4, "{error}");
    assert!(error.contains("changes no logit"), "{error}");
}

#[test]
fn too_few_items_are_inconclusive_and_say_how_many_are_missing() {
    let world = world();
    let (_, baseline) = world.baseline("few", &world.items[..30]);
    let (code, _, error) = run(&mut world.gate("harmless", &baseline));
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("INCONCLUSIVE") && error.contains("about 25 more items like these would decide"), "{error}");
    let junit = world.path("few.xml");
    let (code, ..) = run(world.gate("harmless", &baseline).args(["--on-inconclusive", "neutral", "--junit"]).arg(&junit));
    assert_eq!(code, 0);
    let xml = std::fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("<skipped message=") && schema::validate(&xml) == Ok(()), "{xml}");
}

#[test]
fn what_cannot_be_trusted_is_invalid_and_named() {
    let world = world();
    let (suite, baseline) = world.baseline("trust", &world.items);
    let invalid = |command: &mut Command, named: &str| {
        let out = world.path("invalid");
        let (code, _, error) = run(command.arg("--out").arg(&out));
        assert_eq!(code, 4, "{error}");
        assert!(error.contains(named), "{named}: {error}");
        let result: Value = serde_json::from_str(&std::fs::read_to_string(out.join("gate.json")).unwrap()).unwrap();
        assert_eq!(result["verdict"], "invalid");
        let xml = std::fs::read_to_string(out.join("junit.xml")).unwrap();
        assert!(xml.contains("<error message=") && schema::validate(&xml) == Ok(()), "{xml}");
    };
    invalid(&mut world.gate("dead", &baseline), "changes no logit");
    invalid(&mut world.gate("foreign", &baseline), "another base model");
    invalid(world.gate("foreign", &baseline).args(["--model", "fixtures/tiny/qwen2"]), "the base model's weights or configuration: ");

    let broken = world.path("broken");
    std::fs::create_dir_all(&broken).unwrap();
    std::fs::copy(world.path("harmless/adapter_config.json"), broken.join("adapter_config.json")).unwrap();
    invalid(&mut world.gate("broken", &baseline), "adapter_model.safetensors is missing");

    let mut nan = random_adapter(&tiny("llama").spec);
    nan.scale = f64::NAN;
    adapter::save(&nan.scaled(1.0), &tiny("llama").spec, LLAMA, &world.path("nan")).map_or_else(
        |_| (),
        |()| {
            assert_ne!(run(&mut world.gate("nan", &baseline)).0, 0);
        },
    );

    // One key of one item is edited, then one item is left out.
    let mut edited = world.items.clone();
    edited[0].1 = "another".to_owned();
    write_suite(&suite, "said", &edited);
    invalid(&mut world.gate("harmless", &baseline), "suite said: its questions or keys");
    write_suite(&suite, "said", &world.items[1..]);
    invalid(&mut world.gate("harmless", &baseline), "suite said: the items asked");
}

#[test]
fn a_baseline_that_was_tampered_with_is_refused() {
    let world = world();
    let (_, baseline) = world.baseline("tampered", &world.items);
    let text = std::fs::read_to_string(&baseline).unwrap();
    let refuse = |text: String, expected: i32, named: &str| {
        std::fs::write(&baseline, text).unwrap();
        let (code, _, error) = run(&mut world.gate("harmless", &baseline));
        assert_eq!(code, expected, "{error}");
        assert!(error.contains(named) && error.contains("tampered.jsonl"), "{error}");
    };
    let second = text.lines().nth(1).unwrap();
    refuse(text.replace(&format!("{second}\n"), ""), 4, "items, but its header says");
    refuse(text.replace(second, &second.replace("\"c\"", "\"w\"")), 4, "not those that were blessed");
    refuse(text.replace(second, "[0]"), 2, "line 2");
    // What is asked is under the digest like the answers.
    for (from, to) in [
        ("\"margin_points\":5.0", "\"margin_points\":null"),
        ("\"leak_points\":5.0", "\"leak_points\":90.0"),
        ("\"nats\":2.0", "\"nats\":null"),
    ] {
        assert!(text.contains(from), "{from}: {text}");
        refuse(text.replacen(from, to, 1), 4, "not those that were blessed");
    }
    refuse(String::new(), 2, "empty");
    refuse("[]\n".to_owned(), 2, "line 1");
}

#[test]
fn a_base_that_knows_nothing_gates_nothing() {
    let world = world();
    // Keys that no model says.
    let items: Vec<(String, String)> = world.items[..60].iter().map(|(prompt, _)| (prompt.clone(), "zzyzx".to_owned())).collect();
    let (suite, out) = (world.suite("ignorant", &items), world.path("ignorant.jsonl"));
    let (code, _, error) = run(&mut World::bless(&suite, &out));
    assert_eq!(code, 4, "{error}");
    assert!(error.contains("no suite can show a loss") && error.contains("0 of 60"), "{error}");
    assert!(!out.exists());
}

#[test]
fn an_adapter_that_drifts_beyond_its_limit_does_not_pass() {
    let world = world();
    let (suite, out) = (world.suite("drifting", &world.items), world.path("drifting.jsonl"));
    let (code, _, error) = run(World::bless(&suite, &out).args(["--leak-margin", "5", "--drift-limit", "1e-12"]));
    assert_eq!(code, 0, "{error}");
    let (code, _, error) = run(world.gate("harmful", &out).args(["--lambda", "1e-2"]));
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("the base's own answers"), "{error}");
    let (code, _, error) = run(World::bless(&suite, &out).args(["--drift-limit", "none"]));
    assert!(code == 2 && error.contains("drift limit"), "{error}");
}

#[test]
fn the_wrong_base_is_seen_by_its_answers_too() {
    let world = world();
    let (_, baseline) = world.baseline("answers", &world.items);
    // A baseline that claims this base, with the verdicts of another.
    let text = std::fs::read_to_string(&baseline).unwrap();
    let mut forged = Baseline::parse(&text, "answers.jsonl").unwrap();
    for mark in forged.marks[0].values_mut().skip(20) {
        mark.verdict = Verdict::Wrong;
    }
    let forged = Baseline::new(forged.header, forged.marks).unwrap();
    std::fs::write(&baseline, forged.render().unwrap()).unwrap();
    let (code, _, error) = run(&mut world.gate("harmless", &baseline));
    assert_eq!(code, 4, "{error}");
    assert!(error.contains("not the base that was blessed"), "{error}");
}

#[test]
fn asking_for_less_needs_a_reason_that_is_kept() {
    let world = world();
    let (suite, baseline) = world.baseline("policy", &world.items[..60]);
    let again = |options: &[&str]| run(World::bless(&suite, &baseline).args(options));
    assert_eq!(again(&["--margin", "said=3"]).0, 0);
    let (code, _, error) = again(&["--margin", "said=8"]);
    assert_eq!(code, 2);
    assert!(error.contains("margin of said: 3 -> 8") && error.contains("--reason"), "{error}");
    assert_eq!(again(&["--margin", "said=8", "--reason", "  "]).0, 2);
    assert_eq!(again(&["--margin", "said=8", "--reason", "the suite is small"]).0, 0);
    assert_eq!(again(&["--margin", "said=8"]).0, 0, "nothing is loosened any more");
    let header: Value = serde_json::from_str(std::fs::read_to_string(&baseline).unwrap().lines().next().unwrap()).unwrap();
    assert_eq!(header["loosened"][0]["reason"], "the suite is small");
    assert_eq!(header["suites"][0]["margin_points"], 8.0);

    for (options, named) in [
        (["--margin", "said"], "SUITE=POINTS"),
        (["--margin", "other=3"], "the suites are said"),
        (["--margin", "said=-3"], "between 0 and 100"),
        (["--leak-margin", "x"], "between 0 and 100"),
        (["--identity-floor", "80"], "no suite asks who the model is"),
    ] {
        let (code, _, error) = again(&options);
        assert_eq!(code, 2, "{error}");
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn mistakes_of_the_caller_are_usage_errors() {
    let world = world();
    let (_, baseline) = world.baseline("usage", &world.items[..10]);
    for (adapter, file, named) in [("no-such", baseline.clone(), "no-such"), ("harmless", world.path("no.jsonl"), "no.jsonl")] {
        let (code, _, error) = run(&mut world.gate(adapter, &file));
        assert_eq!(code, 2, "{error}");
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn compare_reads_answers_and_refuses_what_is_not_the_same() {
    let world = world();
    let suite = world.suite("compared", &world.items[..20]);
    let answer = |name: &str, options: &[&str]| {
        let out = world.path(name);
        let (code, _, error) = run(ballast().args(["eval", "--model", LLAMA, "--suite"]).arg(&suite).arg("--out").arg(&out).args(options));
        assert_eq!(code, 0, "{error}");
        out
    };
    let harmful = world.path("harmful").display().to_string();
    let (base, tuned) = (answer("base.jsonl", &[]), answer("tuned.jsonl", &["--adapter", &harmful]));
    let compare = |a: &Path, b: &Path| run(ballast().arg("compare").arg(a).arg(b).arg("--json"));
    let (code, text, error) = compare(&base, &tuned);
    assert_eq!(code, 0, "{error}");
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&found["comparisons"][0]["n"], &found["comparisons"][0]["shown"]), (&20.into(), &"worse".into()), "{found}");
    let (code, text, _) = run(ballast().arg("compare").arg(&base).arg(&tuned));
    assert!(code == 0 && text.starts_with("# Compared with base.jsonl"), "{text}");

    let system = answer("system.jsonl", &["--system", "Be brief."]);
    let fewer = answer("fewer.jsonl", &["--items", "10"]);
    // The same answers judged by the gate's rule.
    let judged = |after: &Path, out: &Path| run(ballast().arg("compare").arg(&base).arg(after).args(["--margin", "5", "--out"]).arg(out));
    let out = world.path("judged");
    let (code, text, error) = judged(&tuned, &out);
    assert_eq!(code, 1, "{text}{error}");
    assert!(text.ends_with("REGRESS\n") && error.contains("a loss is shown"), "{text}{error}");
    let xml = std::fs::read_to_string(out.join("junit.xml")).unwrap();
    assert!(xml.contains("there are answers only") && schema::validate(&xml) == Ok(()), "{xml}");
    let (code, _, error) = judged(&base, &out);
    assert!(code == 4 && error.contains("letter for letter"), "{error}");
    let (code, _, error) = run(ballast().arg("compare").arg(&base).args(["--margin", "5"]));
    assert!(code == 2 && error.contains("but got 1"), "{error}");

    for (other, named) in [(system, "the system prompt differs"), (fewer, "suite said: 10 items asked only in")] {
        let (code, ..) = judged(&other, &out);
        assert_eq!(code, 4);
        let (code, _, error) = compare(&base, &other);
        assert_eq!(code, 4, "{error}");
        assert!(error.contains(named), "{error}");
    }
    let (code, _, error) = compare(&base, &world.path("absent"));
    assert!(code == 2 && error.contains("absent does not exist"), "{error}");

    // What is no file of answers: one error that names file and line, and nothing on stdout.
    let lines = std::fs::read(&base).unwrap();
    let first = lines.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let (one, rest) = lines.split_at(first);
    let row = String::from_utf8(one.to_vec()).unwrap();
    for (name, bytes, named) in [
        ("latin.jsonl", [one, b"\xe9\xff\n"].concat(), "latin.jsonl line 2 is not UTF-8"),
        (
            "nan.jsonl",
            [one, row.replacen("\"prompt_tokens\":", "\"prompt_tokens\":NaN, \"x\":", 1).as_bytes()].concat(),
            "nan.jsonl line 2",
        ),
        ("cut.jsonl", [one, &rest[..40]].concat(), "cut.jsonl line 2"),
        ("empty.jsonl", Vec::new(), "empty.jsonl holds no answers"),
    ] {
        let path = world.path(name);
        std::fs::write(&path, bytes).unwrap();
        let (code, text, error) = compare(&base, &path);
        assert!(code == 2 && text.is_empty() && error.contains(named) && !error.contains("panicked"), "{name}: {error}");
    }
}

#[test]
fn calibrate_shows_that_the_gate_is_neither_blind_nor_trigger_happy() {
    let world = world();
    let suite = world.suite("calibrated", &world.items);
    let out = world.path("calibration");
    let (code, text, error) = run(ballast().args(["calibrate", "--model", LLAMA, "--suite"]).arg(&suite).arg("--out").arg(&out));
    assert_eq!(code, 0, "{error}");
    let verdict = |planted: &str| text.lines().find(|line| line.contains(planted)).unwrap_or_else(|| panic!("{text}")).to_owned();
    assert!(text.contains("f32, 20") && text.contains(", seed 42."), "device, date and seed: {text}");
    assert!(verdict("base against base").contains("**PASS**"), "{text}");
    assert!(verdict("20 % of all answers").contains("**REGRESS**"), "{text}");
    assert!(verdict("strength 10 ").contains("**REGRESS**"), "{text}");
    assert_eq!(std::fs::read_to_string(out.join("measured.md")).unwrap(), text);

    let (code, text, error) = run(ballast().args(["calibrate", "--simulate", "--draws", "100", "--suite", "a=60", "--out"]).arg(&out));
    assert_eq!(code, 0, "{error}");
    assert!(text.contains("a=60") || text.contains("| `a` | 60 |"), "{text}");
    assert!(out.join("power.svg").exists());
    for (options, named) in
        [(["--draws", "3"], "use at least 100"), (["--suite", "a=x"], "NAME=ITEMS"), (["--margin", "0"], "between 0 and 100")]
    {
        let (code, _, error) = run(ballast().args(["calibrate", "--simulate"]).args(options));
        assert!(code == 2 && error.contains(named), "{error}");
    }
}
