//! `ballast bench` as a user runs it, on sizes that take a moment. No time is judged here: only that every part is
//! measured and told, and that a peer is run, read and compared.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

use assert_cmd::Command;
use serde_json::Value;

const PARTS: [&str; 6] = ["train", "checkpointed", "single", "decode", "adapters", "prefill"];

fn bench(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ballast"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["bench", "--small", "--repeats", "2", "--warmup", "0"]).args(arguments);
    command
}

fn stdout(command: &mut Command) -> String {
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

fn stderr(command: &mut Command) -> String {
    String::from_utf8(command.assert().code(2).get_output().stderr.clone()).unwrap()
}

#[test]
fn every_part_of_a_random_shape_is_measured() {
    let results: Value = serde_json::from_str(&stdout(&mut bench(&["--shape", "tiny", "--random-weights", "--json"]))).unwrap();
    let parts = results["parts"].as_array().unwrap();
    assert_eq!(parts.iter().map(|part| part["part"].as_str().unwrap()).collect::<Vec<_>>(), PARTS);
    for part in parts {
        let ours = &part["measured"][0];
        assert_eq!(ours["error"], Value::Null);
        assert_eq!(ours["seconds"].as_array().unwrap().len(), 2);
        assert!(part["floor_seconds"].as_f64().unwrap() > 0.0);
    }
    assert!(results["rates"]["flops"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_models_own_weights_and_chosen_parts() {
    let table = stdout(&mut bench(&["--model", "fixtures/tiny/llama", "--only", "decode,train"]));
    let rows: Vec<&str> = table.lines().filter(|line| line.split('|').nth(2).is_some_and(|cell| cell.trim() == "ballast")).collect();
    assert_eq!(rows.len(), 2, "{table}");
    assert!(rows[0].contains("train step, 3 rows, 30 tokens") && rows[1].contains("decode, 4 rows"), "{table}");
}

/// A shell script in the place of Python. The job is the third argument, behind -c and the program.
#[cfg(unix)]
fn program(folder: &std::path::Path, script: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("python");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// A peer without its libraries: prints two measurements, whatever program it is given.
#[cfg(unix)]
fn fake_python(folder: &std::path::Path, ending: &str) -> String {
    let line = |how: &str, seconds: &str, error: &str| {
        format!(
            r#"{{"program":"fake","versions":"fake 1","part":"prefill","how":"{how}","seconds":{seconds},"peak_mib":512.0,"error":{error}}}"#
        )
    };
    let (good, bad) = (line("fast", "[1000.0]", "null"), line("wide", "[]", r#""out of memory""#));
    program(folder, &format!("echo \"$3\" > {}/job.json\necho noise\necho '{good}'\necho '{bad}'\n{ending}", folder.display()))
}

#[test]
#[cfg(unix)]
fn a_peer_is_given_the_job_and_stands_beside_ours() {
    let folder = tempfile::tempdir().unwrap();
    let python = fake_python(folder.path(), "exit 3");
    let table = stdout(&mut bench(&["--shape", "tiny", "--only", "prefill", "--peer", "--python", &python]));
    let theirs = table.lines().find(|line| line.contains("| fast ")).unwrap();
    assert!(theirs.contains("x as fast") && theirs.contains("512.0 MiB"), "{table}");
    assert!(table.contains("fake, prefill, 2 x 16 tokens, wide: out of memory"), "{table}");
    assert!(table.contains("later: the program ended with exit status: 3"), "{table}");
    let job: Value = serde_json::from_str(&std::fs::read_to_string(folder.path().join("job.json")).unwrap()).unwrap();
    assert_eq!((&job["parts"][0], &job["config"]["model_type"]), (&"prefill".into(), &"qwen2".into()));
    assert_eq!(job["work"]["rows"].as_array().unwrap().len(), 3);
}

#[test]
#[cfg(unix)]
fn a_peer_that_dies_is_started_again_for_the_parts_it_had_not_come_to() {
    let folder = tempfile::tempdir().unwrap();
    // Measures the first of its parts and dies, and of decoding not even that.
    let python = program(
        folder.path(),
        r#"part=$(printf '%s' "$3" | sed 's/.*"parts":\["\([a-z]*\)".*/\1/')
[ $part = decode ] && kill -9 $$
echo '{"program":"fake","part":"'$part'","how":"fast","seconds":[1.0],"peak_mib":null}'
kill -9 $$"#,
    );
    let table = stdout(&mut bench(&["--shape", "tiny", "--only", "train,decode,prefill", "--peer", "--python", &python]));
    assert_eq!(table.lines().filter(|line| line.contains("| fast ")).count(), 2, "{table}");
    let notes: Vec<&str> = table.lines().filter(|line| line.ends_with("(SIGKILL)")).collect();
    assert_eq!(notes.len(), 3, "{table}");
    assert!(notes[1].starts_with("fake, decode,") && notes[1].contains(" any: "), "{table}");
}

#[test]
fn a_peer_that_cannot_run_says_what_it_needs() {
    let missing = stderr(&mut bench(&["--shape", "tiny", "--peer", "--python", "/nowhere/python3"]));
    assert!(missing.contains("torch, transformers and peft") && missing.contains("--python"), "{missing}");
    let no_file = stderr(&mut bench(&["--shape", "tiny", "--peer", "llama.cpp"]));
    assert!(no_file.contains("--model"), "{no_file}");
}
