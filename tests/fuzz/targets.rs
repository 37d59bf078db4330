//! The readers, each with its good files.

use std::io::Write;
use std::path::{Path, PathBuf};

use ballast::config::file::Experiment;
use ballast::data::chat::ChatTemplate;
use ballast::data::read::parse_examples;
use ballast::data::{Message, Role};
use ballast::eval::suite::parse_suite;
use ballast::gate::baseline::Baseline;
use ballast::model::adapter;
use ballast::model::gguf::open_gguf;
use ballast::model::lora::{Adapter, LoraConfig};
use ballast::model::site::Module;
use ballast::model::spec::Spec;
use ballast::model::tokenizer::TextCodec;
use ballast::model::weights::{Weights, safetensors_files};
use ballast::record::import;
use candle_core::{DType, Device};
use serde_json::{Value, json};

use crate::gguf::Gguf;
use crate::mutator::Mutator;
use crate::{common, headers, seeds};

pub(crate) const TARGETS: [&str; 12] = [
    "gguf_file",
    "safetensors",
    "config",
    "tokenizer",
    "template",
    "adapter",
    "suite",
    "experiment",
    "rows",
    "imports",
    "archives",
    "baseline",
];

/// A good file, and its value where it has one that can be changed without breaking the file.
struct Seed {
    bytes: Vec<u8>,
    value: Option<Value>,
    write: fn(&Value) -> Option<Vec<u8>>,
}

impl Seed {
    fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), value: None, write: |_| None }
    }

    fn json(text: impl Into<Vec<u8>>) -> Self {
        let bytes = text.into();
        let value = serde_json::from_slice(&bytes).unwrap();
        Self { bytes, value: Some(value), write: |value| Some(value.to_string().into_bytes()) }
    }

    fn lines(text: impl Into<Vec<u8>>) -> Self {
        let bytes = text.into();
        let lines = String::from_utf8(bytes.clone()).unwrap();
        let value = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
        let write = |value: &Value| Some(value.as_array()?.iter().map(|line| line.to_string() + "\n").collect::<String>().into_bytes());
        Self { bytes, value: Some(value), write }
    }

    fn toml(text: impl Into<Vec<u8>>) -> Self {
        let bytes = text.into();
        let value = toml::from_str(std::str::from_utf8(&bytes).unwrap()).unwrap();
        Self { bytes, value: Some(value), write: |value| toml::to_string(value).ok().map(String::into_bytes) }
    }

    /// The header of a safetensors file is changed, its numbers stay.
    fn safetensors(bytes: Vec<u8>) -> Self {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let size = bytes.len() - 8 - length;
        let write = |both: &Value| {
            let numbers = vec![0; both.get("size")?.as_u64().filter(|size| *size < 1 << 20)? as usize];
            Some(seeds::with_header(both.get("header")?, &numbers))
        };
        Self { bytes, value: Some(json!({"header": header, "size": size})), write }
    }

    /// An archive of Inspect's, packed again with what its members say changed.
    fn archive(document: &[u8]) -> Self {
        let mut header: Value = serde_json::from_slice(document).unwrap();
        let samples = header["samples"].take();
        let value = json!({"header": header, "samples": samples});
        let write = |value: &Value| {
            let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
            let mut put = |name: &str, value: &Value| {
                zip.start_file(name, zip::write::SimpleFileOptions::default()).ok()?;
                zip.write_all(value.to_string().as_bytes()).ok()
            };
            put("header.json", value.get("header")?)?;
            for (i, sample) in value.get("samples")?.as_array()?.iter().enumerate() {
                put(&format!("samples/{i}_epoch_1.json"), sample)?;
            }
            Some(zip.finish().ok()?.into_inner())
        };
        Self { bytes: write(&value).unwrap(), value: Some(value), write }
    }

    fn baseline() -> Self {
        let (header, lines) = seeds::baseline();
        let write = |value: &Value| Some(seeds::with_digest(value.get("header")?.clone(), value.get("lines")?.as_array()?).into_bytes());
        let value = json!({"header": header, "lines": lines});
        Self { bytes: write(&value).unwrap(), value: Some(value), write }
    }

    fn changed(&self, mutator: &mut Mutator) -> Vec<u8> {
        if let Some(value) = &self.value
            && mutator.below(2) == 0
            && let Some(bytes) = (self.write)(&mutator.value(value))
        {
            return bytes;
        }
        mutator.bytes(&self.bytes)
    }
}

