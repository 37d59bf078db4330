//! GGUF files: one file, or the parts that llama.cpp's `gguf-split` makes. Header and tensors, bounded by the file's size.

mod header;

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use candle_core::quantized::QTensor;
use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::{DType, Device, Tensor};

use super::ops::host;
use crate::error::Invalid;
use crate::files;

/// A model's GGUF file, or its parts in order.
#[derive(Debug)]
pub struct GgufFile {
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    path: PathBuf,
    content: Content,
    reader: BufReader<File>,
}

/// Opens a GGUF file, reads its header, and opens the other parts that it names.
pub fn open_gguf(path: &Path) -> Result<GgufFile> {
    let first = Part::open(path)?;
    let count = split(&first.content, "split.count").unwrap_or(1);
    let number = split(&first.content, "split.no").unwrap_or(0);
    let mut parts = vec![first];
    if count > 1 {
        ensure!(count <= 999, "{} says it is one of {count} parts", path.display());
        let of_part = |number: u64| part_path(path, number, count);
        ensure!(
            number == 0,
            "{} is part {} of {count}: give part 1, {}",
            path.display(),
            number + 1,
            of_part(0).map_or_else(|| "which holds the header".to_owned(), |path| path.display().to_string())
        );
        for number in 1..count {
            let other = of_part(number).with_context(|| {
                format!("{} is part 1 of {count}, but its name does not end in -00001-of-{count:05}.gguf", path.display())
            })?;
            ensure!(other.is_file(), "{} is part 1 of {count}, and part {} is missing: {}", path.display(), number + 1, other.display());
            let part = Part::open(&other)?;
            let said = (split(&part.content, "split.no"), split(&part.content, "split.count"));
            ensure!(said == (Some(number), Some(count)), "{} is not part {} of {count} of {}", other.display(), number + 1, path.display());
            parts.push(part);
        }
    }
    let file = GgufFile { parts };
    file.check_tensors()?;
    Ok(file)
}

/// A key of `gguf-split`, which writes small whole numbers of any type.
fn split(content: &Content, key: &str) -> Option<u64> {
    match content.metadata.get(key)? {
        Value::I32(value) => u64::try_from(*value).ok(),
        value => value.to_u64().ok(),
    }
}

/// `x-00001-of-00003.gguf` to the path of another part.
fn part_path(first: &Path, number: u64, count: u64) -> Option<PathBuf> {
    let name = first.file_name()?.to_str()?;
    let stem = name.strip_suffix(&format!("-of-{count:05}.gguf"))?;
    let (stem, digits) = stem.rsplit_once('-')?;
    digits.parse::<u64>().ok()?;
    Some(first.with_file_name(format!("{stem}-{:05}-of-{count:05}.gguf", number + 1)))
}

impl Part {
    fn open(path: &Path) -> Result<Self> {
        let context = || format!("{} is not a readable GGUF file", path.display());
        let file = files::open(path)?;
        let about = file.metadata().with_context(context)?;
        let mut reader = BufReader::new(file);
        header::check(&mut reader, about.len()).with_context(context)?;
        reader.rewind()?;
        let content = Content::read(&mut reader).with_context(context)?;
        let mut all = 0_u64;
        for (name, info) in &content.tensor_infos {
            let blocks = (info.shape.elem_count() / info.ggml_dtype.block_size()) as u64;
            let bytes = blocks.saturating_mul(info.ggml_dtype.type_size() as u64);
            let end = content.tensor_data_offset.saturating_add(info.offset).saturating_add(bytes);
            all = all.saturating_add(bytes);
            ensure!(
                end.max(all) <= about.len(),
                "{} is cut short: its tensor `{name}` ends at {}, and it has {} bytes",
                path.display(),
                end.max(all),
                about.len()
            );
        }
        Ok(Self { path: path.to_owned(), content, reader })
    }
}

impl GgufFile {
    /// The header with the model's keys: that of the first part, with the tensors of all parts.
    pub fn header(&self) -> &Content {
        &self.parts[0].content
    }

    /// The files, in order.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.parts.iter().map(|part| part.path.clone()).collect()
    }

    /// Header and reader of a model in one file; None for one in parts.
    pub fn single(mut self) -> Option<(Content, BufReader<File>)> {
        let part = self.parts.pop()?;
        self.parts.is_empty().then_some((part.content, part.reader))
    }

    /// A tensor that is in two parts is an error.
    fn check_tensors(&self) -> Result<()> {
        let mut seen = HashSet::new();
        for part in &self.parts {
            for name in part.content.tensor_infos.keys() {
                ensure!(seen.insert(name), "the tensor `{name}` is in more than one part of the GGUF file");
            }
        }
        Ok(())
    }

    /// Whether there is such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.parts.iter().any(|part| part.content.tensor_infos.contains_key(name))
    }

    /// Rows of a tensor: its first dimension, as here in row-major order.
    pub fn rows(&self, name: &str) -> Option<usize> {
        let info = self.parts.iter().find_map(|part| part.content.tensor_infos.get(name))?;
        info.shape.dims().first().copied()
    }

    /// Names of all tensors.
    pub(super) fn names(&self) -> HashSet<String> {
        self.parts.iter().flat_map(|part| part.content.tensor_infos.keys().cloned()).collect()
    }

    /// A tensor as the file holds it.
    pub fn stored(&mut self, name: &str) -> Result<QTensor> {
        let part = self.part_with(name)?;
        part.content.tensor(&mut part.reader, name, &Device::Cpu).with_context(|| format!("failed to read tensor `{name}`"))
    }

    fn part_with(&mut self, name: &str) -> Result<&mut Part> {
        let Some(part) = self.parts.iter_mut().find(|part| part.content.tensor_infos.contains_key(name)) else {
            bail!("GGUF file has no tensor `{name}`");
        };
        Ok(part)
    }

    /// A tensor as f32 on the host.
    pub(super) fn tensor(&mut self, name: &str) -> Result<Tensor> {
        let tensor = self.stored(name)?;
        let context = || format!("failed to read tensor `{name}`");
        let part = self.part_with(name)?;
        let tensor = tensor.dequantize(&Device::Cpu).with_context(context)?.to_dtype(DType::F32)?.contiguous()?;
        if !host::vectorised(
            #[inline(always)]
            || -> Result<bool> { Ok(host::all_finite(&host::slice(&tensor)?)) },
        )? {
            return Err(Invalid(format!("tensor `{name}` of {} holds numbers that are not finite", part.path.display())).into());
        }
        Ok(tensor)
    }
}

/// Divisors of the rotary frequencies.
pub(crate) const ROPE_FREQS: &str = "rope_freqs.weight";
