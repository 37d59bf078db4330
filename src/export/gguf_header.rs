//! The keys of a GGUF file: those of a GGUF base as they are, or written from a Hugging Face folder.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use candle_core::quantized::gguf_file::{Content, Value};

use super::quantization::FileType;
use crate::model::spec::{RopeScaling, Spec};
use crate::model::tokenizer::TextCodec;

/// Keys by name, in the order that they are written in.
pub(super) type Keys = BTreeMap<String, Value>;

/// Keys of a base that do not hold for what is written: its parts, its alignment, and how its tensors were quantized.
const LEFT_OUT: [&str; 4] = ["split.", "quantize.", "imatrix.", "general.alignment"];

/// Those of a GGUF base, with the chat template that it is asked with.
pub(super) fn of_base(content: &Content, codec: &TextCodec, kind: FileType) -> Keys {
    let kept = content.metadata.iter().filter(|(key, _)| !LEFT_OUT.iter().any(|part| key.starts_with(part)));
    let mut keys: Keys = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
    keys.insert("tokenizer.chat_template".to_owned(), Value::String(codec.template.clone()));
    typed(&mut keys, kind);
    keys
}

fn typed(keys: &mut Keys, kind: FileType) {
    keys.insert("general.file_type".to_owned(), Value::U32(kind.number()));
    keys.insert("general.quantization_version".to_owned(), Value::U32(2));
}

/// Those of a model from a Hugging Face folder.
pub(super) fn of_folder(spec: &Spec, codec: &TextCodec, name: &str, kind: FileType) -> Result<Keys> {
    let family = spec.family;
    let number = |value: usize| Ok::<_, anyhow::Error>(Value::U32(u32::try_from(value).context("a size beyond GGUF's")?));
    let mut keys = Keys::from([
        ("general.architecture".to_owned(), Value::String(family.to_owned())),
        ("general.type".to_owned(), Value::String("model".to_owned())),
        ("general.name".to_owned(), Value::String(name.to_owned())),
        (format!("{family}.attention.layer_norm_rms_epsilon"), Value::F32(spec.rms_eps as f32)),
        (format!("{family}.rope.freq_base"), Value::F32(spec.ropes[0].theta as f32)),
    ]);
    for (key, value) in [
        ("context_length", spec.max_positions),
        ("embedding_length", spec.hidden),
        ("block_count", spec.layers),
        ("feed_forward_length", spec.intermediate),
        ("attention.head_count", spec.heads),
        ("attention.head_count_kv", spec.kv_heads),
        ("attention.key_length", spec.head_dim),
        ("attention.value_length", spec.head_dim),
        ("rope.dimension_count", spec.head_dim),
        ("vocab_size", spec.vocabulary),
    ] {
        keys.insert(format!("{family}.{key}"), number(value)?);
    }
    typed(&mut keys, kind);
    keys.extend(codec.to_gguf(spec.vocabulary)?);
    Ok(keys)
}

/// Divisors of the rotary frequencies by Llama 3's rule, as llama.cpp's converter writes them into a tensor. None where the
/// frequencies are as they are.
pub(super) fn rope_divisors(spec: &Spec) -> Result<Option<Vec<f32>>> {
    let rope = &spec.ropes[0];
    match &rope.scaling {
        RopeScaling::Default => Ok(None),
        RopeScaling::Divisors(divisors) => Ok(Some(divisors.iter().map(|divisor| *divisor as f32).collect())),
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_positions } => {
            let turning = rope.turning(spec.head_dim);
            let divisors = (0..turning / 2).map(|pair| {
                let wavelength = 2.0 * std::f64::consts::PI * rope.theta.powf(2.0 * pair as f64 / turning as f64);
                let rotations = original_positions / wavelength;
                if rotations < *low_freq_factor {
                    *factor as f32
                } else if rotations > *high_freq_factor {
                    1.0
                } else {
                    let smooth = (rotations - low_freq_factor) / (high_freq_factor - low_freq_factor);
                    (1.0 / ((1.0 - smooth) / factor + smooth)) as f32
                }
            });
            Ok(Some(divisors.collect()))
        }
        other => anyhow::bail!("the base's rope scaling {other:?} is not written into GGUF files"),
    }
}

/// Whether a header, read back, comes to the switches of the model.
pub(super) fn says_the_same(read: &Spec, spec: &Spec) -> Result<()> {
    let rounded = |spec: &Spec| {
        let mut spec = spec.clone();
        spec.rms_eps = f64::from(spec.rms_eps as f32);
        for rope in &mut spec.ropes {
            rope.theta = f64::from(rope.theta as f32);
            // The divisors were computed from the scaling, and are tensors of their own.
            rope.scaling = RopeScaling::Default;
        }
        spec
    };
    let same = rounded(read) == rounded(spec) && rope_divisors(read)?.is_some() == rope_divisors(spec)?.is_some();
    ensure!(
        same,
        "a GGUF header of the architecture {} cannot say all that the base's configuration says: export as safetensors, and convert that \
         with llama.cpp's convert_hf_to_gguf.py",
        spec.family
    );
    Ok(())
}
