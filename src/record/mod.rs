//! What a run leaves on disk, and the only place that reads it back. The joint of the program: training and evaluation
//! hand over each row as it happens, and everything after works from these files, without a model.
//!
//! ```text
//! runs/<experiment>-<fingerprint>/
//!   plan.toml                     the experiment as it was run
//!   meta.json                     versions, device, digests, sandbox layers, doses
//!   evidence.json                 what answers are made of: what must be equal before they are continued or compared
//!   lock                          held while a run writes here; says whose it is
//!   checkpoint.safetensors        while the cells of a group train
//!   cells/<variant>-s<seed>/      base is cells/base
//!     adapter/                    PEFT folder
//!     train.csv, drift.csv, probe.jsonl, items.jsonl
//!     state.json                  until it is complete: digests of the adapter, seconds of evaluation so far
//!     cell.json                   written last: the cell is complete; digests of its files
//!   report/
//! ```

pub mod evidence;
pub mod import;
pub mod lines;
pub mod lock;
pub mod mark;
pub mod rows;
pub mod run_dir;
