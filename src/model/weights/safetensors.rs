//! Weights from the safetensors files of a Hugging Face folder, or from tensors under the names that those have.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use candle_core::safetensors::SliceSafetensors;
use candle_core::{DType, Device, Tensor};
use safetensors::Dtype;
use serde_json::{Map, Value};

use super::{LayerNorms, LayerWeights, Weights, refuse_left_over};
use crate::error::Invalid;
use crate::files;
use crate::keys::{Rule, Table};
use crate::model::spec::{QueryKeyNorm, Spec};

/// What the names of a decoder's tensors may begin with: as a language model saves them, its body alone, or within a model
/// of several modalities.
const PREFIXES: &[&str] = &["model.", "", "model.language_model.", "language_model.model.", "language_model."];

/// Longest header of a safetensors file; the library's own bound.
const LONGEST_HEADER: u64 = 100_000_000;
/// Bytes of the largest file of a checkpoint.
const LARGEST: u64 = 256 << 30;

/// Ends of names that only quantized checkpoints have.
const QUANTIZED: &[&str] = &[
    "weight_scale",
    "weight_scale_inv",
    "input_scale",
    "output_scale",
    "qweight",
    "qzeros",
    "scales",
    "g_idx",
    "SCB",
    "absmax",
    "weight_format",
    "quant_map",
    "nested_absmax",
    "nested_quant_map",
    "weight_packed",
    "weight_shape",
    "weight_zero_point",
    "_blocks",
    "_scales",
];

impl Weights {
    /// From the safetensors files of a Hugging Face folder.
    pub fn from_safetensors(files: &[PathBuf], spec: &Spec, device: &Device, dtype: DType) -> Result<Self> {
        let mut all: HashMap<String, Tensor> = HashMap::new();
        for file in files {
            let context = || format!("failed to read {}", file.display());
            check_length(file)?;
            let bytes = files::read(file, LARGEST)?;
            let tensors = SliceSafetensors::new(&bytes).with_context(context)?;
            for (name, view) in tensors.tensors() {
                if spec.other_parts.iter().any(|part| name.starts_with(part)) {
                    continue;
                }
                check_stored(&name, view.dtype()).with_context(|| file.display().to_string())?;
                if !all_finite(view.dtype(), view.data()) {
                    return Err(Invalid(format!("tensor `{name}` of {} holds numbers that are not finite", file.display())).into());
                }
                let tensor = tensors.load(&name, &Device::Cpu).with_context(context)?.to_dtype(dtype)?.to_device(device)?;
                ensure!(all.insert(name.clone(), tensor).is_none(), "the tensor `{name}` is in more than one file of the checkpoint");
            }
        }
        Self::from_named(all, spec)
    }

    /// From tensors under their Hugging Face names.
    pub fn from_named(mut all: HashMap<String, Tensor>, spec: &Spec) -> Result<Self> {
        // A buffer of old checkpoints, computed again from the configuration.
        all.retain(|name, _| !name.ends_with("rotary_emb.inv_freq") && !spec.other_parts.iter().any(|part| name.starts_with(part)));
        let prefix = body_of(|name| all.contains_key(name)).with_context(|| {
            format!(
                "the checkpoint has no tensor `model.embed_tokens.weight`{}",
                all.keys().min().map_or_else(String::new, |name| format!("; it has `{name}`"))
            )
        })?;
        let mut layers = Vec::new();
        for layer in 0..spec.layers {
            let prefix = format!("{prefix}layers.{layer}.");
            layers.push(LayerWeights::new(linears(&mut all, &prefix, spec)?, norms(&mut all, &prefix, spec)?)?);
        }
        let embedding = take(&mut all, &format!("{prefix}embed_tokens.weight"), &[spec.vocabulary, spec.hidden], spec)?;
        let norm = norm(&mut all, &format!("{prefix}norm.weight"), spec.hidden, spec)?;
        let head_name = HEADS.iter().find(|name| all.contains_key(**name)).copied();
        let head = match head_name {
            None if spec.tied => None,
            name => Some(take(&mut all, name.unwrap_or(HEADS[0]), &[spec.vocabulary, spec.hidden], spec)?),
        };
        refuse_left_over(all.into_keys().collect(), spec)?;
        // Checkpoints of tied models may hold the table twice. A head that differs was trained apart, whatever the
        // configuration says, and is what the model's answers come from.
        let untied_head = match head {
            Some(head) if spec.tied && same(&head, &embedding)? => None,
            head => head,
        };
        Ok(Self { embedding, layers, norm, untied_head })
    }
}

