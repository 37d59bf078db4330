//! Names of tensors in an adapter's file.

use anyhow::{Context, Result};

use crate::model::lora::{Module, Site};

/// Which factor of a pair a tensor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    /// `lora_A`, [rank, in].
    A,
    /// `lora_B`, [out, rank].
    B,
}

/// `base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight` to its site and half. PEFT's prefix may be absent, and
/// the adapter's name may stand before `weight`, as in a state dict that was saved as it was.
pub(super) fn parse(name: &str) -> Result<(Site, Half)> {
    read(name).context("only lora_A and lora_B of q, k, v, o, gate, up and down projections are supported")
}

fn read(name: &str) -> Option<(Site, Half)> {
    let path = name.strip_prefix("base_model.model.").unwrap_or(name);
    let (layer, rest) = path.strip_prefix("model.layers.")?.split_once('.')?;
    let path = rest.strip_suffix(".weight")?;
    let path = path.strip_suffix(".default").unwrap_or(path);
    let (module, half) = path.rsplit_once('.')?;
    let half = match half {
        "lora_A" => Half::A,
        "lora_B" => Half::B,
        _ => return None,
    };
    let module = Module::ALL.into_iter().find(|known| known.path() == module)?;
    let number: usize = layer.parse().ok()?;
    // One spelling a number: no sign, no leading zero.
    (number.to_string() == layer).then_some((Site { layer: number, module }, half))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_pairs_are_read_and_others_refused() {
        let site = Site { layer: 10, module: Module::Down };
        for name in [
            "base_model.model.model.layers.10.mlp.down_proj.lora_A.weight",
            "model.layers.10.mlp.down_proj.lora_A.weight",
            "base_model.model.model.layers.10.mlp.down_proj.lora_A.default.weight",
        ] {
            assert_eq!(parse(name).unwrap(), (site, Half::A));
        }
        for name in [
            "base_model.model.lm_head.lora_A.weight",
            "base_model.model.model.layers.010.mlp.down_proj.lora_A.weight",
            "base_model.model.model.layers.+1.mlp.down_proj.lora_A.weight",
            "base_model.model.model.layers.1.mlp.down_proj.lora_A.bias",
            "base_model.model.model.layers.1.mlp.down_proj.lora_magnitude_vector",
            "base_model.model.model.layers.1.mlp.down_proj.lora_A.other.weight",
            "base_model.model.model.layers.99999999999999999999.mlp.down_proj.lora_A.weight",
        ] {
            parse(name).unwrap_err();
        }
    }
}