/// One target: its good files, and the reader.
pub(crate) struct Target {
    folder: tempfile::TempDir,
    name: String,
    seeds: Vec<Seed>,
    gguf: Gguf,
    spec: Spec,
    codec: TextCodec,
}

impl Target {
    pub(crate) fn new(name: &str) -> Self {
        // In memory where the system has such a folder.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let (spec, tiny) = (Spec::from_config_json(seeds::CONFIG).unwrap(), common::tiny_folder("qwen2"));
        let read = |path: &Path| std::fs::read(path).unwrap();
        let at = |path: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        // Python writes numbers that JSON does not have.
        let log = |log: &str| {
            let bytes = read(&at("tests/import").join(log));
            if Path::new(log).extension().is_some_and(|kind| kind == "eval") {
                bytes
            } else {
                String::from_utf8(bytes).unwrap().replace("NaN", "null").into_bytes()
            }
        };
        let document = "inspect/2026-01-31T10-20-30_arithmetic_abc.json";
        let seeds = match name {
            "gguf_file" => vec![Seed::raw(seeds::gguf().bytes())],
            "safetensors" => {
                let (header, numbers) = seeds::safetensors();
                vec![Seed::safetensors(seeds::with_header(&header, &numbers))]
            }
            "config" => vec![Seed::json(seeds::CONFIG), Seed::json(seeds::ROPES), Seed::json(read(&tiny.join("config.json")))],
            "tokenizer" => {
                put("tokenizer_config.json", &read(&tiny.join("tokenizer_config.json")));
                put("tokenizer.json", &read(&tiny.join("tokenizer.json")));
                put("generation_config.json", b"{\"eos_token_id\": [258, 256], \"temperature\": 0.7}");
                FILES.iter().map(|name| Seed::json(read(&folder.path().join(name)))).collect()
            }
            "template" => seeds::TEMPLATES.map(Seed::raw).into(),
            "adapter" => {
                let config = LoraConfig { rank: 2, alpha: 4.0, dropout: 0.0, targets: Module::ALL.to_vec(), rslora: false };
                adapter::save(&Adapter::init(&spec, &config, 1, &Device::Cpu).unwrap(), &spec, "tiny", folder.path()).unwrap();
                let read = |name: &str| read(&folder.path().join(name));
                vec![Seed::json(read("adapter_config.json")), Seed::safetensors(read("adapter_model.safetensors"))]
            }
            "suite" => vec![Seed::toml(seeds::SUITE.0), Seed::lines(seeds::SUITE.1)],
            "experiment" => vec![Seed::toml(read(&at(".ci/smoke.toml"))), Seed::toml(read(&at("experiments/quick.toml")))],
            "rows" => vec![Seed::json(seeds::ROWS), Seed::lines(seeds::LINES), Seed::raw(seeds::CSV)],
            "imports" => vec![
                Seed::lines(first_lines(&log("lm-eval/tiny-base/samples_gsm8k_2026-01-31T10-20-30.123456.jsonl"), 2)),
                Seed::lines(first_lines(&log("lm-eval/tiny-base/samples_arc_easy_2026-01-31T10-20-30.123456.jsonl"), 1)),
                Seed::lines(first_lines(&log("evalscope/reviews/tiny-base/gsm8k_main.jsonl"), 2)),
                Seed::json(log(document)),
            ],
            "archives" => vec![
                Seed::archive(&log(document)),
                Seed::raw(log("inspect/2026-01-31T10-20-30_arithmetic_abc.eval")),
                Seed::raw(log("inspect/2026-11-25T07-00-00_sums_zstd.eval")),
            ],
            "baseline" => vec![Seed::baseline()],
            other => panic!("{other} is no target"),
        };
        Self { folder, name: name.to_owned(), seeds, gguf: seeds::gguf(), spec, codec: TextCodec::from_folder(&tiny).unwrap() }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Reads one changed input; whether it was accepted.
    pub(crate) fn read(&self, mutator: &mut Mutator) -> bool {
        let which = mutator.below(self.seeds.len());
        let seed = &self.seeds[which];
        let bytes = match self.name.as_str() {
            "gguf_file" if mutator.below(4) > 0 => headers::changed(&self.gguf, mutator).bytes(),
            "template" if mutator.below(2) == 0 => pieces(mutator).into_bytes(),
            _ => seed.changed(mutator),
        };
        let text = || String::from_utf8_lossy(&bytes).into_owned();
        match self.name.as_str() {
            "gguf_file" => open_gguf(&self.put("m.gguf", &bytes))
                .and_then(|mut file| {
                    let spec = file.spec()?;
                    let codec = TextCodec::from_gguf(file.header()).and_then(|codec| codec.encode("An abc <|im_end|>"));
                    let weights = Weights::from_gguf(&mut file, &spec, &Device::Cpu, DType::F32);
                    codec.and(weights.map(|_| ()))
                })
                .is_ok(),
            "safetensors" => {
                self.put("model.safetensors", &bytes);
                safetensors_files(self.folder.path())
                    .and_then(|files| Weights::from_safetensors(&files, &self.spec, &Device::Cpu, DType::F32))
                    .is_ok()
            }
            "config" => Spec::from_config_json(&text()).is_ok(),
            "tokenizer" => {
                self.put(FILES[which], &bytes);
                let codec = TextCodec::from_folder(self.folder.path());
                self.put(FILES[which], &seed.bytes);
                codec.and_then(|codec| codec.encode("Hello 你好 <|im_end|> 123").and_then(|ids| codec.decode(&ids))).is_ok()
            }
            "template" => {
                let mut codec = self.codec.clone();
                codec.template = text();
                let row = [Message::new(Role::System, "s"), Message::new(Role::User, "q"), Message::new(Role::Assistant, "a")];
                ChatTemplate::new(codec).is_ok_and(|template| template.prompt(&row[..2]).is_ok() && template.training_row(&row).is_ok())
            }
            "adapter" => {
                let name = ["adapter_config.json", "adapter_model.safetensors"][which];
                self.put(name, &bytes);
                let loaded = adapter::load(self.folder.path(), &self.spec, &Device::Cpu);
                self.put(name, &seed.bytes);
                loaded.is_ok()
            }
            "suite" => {
                let (settings, items) = if which == 0 { (text(), seeds::SUITE.1.to_owned()) } else { (seeds::SUITE.0.to_owned(), text()) };
                parse_suite(&settings, &items, "suite").is_ok()
            }
            "experiment" => Experiment::parse(&text(), "experiment").is_ok(),
            "rows" => parse_examples(&bytes, Path::new(["r.json", "r.jsonl", "r.csv"][which]), "rows").is_ok(),
            "imports" | "archives" => import::read(&[self.put("samples_log", &bytes)], &import::Choice::default()).is_ok(),
            _ => Baseline::parse(&text(), "baseline").is_ok(),
        }
    }
}

const FILES: [&str; 3] = ["tokenizer.json", "tokenizer_config.json", "generation_config.json"];

fn first_lines(bytes: &[u8], count: usize) -> Vec<u8> {
    bytes.split_inclusive(|byte| *byte == b'\n').take(count).flatten().copied().collect()
}

/// A template of pieces, now and then of one piece many times.
fn pieces(mutator: &mut Mutator) -> String {
    let mut template = String::new();
    for _ in 0..=mutator.below(8) {
        let times = [1, 1, 1, 1, 2, 400][mutator.below(6)];
        template += &mutator.of(&seeds::PIECES).repeat(times);
    }
    template
}
