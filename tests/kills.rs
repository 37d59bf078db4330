//! A run killed at file operations, one after the other, and continued: at every single one with `BALLAST_KILLS=all`, else at
//! every eleventh, because each takes a whole run; each time the rows, adapters and records
//! must end as those of the run that nothing happened to, byte for byte. Likewise a continued run killed at each of its own
//! operations, files changed between two continuations, and two runs at once.
#![cfg(all(target_os = "linux", debug_assertions))]
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

#[path = "common/small.rs"]
mod small;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use small::Small;

const SIGABRT: i32 = 6;
/// Operations between two kills: all of them, or few enough for every day.
fn stride(all: usize) -> usize {
    if std::env::var("BALLAST_KILLS").is_ok_and(|kills| kills == "all") { all } else { 11 }
}

/// More operations than a run has.
const NEVER: usize = 10_000;

/// Beside the variant of every small run: another taken from it, one of two stages, probes and checkpoints; as few of each as
/// there can be.
const TABLES: &str = r#"
[training]
window = 2
save_every = 2

[probe]
every = 2
items = 1
suites = ["facts"]

[[variants]]
name = "half"
description = "A at half strength"
of = "A"
lambda = 0.5

[[variants]]
name = "B"
description = "two stages"
[[variants.stages]]
name = "anchor"
sources = ["rows.json#2"]
steps = 2
learning_rate = 1e-2
[[variants.stages]]
name = "more"
sources = ["rows.json#3"]
steps = 1
learning_rate = 1e-2
"#;

struct Place(tempfile::TempDir);

impl Place {
    fn new(together: usize) -> Self {
        // In memory where the system has such a folder: a run flushes its files to the disk some hundred times.
        let memory = Path::new("/dev/shm");
        let place = Self(if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap());
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tiny/llama");
        let top = format!("cells_together = {together}");
        Small { items: 2, answer_tokens: 1, rows: 3, learning_rate: "1e-2", top: &top, tables: TABLES }.write(place.0.path(), &model);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The experiment with its folders under `name`.
    fn run(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ballast"));
        command.env_remove("RUST_BACKTRACE").current_dir(self.0.path()).args(["run", "small.toml"]);
        command.arg("--runs").arg(self.path(name).join("runs")).arg("--reports").arg(self.path(name).join("reports"));
        command
    }

    /// Runs until operation `at`, before which the process dies; whether it did.
    fn killed(&self, name: &str, at: usize) -> bool {
        let output = self.run(name).env("BALLAST_DIE_AT", at.to_string()).output().unwrap();
        let killed = output.status.signal() == Some(SIGABRT);
        assert!(killed || output.status.success(), "at operation {at}: {}", said(&output));
        killed
    }

    fn finish(&self, name: &str) -> Results {
        let output = self.run(name).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        results(&self.path(name))
    }

    /// The only run directory under `name`.
    fn dir(&self, name: &str) -> PathBuf {
        let mut entries = fs::read_dir(self.path(name).join("runs")).unwrap();
        let dir = entries.next().unwrap().unwrap().path();
        assert!(entries.next().is_none(), "one run directory");
        dir
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Every file below a folder by its path in it, less what depends on the clock or on who ran it.
type Results = BTreeMap<String, String>;

fn results(folder: &Path) -> Results {
    let mut found = Results::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            let bytes = fs::read(&path).unwrap();
            let text = match path.file_name().unwrap().to_str().unwrap() {
                "lock" => String::new(),
                "train.csv" => timeless_rows(&bytes),
                "cell.json" => timeless_record(&bytes),
                // Seconds are in the report's table of doses.
                _ if name.contains("report") => String::new(),
                _ => ballast::files::sha256(&bytes),
            };
            found.insert(name, text);
        }
    }
    found
}

/// The columns before those of time.
fn timeless_rows(bytes: &[u8]) -> String {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    text.lines().map(|line| line.split(',').take(24).collect::<Vec<_>>().join(",") + "\n").collect()
}

fn timeless_record(bytes: &[u8]) -> String {
    let mut record: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    for key in ["train_seconds", "eval_seconds"] {
        assert!(record[key].take().as_f64().unwrap() >= 0.0);
    }
    // Has the columns of time in it.
    record["files"].as_object_mut().unwrap().remove("train.csv");
    record.to_string()
}

fn same(found: &Results, expected: &Results, when: &str) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{when}: other files");
    for (name, text) in expected {
        assert!(found[name] == *text, "{when}: {name} differs:\n{}\n---\n{text}", found[name]);
    }
}

