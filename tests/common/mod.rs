//! The tiny models and adapters that the tests share.
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};

use ballast::model::adapter_set::AdapterSet;
use ballast::model::cache::KvCache;
use ballast::model::decoder::Decoder;
use ballast::model::lora::{Adapter, LoraConfig};
use ballast::model::packed::Packed;
use ballast::model::site::Module;
use ballast::model::spec::Spec;
use ballast::model::weights::{Weights, safetensors_files};
use candle_core::{DType, Device, Tensor};

pub(crate) fn tiny_folder(kind: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/tiny").join(kind)
}

/// A model of `tests/golden/families`.
pub(crate) fn family_folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families").join(name)
}

pub(crate) fn tiny(kind: &str) -> Decoder {
    decoder_of(&tiny_folder(kind))
}

pub(crate) fn decoder_of(folder: &Path) -> Decoder {
    let spec = Spec::from_config_json(&std::fs::read_to_string(folder.join("config.json")).unwrap()).unwrap();
    let files = safetensors_files(folder).unwrap();
    let weights = Weights::from_safetensors(&files, &spec, &Device::Cpu, DType::F32).unwrap();
    Decoder::new(spec, weights).unwrap()
}

pub(crate) fn lora_config() -> LoraConfig {
    LoraConfig { rank: 4, alpha: 8.0, dropout: 0.0, targets: Module::ALL.to_vec(), rslora: false }
}

/// An adapter whose B is not zero, so that every path through it carries signal.
pub(crate) fn random_adapter(spec: &Spec) -> Adapter {
    let mut adapter = Adapter::init(spec, &lora_config(), 11, &Device::Cpu).unwrap();
    for (site, pair) in &mut adapter.pairs {
        let count = pair.b.elem_count();
        let values: Vec<f32> = (0..count).map(|i| ((i as f32 * 0.37 + site.index() as f32).sin()) * 0.1).collect();
        pair.b = Tensor::from_vec(values, pair.b.shape(), &Device::Cpu).unwrap();
    }
    adapter
}

pub(crate) fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar().unwrap()
}

/// The largest magnitude.
pub(crate) fn largest(tensor: &Tensor) -> f32 {
    tensor.abs().unwrap().max_all().unwrap().to_scalar().unwrap()
}

/// Final-normed hidden states of whole rows through one adapter, or the base.
pub(crate) fn hidden<R: AsRef<[u32]>>(decoder: &Decoder, rows: &[R], adapter: Option<&Adapter>) -> Tensor {
    let adapter_set = AdapterSet::one(decoder, adapter).unwrap();
    decoder.hidden(&Packed::from_rows(rows, adapter_set.only()), &adapter_set, None).unwrap()
}

/// A cache of so many empty rows.
pub(crate) fn cache(decoder: &Decoder, rows: usize) -> KvCache {
    let mut cache = KvCache::new(decoder, 64 * rows).unwrap();
    for _ in 0..rows {
        cache.add_row(&[], None, 64).unwrap();
    }
    cache
}