/// What the names of the decoder's tensors begin with in a checkpoint that has certain names.
pub(crate) fn body_of(has: impl Fn(&str) -> bool) -> Option<&'static str> {
    PREFIXES.iter().copied().find(|prefix| has(&format!("{prefix}embed_tokens.weight")))
}

/// Tensors of a folder, one at a time, by the names that a language model's own class has.
pub struct FolderTensors {
    /// Bytes of the files.
    files: Vec<Vec<u8>>,
    /// What the decoder's names begin with there, instead of `model.`
    body: &'static str,
}

impl FolderTensors {
    /// Reads the safetensors files of a folder.
    pub fn open(folder: &Path) -> Result<Self> {
        let paths = safetensors_files(folder)?;
        let read = |path: &PathBuf| -> Result<Vec<u8>> {
            check_length(path)?;
            files::read(path, LARGEST)
        };
        let files = paths.iter().map(read).collect::<Result<Vec<_>>>()?;
        let views = files.iter().map(|bytes| SliceSafetensors::new(bytes)).collect::<candle_core::Result<Vec<_>>>()?;
        let has = |name: &str| views.iter().any(|view| view.get(name).is_ok());
        let body = body_of(has).with_context(|| format!("{} has no embedding table", folder.display()))?;
        drop(views);
        Ok(Self { files, body })
    }

    /// A tensor as f32 on the host.
    pub fn read(&self, name: &str, dims: &[usize]) -> Result<Tensor> {
        let names: Vec<String> = match name.strip_prefix("model.") {
            Some(rest) => vec![format!("{}{rest}", self.body)],
            None => HEADS.iter().map(|head| (*head).to_owned()).collect(),
        };
        for bytes in &self.files {
            let tensors = SliceSafetensors::new(bytes)?;
            for name in &names {
                if tensors.get(name).is_ok() {
                    let tensor = tensors.load(name, &Device::Cpu)?.to_dtype(DType::F32)?;
                    ensure!(tensor.dims() == dims, "tensor `{name}` is {:?}, the configuration says {dims:?}", tensor.dims());
                    return Ok(tensor);
                }
            }
        }
        bail!("the checkpoint has no tensor `{}`", names[0])
    }
}

/// Fails where a file is longer or shorter than its header says, before all of it is read.
fn check_length(path: &Path) -> Result<()> {
    let mut file = files::open(path)?;
    let size = file.metadata()?.len();
    let cut = || format!("{} is not a safetensors file, or was cut off", path.display());
    let mut length = [0; 8];
    file.read_exact(&mut length).with_context(cut)?;
    let length = u64::from_le_bytes(length);
    ensure!(length <= LONGEST_HEADER.min(size), "{}: its header is said to have {length} bytes", cut());
    let mut header = vec![0; usize::try_from(length)?];
    file.read_exact(&mut header).with_context(cut)?;
    let header: Map<String, Value> = serde_json::from_slice(&header).with_context(cut)?;
    let end = header.values().filter_map(|tensor| tensor.get("data_offsets")?.get(1)?.as_u64()).max().unwrap_or(0);
    ensure!(
        end.checked_add(8 + length) == Some(size),
        "{} has {size} bytes, and its header speaks of {}: it is cut off, or not a safetensors file",
        path.display(),
        end.saturating_add(8 + length)
    );
    Ok(())
}