/// Kills at each operation from the first of `from` on, every `stride`-th, and continues; gives how many kills there were.
fn kill_at_each(place: &Place, expected: &Results, prepare: &dyn Fn(&str), (start, stride): (usize, usize)) -> usize {
    for (kills, at) in (start..NEVER).step_by(stride).enumerate() {
        let name = format!("killed-{at}");
        prepare(&name);
        if !place.killed(&name, at) {
            return kills;
        }
        same(&place.finish(&name), expected, &format!("killed at operation {at}"));
        fs::remove_dir_all(place.path(&name)).unwrap();
    }
    panic!("a run has fewer operations");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_run_killed_at_an_operation_ends_the_same() {
    let place = Place::new(1);
    let expected = place.finish("whole");
    let kills = kill_at_each(&place, &expected, &|_| {}, (1, stride(1)));
    assert!(kills * stride(1) > 80, "{kills} kills");
}

#[test]
fn a_run_of_cells_side_by_side_killed_at_an_operation_ends_the_same() {
    let place = Place::new(4);
    let expected = place.finish("whole");
    let kills = kill_at_each(&place, &expected, &|_| {}, (6, stride(1)));
    assert!(kills * stride(1) > 80, "{kills} kills");
}

#[test]
fn a_continued_run_killed_at_an_operation_ends_the_same() {
    let place = Place::new(1);
    let expected = place.finish("whole");
    // Killed while A trains, after its first checkpoint and another step: what is continued begins by taking rows back.
    let written = |at: usize| {
        let name = format!("until-{at}");
        let rows = place.path(&name).join("runs").exists().then(|| fs::read_to_string(place.dir(&name).join("cells/A-s1/train.csv")));
        rows.and_then(Result::ok).map_or(0, |rows| rows.matches('\n').count())
    };
    // The first operation that finds three steps and the header; rows only become more.
    let (mut before, mut after) = (0, 200);
    while after - before > 1 {
        let at = usize::midpoint(before, after);
        place.killed(&format!("until-{at}"), at);
        if written(at) < 4 { before = at } else { after = at }
    }
    assert_eq!(written(after), 4, "there is such a moment");
    let begun = place.path(&format!("until-{after}"));
    let kills = kill_at_each(&place, &expected, &|name| copy(&begun, &place.path(name)), (1, stride(1)));
    assert!(kills * stride(1) > 30, "{kills} kills");
}

#[test]
fn a_changed_file_of_a_finished_cell_stops_the_continuation() {
    let place = Place::new(1);
    let expected = place.finish("whole");
    let lines = |text: &str, order: &[usize]| {
        let lines: Vec<&str> = text.lines().collect();
        order.iter().map(|i| lines[*i]).collect::<Vec<_>>().join("\n") + "\n"
    };
    let change = |file: &str, change: &dyn Fn(&Path)| {
        let name = "changed";
        copy(&place.path("whole"), &place.path(name));
        let path = place.dir(name).join("cells").join(file);
        change(&path);
        let output = place.run(name).output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{file}: {}", said(&output));
        let text = said(&output);
        assert!(text.contains(path.to_str().unwrap()) && text.contains("run again"), "{text}");
        // The remedy that it names.
        let mut cell = path;
        while cell.parent().unwrap().file_name().unwrap() != "cells" {
            cell.pop();
        }
        assert!(text.contains(&format!("delete the folder {}", cell.display())), "{text}");
        fs::remove_dir_all(&cell).unwrap();
        same(&place.finish(name), &expected, file);
        fs::remove_dir_all(place.path(name)).unwrap();
    };
    let rewrite = |order: &'static [usize]| move |path: &Path| fs::write(path, lines(&fs::read_to_string(path).unwrap(), order)).unwrap();
    change("base/items.jsonl", &rewrite(&[0]));
    change("A-s1/items.jsonl", &rewrite(&[0, 1, 1]));
    change("half-s1/items.jsonl", &rewrite(&[1, 0]));
    change("A-s1/train.csv", &rewrite(&[0, 1, 3]));
    change("B-s1/drift.csv", &rewrite(&[0, 1]));
    change("B-s1/probe.jsonl", &|path| fs::remove_file(path).unwrap());
    let other = place.dir("whole").join("cells/B-s1/adapter/adapter_model.safetensors");
    change("A-s1/adapter/adapter_model.safetensors", &|path| {
        fs::copy(&other, path).unwrap();
    });
}

#[test]
fn cells_of_one_run_are_not_continued_in_groups_of_another_size() {
    let place = Place::new(1);
    place.finish("whole");
    assert!(place.run("whole").arg("--side-by-side").output().unwrap().status.success());
    assert_eq!(fs::read_dir(place.path("whole/runs")).unwrap().count(), 2, "it is another run");
}

#[test]
fn a_second_run_says_who_has_the_folder_and_a_dead_ones_lock_is_taken_over() {
    let place = Place::new(1);
    let expected = place.finish("whole");
    // Dead, and its lock file is there.
    assert!(place.killed("one", 12));
    let lock = place.dir("one").join("lock");
    assert!(lock.exists());
    let held = fs::File::options().read(true).write(true).open(&lock).unwrap();
    held.lock().unwrap();
    fs::write(&lock, format!("{} {}\n", std::process::id(), fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim())).unwrap();
    let output = place.run("one").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let text = said(&output);
    assert!(text.contains(&format!("another run (pid {} on ", std::process::id())) && text.contains("is using"), "{text}");
    drop(held);
    same(&place.finish("one"), &expected, "taken over");
    // A report needs no lock.
    let held = fs::File::options().write(true).open(&lock).unwrap();
    held.lock().unwrap();
    let report = Command::new(env!("CARGO_BIN_EXE_ballast")).arg("report").arg(place.dir("one")).output().unwrap();
    assert!(report.status.success(), "{}", said(&report));
}
