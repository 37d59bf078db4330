//! Merged safetensors: the base's checkpoint with the adapter's updates in its linears, every other tensor as it was.
//!
//! A base in a folder keeps its files, names and layout, whatever its family; only the adapted linears change. A GGUF base is
//! written under the names of published checkpoints.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use safetensors::{Dtype, SafeTensors, View};
use serde_json::{Map, Value, json};

use super::companions;
use super::delta::{Rounding, Slack, fold, narrow};
use crate::error::Invalid;
use crate::files::{self, Staged, read_text};
use crate::model::fetch::ModelFiles;
use crate::model::gguf::{GgufFile, open_gguf};
use crate::model::lora::{Adapter, LoraPair};
use crate::model::spec::Spec;
use crate::model::tokenizer::TextCodec;
use crate::model::weights::{Slot, body_of, safetensors_files, slots};

/// Bytes of the largest file of a checkpoint.
const LARGEST: u64 = 256 << 30;
/// Bytes of weights in one file that is made from a GGUF base.
const SHARD: usize = 4 << 30;
/// The type of a GGUF base's weights where none is asked for: most of its numbers are of 4 to 8 bits.
const FROM_GGUF: DType = DType::F16;

/// Writes base + adapter as a Hugging Face folder into `staged`, reads each file back, and says what rounding took. Without a
/// type the tensors of a folder keep theirs, and those of a GGUF file become f16. The chat template is that of `codec`, or the
/// base's own.
pub fn checkpoint(
    files: &ModelFiles,
    spec: &Spec,
    codec: Option<&TextCodec>,
    adapter: &Adapter,
    dtype: Option<DType>,
    staged: &Staged,
) -> Result<(Rounding, String)> {
    adapter.check_scale()?;
    match files {
        ModelFiles::Folder(folder) => {
            let (rounding, types) = of_folder(folder, adapter, dtype, staged)?;
            companions::copy(folder, dtype, codec, staged)?;
            Ok((rounding, types))
        }
        ModelFiles::Gguf(path) => {
            let mut file = open_gguf(path)?;
            let dtype = dtype.unwrap_or(FROM_GGUF);
            let rounding = of_gguf(&mut file, spec, adapter, dtype, staged)?;
            let own = if codec.is_none() { Some(TextCodec::from_gguf(file.header())?) } else { None };
            companions::write(spec, codec.or(own.as_ref()).context("no tokenizer")?, dtype, staged)?;
            Ok((rounding, dtype.as_str().to_owned()))
        }
    }
}

/// A tensor as its file holds it.
struct Held<'a> {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Cow<'a, [u8]>,
}

impl Held<'_> {
    fn of(tensor: &Tensor) -> Self {
        Self { dtype: View::dtype(&tensor), shape: tensor.dims().to_vec(), bytes: Cow::Owned(View::data(&tensor).into_owned()) }
    }
}

fn write(staged: &Staged, name: &str, tensors: &BTreeMap<String, Held<'_>>) -> Result<()> {
    let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    staged.write(name, |path| {
        let views = tensors.iter().map(|(name, held)| (name.as_str(), held));
        Ok(safetensors::serialize_to_file(views, Some(format), path)?)
    })
}

impl View for &Held<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// A tensor of a safetensors file on the host.
fn tensor(tensors: &SafeTensors<'_>, name: &str) -> Result<Tensor> {
    use candle_core::safetensors::Load;
    Ok(tensors.tensor(name)?.load(&Device::Cpu)?)
}

fn of_folder(folder: &Path, adapter: &Adapter, dtype: Option<DType>, staged: &Staged) -> Result<(Rounding, String)> {
    let paths = safetensors_files(folder)?;
    let mut rounding = Rounding::default();
    let mut types = Vec::new();
    let mut pairs = adapted(&body(&paths)?, adapter);
    let mut bytes_in_all = 0;
    for path in &paths {
        let context = || format!("failed to fold the adapter into {}", path.display());
        let bytes = files::read(path, LARGEST)?;
        let base = SafeTensors::deserialize(&bytes).with_context(context)?;
        let mut out = BTreeMap::new();
        let mut folded = Vec::new();
        for (name, view) in base.tensors() {
            let is_float = matches!(view.dtype(), Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F64);
            let pair = pairs.remove(&name);
            let held = match (pair, dtype) {
                (Some(pair), _) => {
                    let weight = tensor(&base, &name).with_context(context)?;
                    let own = dtype.unwrap_or_else(|| weight.dtype());
                    if !types.contains(&own.as_str()) {
                        types.push(own.as_str());
                    }
                    folded.push((name.clone(), pair, own));
                    Held::of(&narrow(&name, &fold(&weight, pair, adapter.scale)?, own)?)
                }
                (None, Some(dtype)) if is_float => Held::of(&narrow(&name, &tensor(&base, &name)?, dtype)?),
                _ => Held { dtype: view.dtype(), shape: view.shape().to_vec(), bytes: Cow::Borrowed(view.data()) },
            };
            bytes_in_all += held.bytes.len();
            out.insert(name, held);
        }
        let name = path.file_name().and_then(|name| name.to_str()).with_context(context)?;
        write(staged, name, &out)?;
        replay(&staged.path().join(name), &out, &folded, &|name| tensor(&base, name), adapter.scale, &mut rounding)?;
    }
    if let Some(name) = pairs.keys().next() {
        bail!("{} has no tensor `{name}`, which the adapter changes", folder.display());
    }
    let index = folder.join(INDEX);
    if paths.len() > 1 || index.exists() && !folder.join(SINGLE).exists() {
        let mut parsed: Value = serde_json::from_str(&read_text(&index)?)?;
        parsed["metadata"] = json!({"total_size": bytes_in_all});
        staged.bytes(INDEX, &pretty(&parsed)?)?;
    }
    types.sort_unstable();
    Ok((rounding, types.join(" and ")))
}

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

