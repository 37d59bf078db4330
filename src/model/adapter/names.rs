//! Names of tensors in an adapter's file.
//!
//! A name is the path of a linear in the class that the base was loaded as, with PEFT's marks around it. A language model's
//! own class has one path. A model of several modalities has had others: transformers 5, and 4 from 4.52 on, has its
//! language model at `model.language_model`; before, most had it at `language_model.model`, Qwen's at `model`, where a class
//! of the language model alone, such as `Gemma3ForCausalLM`, has it to this day. All are read; the first is written.

use anyhow::{Context, Result, ensure};

use crate::model::site::{Module, Site};
use crate::model::spec::Spec;

/// Paths of the language model within a model of several modalities.
const PATHS: [&str; 3] = ["model.language_model", "language_model.model", "model"];

/// Which factor of a pair a tensor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    /// `lora_A`, [rank, in].
    A,
    /// `lora_B`, [out, rank].
    B,
}

/// A tensor of an adapter's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    /// Path of the language model.
    pub(super) path: &'static str,
    /// The adapted linear.
    pub(super) site: Site,
    /// The factor.
    pub(super) half: Half,
}

/// `base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight` to what it says. PEFT's prefix may be absent, and the
/// adapter's name may stand before `weight`, as in a state dict that was saved as it was. None where the tensor is of a part
/// that reads images: no text goes through it.
pub(super) fn parse(name: &str, spec: &Spec) -> Result<Option<Name>> {
    let linear = name.strip_prefix("base_model.model.").unwrap_or(name);
    if spec.other_parts.iter().any(|part| linear.starts_with(part)) {
        return Ok(None);
    }
    let found = read(linear)
        .with_context(|| format!("only lora_A and lora_B of the linears of a layer ({}) are supported", names(spec.linears())))?;
    ensure!(
        found.path == spec.path || !spec.other_parts.is_empty(),
        "it is of a language model at `{}`, inside a model of several modalities, and the base is a language model at `{}`",
        found.path,
        spec.path
    );
    let module = found.site.module;
    ensure!(
        spec.holds(module),
        "{} checkpoints hold {}, not `{}`: the adapter belongs to a checkpoint of another layout",
        spec.family,
        names(module.parts().iter().map(|part| spec.held_as(*part))),
        last(module)
    );
    Ok(Some(found))
}

fn names(modules: impl Iterator<Item = Module>) -> String {
    let mut names: Vec<String> = modules.map(|module| format!("`{}`", last(module))).collect();
    names.dedup();
    names.join(", ")
}

/// `q_proj`
fn last(module: Module) -> &'static str {
    module.path().rsplit('.').next().unwrap_or_default()
}

fn read(linear: &str) -> Option<Name> {
    let (path, rest) = PATHS.iter().find_map(|path| Some((*path, linear.strip_prefix(path)?.strip_prefix(".layers.")?)))?;
    let (layer, rest) = rest.split_once('.')?;
    let rest = rest.strip_suffix(".weight")?;
    let (module, half) = rest.strip_suffix(".default").unwrap_or(rest).rsplit_once('.')?;
    let half = match half {
        "lora_A" => Half::A,
        "lora_B" => Half::B,
        _ => return None,
    };
    let module = Module::ALL.into_iter().chain(Module::JOINT).find(|known| known.path() == module)?;
    let number: usize = layer.parse().ok()?;
    // One spelling a number: no sign, no leading zero.
    (number.to_string() == layer).then_some(Name { path, site: Site { layer: number, module }, half })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::spec::Sizes;

    fn spec() -> Spec {
        Spec::new("llama", Sizes { hidden: 8, intermediate: 8, layers: 2, heads: 2, kv_heads: 2, head_dim: 4, vocabulary: 8 })
    }

    #[test]
    fn names_of_pairs_are_read_and_others_refused() {
        let site = Site { layer: 10, module: Module::Down };
        for name in [
            "base_model.model.model.layers.10.mlp.down_proj.lora_A.weight",
            "model.layers.10.mlp.down_proj.lora_A.weight",
            "base_model.model.model.layers.10.mlp.down_proj.lora_A.default.weight",
        ] {
            assert_eq!(parse(name, &spec()).unwrap(), Some(Name { path: "model", site, half: Half::A }));
        }
        for name in [
            "base_model.model.lm_head.lora_A.weight",
            "base_model.model.model.layers.010.mlp.down_proj.lora_A.weight",
            "base_model.model.model.layers.+1.mlp.down_proj.lora_A.weight",
            "base_model.model.model.layers.1.mlp.down_proj.lora_A.bias",
            "base_model.model.model.layers.1.mlp.down_proj.lora_magnitude_vector",
            "base_model.model.model.layers.1.mlp.down_proj.lora_A.other.weight",
            "base_model.model.model.layers.99999999999999999999.mlp.down_proj.lora_A.weight",
            "base_model.model.model.vision_tower.layers.1.mlp.down_proj.lora_A.weight",
        ] {
            let error = parse(name, &spec()).unwrap_err().to_string();
            assert!(error.contains("`q_proj`, `k_proj`, `v_proj`, `o_proj`, `gate_proj`, `up_proj`, `down_proj`"), "{error}");
        }
    }

    #[test]
    fn a_language_model_has_one_path_and_one_inside_another_model_has_several() {
        let inside = Spec { path: "model.language_model", other_parts: &["model.visual.", "visual."], ..spec() };
        let name = |path: &str| format!("base_model.model.{path}.layers.1.self_attn.q_proj.lora_B.weight");
        for path in PATHS {
            let read = parse(&name(path), &inside).unwrap().unwrap();
            assert_eq!((read.path, read.site, read.half), (path, Site { layer: 1, module: Module::Q }, Half::B));
        }
        assert_eq!(parse("base_model.model.model.visual.blocks.0.attn.qkv.lora_A.weight", &inside).unwrap(), None);
        let error = parse(&name("model.language_model"), &spec()).unwrap_err().to_string();
        assert!(error.contains("inside a model of several modalities"), "{error}");
    }

    #[test]
    fn linears_are_those_that_checkpoints_hold() {
        let phi = Spec { family: "phi3", joint: crate::model::spec::JointLinears { qkv: true, gate_up: true }, ..spec() };
        let name = |module: Module| format!("base_model.model.model.layers.1.{}.lora_A.weight", module.path());
        for module in [Module::Qkv, Module::O, Module::GateUp, Module::Down] {
            assert_eq!(parse(&name(module), &phi).unwrap().unwrap().site.module, module);
        }
        let error = parse(&name(Module::K), &phi).unwrap_err().to_string();
        assert!(error.contains("phi3 checkpoints hold `qkv_proj`, not `k_proj`"), "{error}");
        let error = parse(&name(Module::GateUp), &spec()).unwrap_err().to_string();
        assert!(error.contains("llama checkpoints hold `gate_proj`, `up_proj`, not `gate_up_proj`"), "{error}");
    }
}
