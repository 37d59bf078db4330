//! GGUF files: the merged model, or the adapter alone in llama.cpp's form.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use candle_core::quantized::gguf_file::{Content, Value, write};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};

use super::checkpoint::pair_of;
use super::delta::{Rounding, Slack, fold, narrow};
use super::gguf_header::{Keys, of_base, of_folder, rope_divisors, says_the_same};
use super::quantization::FileType;
use crate::error::Invalid;
use crate::files;
use crate::model::fetch::ModelFiles;
use crate::model::gguf::{GgufFile, ROPE_FREQS, open_gguf};
use crate::model::lora::{Adapter, LoraPair};
use crate::model::spec::Spec;
use crate::model::tokenizer::TextCodec;
use crate::model::weights::{FolderTensors, Slot, slots};

/// Families whose GGUF files are read, and so written.
const WRITTEN: [&str; 3] = ["llama", "qwen2", "qwen3"];

/// Refuses families that no GGUF file is written for.
pub fn gguf_holds(spec: &Spec) -> Result<()> {
    ensure!(
        WRITTEN.contains(&spec.family) && spec.other_parts.is_empty(),
        "GGUF files are written for {}, and the base is a {} model: export as safetensors, and convert that with llama.cpp's \
         convert_hf_to_gguf.py",
        WRITTEN.join(", "),
        spec.family
    );
    Ok(())
}

/// Tensors of a base, wherever they are.
enum Source {
    Gguf(GgufFile),
    Folder(FolderTensors),
}

impl Source {
    /// As published checkpoints have it, f32.
    fn read(&mut self, slot: &Slot, spec: &Spec) -> Result<Tensor> {
        match self {
            Self::Gguf(file) => slot.read(file, spec),
            Self::Folder(folder) => folder.read(&slot.checkpoint, &slot.dims),
        }
    }
}

/// Writes base + adapter as a GGUF file at `path`, reads it back, and says what its type took. Tensors that the adapter leaves
/// alone stay as a GGUF base has them where they are of the wanted type already.
pub fn merged_gguf(
    files: &ModelFiles,
    name: &str,
    spec: &Spec,
    codec: &TextCodec,
    adapter: &Adapter,
    kind: FileType,
    path: &Path,
) -> Result<Rounding> {
    gguf_holds(spec)?;
    adapter.check_scale()?;
    let (mut source, keys) = match files {
        ModelFiles::Gguf(path) => {
            let file = open_gguf(path)?;
            let keys = of_base(file.header(), codec, kind);
            (Source::Gguf(file), keys)
        }
        ModelFiles::Folder(folder) => {
            let keys = of_folder(spec, codec, name, kind)?;
            (Source::Folder(FolderTensors::open(folder)?), keys)
        }
    };
    let mut tensors = BTreeMap::new();
    if let Some(divisors) = rope_divisors(spec)? {
        let count = divisors.len();
        tensors.insert(ROPE_FREQS.to_owned(), QTensor::quantize(&Tensor::from_vec(divisors, count, &Device::Cpu)?, GgmlDType::F32)?);
    }
    let slots = slots(spec);
    for slot in &slots {
        let wanted = kind.of(slot, spec);
        let pair = pair_of(slot, adapter);
        if let (None, Source::Gguf(file)) = (pair, &mut source) {
            let stored = file.stored(&slot.gguf)?;
            if stored.dtype() == wanted {
                tensors.insert(slot.gguf.clone(), stored);
                continue;
            }
        }
        let mut weight = source.read(slot, spec)?;
        if let Some(pair) = pair {
            weight = fold(&weight, pair, adapter.scale)?;
        }
        let arranged = narrow(&slot.checkpoint, &slot.arranged(&weight, spec)?, plain(wanted).unwrap_or(DType::F32))?;
        tensors.insert(slot.gguf.clone(), QTensor::quantize(&arranged, wanted)?);
    }
    write_file(path, &keys, &tensors)?;
    // Read back: the header, every tensor as it was written, and the folded ones against base + adapter.
    let mut file = open_gguf(path)?;
    says_the_same(&file.spec()?, spec)?;
    check_bytes(&mut file, &tensors)?;
    let mut rounding = Rounding::default();
    for slot in &slots {
        if let Some(pair) = pair_of(slot, adapter) {
            let slack = plain(kind.of(slot, spec)).map_or(Slack::Quantized, Slack::Type);
            let (stored, base) = (slot.read(&mut file, spec)?, source.read(slot, spec)?);
            rounding.add(&slot.gguf, &stored, &base, pair, adapter.scale, slack)?;
        }
    }
    Ok(rounding)
}

