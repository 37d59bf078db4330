//! candle-transformers as a second opinion on the user's own model: its reader, its layers, its arithmetic, no code shared
//! with ours below candle's tensors. Where it has the family, the logits after the last token of each row must be ours.
//!
//! A checkpoint folder is computed in f32. candle-transformers keeps a GGUF file quantized and rounds the activations to
//! eight bits before each product, so there the same model differs by a few per cent of the largest logit.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models as reference;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::files::read_json;
use crate::model::fetch::ModelFiles;
use crate::model::gguf::open_gguf;
use crate::model::spec::{Biases, Rope, RopeScaling, Spec};
use crate::model::weights::safetensors_files;

/// Logits of the reference, or why there are none.
pub(super) enum Reference {
    /// After the last token of each row: `[rows, vocabulary]`, f32.
    Logits {
        /// The logits.
        logits: Tensor,
        /// Whether the reference computes with quantized weights.
        quantized: bool,
    },
    /// candle-transformers cannot be asked; the reason in a sentence.
    Absent(String),
}

/// A function from token ids `[1, tokens]` to the logits after the last one.
type Forward = Box<dyn FnMut(&Tensor) -> candle_core::Result<Tensor>>;

/// What candle-transformers computes for each row.
pub(super) fn logits(files: &ModelFiles, spec: &Spec, rows: &[&[u32]]) -> Result<Reference> {
    if let Some(reason) = unsound(spec, rows.iter().map(|row| row.len()).max().unwrap_or(0)) {
        return Ok(Reference::Absent(reason.to_owned()));
    }
    let quantized = matches!(files, ModelFiles::Gguf(_));
    // A reader that stumbles says nothing about our own: it is told and not judged.
    let opened = match files {
        ModelFiles::Gguf(path) => open_quantized(path),
        ModelFiles::Folder(folder) => open_folder(folder),
    };
    let mut open = match opened {
        Ok(Some(open)) => open,
        Ok(None) => return Ok(Reference::Absent("it does not have this family".to_owned())),
        Err(error) => return Ok(Reference::Absent(format!("it cannot read this model: {error:#}"))),
    };
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        // A fresh model per row: its cache belongs to one conversation.
        let mut forward = open()?;
        let input = Tensor::from_slice(row, (1, row.len()), &Device::Cpu)?;
        all.push(forward(&input)?.flatten_all()?.to_dtype(DType::F32)?);
    }
    Ok(Reference::Logits { logits: Tensor::stack(&all, 0)?, quantized })
}

type Open = Box<dyn FnMut() -> Result<Forward>>;

/// What a model has that candle-transformers passes over or computes otherwise than the published models, which transformers'
/// goldens in the tests decide; None where it can be a second opinion. `longest` is the longest row in tokens.
fn unsound(spec: &Spec, longest: usize) -> Option<&'static str> {
    let plain_scale = 1.0 / (spec.head_dim as f64).sqrt();
    let scaled = |rope: &Rope| match rope.scaling {
        RopeScaling::Default => false,
        RopeScaling::Llama3 { .. } => spec.family != "llama",
        _ => true,
    };
    let odd = |rope: &Rope| {
        rope.interleaved || rope.turning(spec.head_dim) < spec.head_dim || (rope.amplitude - 1.0).abs() > f64::EPSILON || scaled(rope)
    };
    let biases = Biases { qkv: spec.biases.qkv && spec.family != "qwen2", ..spec.biases };
    let reasons = [
        (spec.attention.iter().any(|layer| layer.window.is_some_and(|window| window < longest)), "it counts sliding windows otherwise"),
        (spec.ropes.iter().any(odd), "it does not compute this model's rotary embedding"),
        (biases != Biases::default(), "it passes over this model's biases"),
        ((spec.attention_scale - plain_scale).abs() > 1e-9, "it does not scale this model's attention"),
    ];
    reasons.into_iter().find(|(differs, _)| *differs).map(|(_, reason)| reason)
}

