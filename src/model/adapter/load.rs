//! A PEFT folder to an adapter.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};

use super::config::{Config, Entries};
use super::names::{Name, parse};
use super::{CONFIG, TENSORS};
use crate::error::Invalid;
use crate::files;
use crate::model::lora::{Adapter, LoraConfig, LoraPair};
use crate::model::site::Site;
use crate::model::spec::Spec;

/// Bytes of the largest adapter: that of a full rank for every projection of a large model is smaller.
const LARGEST: u64 = 32 << 30;
/// Longest header of a safetensors file; the library's own bound.
const HEADER: u64 = 100_000_000;

/// Reads a PEFT folder for a model of the given shape. Pairs whose strength differs from that of the others carry the
/// difference in B, so that one scale holds for all. A number that is not finite is [`Invalid`].
pub fn load(folder: &Path, spec: &Spec, device: &Device) -> Result<Adapter> {
    let config_path = folder.join(CONFIG);
    ensure!(config_path.exists(), "{}", absent(folder));
    let config = Config::read(&config_path)?;
    let path = folder.join(TENSORS);
    let (place, halves) = read_halves(folder, &path, spec)?;
    // As the configuration means it.
    let name = |site: Site| format!("{place}.{site}");
    let mut pairs = BTreeMap::new();
    for (site, (a, b)) in halves {
        let (input, output) = site.module.widths(spec);
        let rank = config.rank(&name(site)).with_context(|| config_path.display().to_string())?;
        ensure!(
            a.dims().len() == 2 && b.dims().len() == 2 && a.dim(1)? == input && b.dim(0)? == output && a.dim(0)? == b.dim(1)?,
            "{}: {site} has lora_A {:?} and lora_B {:?}, the model needs [r, {input}] and [{output}, r]: the adapter belongs to another base model",
            path.display(),
            a.dims(),
            b.dims()
        );
        ensure!(a.dim(0)? == rank, "{}: r is {rank} for {site} but its tensors have rank {}", config_path.display(), a.dim(0)?);
        ensure!(
            config.scope.holds(&name(site), site.layer).with_context(|| config_path.display().to_string())?,
            "{}: {site} has tensors, but target_modules, exclude_modules and layers_to_transform in {} leave it out",
            path.display(),
            config_path.display()
        );
        let pair = LoraPair { a: a.to_dtype(DType::F32)?, b: b.to_dtype(DType::F32)? };
        if !pair.finite()? {
            bail!(Invalid(format!("{}: {site} has numbers that are not finite", path.display())));
        }
        pairs.insert(site, (pair, config.scale(&name(site))?));
    }
    for site in (0..spec.layers).flat_map(|layer| spec.linears().map(move |module| Site { layer, module })) {
        ensure!(
            pairs.contains_key(&site) || !config.scope.holds(&name(site), site.layer).with_context(|| config_path.display().to_string())?,
            "{}: {site} is adapted by {}, but its tensors are missing",
            path.display(),
            config_path.display()
        );
    }
    let scale =
        pairs.values().map(|(_, scale)| *scale).fold(0.0, |largest: f64, scale| if scale.abs() > largest.abs() { scale } else { largest });
    let rank = pairs.values().map(|(pair, _)| pair.rank()).collect::<Result<Vec<_>>>()?.into_iter().max().context("no pairs")?;
    let targets = spec.linears().filter(|module| pairs.keys().any(|site| site.module == *module)).collect();
    let pairs = pairs.into_iter().map(|(site, (pair, own))| {
        // Equal strengths stay bit for bit what they were.
        let b = if own.to_bits() == scale.to_bits() || scale == 0.0 { pair.b } else { (pair.b * (own / scale))? };
        Ok((site, LoraPair { a: pair.a.to_device(device)?, b: b.to_device(device)? }))
    });
    let adapter = Adapter {
        pairs: pairs.collect::<Result<_>>()?,
        scale,
        config: LoraConfig { rank, alpha: scale * rank as f64, dropout: config.dropout, targets, rslora: false },
    };
    adapter.check_scale().with_context(|| config_path.display().to_string())?;
    Ok(adapter)
}

