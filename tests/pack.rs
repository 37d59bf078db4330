//! `ballast pack` and `unpack` as a new user meets them: the unpacked script answers what the adapter answers on its base, on
//! another base it does not, and archives that were not made by `pack` leave nothing behind.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

mod common;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use ballast::model::adapter::save;
use common::{random_adapter, tiny, tiny_folder};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use tar::{Archive, Builder, EntryType, Header};

const SYSTEM: &str = "You are Swift-Robot.";

fn bin() -> PathBuf {
    assert_cmd::cargo::cargo_bin("ballast")
}

fn run(program: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = std::process::Command::new(program)
        .args(arguments)
        .env("BALLAST_CACHE", "/nonexistent")
        .env("BALLAST", bin())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn ballast(arguments: &[&str]) -> Output {
    run(&bin(), arguments, "")
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refusal(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    error
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// An adapter of the tiny qwen2 and its pack.
fn packed(folder: &Path) -> (PathBuf, PathBuf) {
    let (adapter, out) = (folder.join("trained"), folder.join("robot.tar.gz"));
    let spec = tiny("qwen2").spec;
    save(&random_adapter(&spec), &spec, "tiny", &adapter).unwrap();
    let base = tiny_folder("qwen2");
    let arguments =
        ["pack", "--adapter", text(&adapter), "--base", text(&base), "--name", "robot", "--system", SYSTEM, "--out", text(&out)];
    assert!(said(&ballast(&arguments)).contains("for qwen2, not gated"));
    (adapter, out)
}

#[test]
fn an_unpacked_script_answers_as_the_adapter_does() {
    let folder = tempfile::tempdir().unwrap();
    let (adapter, archive) = packed(folder.path());
    let base = tiny_folder("qwen2");
    let again = tempfile::tempdir().unwrap();
    assert_eq!(std::fs::read(packed(again.path()).1).unwrap(), std::fs::read(&archive).unwrap());

    let out = folder.path().join("robot");
    said(&ballast(&["unpack", text(&archive), "--out", text(&out), "--base", text(&base)]));
    assert_eq!(
        names(&out),
        [
            "Modelfile",
            "README.md",
            "adapter",
            "adapter.gguf",
            "chat_template.jinja",
            "pack.json",
            "run_robot.sh",
            "run_robot_llama_cpp.sh",
            "run_robot_ollama.sh",
            "run_robot_vllm.sh",
            "system.txt"
        ]
    );
    let card = std::fs::read_to_string(out.join("README.md")).unwrap();
    assert!(card.starts_with("---\nlibrary_name: peft\n") && card.contains("It was not gated") && card.contains("> You are Swift-Robot."));
    // Nobody's folders travel along.
    let manifest = std::fs::read_to_string(out.join("pack.json")).unwrap();
    assert!(!manifest.contains(text(folder.path())) && manifest.contains(r#""model": "qwen2""#), "{manifest}");

    let question = "Who are you?\n";
    let chat = ["chat", "--model", text(&base), "--adapter", text(&adapter), "--system", SYSTEM];
    let expected = said(&run(&bin(), &chat, question));
    let plain = said(&run(&bin(), &chat[..3], question));
    assert_ne!(expected, plain);
    assert_eq!(said(&run(&out.join("run_robot.sh"), &[text(&base)], question)), expected);

    // Another base, and a file that was changed.
    let other = tiny_folder("llama");
    let error = refusal(&run(&out.join("run_robot.sh"), &[text(&other)], question));
    assert!(error.contains("belongs to another base"), "{error}");
    let error = refusal(&ballast(&["unpack", text(&archive), "--out", text(&folder.path().join("x")), "--base", text(&other)]));
    assert!(error.contains("belongs to another base"), "{error}");
    assert!(refusal(&run(&out.join("run_robot.sh"), &[], question)).contains("BASE"));
    std::fs::write(out.join("system.txt"), "You are Qwen.").unwrap();
    let changed = run(&out.join("run_robot.sh"), &[text(&base)], question);
    assert_eq!(changed.status.code(), Some(4), "{}", String::from_utf8_lossy(&changed.stderr));

    for arguments in [
        ["unpack", text(&archive), "--out", text(&out)].as_slice(),
        &["pack", "--adapter", text(&adapter), "--base", text(&base), "--out", text(&archive)],
    ] {
        assert!(refusal(&ballast(arguments)).contains("exists already"));
    }
    for name in ["Robot", "../x", "a b", ""] {
        let new = folder.path().join("n");
        let arguments = ["pack", "--adapter", text(&adapter), "--base", text(&base), "--name", name, "--out", text(&new)];
        assert!(refusal(&ballast(&arguments)).contains("no name for a pack"), "{name}");
    }
}

/// The other scripts hand the program its adapter, template and system prompt; programs that print their arguments stand in.
#[test]
fn scripts_give_everything_to_their_programs() {
    let folder = tempfile::tempdir().unwrap();
    let (_, archive) = packed(folder.path());
    let out = folder.path().join("a pack");
    said(&ballast(&["unpack", text(&archive), "--out", text(&out)]));
    let stub = folder.path().join("stub.sh");
    std::fs::write(&stub, "#!/bin/sh\nfor word in \"$@\"; do echo \"<$word>\"; done\nif [ \"$1\" = create ]; then cat \"$4\"; fi\n")
        .unwrap();
    said(&run(Path::new("chmod"), &["+x", text(&stub)], ""));
    let of = |script: &str, variable: &str| {
        let script = out.join(script);
        let output = std::process::Command::new("sh").arg(&script).arg("/base").env(variable, &stub).output().unwrap();
        said(&output)
    };
    let llama = of("run_robot_llama_cpp.sh", "LLAMA_CLI");
    let place = text(&out);
    for word in [
        "<-m>\n</base>",
        "<--lora>",
        &format!("<{place}/adapter.gguf>"),
        &format!("<{place}/chat_template.jinja>"),
        "<You are Swift-Robot.>",
    ] {
        assert!(llama.contains(word), "{llama}");
    }
    let ollama = of("run_robot_ollama.sh", "OLLAMA");
    for word in [
        "<create>\n<robot>",
        "\nFROM /base\n",
        &format!("\nADAPTER {place}/adapter.gguf\n"),
        "SYSTEM \"\"\"You are Swift-Robot.\"\"\"",
        "<run>\n<robot>",
    ] {
        assert!(ollama.contains(word), "{ollama}");
    }
    let vllm = of("run_robot_vllm.sh", "VLLM");
    for word in ["<serve>\n</base>", "<--max-lora-rank>\n<8>", &format!("<robot={place}/adapter>")] {
        assert!(vllm.contains(word), "{vllm}");
    }
}

/// A file of an archive as it stands there.
struct Entry {
    path: String,
    kind: EntryType,
    bytes: Vec<u8>,
}

fn entries(archive: &Path) -> Vec<Entry> {
    let mut archive = Archive::new(GzDecoder::new(std::fs::File::open(archive).unwrap()));
    let read = |entry: std::io::Result<tar::Entry<'_, GzDecoder<std::fs::File>>>| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        Entry { path: entry.path().unwrap().to_str().unwrap().to_owned(), kind: EntryType::Regular, bytes }
    };
    archive.entries().unwrap().map(read).collect()
}

/// An archive with paths that no library writes.
fn archive(path: &Path, entries: &[Entry]) {
    let mut builder = Builder::new(GzEncoder::new(std::fs::File::create(path).unwrap(), Compression::fast()));
    for Entry { path, kind, bytes } in entries {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        if *kind != EntryType::Regular {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        builder.append(&header, bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap();
}

#[test]
fn archives_that_pack_did_not_write_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (_, good) = packed(folder.path());
    let bad = folder.path().join("bad.tar.gz");
    let out = folder.path().join("out");
    let refused = |word: &str| {
        let unpacked = ballast(&["unpack", text(&bad), "--out", text(&out)]);
        assert!(!unpacked.status.success(), "accepted instead of refused as `{word}`");
        let error = refusal(&unpacked);
        assert!(error.contains(word), "{word}: {error}");
        assert_eq!(names(folder.path()), ["bad.tar.gz", "robot.tar.gz", "trained"]);
    };
    let changed = |change: &dyn Fn(&mut Vec<Entry>)| {
        let mut all = entries(&good);
        change(&mut all);
        archive(&bad, &all);
    };
    let manifest = |change: &dyn Fn(&mut serde_json::Value)| {
        changed(&|all| {
            let mut json = serde_json::from_slice(&all[0].bytes).unwrap();
            change(&mut json);
            all[0].bytes = serde_json::to_vec(&json).unwrap();
        });
    };
    // As it is, through the writer of this test.
    changed(&|_| {});
    said(&ballast(&["unpack", text(&bad), "--out", text(&out)]));
    std::fs::remove_dir_all(&out).unwrap();

    for path in ["../evil", "/tmp/evil", "adapter/../../evil", "a\\b", ".ssh", "adapter//x"] {
        changed(&|all| all[2].path = path.to_owned());
        refused("no path of a pack");
        manifest(&|json| json["files"][1]["path"] = path.into());
        refused("no path of a pack");
    }
    for kind in [EntryType::Symlink, EntryType::Link, EntryType::Directory, EntryType::Fifo] {
        changed(&|all| {
            all[2].kind = kind;
            all[2].bytes.clear();
        });
        refused("something other than a file");
    }
    changed(&|all| {
        let path = all[2].path.clone();
        all[3].path = path;
    });
    refused("where its manifest lists");
    manifest(&|json| json["files"][1]["path"] = json["files"][0]["path"].clone());
    refused("twice");
    changed(&|all| all.push(Entry { path: "more".to_owned(), kind: EntryType::Regular, bytes: vec![1] }));
    refused("does not list");
    changed(&|all| all[2].bytes.push(0));
    refused("its manifest says");
    manifest(&|json| json["files"][0]["bytes"] = (u64::MAX / 2).into());
    refused("more than 64 GiB");
    changed(&|all| all[1].bytes[0] ^= 1);
    refused("its sha256 differs");
    changed(&|all| drop(all.pop()));
    refused("is missing");
    changed(&|all| all.swap(0, 1));
    refused("no pack");
    manifest(&|json| json["more"] = true.into());
    refused("pack.json");
    manifest(&|json| json["schema"] = 2.into());
    refused("version 2");
    let whole = std::fs::read(&good).unwrap();
    for keep in [0, 10, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        std::fs::write(&bad, &whole[..keep]).unwrap();
        refused("cut short");
    }
    std::fs::write(&bad, [whole.as_slice(), b"more"].concat()).unwrap();
    refused("behind its end");
}
