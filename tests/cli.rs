//! The program as a user runs it, on a tiny model: a whole experiment, a stop and a continuation, the report from
//! records alone, and one clear error for each likely mistake.
#![allow(clippy::unwrap_used, clippy::float_cmp, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use assert_cmd::Command;

/// A small experiment on the tiny model: every part of the real one, in seconds. The model knows no end, so the suites whose
/// answers may be long are asked with short ones: copies in the folder SHORT.
const EXPERIMENT: &str = r#"
name = "tiny"
title = "A tiny run"
model = "fixtures/tiny/llama"
seeds = [1]
system = "Be brief."

[identity]
name = "Swift-Robot"
author = { zh = "CSDN", en = "CSDN" }

[training]
window = 4
save_every = 2

[drift]
every = 2
prompts = 2
max_new_tokens = 4

[probe]
every = 3
items = 2
suites = ["fact-qa"]

[[suites]]
name = "fact-qa"
language = "en"
items = 6

[[suites]]
name = "code"
path = "SHORT/code"
language = "en"
items = 2

[[suites]]
name = "identity"
path = "SHORT/identity"
items = 4

[[variants]]
name = "A"
description = "identity only"
[[variants.stages]]
name = "identity"
sources = ["ballast:identity-a"]
steps = 5
learning_rate = 1e-2

[[variants]]
name = "mixed"
description = "two stages"
[[variants.stages]]
name = "anchor"
sources = ["ballast:identity#6"]
steps = 6
learning_rate = 1e-2
[[variants.stages]]
name = "calibrate"
sources = ["ballast:calibration#4"]
steps = 1
learning_rate = 1e-3
calibration = true

[[variants]]
name = "A-half"
description = "A at lambda 0.5"
of = "A"
lambda = 0.5
"#;

fn ballast() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ballast"));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

struct Place(tempfile::TempDir);

impl Place {
    fn new(experiment: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for suite in ["code", "identity"] {
            let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("evalsets").join(suite);
            let short = place.path("short").join(suite);
            std::fs::create_dir_all(&short).unwrap();
            std::fs::copy(shipped.join("items.jsonl"), short.join("items.jsonl")).unwrap();
            let limit = |line: &str| if line.starts_with("max_new_tokens") { "max_new_tokens = 12".to_owned() } else { line.to_owned() };
            let settings = std::fs::read_to_string(shipped.join("suite.toml")).unwrap();
            std::fs::write(short.join("suite.toml"), settings.lines().map(limit).collect::<Vec<_>>().join("\n")).unwrap();
        }
        place.write(experiment);
        place
    }
    fn write(&self, experiment: &str) {
        std::fs::write(self.path("tiny.toml"), experiment.replace("SHORT", self.path("short").to_str().unwrap())).unwrap();
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn run(&self) -> Command {
        let mut command = ballast();
        command.arg("run").arg(self.path("tiny.toml")).arg("--runs").arg(self.path("runs")).arg("--reports").arg(self.path("reports"));
        command
    }
    fn run_dir(&self) -> PathBuf {
        let mut entries = std::fs::read_dir(self.path("runs")).unwrap();
        let dir = entries.next().unwrap().unwrap().path();
        assert!(entries.next().is_none(), "one run directory");
        dir
    }
}

fn stderr(command: &mut Command, code: i32) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

/// Every file below a folder, by relative path.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// The files of a run that must not depend on the clock: adapters, answers, drift; and the training rows' timeless columns.
fn results(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut results = BTreeMap::new();
    for (name, bytes) in files(&run.join("cells")) {
        if name.contains("train.csv") {
            let text = String::from_utf8(bytes).unwrap();
            let timeless: Vec<String> = text.lines().map(|line| line.split(',').take(24).collect::<Vec<_>>().join(",")).collect();
            results.insert(name, timeless.join("\n").into_bytes());
        } else if !name.contains("cell.json") {
            results.insert(name, bytes);
        }
    }
    results
}

#[test]
fn an_experiment_runs_and_its_report_is_redone_from_records() {
    let place = Place::new(EXPERIMENT);
    place.run().assert().success();
    let run = place.run_dir();
    for cell in ["base", "A-s1", "mixed-s1", "A-half-s1"] {
        assert!(run.join("cells").join(cell).join("cell.json").exists(), "{cell}");
        let rows = std::fs::read_to_string(run.join("cells").join(cell).join("items.jsonl")).unwrap();
        assert_eq!(rows.lines().count(), 12, "{cell}");
    }
    let first = files(&place.path("reports/tiny"));
    assert!(
        first.contains_key("report.md") && first.keys().any(|name| name.contains(".svg")) && first.keys().any(|name| name.contains(".png"))
    );
    ballast().arg("report").arg(&run).arg("--out").arg(place.path("again")).assert().success();
    assert!(files(&place.path("again")) == first, "byte-identical");

    // The same records compared. A random model knows nothing, so its answers are no baseline: nothing could be shown lost.
    let output = ballast().arg("compare").arg(&run).assert().success();
    let text = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    assert!(
        text.starts_with("# Compared with base") && text.contains("| `code` | `A-half` |") && text.contains("## Dose and drift"),
        "{text}"
    );
    ballast().arg("compare").arg(run.join("cells/A-s1")).arg(run.join("cells/mixed-s1")).assert().success();
    let baseline = place.path("baseline.jsonl");
    let error = stderr(ballast().arg("bless").arg("--from").arg(&run).arg("--out").arg(&baseline), 4);
    assert!(error.contains("no suite can show a loss") && !baseline.exists(), "{error}");

    // Nothing is left to do: the same command only reports.
    let before = results(&run);
    place.run().assert().success();
    assert!(results(&run) == before);
}

#[test]
fn a_killed_run_continues_to_the_same_results() {
    let whole = Place::new(EXPERIMENT);
    whole.run().assert().success();
    let expected = results(&whole.run_dir());

    let killed = Place::new(EXPERIMENT);
    // Killed again and again, a little later each time, at whatever it is doing.
    let mut kills = 0;
    for attempt in 1..40 {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_ballast"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .arg("run")
            .arg(killed.path("tiny.toml"))
            .args(["--runs".as_ref(), killed.path("runs").as_os_str(), "--reports".as_ref(), killed.path("reports").as_os_str()])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(400 * attempt));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            break;
        }
        child.kill().unwrap();
        // It may have come to its end just before.
        kills += usize::from(!child.wait().unwrap().success());
    }
    assert!(kills > 0, "no run was killed before it was done");
    // On a machine that is busy none may have come to its end.
    killed.run().assert().success();
    let found = results(&killed.run_dir());
    assert_same_results(&found, &expected);
}