/// Weights and biases of a layer in the order of [`Module::ALL`](crate::model::site::Module::ALL); those that are held as one are split.
fn linears(all: &mut HashMap<String, Tensor>, prefix: &str, spec: &Spec) -> Result<Vec<(Tensor, Option<Tensor>)>> {
    let mut parts = BTreeMap::new();
    for module in spec.linears() {
        let ((input, output), name) = (module.widths(spec), format!("{prefix}{}", module.path()));
        let weight = take(all, &format!("{name}.weight"), &[output, input], spec)?;
        let bias = spec.biases.on(module).then(|| take(all, &format!("{name}.bias"), &[output], spec)).transpose()?;
        let mut start = 0;
        for single in module.parts() {
            let rows = single.widths(spec).1;
            let part = |all: &Tensor| -> Result<Tensor> { Ok(all.narrow(0, start, rows)?.contiguous()?) };
            parts.insert(*single, (part(&weight)?, bias.as_ref().map(part).transpose()?));
            start += rows;
        }
    }
    Ok(parts.into_values().collect())
}

/// The norms of a layer that its family has.
fn norms(all: &mut HashMap<String, Tensor>, prefix: &str, spec: &Spec) -> Result<LayerNorms> {
    let mut named = |name: Option<&str>, width: usize| -> Result<Option<Tensor>> {
        name.map(|name| norm(all, &format!("{prefix}{name}.weight"), width, spec)).transpose()
    };
    let of_heads = spec.query_key_norms;
    let width = |heads: usize| match of_heads.map(|norms| norms.place) {
        Some(QueryKeyNorm::FullWidth) => heads * spec.head_dim,
        _ => spec.head_dim,
    };
    Ok(LayerNorms {
        before_attention: named(spec.norms.before_attention, spec.hidden)?,
        after_attention: named(spec.norms.after_attention, spec.hidden)?,
        before_feed_forward: named(spec.norms.before_feed_forward, spec.hidden)?,
        after_feed_forward: named(spec.norms.after_feed_forward, spec.hidden)?,
        query: named(of_heads.map(|norms| norms.query), width(spec.heads))?,
        key: named(of_heads.map(|norms| norms.key), width(spec.kv_heads))?,
    })
}

/// The weight of one norm; one is added where checkpoints hold what is added to it.
fn norm(all: &mut HashMap<String, Tensor>, name: &str, width: usize, spec: &Spec) -> Result<Tensor> {
    let weight = take(all, name, &[width], spec)?;
    if !spec.norms.plus_one {
        return Ok(weight);
    }
    Ok((weight.to_dtype(DType::F32)? + 1.0)?.to_dtype(weight.dtype())?)
}

/// Names of the output head.
const HEADS: &[&str] = &["lm_head.weight", "language_model.lm_head.weight", "model.lm_head.weight"];

fn take(all: &mut HashMap<String, Tensor>, name: &str, dims: &[usize], spec: &Spec) -> Result<Tensor> {
    let tensor =
        all.remove(name).with_context(|| format!("the checkpoint has no tensor `{name}`, which this {} model needs", spec.family))?;
    ensure!(tensor.dims() == dims, "tensor `{name}` is {:?}, the configuration of this {} model says {dims:?}", tensor.dims(), spec.family);
    Ok(tensor)
}

fn same(a: &Tensor, b: &Tensor) -> Result<bool> {
    Ok(a.ne(b)?.max_all()?.to_scalar::<u8>()? == 0)
}

/// Refuses numbers that mean something only together with scales.
fn check_stored(name: &str, stored: Dtype) -> Result<()> {
    let float = matches!(stored, Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F64);
    let scale = QUANTIZED.iter().any(|end| name.ends_with(end)) || name.contains(".quant_state.");
    if name.ends_with("rotary_emb.inv_freq") || float && !scale {
        return Ok(());
    }
    bail!(
        "tensor `{name}` ({stored:?}) is of a quantized checkpoint, whose numbers need scales beside them: take the model's \
         full-precision weights, or a GGUF file of it"
    )
}

