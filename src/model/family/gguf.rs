//! Headers of GGUF files: keys below the architecture's own name become switches; every one of them is used, harmless or
//! refused.

use anyhow::{Context, Result, bail, ensure};
use candle_core::quantized::gguf_file::Value;
use serde_json::{Map, Value as Json, json};

use super::reader::{Config, used};
use crate::keys::Rule::{Harmless, Refused};
use crate::keys::{Rule, Table};
use crate::model::gguf::{GgufFile, ROPE_FREQS};
use crate::model::spec::{Biases, Rope, RopeScaling, Sizes, Spec};

/// Architectures that are read, in llama.cpp's names, and the families that they are.
const ARCHITECTURES: &[(&str, &str)] = &[("llama", "llama"), ("qwen2", "qwen2"), ("qwen3", "qwen3"), ("gemma3", "gemma3_text")];

const KEYS: Table = Table {
    what: "the GGUF header",
    remedy: "give the model's Hugging Face folder instead",
    rules: &[
        used("context_length"),
        used("embedding_length"),
        used("block_count"),
        used("feed_forward_length"),
        used("attention.head_count"),
        used("attention.head_count_kv"),
        used("attention.key_length"),
        used("attention.value_length"),
        used("attention.layer_norm_rms_epsilon"),
        used("attention.causal"),
        used("attention.sliding_window"),
        used("attention.sliding_window_pattern"),
        used("attn_logit_softcapping"),
        used("final_logit_softcapping"),
        used("rope.freq_base"),
        used("rope.freq_base_swa"),
        used("rope.dimension_count"),
        used("rope.scaling.type"),
        used("rope.scaling.factor"),
        used("expert_count"),
        used("expert_used_count"),
        ("rope.scaling.original_context_length", Harmless("read by kinds of rope scaling that are refused")),
        ("rope.scaling.finetuned", Harmless("says how the model came about")),
        ("vocab_size", Harmless("the embedding table says it")),
        ("tensor_data_layout", Harmless("llama.cpp has one layout, and its converter wrote the file in it")),
    ],
};

impl GgufFile {
    /// The switches that the header and the rotary factors among the tensors come to.
    pub fn spec(&mut self) -> Result<Spec> {
        let mut spec = from_header(self)?;
        if self.has(ROPE_FREQS) {
            let divisors = self.tensor(ROPE_FREQS)?.flatten_all()?.to_vec1::<f32>()?;
            ensure!(
                spec.ropes.len() == 1 && spec.ropes[0].scaling == RopeScaling::Default,
                "the GGUF file has both rope factors and a rope scaling"
            );
            spec.ropes[0].scaling = RopeScaling::Divisors(divisors.into_iter().map(f64::from).collect());
        }
        spec.checked()
    }
}

/// The switches that a header comes to.
fn from_header(file: &GgufFile) -> Result<Spec> {
    let metadata = &file.header().metadata;
    let text = |key: &str| metadata.get(key).map(|value| value.to_string().map_err(|_| anyhow::anyhow!("GGUF key `{key}` is not text")));
    if let Some(kind) = text("general.type").transpose()? {
        ensure!(kind == "model", "the GGUF file holds a `{kind}`, not a model (general.type)");
    }
    let architecture = text("general.architecture").context("GGUF header has no `general.architecture`")??;
    let Some((name, family)) = ARCHITECTURES.iter().find(|(name, _)| name == architecture) else {
        bail!(
            "the GGUF architecture `{architecture}` is not supported: Ballast reads {} from GGUF files, and {} from Hugging Face folders",
            ARCHITECTURES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
            super::names()
        );
    };
    check_others(file, name)?;
    let header = below(file, name);
    KEYS.check(format_args!("GGUF header, {name}"), &header)?;
    let config = Config::new("GGUF header", &header);
    let spec = read(family, file, &config)?;
    match *name {
        "gemma3" => super::gemma::of_header(&config, spec),
        _ => plain(&config, spec),
    }
}

/// A family whose layers all see everything before them, by one rotary table.
fn plain(header: &Config<'_>, spec: Spec) -> Result<Spec> {
    header.must_be("attention.sliding_window", &json!(0), "no layer of this architecture slides")?;
    for key in ["attention.sliding_window_pattern", "rope.freq_base_swa", "final_logit_softcapping", "attn_logit_softcapping"] {
        ensure!(header.get(key).is_none(), "GGUF header has `{key}`, which a {} model does not: give the folder", spec.family);
    }
    Ok(spec)
}

/// Keys below `general.`, by the first word after it.
const GENERAL: Table = Table {
    what: "the GGUF header's general part",
    remedy: "give the model's Hugging Face folder instead",
    rules: &[
        used("type"),
        used("architecture"),
        used("alignment"),
        ("quantization_version", Harmless("each tensor says its own type")),
        ("file_type", Harmless("each tensor says its own type")),
        ("name", WORDS),
        ("author", WORDS),
        ("version", WORDS),
        ("organization", WORDS),
        ("finetune", WORDS),
        ("basename", WORDS),
        ("description", WORDS),
        ("quantized_by", WORDS),
        ("size_label", WORDS),
        ("parameter_count", WORDS),
        ("license", WORDS),
        ("url", WORDS),
        ("doi", WORDS),
        ("uuid", WORDS),
        ("repo_url", WORDS),
        ("source", WORDS),
        ("base_model", WORDS),
        ("dataset", WORDS),
        ("datasets", WORDS),
        ("tags", WORDS),
        ("languages", WORDS),
        ("sampling", Harmless("settings of sampling; every model here answers greedily")),
    ],
};