/// The floating-point type that a type of GGUF is.
fn plain(kind: GgmlDType) -> Option<DType> {
    match kind {
        GgmlDType::F32 => Some(DType::F32),
        GgmlDType::F16 => Some(DType::F16),
        GgmlDType::BF16 => Some(DType::BF16),
        _ => None,
    }
}

fn write_file(path: &Path, keys: &Keys, tensors: &BTreeMap<String, QTensor>) -> Result<()> {
    let keys: Vec<(&str, &Value)> = keys.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let named: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    files::write_large(path, |out| Ok(write(out, &keys, &named)?))
}

fn check_bytes(file: &mut GgufFile, written: &BTreeMap<String, QTensor>) -> Result<()> {
    for (name, tensor) in written {
        let read = file.stored(name)?;
        if read.dtype() != tensor.dtype() || read.shape() != tensor.shape() || read.data()? != tensor.data()? {
            bail!(Invalid(format!("tensor `{name}` was read back and is not what was written: the disk or the memory is at fault")));
        }
    }
    Ok(())
}

/// Writes the adapter alone, as llama.cpp loads it beside a GGUF base (`--lora`), and reads it back.
pub fn lora_gguf(spec: &Spec, adapter: &Adapter, path: &Path) -> Result<()> {
    gguf_holds(spec)?;
    adapter.check_scale()?;
    let rank = adapter.pairs.values().map(LoraPair::rank).collect::<Result<Vec<_>>>()?.into_iter().max().context("no pairs")?;
    let alpha = (adapter.scale * rank as f64) as f32;
    ensure!(alpha != 0.0, "the adapter's scale is 0, and llama.cpp takes an alpha of 0 for a scale of 1: give another --lambda");
    let text = |value: &str| Value::String(value.to_owned());
    let keys = Keys::from([
        ("general.architecture".to_owned(), text(spec.family)),
        ("general.type".to_owned(), text("adapter")),
        ("general.file_type".to_owned(), Value::U32(FileType::F32.number())),
        ("adapter.type".to_owned(), text("lora")),
        ("adapter.lora.alpha".to_owned(), Value::F32(alpha)),
    ]);
    let slots = slots(spec);
    let mut tensors = BTreeMap::new();
    for slot in &slots {
        let Some(pair) = pair_of(slot, adapter) else { continue };
        // llama.cpp divides alpha by each pair's own rank.
        let own = pair.rank()?;
        let b = if own == rank { pair.b.clone() } else { (&pair.b * (own as f64 / rank as f64))? };
        for (half, tensor) in [("lora_a", pair.a.clone()), ("lora_b", slot.arranged(&b, spec)?)] {
            tensors.insert(format!("{}.{half}", slot.gguf), QTensor::quantize(&tensor.contiguous()?, GgmlDType::F32)?);
        }
    }
    ensure!(tensors.len() == 2 * adapter.pairs.len(), "the adapter has pairs that a GGUF file has no names for");
    write_file(path, &keys, &tensors)?;
    check_lora(spec, adapter, path)
}

/// The update of every linear as llama.cpp computes it from the file, against the adapter's own.
fn check_lora(spec: &Spec, adapter: &Adapter, path: &Path) -> Result<()> {
    let mut reader = std::io::BufReader::new(files::open(path)?);
    let content = Content::read(&mut reader)?;
    let alpha = f64::from(content.metadata.get("adapter.lora.alpha").context("no alpha")?.to_f32()?);
    for slot in &slots(spec) {
        let Some(pair) = pair_of(slot, adapter) else { continue };
        let mut half = |half: &str| -> Result<Tensor> {
            Ok(content.tensor(&mut reader, &format!("{}.{half}", slot.gguf), &Device::Cpu)?.dequantize(&Device::Cpu)?)
        };
        let (a, b) = (half("lora_a")?, slot.restored(&half("lora_b")?, spec)?);
        let read = (b.matmul(&a)? * (alpha / a.dim(0)? as f64))?;
        let own = (pair.b.matmul(&pair.a)? * adapter.scale)?;
        let distance = (&read - &own)?.abs()?.max_all()?.to_scalar::<f32>()?;
        let size = own.abs()?.max_all()?.to_scalar::<f32>()?;
        if distance > 1e-5 * size {
            bail!(Invalid(format!("`{}` was read back and is another update: the file cannot be used", slot.gguf)));
        }
    }
    Ok(())
}
