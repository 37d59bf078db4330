//! A panic on any thread ends in exit code 70 and one line that asks to report it.
#![allow(
    clippy::unwrap_used,
    clippy::exit,
    clippy::print_stderr,
    clippy::missing_docs_in_private_items,
    reason = "a failed unwrap is a failed test"
)]

use std::process::{Command, exit};
use std::thread;

use ballast::{defect, error};

const ROLE: &str = "BALLAST_TEST_PANIC";

#[test]
fn a_panic_of_a_command_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let build = |panic: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ballast"));
        command.args(["data", "build", "quick", "--out"]).arg(folder.path().join("rows"));
        command.envs(panic.map(|at| ("BALLAST_PANIC_AT", at))).env_remove("RUST_BACKTRACE");
        command.output().unwrap()
    };
    let output = build(Some("1"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(i32::from(error::exit::INTERNAL)), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for part in ["error: Ballast ", "src/files.rs:", "asked for by BALLAST_PANIC_AT", "please report this line"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(build(None).status.success());
}

/// Runs [`child`] in a process of its own, where it may panic.
fn child_that(panics: &str) -> (Option<i32>, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["child", "--exact", "--nocapture"]).env(ROLE, panics).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_panic_of_a_worker_is_one_too() {
    for panics in ["here", "in a pool", "where nobody minds", "twice"] {
        let (code, said) = child_that(panics);
        assert_eq!(code, Some(70), "{panics}: {said}");
        assert_eq!(said.matches("told: Ballast ").count(), 1, "{panics}: {said}");
        assert!(said.contains("a defect of the test") && said.contains("tests/panics.rs"), "{panics}: {said}");
    }
    assert_eq!(child_that("nowhere"), (Some(0), String::new()));
}

#[test]
fn child() {
    let Ok(panics) = std::env::var(ROLE) else { return };
    let defect = || panic!("a defect of the test\n");
    let ended = defect::guarded(
        |line| eprintln!("told: {line}"),
        || match panics.as_str() {
            "here" => defect(),
            "in a pool" => drop(rayon::join(|| (), defect)),
            "where nobody minds" => drop(thread::spawn(defect).join()),
            "twice" => drop(rayon::join(defect, defect)),
            _ => {}
        },
    );
    exit(i32::from(if ended.is_some() { error::exit::PASS } else { error::exit::INTERNAL }));
}