fn open_folder(folder: &Path) -> Result<Option<Open>> {
    let mut config: Map<String, Value> = read_json(&folder.join("config.json"))?;
    let family = config.get("model_type").and_then(Value::as_str).unwrap_or_default().to_owned();
    older_spelling(&mut config);
    let mut tensors = std::collections::HashMap::new();
    if FAMILIES.contains(&family.as_str()) {
        for file in safetensors_files(folder)? {
            tensors
                .extend(candle_core::safetensors::load(&file, &Device::Cpu).with_context(|| format!("failed to read {}", file.display()))?);
        }
    }
    let weights = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let config = Value::Object(config);
    Ok(Some(match family.as_str() {
        "llama" => {
            let config = parsed::<reference::llama::LlamaConfig>(&config)?.into_config(false);
            Box::new(move || {
                let model = reference::llama::Llama::load(weights.clone(), &config)?;
                let mut cache = reference::llama::Cache::new(false, DType::F32, &config, &Device::Cpu)?;
                Ok(Box::new(move |ids: &Tensor| model.forward(ids, 0, &mut cache)) as Forward)
            })
        }
        "qwen2" => {
            let config = parsed::<reference::qwen2::Config>(&config)?;
            Box::new(move || {
                let mut model = reference::qwen2::ModelForCausalLM::new(&config, weights.clone())?;
                Ok(Box::new(move |ids: &Tensor| model.forward(ids, 0)) as Forward)
            })
        }
        "qwen3" => {
            let config = parsed::<reference::qwen3::Config>(&config)?;
            Box::new(move || {
                let mut model = reference::qwen3::ModelForCausalLM::new(&config, weights.clone())?;
                Ok(Box::new(move |ids: &Tensor| model.forward(ids, 0)) as Forward)
            })
        }
        "mistral" => {
            let config = parsed::<reference::mistral::Config>(&config)?;
            Box::new(move || {
                let mut model = reference::mistral::Model::new(&config, weights.clone())?;
                Ok(Box::new(move |ids: &Tensor| model.forward(ids, 0)) as Forward)
            })
        }
        "gemma2" => {
            let config = parsed::<reference::gemma2::Config>(&config)?;
            Box::new(move || {
                let mut model = reference::gemma2::Model::new(false, &config, weights.clone())?;
                Ok(Box::new(move |ids: &Tensor| model.forward(ids, 0)) as Forward)
            })
        }
        "phi3" => {
            let config = parsed::<reference::phi3::Config>(&config)?;
            Box::new(move || {
                let mut model = reference::phi3::Model::new(&config, weights.clone())?;
                Ok(Box::new(move |ids: &Tensor| model.forward(ids, 0)) as Forward)
            })
        }
        "olmo2" => {
            let config = parsed::<reference::olmo2::Config>(&config)?;
            Box::new(move || {
                let mut model = reference::olmo2::Model::new(&config, weights.clone())?;
                Ok(Box::new(move |ids: &Tensor| model.forward(ids, 0)) as Forward)
            })
        }
        _ => return Ok(None),
    }))
}

/// Families of [`open_folder`]. candle-transformers has more; those that were read and found to differ from the published
/// models in some configuration (Granite's multipliers, Gemma 3's scaling of long contexts) are left out.
const FAMILIES: [&str; 7] = ["llama", "qwen2", "qwen3", "mistral", "gemma2", "phi3", "olmo2"];

fn open_quantized(path: &Path) -> Result<Option<Open>> {
    let Some((content, _)) = open_gguf(path)?.single() else { return Ok(None) };
    let family = content.metadata.get("general.architecture").and_then(|value| value.to_string().ok()).cloned().unwrap_or_default();
    let path = path.to_owned();
    let reopen = move || open_gguf(&path)?.single().context("it is in parts");
    Ok(Some(match family.as_str() {
        "llama" => Box::new(move || {
            let (content, mut file) = reopen()?;
            let mut model = reference::quantized_llama::ModelWeights::from_gguf(content, &mut file, &Device::Cpu)?;
            Ok(Box::new(move |ids: &Tensor| model.forward(ids, 0)) as Forward)
        }),
        "qwen2" => Box::new(move || {
            let (content, mut file) = reopen()?;
            let mut model = reference::quantized_qwen2::ModelWeights::from_gguf(content, &mut file, &Device::Cpu)?;
            Ok(Box::new(move |ids: &Tensor| model.forward(ids, 0)) as Forward)
        }),
        "qwen3" => Box::new(move || {
            let (content, mut file) = reopen()?;
            let mut model = reference::quantized_qwen3::ModelWeights::from_gguf(content, &mut file, &Device::Cpu)?;
            Ok(Box::new(move |ids: &Tensor| model.forward(ids, 0)) as Forward)
        }),
        _ => return Ok(None),
    }))
}

fn parsed<T: DeserializeOwned>(config: &Value) -> Result<T> {
    serde_json::from_value(config.clone()).context("its configuration")
}

/// candle-transformers reads the spelling of transformers 4: `rope_parameters` goes back to `rope_theta` and `rope_scaling`, and
/// switches that newer files leave out are written down.
fn older_spelling(config: &mut Map<String, Value>) {
    if let Some(Value::Object(mut rope)) = config.remove("rope_parameters") {
        if let Some(theta) = rope.remove("rope_theta") {
            config.insert("rope_theta".to_owned(), theta);
        }
        if rope.get("rope_type").and_then(Value::as_str).is_some_and(|kind| kind != "default") {
            config.insert("rope_scaling".to_owned(), Value::Object(rope));
        }
    }
    config.retain(|_, value| !value.is_null());
    let positions = config.get("max_position_embeddings").cloned().unwrap_or(Value::from(4096));
    let layers = config.get("num_hidden_layers").cloned().unwrap_or(Value::from(0));
    for (key, default) in [
        ("sliding_window", positions),
        ("max_window_layers", layers),
        ("use_sliding_window", Value::from(false)),
        ("attention_bias", Value::from(false)),
        ("tie_word_embeddings", Value::from(false)),
        ("rope_theta", Value::from(10_000.0)),
    ] {
        config.entry(key).or_insert(default);
    }
}

/// Checks that a reference has one row per prompt and our vocabulary.
pub(super) fn same_shape(ours: &Tensor, theirs: &Tensor) -> Result<()> {
    ensure!(ours.dims() == theirs.dims(), "candle-transformers gives logits of shape {:?}, Ballast {:?}", theirs.dims(), ours.dims());
    Ok(())
}
