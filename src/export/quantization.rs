//! Which type each tensor of a GGUF file has, by llama.cpp's rules for the whole file's.

use candle_core::quantized::GgmlDType;

use crate::model::lora::Module;
use crate::model::spec::Spec;
use crate::model::weights::Slot;

/// The type of a GGUF file, in llama.cpp's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileType {
    /// All f32.
    F32,
    /// Matrices bf16.
    Bf16,
    /// Matrices f16.
    F16,
    /// Matrices in blocks of 8-bit numbers.
    Q8_0,
    /// Matrices in blocks of 4-bit numbers, some of 6 bits.
    Q4KM,
}

impl FileType {
    /// Its name in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Q8_0 => "q8_0",
            Self::Q4KM => "q4_k_m",
        }
    }

    /// Its number in `general.file_type` (`llama_ftype`).
    pub fn number(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q8_0 => 7,
            Self::Q4KM => 15,
            Self::Bf16 => 32,
        }
    }

    /// The type of one tensor. Vectors are f32; rows that do not fill blocks get the next type that they fill.
    pub fn of(self, slot: &Slot, spec: &Spec) -> GgmlDType {
        if slot.dims.len() < 2 {
            return GgmlDType::F32;
        }
        let columns = slot.dims[slot.dims.len() - 1];
        let fitting = |wanted: GgmlDType, less: GgmlDType| -> GgmlDType {
            let fits = |kind: GgmlDType| columns.is_multiple_of(kind.block_size());
            if fits(wanted) {
                wanted
            } else if fits(less) {
                less
            } else {
                GgmlDType::F16
            }
        };
        match self {
            Self::F32 => GgmlDType::F32,
            Self::Bf16 => GgmlDType::BF16,
            Self::F16 => GgmlDType::F16,
            Self::Q8_0 => fitting(GgmlDType::Q8_0, GgmlDType::F16),
            Self::Q4KM if finer(slot, spec) => fitting(GgmlDType::Q6K, GgmlDType::Q8_0),
            Self::Q4KM => fitting(GgmlDType::Q4K, GgmlDType::Q5_0),
        }
    }
}

/// Tensors that a q4_k_m file holds in 6 bits: the output head, and the values and the feed-forward's last linears of layers
/// that llama.cpp found to need more bits.
fn finer(slot: &Slot, spec: &Spec) -> bool {
    let head = if spec.tied { "token_embd.weight" } else { "output.weight" };
    let more = |layer: usize| {
        let eighth = spec.layers / 8;
        layer < eighth || layer >= 7 * spec.layers / 8 || (layer - eighth) % 3 == 2
    };
    slot.gguf == head || slot.linear.is_some_and(|site| matches!(site.module, Module::V | Module::Down) && more(site.layer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::spec::Sizes;
    use crate::model::weights::slots;

    fn types(hidden: usize, tied: bool) -> Vec<(String, GgmlDType)> {
        let sizes = Sizes { hidden, intermediate: 512, layers: 24, heads: 4, kv_heads: 2, head_dim: hidden / 4, vocabulary: 300 };
        let spec = Spec { tied, ..Spec::new("llama", sizes) };
        slots(&spec).iter().map(|slot| (slot.gguf.clone(), FileType::Q4KM.of(slot, &spec))).collect()
    }

    /// What `llama-quantize` prints for a model of 24 layers: `use_more_bits` is true for layers 0-2, 5, 8, 11, 14, 17, 20 and
    /// 21-23.
    #[test]
    fn a_file_of_four_bits_has_six_where_llama_cpp_has_them() {
        let of = |types: &[(String, GgmlDType)], name: &str| types.iter().find(|(known, _)| known == name).unwrap().1;
        let all = types(512, false);
        let fine: Vec<usize> = (0..24).filter(|layer| of(&all, &format!("blk.{layer}.ffn_down.weight")) == GgmlDType::Q6K).collect();
        assert_eq!(fine, [0, 1, 2, 5, 8, 11, 14, 17, 20, 21, 22, 23]);
        assert_eq!(of(&all, "output.weight"), GgmlDType::Q6K);
        assert_eq!(of(&all, "token_embd.weight"), GgmlDType::Q4K);
        assert_eq!(of(&all, "blk.3.attn_v.weight"), GgmlDType::Q4K);
        assert_eq!(of(&all, "blk.3.attn_norm.weight"), GgmlDType::F32);
        let small = types(576, true);
        assert_eq!(of(&small, "token_embd.weight"), GgmlDType::Q8_0);
        assert_eq!(of(&small, "blk.3.attn_q.weight"), GgmlDType::Q5_0);
        assert_eq!(of(&small, "blk.3.ffn_down.weight"), GgmlDType::Q4K);
        assert_eq!(of(&types(48, false), "blk.3.attn_q.weight"), GgmlDType::F16);
    }
}
