//! Ballast measures what a fine-tune made a language model forget, and what brings it back.
//!
//! # Bird's-eye view
//!
//! An experiment is one TOML file: a base model, variants (recipes of training stages), seeds and suites. `ballast run`
//! trains every variant x seed (a *cell*), asks base and variants the same held-out items, writes down every step and
//! every answer as it happens, and turns the records into a report. Everything after the records runs without a model.
//!
//! # Code map, in the order of the data's path
//!
//! A stage uses types of the stages above it, and every tool (`tests/layers.rs`).
//!
//! | stage | what it is |
//! | --- | --- |
//! | [`model`] | `fetch` and `catalogue`; `family`, configurations turned into the switches of `spec`, one family a file; `weights` from `gguf` or safetensors; `decoder`, the one decoder, with its own backward; `lora`, `adapter` (PEFT folders, in and out), `adapter_set` (whose adapter each row goes through); `tokenizer`, and `template`, chats rendered as transformers renders them; `cache`, on the host or paged; `ops`, each with host kernel and composed form, and `ops/cuda`, kernels behind the feature |
//! | [`data`] | rows: read, sample, fill with the identity, check against the suites, render and tokenize (`chat`) |
//! | [`sandbox`] | candidate programs run here and nowhere else |
//! | [`train`] | windows, loss, schedule, AdamW, checkpoints, the loop: one variant, or several in shared passes |
//! | [`eval`] | suites and items; `mapping`, any table or public benchmark as a suite; `floor`, what one answer to everything scores; greedy answers by continuous batching; `endpoint`, a served model in place of a loaded one; `score`, one grader a file; drift; likelihood |
//! | [`library`] | what ships inside the binary: experiments, training rows, suites |
//! | [`config`] | the experiment as written |
//! | [`export`] | an adapter folded into its base, in the forms that other programs load, each read back before it gets its name |
//! | [`record`] | the run directory: rows, append-only or replaced whole; its lock, digests of finished cells; `import`, other harnesses' logs as rows |
//! | [`plan`] | an experiment once its files are read: the rows of every stage, the items of every suite, the cells in groups that share their passes |
//! | [`analysis`] | rows to numbers, each once: pairs, shares, paired differences, retention, outcomes, dose; a run arranged, sources side by side, any number of runs as one frame |
//! | [`gate`] | paired answers and margins to a verdict; the baseline it is judged by, or answers alone; the rule simulated |
//! | [`recover`] | an adapter brought back: changes from mild to strong (strength, depth, modules, rank, means of several), the items in two parts, and the search for the mildest change that passes the gate |
//! | [`report`] | records to tables, figures, Markdown; `page`, the same with every item as one HTML file; a gate's result to JSON, JUnit, Markdown (`gate`); runs side by side (`versus`) |
//! | [`pack`] | one archive with an adapter and all that it needs to be itself elsewhere; written, and read without trusting it |
//! | [`cli`], [`commands`] | the command line as types; one subcommand a file. Only `commands` knows all stages; `commands/bench` times them, beside the programs in `benches/peers` |
//!
//! | tool | what it is |
//! | --- | --- |
//! | [`stats`] | pure f64: intervals, paired differences, Holm, non-inferiority, power |
//! | [`frame`] | Parquet in and out, the only file that names polars |
//! | [`counted`] | counts in sentences: `1 item`, `2 items` |
//! | [`shown`] | text of others made safe to show: control characters visible, no cell a formula |
//! | [`keys`] | keys of files that others wrote: used, harmless for a stated reason, or refused by name |
//! | [`random`], [`files`], [`error`], [`defect`], [`progress`] | every draw, whole-file writes and files that grow, exit codes, panics as defects to report, bars and how long the rest takes |
//!
//! # Invariants
//!
//! - One decoder for training and evaluation, one template renderer, one interval function.
//! - A stage uses types of earlier stages only. `config`, the experiment as written, names settings of training and
//!   evaluation; `record` knows rows, not how they came about; `plan` stands behind it because it makes what training and
//!   evaluation take and counts it in rows. Within a stage no circle spans files of two concepts.
//! - Nothing prints but `main`, `commands` and `progress`. Results go to stdout, progress to stderr.
//! - Every random draw takes a seed and uses ChaCha8, and each use has its own stream: all of it in `random`.
//! - `stats`, `gate`, `data::mix`, `eval::score` and `report::render` take values and return values.
//! - No file is written in place: whole (temporary, then renamed) or a line at a time.
//! - Unsafe code is in `model/ops/cuda` alone.
//! - A number that is not finite stops the cell and names step, rows and module; an undefined one is `None` and prints n/a.
//! - A device that was asked for and is absent is an error.
//! - What is not understood is refused by name, with file, key and remedy: our own TOML by serde's `deny_unknown_fields`, everything
//!   that others write through [`keys::Table`], and nowhere else.
//!
//! # Where this is not the first design, and why
//!
//! - **No autograd.** The decoder has a hand-written backward (`model/decoder/backward.rs`), held against candle's
//!   autograd and finite differences in `tests/gradients.rs`. Frozen weights get no gradient by construction, nothing
//!   can cut a gradient silently, and checkpointing is one branch.
//! - **No padding anywhere.** Rows lie end to end and attention knows where they begin, in training, prefill and
//!   decoding alike, so there is no padding mask to get wrong.
//! - **One batch, many adapters.** A row of a batch names its adapter (`model/adapter_set.rs`); the frozen products see all rows
//!   at once. So variants train side by side and base and variants answer a suite together, on a GPU several times faster
//!   than one after the other. Tests hold it against each alone.
//! - **A layer has two bodies**: operation by operation (`decoder/forward.rs`, `backward.rs`), and with fused kernels on a
//!   GPU (`decoder/device.rs`). A model with switches that the kernels lack runs operation by operation there
//!   (`Spec::fits_fused_kernels`). `ballast doctor` holds them against each other on the machine at hand, and every kernel
//!   against its host twin. The kernels are the only unsafe code, in `model/ops/cuda`, and repeat their sums in one order,
//!   so a run repeats.
//! - **Dropout is drawn alike on host and GPU**: the kernel makes the very ChaCha8 stream, so a step is the same update.
//! - **Data frames only across runs.** A report groups a few thousand rows and needs none. `ballast table` puts any number of
//!   runs into one frame, and benchmarks come as Parquet: `frame` does both with polars-core and polars-io, because the crate
//!   `polars` asks for SQL, a streaming engine and cloud clients as soon as Parquet is on.
//! - **Suites and fixtures ship inside the binary**, so that `ballast run` works in any folder.

pub mod analysis;
pub mod cli;
pub mod commands;
pub mod config;
pub mod counted;
pub mod data;
pub mod defect;
pub mod error;
pub mod eval;
pub mod export;
pub mod files;
pub mod frame;
pub mod gate;
pub mod keys;
pub mod library;
pub mod model;
pub mod pack;
pub mod plan;
pub mod progress;
pub mod random;
pub mod record;
pub mod recover;
pub mod report;
pub mod sandbox;
pub mod shown;
pub mod stats;
pub mod train;