/// Whether no number is infinite or NaN, seen from its bits: an exponent of ones.
fn all_finite(stored: Dtype, bytes: &[u8]) -> bool {
    fn halves(bytes: &[u8], exponent: u16) -> bool {
        bytes.as_chunks::<2>().0.iter().all(|half| u16::from_le_bytes(*half) & exponent != exponent)
    }
    match stored {
        Dtype::BF16 => halves(bytes, 0x7f80),
        Dtype::F16 => halves(bytes, 0x7c00),
        Dtype::F32 => bytes.as_chunks::<4>().0.iter().all(|word| u32::from_le_bytes(*word) & 0x7f80_0000 != 0x7f80_0000),
        Dtype::F64 => bytes.as_chunks::<8>().0.iter().all(|word| f64::from_le_bytes(*word).is_finite()),
        _ => true,
    }
}

/// The file that names the shards of a checkpoint.
const INDEX: Table = Table {
    what: "the index of the checkpoint",
    remedy: "save the model again with transformers",
    rules: &[("weight_map", Rule::Used), ("metadata", Rule::Harmless("sizes; the files have their own"))],
};

/// The safetensors files of a folder: the single file, or every shard that the index names.
pub fn safetensors_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let single = folder.join("model.safetensors");
    if single.exists() {
        return Ok(vec![single]);
    }
    let index = folder.join("model.safetensors.index.json");
    if !index.exists() {
        bail!("{} has neither model.safetensors nor model.safetensors.index.json", folder.display());
    }
    let text = crate::files::read_text(&index)?;
    let not_index = || format!("{} does not name the files of a checkpoint", index.display());
    let mut parsed: Map<String, Value> = serde_json::from_str(&text).with_context(not_index)?;
    INDEX.check(index.display(), &parsed)?;
    let places: BTreeMap<String, String> =
        serde_json::from_value(parsed.remove("weight_map").with_context(not_index)?).with_context(not_index)?;
    let names: BTreeSet<String> = places.into_values().collect();
    for name in &names {
        let plain = name.ends_with(".safetensors") && !name.contains(['/', '\\', ':']) && !name.starts_with('.');
        ensure!(plain, "{} names `{}`, which is not a file of the folder", index.display(), name.escape_debug());
    }
    let files: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    for file in &files {
        ensure!(file.exists(), "{} is missing: the index names it", file.display());
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_not_finite_are_seen_in_every_type() {
        // 1.5, minus infinity and a NaN of each type, little-endian.
        for (stored, good, bad) in [
            (Dtype::F32, vec![0, 0, 0xc0, 0x3f], [vec![0, 0, 0x80, 0xff], vec![1, 0, 0x80, 0x7f]]),
            (Dtype::BF16, vec![0xc0, 0x3f], [vec![0x80, 0xff], vec![0x81, 0x7f]]),
            (Dtype::F16, vec![0, 0x3e], [vec![0, 0xfc], vec![1, 0x7c]]),
            (Dtype::F64, 1.5_f64.to_le_bytes().to_vec(), [f64::NEG_INFINITY.to_le_bytes().to_vec(), f64::NAN.to_le_bytes().to_vec()]),
        ] {
            assert!(all_finite(stored, &[good.clone(), good.clone()].concat()));
            for bad in bad {
                assert!(!all_finite(stored, &[good.clone(), bad].concat()), "{stored:?}");
            }
        }
    }

    #[test]
    fn quantized_tensors_are_refused_in_words() {
        for (name, stored) in
            [("x.weight", Dtype::U8), ("x.weight", Dtype::F8_E4M3), ("x.weight_scale", Dtype::F32), ("x.qweight", Dtype::I32)]
        {
            assert!(check_stored(name, stored).unwrap_err().to_string().contains("quantized"));
        }
        check_stored("x.weight", Dtype::BF16).unwrap();
    }
}
