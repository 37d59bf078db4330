//! A base and an adapter in the forms that other programs load.
//!
//! `delta` folds an adapter into one weight in f32 and proves of what was written that it is base + adapter, computed
//! another way; `checkpoint` writes a Hugging Face folder, with what a GGUF base does not have by `companions`; `gguf` writes
//! GGUF files, merged or of the adapter alone, with the keys of `gguf_header` and the types of `quantization`; `modelfile` is
//! how Ollama is told of them, its template measured from the model's own. Everything is written beside its place and renamed
//! when it has been read back.

mod checkpoint;
mod companions;
mod delta;
mod gguf;
mod gguf_header;
mod modelfile;
mod quantization;

pub use checkpoint::checkpoint;
pub use delta::{Rounding, Slack, fold, narrow};
pub use gguf::{gguf_holds, lora_gguf, merged_gguf};
pub use modelfile::{OllamaTemplate, modelfile};
pub use quantization::FileType;
