//! What a run leaves on disk, and the only place that reads it back. The joint of the program: training and evaluation
//! hand over each row as it happens, and everything after works from these files, without a model.
//!
//! ```text
//! runs/<experiment>-<fingerprint>/
//!   plan.toml                     the experiment as it was run
//!   meta.json                     versions, device, digests, sandbox layers, doses
//!   cells/<variant>-s<seed>/      base is cells/base
//!     adapter/                    PEFT folder
//!     train.csv, drift.csv, probe.jsonl, items.jsonl
//!     checkpoint.safetensors      while training
//!     cell.json                   written last: the cell is complete
//!   report/
//! ```

pub mod evidence;
pub mod import;
pub mod lines;
pub mod mark;
pub mod rows;
pub mod run_dir;
pub mod source;
