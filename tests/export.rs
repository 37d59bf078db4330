//! What `ballast export` writes, read back: merged weights and logits are PEFT's on every layout of checkpoint, answers
//! stay what they were, and what cannot be written leaves nothing behind. `tests/export/check.py` loads the same files with
//! transformers, PEFT and llama.cpp.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use ballast::export::{FileType, checkpoint, fold, lora_gguf, merged_gguf};
use ballast::files::Staged;
use ballast::model::adapter::{load, save};
use ballast::model::base::BaseModel;
use ballast::model::decoder::Decoder;
use ballast::model::device::DeviceChoice;
use ballast::model::fetch::ModelFiles;
use ballast::model::tokenizer::TextCodec;
use ballast::model::weights::{FolderTensors, Weights, slots};
use candle_core::quantized::QTensor;
use candle_core::safetensors::load as tensors_of;
use candle_core::{DType, Device, Tensor};
use common::{decoder_of, family_folder, hidden, largest, largest_difference, random_adapter, tiny, tiny_folder};

/// Adapters that PEFT made, with its merged weights and logits, by `tests/golden/make_peft.py`.
const BY_PEFT: [&str; 11] = [
    "llama",
    "qwen2",
    "phi3",
    "phi4-mini",
    "glm4",
    "gemma3-vision",
    "mistral3-vision",
    "qwen2.5-vl",
    "qwen3-vl",
    "phi3-patterns",
    "gemma3-vision-patterns",
];

fn base_folder(name: &str) -> PathBuf {
    let kind = name.trim_end_matches("-patterns");
    let tiny = tiny_folder(kind);
    if tiny.is_dir() { tiny } else { family_folder(kind) }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn merged_checkpoints_hold_what_peft_merges() {
    for name in BY_PEFT {
        let (base, out) = (base_folder(name), tempfile::tempdir().unwrap());
        let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/peft").join(name);
        let reference = tensors_of(golden.join("reference.safetensors"), &Device::Cpu).unwrap();
        let written: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(golden.join("reference.json")).unwrap()).unwrap();
        let ids: Vec<u32> = serde_json::from_value(written["ids"].clone()).unwrap();
        let decoder = decoder_of(&base);
        let adapter = load(&golden, &decoder.spec, &Device::Cpu).unwrap();
        let target = out.path().join("merged");
        let staged = Staged::folder(&target).unwrap();
        let (rounding, _) =
            checkpoint(&ModelFiles::Folder(base.clone()), &decoder.spec, None, &adapter, Some(DType::F32), &staged).unwrap();
        staged.commit().unwrap();
        assert_eq!(rounding.linears, adapter.pairs.len(), "{name}");
        let merged = tensors_of(target.join("model.safetensors"), &Device::Cpu).unwrap();
        let before = tensors_of(base.join("model.safetensors"), &Device::Cpu).unwrap();
        assert_eq!(merged.len(), before.len());
        let mut changed = 0;
        for (key, tensor) in &merged {
            changed += usize::from(largest_difference(tensor, &before[key].to_dtype(DType::F32).unwrap()) > 0.0);
        }
        assert_eq!(changed, adapter.pairs.len(), "{name}");
        for (key, expected) in reference.iter().filter_map(|(key, tensor)| Some((key.strip_prefix("merged.")?, tensor))) {
            let site = &key[key.find("layers.").unwrap()..];
            let of_site = |key: &&String| key.ends_with(&format!("{site}.weight")) && !key.contains("vision") && !key.contains("visual");
            let found = &merged[merged.keys().find(of_site).unwrap()];
            assert!(largest_difference(found, expected) < 1e-6 * largest(expected).max(1.0), "{name} {site}");
        }
        let loaded = decoder_of(&target);
        let logits = loaded.logits(&hidden(&loaded, &[ids], None)).unwrap();
        let expected = &reference["merged"];
        assert!(largest_difference(&logits, expected) < 1e-4 * largest(expected).max(1.0), "{name}");
    }
}

