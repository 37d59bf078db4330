//! What stands beside the weights of a Hugging Face folder: configuration, tokenizer, chat template, generation settings.
//! Copied from a base that is a folder, written from the header of one that is a GGUF file.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use candle_core::DType;
use serde_json::{Map, Value, json};

use crate::files::{self, Staged, read_text};
use crate::model::spec::{RopeScaling, Spec};
use crate::model::tokenizer::TextCodec;

/// Files of a model's folder beside its weights and `config.json`. Others stay behind: an `adapter_config.json` would be
/// applied a second time.
const COPIED: &[&str] = &[
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "chat_template.json",
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
    "LICENSE",
    "LICENSE.txt",
    "NOTICE",
    "NOTICE.txt",
];

/// Copies them, with the type of the weights in the configuration where it became another.
pub(super) fn copy(folder: &Path, dtype: Option<DType>, codec: Option<&TextCodec>, staged: &Staged) -> Result<()> {
    for name in COPIED {
        let path = folder.join(name);
        if path.exists() {
            staged.bytes(name, &files::read(&path, files::TEXT)?)?;
        }
    }
    // A base model is asked with a template that its folder does not have.
    if let Some(codec) = codec
        && TextCodec::from_folder(folder)?.template != codec.template
    {
        staged.bytes("chat_template.jinja", codec.template.as_bytes())?;
    }
    let text = read_text(&folder.join("config.json"))?;
    let Some(dtype) = dtype else { return staged.bytes("config.json", text.as_bytes()) };
    let mut config: Map<String, Value> = serde_json::from_str(&text).context("config.json is not a JSON object")?;
    retype(&mut config, dtype);
    config.entry(if config.contains_key("dtype") { "dtype" } else { "torch_dtype" }).or_insert_with(|| json!(torch(dtype)));
    staged.bytes("config.json", &pretty(&Value::Object(config))?)
}

/// Replaces the type wherever a configuration, or that of a part of the model, names one.
fn retype(config: &mut Map<String, Value>, dtype: DType) {
    for (key, value) in config {
        match value {
            Value::String(name) if key == "dtype" || key == "torch_dtype" => torch(dtype).clone_into(name),
            Value::Object(part) => retype(part, dtype),
            _ => {}
        }
    }
}

/// A type's name in torch.
fn torch(dtype: DType) -> &'static str {
    match dtype {
        DType::BF16 => "bfloat16",
        DType::F16 => "float16",
        _ => "float32",
    }
}

fn pretty(value: &Value) -> Result<Vec<u8>> {
    Ok(format!("{}\n", serde_json::to_string_pretty(value)?).into_bytes())
}

/// Writes them for a GGUF base. A header that no configuration says the same as is an error.
pub(super) fn write(spec: &Spec, codec: &TextCodec, dtype: DType, staged: &Staged) -> Result<()> {
    let config = config(spec, codec, dtype)?;
    staged.bytes("config.json", &pretty(&config)?)?;
    for (name, bytes) in codec.to_files()? {
        staged.bytes(name, &bytes)?;
    }
    let mut generation = json!({"do_sample": false, "eos_token_id": codec.stops});
    for (name, key) in [("bos_token", "bos_token_id"), ("pad_token", "pad_token_id")] {
        if let Some(id) = codec.special_id(name) {
            generation[key] = json!(id);
        }
    }
    staged.bytes("generation_config.json", &pretty(&generation)?)
}

/// The configuration that comes to the same switches.
fn config(spec: &Spec, codec: &TextCodec, dtype: DType) -> Result<Value> {
    let class = match spec.family {
        "llama" => "LlamaForCausalLM",
        "qwen2" => "Qwen2ForCausalLM",
        "qwen3" => "Qwen3ForCausalLM",
        other => bail!("no configuration is written for a {other} model from a GGUF file: give its Hugging Face folder as the base"),
    };
    let mut config = json!({
        "architectures": [class],
        "model_type": spec.family,
        "hidden_act": "silu",
        "hidden_size": spec.hidden,
        "intermediate_size": spec.intermediate,
        "num_hidden_layers": spec.layers,
        "num_attention_heads": spec.heads,
        "num_key_value_heads": spec.kv_heads,
        "head_dim": spec.head_dim,
        "vocab_size": spec.vocabulary,
        "max_position_embeddings": spec.max_positions,
        "rms_norm_eps": spec.rms_eps,
        "rope_theta": spec.ropes[0].theta,
        "tie_word_embeddings": spec.tied,
        "torch_dtype": torch(dtype),
        "eos_token_id": codec.special_id("eos_token"),
        "bos_token_id": codec.special_id("bos_token"),
    });
    match spec.family {
        "llama" => {
            config["attention_bias"] = json!(spec.biases.qkv);
            config["mlp_bias"] = json!(spec.biases.feed_forward);
        }
        "qwen3" => config["attention_bias"] = json!(spec.biases.qkv),
        _ => config["use_sliding_window"] = json!(false),
    }
    match &spec.ropes[0].scaling {
        RopeScaling::Default => {}
        RopeScaling::Divisors(divisors) => {
            let scaling = llama3(spec, divisors).context(
                "the GGUF file's rope factors are not those of Llama 3.1 or 3.2, so no configuration says them: give the model's Hugging Face \
                 folder as the base",
            )?;
            config["rope_scaling"] = scaling;
        }
        other => bail!("the base's rope scaling {other:?} cannot be written down: give its Hugging Face folder as the base"),
    }
    let mut said = Spec::from_config_json(&config.to_string())?;
    if let (RopeScaling::Divisors(divisors), RopeScaling::Llama3 { .. }) = (&spec.ropes[0].scaling, &said.ropes[0].scaling) {
        said.ropes[0].scaling = RopeScaling::Divisors(divisors.clone());
    }
    ensure!(
        said == *spec,
        "no {} configuration of transformers says what the GGUF header says: give the model's Hugging Face folder as the base",
        spec.family
    );
    Ok(config)
}

/// Llama 3's rule with the factor that gives these divisors, if one does.
fn llama3(spec: &Spec, divisors: &[f64]) -> Option<Value> {
    let factor = divisors.iter().copied().fold(1.0, f64::max).round();
    let (low, high, original) = (1.0, 4.0, 8192.0);
    let turning = spec.ropes[0].turning(spec.head_dim);
    let expected = |pair: usize| {
        let wavelength = 2.0 * std::f64::consts::PI * spec.ropes[0].theta.powf(2.0 * pair as f64 / turning as f64);
        let rotations = original / wavelength;
        if rotations < low {
            return factor;
        }
        if rotations > high {
            return 1.0;
        }
        let smooth = (rotations - low) / (high - low);
        1.0 / ((1.0 - smooth) / factor + smooth)
    };
    let fits = divisors.iter().enumerate().all(|(pair, divisor)| (divisor / expected(pair) - 1.0).abs() < 1e-4);
    fits.then(|| {
        json!({"rope_type": "llama3", "factor": factor, "low_freq_factor": low, "high_freq_factor": high,
               "original_max_position_embeddings": original as u64})
    })
}
