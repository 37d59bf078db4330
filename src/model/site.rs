//! The linears of a decoder and where they stand: what a shape counts, weights are loaded into and adapters change.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The linears of a decoder layer, in the order of the forward pass; and those that some families hold as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Module {
    /// Query projection.
    #[serde(alias = "q_proj")]
    Q,
    /// Key projection.
    #[serde(alias = "k_proj")]
    K,
    /// Value projection.
    #[serde(alias = "v_proj")]
    V,
    /// Output projection of attention.
    #[serde(alias = "o_proj")]
    O,
    /// Gate of the feed-forward block.
    #[serde(alias = "gate_proj")]
    Gate,
    /// Up projection.
    #[serde(alias = "up_proj")]
    Up,
    /// Down projection.
    #[serde(alias = "down_proj")]
    Down,
    /// Query, key and value as one linear.
    #[serde(alias = "qkv_proj")]
    Qkv,
    /// Gate and up as one linear.
    #[serde(alias = "gate_up_proj")]
    GateUp,
}

impl Module {
    /// The seven that the decoder computes.
    pub const ALL: [Self; 7] = [Self::Q, Self::K, Self::V, Self::O, Self::Gate, Self::Up, Self::Down];
    /// Those that are several of the seven in one.
    pub const JOINT: [Self; 2] = [Self::Qkv, Self::GateUp];

    /// The linears of the seven that it is made of, by the order of its output's rows; a single one is its own part.
    pub fn parts(self) -> &'static [Self] {
        match self {
            Self::Q => &[Self::Q],
            Self::K => &[Self::K],
            Self::V => &[Self::V],
            Self::O => &[Self::O],
            Self::Gate => &[Self::Gate],
            Self::Up => &[Self::Up],
            Self::Down => &[Self::Down],
            Self::Qkv => &[Self::Q, Self::K, Self::V],
            Self::GateUp => &[Self::Gate, Self::Up],
        }
    }

    /// Short name: `q`, ..., `gate_up`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Q => "q",
            Self::K => "k",
            Self::V => "v",
            Self::O => "o",
            Self::Gate => "gate",
            Self::Up => "up",
            Self::Down => "down",
            Self::Qkv => "qkv",
            Self::GateUp => "gate_up",
        }
    }

    /// Path below a layer in Hugging Face checkpoints: `self_attn.q_proj`, ...
    pub fn path(self) -> &'static str {
        match self {
            Self::Q => "self_attn.q_proj",
            Self::K => "self_attn.k_proj",
            Self::V => "self_attn.v_proj",
            Self::O => "self_attn.o_proj",
            Self::Gate => "mlp.gate_proj",
            Self::Up => "mlp.up_proj",
            Self::Down => "mlp.down_proj",
            Self::Qkv => "self_attn.qkv_proj",
            Self::GateUp => "mlp.gate_up_proj",
        }
    }
}

/// One adapted linear: a layer's module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// Decoder layer, from 0.
    pub layer: usize,
    /// Linear in it.
    pub module: Module,
}

impl Site {
    /// A number that tells sites of one model apart. A joint linear has that of its first part.
    pub fn index(self) -> u64 {
        (self.layer * Module::ALL.len() + self.module.parts()[0] as usize) as u64
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "layers.{}.{}", self.layer, self.module.path())
    }
}