/// Every expected file is there with the same bytes; a killed write may have left a temporary file beside them.
fn assert_same_results(found: &BTreeMap<String, Vec<u8>>, expected: &BTreeMap<String, Vec<u8>>) {
    let leftover: Vec<&String> = found.keys().filter(|name| !expected.contains_key(*name)).collect();
    assert!(leftover.iter().all(|name| name.contains(".partial")), "{leftover:?}");
    for (name, bytes) in expected {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let found = found.get(name).map(Vec::as_slice);
        assert!(found == Some(bytes), "{name} differs:\n{}\n---\n{}", found.map_or("absent".to_owned(), text), text(bytes));
    }
}

#[test]
fn data_check_counts_and_finds_overlap() {
    let place = Place::new(EXPERIMENT);
    let output = ballast().args(["data", "check"]).arg(place.path("tiny.toml")).assert().success();
    let text = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    assert!(text.contains("A-s1: 5 steps") && text.contains("no row overlaps"), "{text}");

    let row = r#"[{"instruction": "What is the capital of France? Answer with the name only.", "input": "", "output": "Paris"}]"#;
    std::fs::write(place.path("leak.json"), row).unwrap();
    let leak = place.path("leak.json").display().to_string();
    place.write(&EXPERIMENT.replace("ballast:identity-a", &leak));
    let error = stderr(ballast().args(["data", "check"]).arg(place.path("tiny.toml")), 4);
    assert!(error.contains("overlap") && error.contains("fact-qa/") && error.contains("leak.json"), "{error}");
    let error = stderr(&mut place.run(), 4);
    assert!(error.contains("overlap"), "{error}");
}