/// What is said of a folder without a configuration.
fn absent(folder: &Path) -> String {
    let config = folder.join(CONFIG);
    if !folder.exists() {
        return format!("{} does not exist: --adapter takes a folder with {CONFIG} and {TENSORS}", folder.display());
    }
    if !folder.is_dir() {
        return format!("{} is a file: give the folder that holds {CONFIG} and {TENSORS}", folder.display());
    }
    let below = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut below: Vec<String> = below.filter(|path| path.join(CONFIG).exists()).map(|path| path.display().to_string()).collect();
    below.sort();
    if below.is_empty() {
        format!("{} is missing", config.display())
    } else {
        format!("{} is missing; did you mean {}?", config.display(), below.join(" or "))
    }
}

/// A and B of every site.
type Halves = BTreeMap<Site, (Tensor, Tensor)>;

/// The path of the language model that names have, and both halves of every site.
fn read_halves(folder: &Path, path: &Path, spec: &Spec) -> Result<(&'static str, Halves)> {
    ensure!(
        path.exists(),
        "{} is missing{}",
        path.display(),
        if folder.join("adapter_model.bin").exists() {
            "; adapter_model.bin is a pickle: convert it with PEFT's save_pretrained(safe_serialization=True)"
        } else {
            ""
        }
    );
    let bytes = files::read(path, LARGEST)?;
    unique_names(&bytes).with_context(|| format!("failed to read {}", path.display()))?;
    let tensors =
        candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).with_context(|| format!("failed to read {}", path.display()))?;
    drop(bytes);
    let mut halves: BTreeMap<Site, [Option<Tensor>; 2]> = BTreeMap::new();
    let mut tensors: Vec<(String, Tensor)> = tensors.into_iter().collect();
    tensors.sort_by(|(left, _), (right, _)| left.cmp(right));
    let mut place = None;
    for (name, tensor) in tensors {
        let read = parse(&name, spec).with_context(|| format!("{}: tensor `{name}`", path.display()))?;
        let Some(Name { path: own, site, half }) = read else { continue };
        ensure!(
            *place.get_or_insert(own) == own,
            "{}: tensor `{name}` is of a language model at `{own}`, others of one at `{}`: they are of two models",
            path.display(),
            place.unwrap_or_default()
        );
        ensure!(site.layer < spec.layers, "{}: tensor `{name}` is of layer {}, the model has {}", path.display(), site.layer, spec.layers);
        ensure!(
            matches!(tensor.dtype(), DType::F32 | DType::F16 | DType::BF16 | DType::F64),
            "{}: tensor `{name}` is {:?}: weights are F32, F16 or BF16",
            path.display(),
            tensor.dtype()
        );
        let slot = &mut halves.entry(site).or_default()[half as usize];
        ensure!(slot.is_none(), "{}: {site} has lora_{half:?} twice under different names, one of them `{name}`", path.display());
        *slot = Some(tensor);
    }
    let place = place.with_context(|| format!("{} holds no low-rank tensors of the language model", path.display()))?;
    let whole = halves.into_iter().map(|(site, halves)| match halves {
        [Some(a), Some(b)] => Ok((site, (a, b))),
        _ => bail!("{}: {site} has only one of lora_A and lora_B", path.display()),
    });
    Ok((place, whole.collect::<Result<_>>()?))
}

/// Refuses a header that names a tensor twice: readers differ in which of the two they take.
fn unique_names(bytes: &[u8]) -> Result<()> {
    let (length, rest) = bytes.split_first_chunk::<8>().context("the file is too short for a safetensors header")?;
    let length = u64::from_le_bytes(*length);
    ensure!(
        length <= HEADER && length as usize <= rest.len(),
        "the header is said to be {length} bytes long, the file holds {}",
        rest.len()
    );
    let _: Entries<serde_json::Value> = serde_json::from_slice(&rest[..length as usize]).context("the header of a safetensors file")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_names_a_tensor_twice_is_refused() {
        let file = |header: &str| [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
        unique_names(&file(r#"{"a": 1, "b": 2}"#)).unwrap();
        assert!(format!("{:#}", unique_names(&file(r#"{"a": 1, "a": 2}"#)).unwrap_err()).contains("`a` occurs twice"));
        unique_names(&file("{}")[..7]).unwrap_err();
        unique_names(&u64::MAX.to_le_bytes()).unwrap_err();
    }
}
