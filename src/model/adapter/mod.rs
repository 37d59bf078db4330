//! An adapter as a PEFT folder: `adapter_config.json` and `adapter_model.safetensors`, readable by PEFT, vLLM and
//! llama.cpp's converter; and PEFT's folders read back, whoever wrote them.
//!
//! A folder has one meaning. It is PEFT's, to rounding, or the folder is refused in words: the configuration is read key
//! by key (`config`), it must name exactly the linears that the tensors are of (`scope`), and no two tensors may stand for
//! the same half of the same linear, however their names are spelled (`names`). Ranks and strengths may differ by linear,
//! as `rank_pattern`, `alpha_pattern` and EVA have them.
//!
//! Linears that a family's checkpoints hold as one (`qkv_proj`, `gate_up_proj`) have one pair, as in PEFT: an A that their
//! parts share, and a B as tall as the parts together. A language model inside a model of several modalities is named by its
//! path in it (`names`); pairs of the parts that read images are passed over, as no text goes through them.
//!
//! Not covered, refused with a reason: DoRA, `lora_bias`, `modules_to_save`, trained embeddings, initialisations that
//! change the base (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA), pickled `.bin` files.

mod config;
mod load;
mod names;
mod save;
mod scope;

pub use load::load;
pub use save::{digest, save, to_safetensors};

const CONFIG: &str = "adapter_config.json";
const TENSORS: &str = "adapter_model.safetensors";