fn pretty(value: &Value) -> Result<Vec<u8>> {
    Ok(format!("{}\n", serde_json::to_string_pretty(value)?).into_bytes())
}

/// What the decoder's tensors begin with in the files of a checkpoint, by their headers.
fn body(paths: &[PathBuf]) -> Result<String> {
    let mut names = BTreeSet::new();
    for path in paths {
        let context = || format!("failed to read {}", path.display());
        let mut file = files::open(path)?;
        let mut length = [0; 8];
        file.read_exact(&mut length).with_context(context)?;
        let mut header = Vec::new();
        file.take(u64::from_le_bytes(length).min(files::TEXT)).read_to_end(&mut header).with_context(context)?;
        let header: Map<String, Value> = serde_json::from_slice(&header).with_context(context)?;
        names.extend(header.into_iter().map(|(name, _)| name));
    }
    Ok(body_of(|name| names.contains(name)).context("the checkpoint has no embedding table")?.to_owned())
}

/// The pairs by the names of the weights that they change.
fn adapted<'a>(body: &str, adapter: &'a Adapter) -> BTreeMap<String, &'a LoraPair> {
    adapter.pairs.iter().map(|(site, pair)| (format!("{body}{site}.weight"), pair)).collect()
}

/// Reads a written file back: the folded weights against base + adapter computed apart, the others bit for bit.
fn replay(
    path: &Path,
    written: &BTreeMap<String, Held<'_>>,
    folded: &[(String, &LoraPair, DType)],
    base: &dyn Fn(&str) -> Result<Tensor>,
    scale: f64,
    rounding: &mut Rounding,
) -> Result<()> {
    let bytes = files::read(path, LARGEST)?;
    let read = SafeTensors::deserialize(&bytes).with_context(|| format!("{} was read back", path.display()))?;
    ensure!(read.len() == written.len(), "{} holds {} tensors of {}", path.display(), read.len(), written.len());
    for (name, held) in written {
        let view = read.tensor(name)?;
        if view.dtype() != held.dtype || view.shape() != held.shape || view.data() != &*held.bytes {
            bail!(Invalid(format!("tensor `{name}` is not in {} what was written: the disk or the memory is at fault", path.display())));
        }
    }
    for (name, pair, dtype) in folded {
        rounding.add(name, &tensor(&read, name)?, &base(name)?, pair, scale, Slack::Type(*dtype))?;
    }
    Ok(())
}

fn of_gguf(file: &mut GgufFile, spec: &Spec, adapter: &Adapter, dtype: DType, staged: &Staged) -> Result<Rounding> {
    let slots = slots(spec);
    let shards = shards(&slots, dtype.size_in_bytes());
    let mut rounding = Rounding::default();
    let mut weight_map = BTreeMap::new();
    for (number, shard) in shards.iter().enumerate() {
        let name =
            if shards.len() == 1 { SINGLE.to_owned() } else { format!("model-{:05}-of-{:05}.safetensors", number + 1, shards.len()) };
        let mut out = BTreeMap::new();
        let mut folded = Vec::new();
        let mut bases = HashMap::new();
        for slot in *shard {
            let mut weight = slot.read(file, spec)?;
            if let Some(pair) = pair_of(slot, adapter) {
                folded.push((slot.checkpoint.clone(), pair, dtype));
                bases.insert(slot.checkpoint.clone(), weight.clone());
                weight = fold(&weight, pair, adapter.scale)?;
            }
            out.insert(slot.checkpoint.clone(), Held::of(&narrow(&slot.checkpoint, &weight, dtype)?));
            weight_map.insert(slot.checkpoint.clone(), name.clone());
        }
        write(staged, &name, &out)?;
        let base = |name: &str| bases.get(name).cloned().with_context(|| format!("`{name}` was not folded"));
        replay(&staged.path().join(&name), &out, &folded, &base, adapter.scale, &mut rounding)?;
    }
    if shards.len() > 1 {
        let total: usize = slots.iter().map(|slot| slot.dims.iter().product::<usize>() * dtype.size_in_bytes()).sum();
        staged.bytes(INDEX, &pretty(&json!({"metadata": {"total_size": total}, "weight_map": weight_map}))?)?;
    }
    Ok(rounding)
}

/// The pair that changes a tensor.
pub(super) fn pair_of<'a>(slot: &Slot, adapter: &'a Adapter) -> Option<&'a LoraPair> {
    adapter.pairs.get(&slot.linear?)
}

/// Tensors in files of a bounded size.
fn shards(slots: &[Slot], width: usize) -> Vec<&[Slot]> {
    let (mut shards, mut start, mut size) = (Vec::new(), 0, 0);
    for (i, slot) in slots.iter().enumerate() {
        let own = slot.dims.iter().product::<usize>() * width;
        if i > start && size + own > SHARD {
            shards.push(&slots[start..i]);
            (start, size) = (i, 0);
        }
        size += own;
    }
    shards.push(&slots[start..]);
    shards
}