const WORDS: Rule = Harmless("describes the model");

/// First words of a header's keys, beside the architecture's own.
const PARTS: Table = Table {
    what: "the GGUF header",
    remedy: "give the model's Hugging Face folder instead",
    rules: &[
        used("general"),
        used("tokenizer"),
        used("split"),
        ("quantize", Harmless("how the file was quantized")),
        ("imatrix", Harmless("how the file was quantized")),
        ("mradermacher", Harmless("how the file was quantized")),
        ("adapter", Refused("the file holds an adapter, not a model: give the base model, and the adapter as a PEFT folder")),
        ("clip", Refused("the file holds a model of images: give that of the language model")),
    ],
};

/// Checks the keys that are not below the architecture's name.
fn check_others(file: &GgufFile, name: &str) -> Result<()> {
    let first = |key: &str| key.split('.').next().unwrap_or_default().to_owned();
    let keys = || file.header().metadata.keys();
    let general = keys().filter_map(|key| key.strip_prefix("general.")).map(|key| (first(key), json!(true)));
    GENERAL.check("GGUF header", &general.collect())?;
    let parts = keys().map(|key| first(key)).filter(|part| part != name).map(|part| (part, json!(true)));
    PARTS.check("GGUF header", &parts.collect())
}

/// Scalars below the architecture's name, as JSON. An array becomes one too: of whole numbers, or it is refused where it is read.
fn below(file: &GgufFile, name: &str) -> Map<String, Json> {
    let entries = file.header().metadata.iter().filter_map(|(key, value)| {
        let key = key.strip_prefix(name)?.strip_prefix('.')?;
        Some((key.to_owned(), scalar(value)))
    });
    entries.collect()
}

fn scalar(value: &Value) -> Json {
    match value {
        Value::U8(v) => json!(v),
        Value::I8(v) => json!(v),
        Value::U16(v) => json!(v),
        Value::I16(v) => json!(v),
        Value::U32(v) => json!(v),
        Value::I32(v) => json!(v),
        Value::U64(v) => json!(v),
        Value::I64(v) => json!(v),
        // A number that is not finite has no JSON; as text it is refused where a number is read.
        Value::F32(v) if v.is_finite() => json!(v),
        Value::F64(v) if v.is_finite() => json!(v),
        Value::F32(_) | Value::F64(_) => json!("not a finite number"),
        Value::Bool(v) => json!(v),
        Value::String(v) => json!(v),
        Value::Array(values) => json!(format!("an array of {}", values.len())),
    }
}

fn read(family: &'static str, file: &GgufFile, header: &Config<'_>) -> Result<Spec> {
    header.must_be("attention.causal", &json!(true), "Ballast runs decoders")?;
    header.must_be("expert_count", &json!(0), "Ballast has no mixtures of experts")?;
    header.must_be("expert_used_count", &json!(0), "Ballast has no mixtures of experts")?;
    let (hidden, heads) = (header.size("embedding_length")?, header.size("attention.head_count")?);
    let head_dim = header.whole("attention.key_length")?.unwrap_or(hidden / heads.max(1));
    header.must_be("attention.value_length", &json!(head_dim), "values are as long as keys in every supported model")?;
    header.must_be("rope.dimension_count", &json!(head_dim), "the rotary embedding of a supported GGUF model turns whole heads")?;
    let has = |tensor: &str| file.has(tensor);
    let sizes = Sizes {
        hidden,
        intermediate: header.size("feed_forward_length")?,
        layers: header.size("block_count")?,
        heads,
        kv_heads: header.whole("attention.head_count_kv")?.unwrap_or(heads),
        head_dim,
        vocabulary: file.rows("token_embd.weight").context("GGUF file has no tensor `token_embd.weight`")?,
    };
    Ok(Spec {
        rms_eps: header.real("attention.layer_norm_rms_epsilon")?.unwrap_or(1e-6),
        ropes: vec![rope(header, family == "gemma3_text")?],
        // A converter writes a bias where the model has one; no key says so.
        biases: Biases { qkv: has("blk.0.attn_q.bias"), o: has("blk.0.attn_output.bias"), feed_forward: has("blk.0.ffn_down.bias") },
        query_key_norms: matches!(family, "qwen3" | "gemma3_text")
            .then_some(super::qwen::HEADS_BEFORE)
            .filter(|_| has("blk.0.attn_q_norm.weight")),
        max_positions: header.size("context_length")?,
        tied: !has("output.weight"),
        ..Spec::new(family, sizes)
    })
}

/// The rotary table of layers that see everything; `linear` where the family's may be spread over longer contexts.
fn rope(header: &Config<'_>, linear: bool) -> Result<Rope> {
    let plain = Rope::new(header.real("rope.freq_base")?.unwrap_or(10_000.0));
    match header.text("rope.scaling.type")?.unwrap_or("none") {
        "none" => {
            header.must_be("rope.scaling.factor", &json!(1.0), "no `rope.scaling.type` says what it does")?;
            Ok(plain)
        }
        "linear" if linear => Ok(Rope { scaling: RopeScaling::Linear { factor: header.number("rope.scaling.factor")? }, ..plain }),
        kind => bail!("GGUF header asks for rope scaling `{kind}`, which Ballast does not implement for GGUF files: give the folder"),
    }
}

/// Whether llama.cpp's converter reorders the rows of q and k of a family, from halves to interleaved pairs.
pub(in crate::model) fn reorders_pairs(family: &str) -> bool {
    family == "llama"
}
