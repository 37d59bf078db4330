//! What a template may ask of stack and time. Its compiler and its values recurse: a chain of operators is a tree as deep as
//! the chain, and a loop can put a list into a list with every instruction. So tags have a length, templates a number of
//! tags, and both compiler and rendering run on a stack that holds the deepest tree or value that these leave possible. What
//! a value shares with itself is walked again and again without any instruction, so there is a limit in seconds too.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::Builder;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// Words and marks of one tag, texts counted as one; published templates have up to some hundred.
const LONGEST_TAG: usize = 4096;
/// Tags of a template; published ones have up to some hundred.
const MOST_TAGS: usize = 8192;
/// Brackets within brackets.
const DEEPEST: usize = 64;
/// Stack of the compiler: for a chain as long as the longest tag, and as many `elif` as there may be tags.
pub(super) const COMPILING: usize = 256 << 20;
/// Stack for each instruction of a rendering: one instruction makes a value one level deeper.
const LEVEL: usize = 2048;
/// Seconds that compiling or rendering may take; published templates take milliseconds.
const SECONDS: u64 = 2;

/// Stack of a rendering that may take so many instructions.
pub(super) fn rendering(fuel: u64) -> usize {
    (16 << 20) + usize::try_from(fuel).unwrap_or(usize::MAX).saturating_mul(LEVEL)
}

/// Counts the tags of a template.
#[derive(Default)]
pub(super) struct Tags(usize);

impl Tags {
    /// Fails where this tag is one too many, or too long or too deep. `marks` are the places of its words and marks outside
    /// texts.
    pub(super) fn check(&mut self, marks: impl Iterator<Item = char>) -> Result<()> {
        self.0 += 1;
        ensure!(self.0 <= MOST_TAGS, "the model's chat template has more than {MOST_TAGS} tags");
        let (mut length, mut depth) = (0_usize, 0_usize);
        for mark in marks {
            length += 1;
            match mark {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            ensure!(length <= LONGEST_TAG, "a tag of the model's chat template has more than {LONGEST_TAG} words and marks");
            ensure!(depth <= DEEPEST, "a tag of the model's chat template has more than {DEEPEST} brackets within each other");
        }
        Ok(())
    }
}

/// Does something on a stack of its own.
pub(super) fn within<T: Send + 'static>(stack: usize, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (done, result) = channel();
    let thread = Builder::new().name("template".to_owned()).stack_size(stack);
    let thread = thread.spawn(move || drop(done.send(work()))).context("no thread for the model's chat template could be started")?;
    match result.recv_timeout(Duration::from_secs(SECONDS)) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => {
            bail!("the model's chat template does not come to an end: it was given up after {SECONDS} seconds")
        }
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => bail!("the model's chat template ended without a result"),
        },
    }
}