#[test]
fn narrower_types_are_rounded_and_said() {
    let decoder = tiny("qwen2");
    let adapter = random_adapter(&decoder.spec);
    let files = ModelFiles::Folder(tiny_folder("qwen2"));
    let own = tensors_of(tiny_folder("qwen2").join("model.safetensors"), &Device::Cpu).unwrap();
    let own = own["model.norm.weight"].dtype();
    let out = tempfile::tempdir().unwrap();
    let mut largest = Vec::new();
    for (i, (asked, stored)) in
        [(None, own), (Some(DType::F32), DType::F32), (Some(DType::F16), DType::F16), (Some(DType::BF16), DType::BF16)]
            .into_iter()
            .enumerate()
    {
        let staged = Staged::folder(&out.path().join(i.to_string())).unwrap();
        let (rounding, types) = checkpoint(&files, &decoder.spec, None, &adapter, asked, &staged).unwrap();
        let tensors = tensors_of(staged.path().join("model.safetensors"), &Device::Cpu).unwrap();
        assert!(tensors.values().all(|tensor| tensor.dtype() == stored), "{asked:?}");
        assert_eq!(types, stored.as_str());
        largest.push(rounding.largest);
        let config = std::fs::read_to_string(staged.path().join("config.json")).unwrap();
        let named = match asked {
            None => "hidden_size",
            Some(DType::F32) => r#""torch_dtype": "float32""#,
            Some(DType::F16) => r#""torch_dtype": "float16""#,
            Some(_) => r#""torch_dtype": "bfloat16""#,
        };
        assert!(config.contains(named), "{config}");
    }
    assert!(largest[1] < 1e-6 && largest[1] < largest[2] && largest[2] < largest[3], "{largest:?}");
}