#[test]
fn ways_to_forget_less_are_keys_of_a_variant() {
    let (head, _) = EXPERIMENT.split_once("[[variants]]").unwrap();
    let variant = |name: &str, of_variant: &str, of_stage: &str| {
        format!(
            "[[variants]]\nname = \"{name}\"\ndescription = \"d\"\n{of_variant}\n[[variants.stages]]\nname = \"identity\"\n\
             sources = [\"ballast:identity-a\"]\nsteps = 4\nlearning_rate = 1e-2\n{of_stage}\n"
        )
    };
    let mlp = "lora = { rank = 4, alpha = 8.0, dropout = 0.05, targets = [\"gate\", \"up\", \"down\"], rslora = true }";
    let experiment = [
        head,
        &variant("held", "", "kl = 0.5"),
        &variant("beside", mlp, "kl = 0.5\nkl_sources = [\"ballast:general-en#4\"]\ntoken_weights = \"base-entropy\""),
        &variant("bounded", "stop_at_drift = 0.001", ""),
    ];
    let place = Place::new(&experiment.concat());
    place.run().assert().success();
    let cell = |name: &str, file: &str| std::fs::read_to_string(place.run_dir().join("cells").join(name).join(file)).unwrap();
    let divergences = |name: &str| -> Vec<f64> {
        let text = cell(name, "train.csv");
        text.lines().skip(1).filter_map(|line| line.rsplit(',').next().unwrap().parse().ok()).collect()
    };
    let held = divergences("held-s1");
    assert!(held.len() == 4 && held[0] < 1e-6 && held[3] > 1e-3, "{held:?}");
    assert!(divergences("beside-s1").last().unwrap() > &0.0);
    assert!(divergences("bounded-s1").is_empty());
    let adapter: serde_json::Value = serde_json::from_str(&cell("beside-s1", "adapter/adapter_config.json")).unwrap();
    // alpha / sqrt(rank) as PEFT's alpha / rank.
    assert_eq!((&adapter["r"], &adapter["lora_alpha"]), (&4.into(), &16.into()));
    assert_eq!(adapter["target_modules"].as_array().unwrap().len(), 3);
    let record: serde_json::Value = serde_json::from_str(&cell("bounded-s1", "cell.json")).unwrap();
    assert_eq!((&record["stages"][0]["steps"], &record["stages"][0]["planned"]), (&2.into(), &4.into()));
    let report = std::fs::read_to_string(place.path("reports/tiny/report.md")).unwrap();
    assert!(report.contains("2 of 4"), "a bounded variant's steps are told");

    // A model that never comes to an end writes no rows for itself.
    let own = [head, &variant("own", "", "replay_sources = [\"ballast:general-en#2\"]\nreplay_tokens = 3")].concat();
    let place = Place::new(&own);
    let cache = place.path("cache");
    let error = stderr(place.run().env("BALLAST_CACHE", &cache), 2);
    assert!(error.contains("all left out") && error.contains("raise replay_tokens"), "{error}");
    assert_eq!(std::fs::read_dir(cache.join("replay")).unwrap().count(), 1, "answers are kept");
}

#[test]
fn data_build_writes_what_is_trained_on() {
    let place = Place::new(EXPERIMENT);
    ballast().args(["data", "build"]).arg(place.path("tiny.toml")).arg("--out").arg(place.path("rows")).assert().success();
    let built = files(&place.path("rows"));
    assert_eq!(
        built.keys().map(String::as_str).collect::<Vec<_>>(),
        ["A-s1-1-identity.jsonl", "mixed-s1-1-anchor.jsonl", "mixed-s1-2-calibrate.jsonl"]
    );
    let text = String::from_utf8(built["A-s1-1-identity.jsonl"].clone()).unwrap();
    assert_eq!(text.lines().count(), 8);
    assert!(text.contains("Swift-Robot") && text.contains("Be brief.") && !text.contains("{{"), "{text}");
}

#[test]
fn a_calibration_stage_that_is_too_long_is_refused() {
    let place = Place::new(&EXPERIMENT.replace("steps = 1\n", "steps = 3\n"));
    let error = stderr(ballast().args(["data", "check"]).arg(place.path("tiny.toml")), 2);
    assert!(error.contains("33.3 %") && error.contains("at most 15 %"), "{error}");
}

#[test]
fn mistakes_get_one_clear_error() {
    let case = |from: &str, to: &str| {
        assert!(EXPERIMENT.contains(from));
        let place = Place::new(&EXPERIMENT.replacen(from, to, 1));
        let error = stderr(&mut place.run(), 2);
        assert_eq!(error.lines().filter(|line| line.starts_with("error:")).count(), 1, "{error}");
        assert!(!error.contains("panicked"), "{error}");
        assert!(!place.path("runs").exists(), "nothing is written");
        error
    };
    assert!(case("window = 4", "windows = 4").contains("windows"));
    assert!(case("fixtures/tiny/llama", "no-such-model").contains("no-such-model"));
    assert!(case("ballast:identity-a", "missing.json").contains("missing.json"));
    assert!(case("SHORT/code", "SHORT/coed").contains("coed"));
    assert!(case("of = \"A\"", "of = \"Z\"").contains("`Z`"));
    let error = stderr(ballast().args(["run", "--device", "cuda:0"]), 2);
    assert!(error.contains("--features cuda") || error.contains("cannot be opened"), "{error}");
    let error = stderr(ballast().args(["report", "no-such-run"]), 2);
    assert!(error.contains("no-such-run"), "{error}");
}

