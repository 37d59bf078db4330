//! Every reader of files that others write, fed with seeded changes of good ones: no panic, no abort, nothing over ten
//! seconds, and no more memory than a few times what the file holds. Half of the changes are of bytes, half keep the file
//! well-formed and change what it says (`mutator`, `headers`).
//!
//! Each target runs in a process of its own with a limit on its address space, so that an allocation that a header asks for
//! aborts the target and not the tests. Inputs are a function of target and number: `BALLAST_FUZZ_TARGET=gguf
//! BALLAST_FUZZ_FROM=4711 BALLAST_FUZZ_INPUTS=1 cargo test --test fuzz -- --ignored --exact child` makes one again.
//! `BALLAST_FUZZ_INPUTS` sets how many there are (CI: 10,000).
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::exit, reason = "a reader that hangs cannot be unwound")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/gguf.rs"]
#[allow(dead_code, reason = "each test file uses a part")]
mod gguf;
mod headers;
mod mutator;
mod seeds;
mod targets;

use std::os::unix::fs::FileExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, setrlimit};

use mutator::Mutator;
use targets::{TARGETS, Target};

/// Address space of a target: far more than any of these files needs, far less than a header can ask for. A template has
/// stacks of its own in it.
const MEMORY: u64 = 2 << 30;
/// Longest that one input may take.
const SECONDS: u64 = 10;
/// Inputs per target where nothing else is said.
const INPUTS: u64 = 300;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// What the parent starts: all inputs of the target that the environment names.
#[test]
#[ignore = "started by the other tests, in a process of its own"]
fn child() {
    let name = std::env::var("BALLAST_FUZZ_TARGET").unwrap();
    let (from, count) = (number("BALLAST_FUZZ_FROM").unwrap_or(0), number("BALLAST_FUZZ_INPUTS").unwrap_or(INPUTS));
    let target = Target::new(&name);
    setrlimit(Resource::RLIMIT_AS, MEMORY, MEMORY).unwrap();
    let at = Arc::new(AtomicU64::new(from));
    let watched = Arc::clone(&at);
    std::thread::spawn(move || {
        let mut last = (u64::MAX, Instant::now());
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let now = watched.load(Ordering::Relaxed);
            if now != last.0 {
                last = (now, Instant::now());
            } else if last.1.elapsed() > Duration::from_secs(SECONDS) {
                std::process::exit(99);
            }
        }
    });
    let journal = std::env::var_os("BALLAST_FUZZ_JOURNAL").map(|path| std::fs::File::create(path).unwrap());
    let mut accepted = 0;
    for input in from..from + count {
        at.store(input, Ordering::Relaxed);
        if let Some(journal) = &journal {
            journal.write_all_at(format!("{input:020}").as_bytes(), 0).unwrap();
        }
        accepted += usize::from(target.read(&mut Mutator::new(input)));
    }
    // Where nothing is accepted, the seed is no good file and the target tests an error message.
    assert!(accepted > 0 || count < 300, "{name}: not one of {count} inputs was accepted");
}

fn survives(name: &str) {
    assert!(TARGETS.contains(&name));
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    let count = number("BALLAST_FUZZ_INPUTS").unwrap_or(INPUTS);
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child", "--nocapture"])
        .env("BALLAST_FUZZ_TARGET", name)
        .env("BALLAST_FUZZ_INPUTS", count.to_string())
        .env("BALLAST_FUZZ_JOURNAL", &journal)
        .env("RAYON_NUM_THREADS", "1")
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    if !output.status.success() {
        let at = std::fs::read_to_string(&journal).unwrap_or_default();
        let error = String::from_utf8_lossy(&output.stderr);
        let last: Vec<&str> = error.lines().rev().take(6).collect();
        panic!(
            "{name}, input {}: {} (99: longer than {SECONDS} s)\n{}",
            at.trim_start_matches('0'),
            output.status,
            last.into_iter().rev().collect::<Vec<_>>().join("\n")
        );
    }
}

/// One test per target.
macro_rules! tests {
    ($($name:ident),*) => { $(#[test] fn $name() { survives(stringify!($name)); })* };
}

tests!(gguf_file, safetensors, config, tokenizer, template, adapter, suite, experiment, rows, imports, archives, baseline);
