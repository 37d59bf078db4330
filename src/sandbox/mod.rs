//! Where programs written by a language model are run, and nowhere else. Such a program counts as hostile.
//!
//! `policy` is what the others share; `parent` runs programs through `process`, which re-executes this program as
//! `child`, which gives up its rights (`syscalls` lists those it keeps) and becomes the `interpreter`, in a `folder`
//! of its own. `probe` says which layers really hold. `check` grades a code task with two such processes, on tests and on the
//! `cases` that a third one, which holds the reference, drew for it.
//!
//! Not covered: flaws of the kernel itself; the timing of a program that shares the machine with others; more than one
//! thread or process, so code that uses `threading`, `multiprocessing`, `subprocess` or `asyncio` fails; packages
//! outside the standard library; systems other than Linux, where every call fails.

mod cases;
mod check;
mod policy;

#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod folder;
#[cfg(target_os = "linux")]
mod interpreter;
#[cfg_attr(not(target_os = "linux"), path = "unsupported.rs")]
mod parent;
#[cfg(target_os = "linux")]
mod probe;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod syscalls;

pub use cases::{Cases, DRAWN, Inputs};
pub use check::{Checked, CodeOutcome, CodeTask, check};
#[cfg(target_os = "linux")]
pub use child::child_main;
#[cfg(not(target_os = "linux"))]
pub use parent::child_main;
pub use policy::{Ending, Layer, Limits, Outcome, Sandbox};