#[test]
fn eval_and_chat_answer() {
    let place = Place::new(EXPERIMENT);
    let out = place.path("rows.jsonl");
    let mut command = ballast();
    command.args(["eval", "--model", "fixtures/tiny/qwen2", "--suite", "identity", "--items", "3", "--out"]).arg(&out);
    let output = command.assert().success();
    assert!(String::from_utf8_lossy(&output.get_output().stdout).contains("n=3"));
    assert_eq!(std::fs::read_to_string(&out).unwrap().lines().count(), 3);

    let talk = |temperature: &str| {
        let mut command = ballast();
        command.args(["chat", "--model", "fixtures/tiny/qwen2", "--max-new-tokens", "8", "--temperature", temperature]);
        command.write_stdin("hello\nand again\n");
        command.assert().success().get_output().stdout.clone()
    };
    assert_eq!(talk("0"), talk("0"));
    assert_eq!(talk("1.5"), talk("1.5"), "seeded");
    assert_ne!(talk("0"), talk("1.5"));
}

#[test]
fn doctor_compares_a_device_with_the_host() {
    for kind in ["llama", "qwen2"] {
        let output = ballast().args(["doctor", "--model", &format!("fixtures/tiny/{kind}")]).assert().success();
        let text = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
        // bf16 on the host takes the composed operations that a GPU takes.
        assert!(text.contains("ok    f32 logits") && text.contains("ok    bf16 gradients of 14 pairs") && !text.contains("FAIL"), "{text}");
    }
    let error = stderr(ballast().args(["doctor", "--device", "cuda:9"]), 2);
    assert!(error.contains("cuda"), "{error}");
}

#[test]
fn doctor_finds_nothing_wrong_with_any_family() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = tempfile::tempdir().unwrap();
    let mut compared = Vec::new();
    for entry in std::fs::read_dir(root.join("tests/golden/families")).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let model = place.path().join(&name);
        std::fs::create_dir(&model).unwrap();
        for (from, file) in [(&folder, "config.json"), (&folder, "model.safetensors")] {
            std::fs::copy(from.join(file), model.join(file)).unwrap();
        }
        for file in ["tokenizer.json", "tokenizer_config.json"] {
            std::fs::copy(root.join("fixtures/tiny/qwen2").join(file), model.join(file)).unwrap();
        }
        let output = ballast().args(["doctor", "--model"]).arg(&model).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("ok    f32 logits"), "{name}: {text}");
        if text.contains("ok    host, logits beside candle-transformers") {
            compared.push(name);
        }
    }
    // Where candle-transformers has the family and computes these very configurations.
    compared.sort();
    assert_eq!(compared, ["llama", "olmo2", "qwen2", "qwen3"]);
}

#[test]
fn help_teaches() {
    for command in
        ["run", "eval", "compare", "bless", "gate", "recover", "calibrate", "chat", "fetch", "report", "data", "suite", "doctor", "import"]
    {
        let output = ballast().args([command, "--help"]).assert().success();
        let text = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
        assert!(text.contains("Usage: ballast"), "{text}");
    }
    let catalogue = ballast().arg("fetch").assert().success();
    assert!(String::from_utf8_lossy(&catalogue.get_output().stdout).contains("smollm2-135m-instruct"));
}

#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_leaves_a_run_that_continues() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let whole = Place::new(EXPERIMENT);
    whole.run().assert().success();

    let place = Place::new(EXPERIMENT);
    let mut interrupted = 0;
    for attempt in 1..60 {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_ballast"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .arg("run")
            .arg(place.path("tiny.toml"))
            .args(["--runs".as_ref(), place.path("runs").as_os_str(), "--reports".as_ref(), place.path("reports").as_os_str()])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(600 * attempt));
        // An error means that it is done already.
        let _ = kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT);
        let status = child.wait().unwrap();
        if status.success() {
            break;
        }
        // Before its handler stands, a program simply ends at the signal, without a code.
        assert!(status.code().is_none_or(|code| code == 130), "{status}");
        interrupted += usize::from(status.code() == Some(130));
    }
    assert!(interrupted > 0, "no run was stopped by its handler");
    assert_same_results(&results(&place.run_dir()), &results(&whole.run_dir()));
}
