//! Qwen2, Qwen2.5, Qwen2.5-Coder: llama with biases on q, k and v.

use anyhow::Result;
use serde_json::json;

use super::Family;
use super::llama::plain;
use super::reader::{Config, used};
use crate::keys::Rule::Harmless;
use crate::keys::Table;
use crate::model::spec::{Biases, Spec};

pub(super) const FAMILY: Family = Family { name: "qwen2", keys: &KEYS, read };

const KEYS: Table = Table {
    what: "the configuration of a qwen2 model",
    remedy: "a newer Ballast may know it",
    rules: &[
        used("use_sliding_window"),
        used("use_mrope"),
        used("layer_types"),
        ("sliding_window", Harmless("read where use_sliding_window is true, which is refused")),
        ("max_window_layers", Harmless("read where use_sliding_window is true, which is refused")),
    ],
};

fn read(config: &Config<'_>) -> Result<Spec> {
    config.must_be("use_sliding_window", &json!(false), "Ballast has no sliding-window attention")?;
    config.must_be("use_mrope", &json!(false), "Ballast has no rotary embedding of three axes")?;
    let spec = plain("qwen2", config)?;
    if let Some(types) = config.get("layer_types").and_then(|types| types.as_array()) {
        for kind in types {
            anyhow::ensure!(kind == "full_attention", "{}: `layer_types` names {kind}: Ballast has full attention alone", config.place());
        }
    }
    Ok(Spec { biases: Biases { qkv: true, ..Biases::default() }, ..spec })
}