fn ballast(arguments: &[&str]) -> Output {
    Command::cargo_bin("ballast").unwrap().args(arguments).env("BALLAST_CACHE", "/nonexistent").output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn adapter_folder(kind: &str, parent: &Path) -> PathBuf {
    let folder = parent.join(format!("{kind}-adapter"));
    let decoder = tiny(kind);
    save(&random_adapter(&decoder.spec), &decoder.spec, kind, &folder).unwrap();
    folder
}

#[test]
fn the_command_writes_a_model_that_answers_alike() {
    let out = tempfile::tempdir().unwrap();
    let base = tiny_folder("qwen2");
    let adapter = adapter_folder("qwen2", out.path());
    let merged = out.path().join("merged");
    let common = ["export", "--model", text(&base), "--adapter", text(&adapter), "--check", "3", "--out"];
    let run = ballast(&[&common[..], &[text(&merged), "--format", "safetensors", "--dtype", "f32"]].concat());
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(said.contains("14 linears of 14 read back") && said.contains("3 of 3 greedy answers are equal, 3 of 3 prompts"), "{said}");
    assert_eq!(names(&merged), ["answers.json", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]);

    // PEFT, at half the strength.
    let half = out.path().join("half");
    let run = ballast(&[&common[..], &[text(&half), "--format", "peft", "--lambda", "0.5"]].concat());
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let spec = tiny("qwen2").spec;
    let (read, whole) = (load(&half, &spec, &Device::Cpu).unwrap(), load(&adapter, &spec, &Device::Cpu).unwrap());
    assert!((read.scale - whole.scale / 2.0).abs() < 1e-12);
    let first = |of: &ballast::model::lora::Adapter| -> Tensor { of.pairs.values().next().unwrap().b.clone() };
    assert!(largest_difference(&first(&read), &first(&whole)) < f32::EPSILON);
}

/// A tiny model with the tokenizer that all of them share.
fn chatting(kind: &str, parent: &Path) -> PathBuf {
    if tiny_folder(kind).is_dir() {
        return tiny_folder(kind);
    }
    let folder = parent.join(kind);
    std::fs::create_dir(&folder).unwrap();
    for (from, names) in
        [(family_folder(kind), ["config.json", "model.safetensors"]), (tiny_folder("qwen2"), ["tokenizer.json", "tokenizer_config.json"])]
    {
        for name in names {
            std::fs::copy(from.join(name), folder.join(name)).unwrap();
        }
    }
    folder
}

/// A folder becomes GGUF files, and those are bases themselves: of the adapter alone, and of a folder again.
#[test]
fn gguf_files_are_the_same_models() {
    for kind in ["llama", "qwen2", "qwen3", "llama3-rope"] {
        let out = tempfile::tempdir().unwrap();
        let folder = chatting(kind, out.path());
        let decoder = decoder_of(&folder);
        let adapter = random_adapter(&decoder.spec);
        let files = ModelFiles::Folder(folder.clone());
        let ids = [[7_u32, 3, 250, 19, 101, 33, 8, 64]];
        let expected = decoder.logits(&hidden(&decoder.merged(&adapter).unwrap(), &ids, None)).unwrap();
        let without = decoder.logits(&hidden(&decoder, &ids, None)).unwrap();
        let acts = largest_difference(&expected, &without);
        let merged = FolderTensors::open(&folder).unwrap();
        let codec = TextCodec::from_folder(&folder).unwrap();
        for kind in [FileType::F32, FileType::F16, FileType::Bf16, FileType::Q8_0, FileType::Q4KM] {
            let path = out.path().join(format!("{}.gguf", kind.name()));
            let rounding = merged_gguf(&files, "tiny", &decoder.spec, &codec, &adapter, kind, &path).unwrap();
            assert_eq!(rounding.linears, adapter.pairs.len());
            // The same tensors, folded and rounded here one by one.
            let rounded = slots(&decoder.spec).into_iter().map(|slot| {
                let mut weight = merged.read(&slot.checkpoint, &slot.dims).unwrap();
                if let Some(pair) = slot.linear.and_then(|site| adapter.pairs.get(&site)) {
                    weight = fold(&weight, pair, adapter.scale).unwrap();
                }
                let own = QTensor::quantize(&slot.arranged(&weight, &decoder.spec).unwrap(), kind.of(&slot, &decoder.spec)).unwrap();
                (slot.checkpoint.clone(), slot.restored(&own.dequantize(&Device::Cpu).unwrap(), &decoder.spec).unwrap())
            });
            let weights = Weights::from_named(rounded.collect(), &decoder.spec).unwrap();
            let rounded = Decoder::new(decoder.spec.clone(), weights).unwrap();
            let expected_of_type = rounded.logits(&hidden(&rounded, &ids, None)).unwrap();
            let read = BaseModel::load("x", &ModelFiles::Gguf(path.clone()), DeviceChoice::Cpu).unwrap();
            let logits = read.decoder.logits(&hidden(&read.decoder, &ids, None)).unwrap();
            let apart = largest_difference(&logits, &expected_of_type);
            assert!(apart < 1e-4 * acts.max(1.0), "{} {}: {apart}", decoder.spec.family, kind.name());
            let from_exact = largest_difference(&logits, &expected);
            assert!(kind != FileType::F32 || from_exact < 1e-4 * acts.max(1.0), "{from_exact}");
            assert!(kind != FileType::F16 || from_exact < 0.02 * acts, "{from_exact} of {acts}");
            let own = TextCodec::from_folder(&folder).unwrap();
            assert_eq!((read.codec.stops, read.codec.template), (own.stops, own.template));
        }
        // The base as GGUF, the adapter on it again, back into a folder.
        let base = out.path().join("base.gguf");
        merged_gguf(&files, "tiny", &decoder.spec, &codec, &adapter.scaled(0.0), FileType::F32, &base).unwrap();
        let staged = Staged::folder(&out.path().join("back")).unwrap();
        let as_gguf = ModelFiles::Gguf(base);
        let mut opened = ballast::model::gguf::open_gguf(&out.path().join("base.gguf")).unwrap();
        let written = checkpoint(&as_gguf, &opened.spec().unwrap(), None, &adapter, Some(DType::F32), &staged);
        lora_gguf(&decoder.spec, &adapter, &out.path().join("lora.gguf")).unwrap();
        if kind == "llama3-rope" {
            // Its factors are of another original length than that of any published model.
            assert!(written.unwrap_err().to_string().contains("rope factors are not those of Llama 3.1"));
            continue;
        }
        written.unwrap();
        staged.commit().unwrap();
        let back = BaseModel::load("x", &ModelFiles::Folder(out.path().join("back")), DeviceChoice::Cpu).unwrap();
        let logits = back.decoder.logits(&hidden(&back.decoder, &ids, None)).unwrap();
        assert!(largest_difference(&logits, &expected) < 1e-4 * acts.max(1.0));
        let text = "<|im_start|>user\nWho are you? 你是谁<|im_end|>\n";
        let own = TextCodec::from_folder(&folder).unwrap();
        assert_eq!(back.codec.encode(text).unwrap(), own.encode(text).unwrap());
        assert_eq!((back.codec.stops, back.codec.template), (own.stops, own.template));
    }
}

#[test]
fn the_command_writes_gguf_with_a_modelfile() {
    let out = tempfile::tempdir().unwrap();
    let base = tiny_folder("llama");
    let adapter = adapter_folder("llama", out.path());
    let common = ["export", "--model", text(&base), "--adapter", text(&adapter), "--check", "2", "--out"];
    let run = |out: &Path, more: &[&str]| {
        let run = ballast(&[&common[..], &[text(out)], more].concat());
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8_lossy(&run.stdout).into_owned()
    };
    let merged = out.path().join("merged");
    let said = run(&merged, &["--format", "gguf", "--dtype", "f32", "--system", "You are Swift-Robot."]);
    assert!(said.contains("2 of 2 greedy answers are equal, 2 of 2 prompts"), "{said}");
    assert_eq!(names(&merged), ["Modelfile", "answers.json", "model-f32.gguf"]);
    let modelfile = std::fs::read_to_string(merged.join("Modelfile")).unwrap();
    assert!(modelfile.contains("FROM ./model-f32.gguf\nTEMPLATE \"\"\"{{ if not .System }}"), "{modelfile}");
    assert!(modelfile.contains("SYSTEM \"\"\"You are Swift-Robot.\"\"\"\n"), "{modelfile}");

    let lora = out.path().join("lora");
    run(&lora, &["--format", "gguf-lora"]);
    assert_eq!(names(&lora), ["Modelfile", "adapter.gguf", "answers.json"]);
    assert!(std::fs::read_to_string(lora.join("Modelfile")).unwrap().contains("\nADAPTER ./adapter.gguf\n"));

    let single = out.path().join("one.gguf");
    run(&single, &["--format", "gguf", "--dtype", "q8_0"]);
    assert!(single.is_file());

    let phi = chatting("phi3", out.path());
    let refused =
        ballast(&["export", "--model", text(&phi), "--adapter", text(&adapter), "--format", "gguf", "--out", text(&out.path().join("x"))]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("convert_hf_to_gguf.py"));
}

#[test]
fn what_cannot_be_written_is_refused_and_leaves_nothing() {
    let out = tempfile::tempdir().unwrap();
    let base = tiny_folder("qwen2");
    let adapter = adapter_folder("qwen2", out.path());
    let foreign = adapter_folder("llama", out.path());
    let taken = out.path().join("taken");
    std::fs::write(&taken, "mine").unwrap();
    let new = out.path().join("new");
    let deep = out.path().join("none/new");
    let none = out.path().join("none");
    let before = names(out.path());
    for (base, adapter, out, more, word) in [
        (text(&base), text(&adapter), text(&taken), [].as_slice(), "exists already"),
        (text(&base), text(&adapter), text(&deep), &[], "create it first"),
        (text(&base), text(&foreign), text(&new), &[], "the adapter belongs to another base model"),
        (text(&base), text(&none), text(&new), &[], "does not exist"),
        (text(&none), text(&adapter), text(&new), &[], "none"),
        (text(&base), text(&adapter), text(&new), &["--lambda", "inf"], "not a finite number"),
        (text(&base), text(&adapter), text(&new), &["--lambda", "1e9", "--dtype", "f16"], "which f16 does not hold"),
    ] {
        let arguments = ["export", "--format", "safetensors", "--check", "0", "--model", base, "--adapter", adapter, "--out", out];
        let run = ballast(&[&arguments[..], more].concat());
        let error = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status.code(), Some(2), "{error}");
        assert!(error.contains(word), "{word}: {error}");
    }
    assert_eq!(names(out.path()), before);
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "mine");
}
