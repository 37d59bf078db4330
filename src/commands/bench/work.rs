//! What is timed: the same rows, prompts and lengths for every program, written into the job that a peer is given.

use serde::{Deserialize, Serialize};

use crate::cli::Part;

/// A training row: its length and how many of its last tokens carry loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RowLength {
    /// Prompt and answer.
    pub(super) tokens: usize,
    /// The answer.
    pub(super) labels: usize,
}

/// Prompts of one length, answered for a fixed number of tokens: there is no stop token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answers {
    /// Prompts.
    pub(super) rows: usize,
    /// Adapters that the rows are spread over evenly; 0 is the base.
    pub(super) adapters: usize,
    /// Tokens of each prompt.
    pub(super) prompt: usize,
    /// Tokens of each answer; 1 is prefill alone.
    pub(super) new: usize,
}

/// Sizes of all parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Work {
    /// Window of one optimizer step.
    pub(super) rows: Vec<RowLength>,
    /// Of [`Part::Single`].
    pub(super) single: Answers,
    /// Of [`Part::Decode`].
    pub(super) decode: Answers,
    /// Of [`Part::Adapters`].
    pub(super) adapters: Answers,
    /// Of [`Part::Prefill`].
    pub(super) prefill: Answers,
    /// Side of the square matrices whose product gives the matmul rate.
    pub(super) matmul: usize,
    /// Bytes of the buffer whose copy gives the memory bandwidth.
    pub(super) copy: usize,
}

/// Short and long answers as in the article's mixture: 3,042 tokens.
const LENGTHS: [usize; 16] = [46, 61, 78, 93, 107, 122, 138, 151, 166, 182, 199, 224, 268, 327, 431, 449];

impl Work {
    /// The table's sizes.
    pub(super) fn full(on_gpu: bool) -> Self {
        Self {
            rows: LENGTHS.map(row).to_vec(),
            single: Answers { rows: 1, adapters: 0, prompt: 64, new: 128 },
            decode: Answers { rows: 64, adapters: 0, prompt: 64, new: 128 },
            adapters: Answers { rows: 256, adapters: 4, prompt: 64, new: 128 },
            prefill: Answers { rows: 32, adapters: 0, prompt: 256, new: 1 },
            matmul: if on_gpu { 8192 } else { 2048 },
            copy: if on_gpu { 2 << 30 } else { 512 << 20 },
        }
    }

    /// Every part in a moment, to see that it works. Times of it say nothing.
    pub(super) fn small() -> Self {
        Self {
            rows: [5, 9, 16].map(row).to_vec(),
            single: Answers { rows: 1, adapters: 0, prompt: 4, new: 4 },
            decode: Answers { rows: 4, adapters: 0, prompt: 4, new: 4 },
            adapters: Answers { rows: 8, adapters: 2, prompt: 4, new: 4 },
            prefill: Answers { rows: 2, adapters: 0, prompt: 16, new: 1 },
            matmul: 256,
            copy: 1 << 20,
        }
    }

    /// Sizes of a part that answers; None for training.
    pub(super) fn answers(&self, part: Part) -> Option<Answers> {
        match part {
            Part::Train | Part::Checkpointed => None,
            Part::Single => Some(self.single),
            Part::Decode => Some(self.decode),
            Part::Adapters => Some(self.adapters),
            Part::Prefill => Some(self.prefill),
        }
    }

    /// Tokens that a part is about: trained on, generated, or read in prefill.
    pub(super) fn tokens(&self, part: Part) -> usize {
        match self.answers(part) {
            None => self.rows.iter().map(|row| row.tokens).sum(),
            Some(answers) if part == Part::Prefill => answers.rows * answers.prompt,
            Some(answers) => answers.rows * answers.new,
        }
    }

    /// A part in words.
    pub(super) fn title(&self, part: Part) -> String {
        let step = || format!("train step, {} rows, {} tokens", self.rows.len(), self.tokens(part));
        match (part, self.answers(part)) {
            (Part::Checkpointed, _) => step() + ", checkpointing",
            (_, None) => step(),
            (Part::Prefill, Some(a)) => format!("prefill, {} x {} tokens", a.rows, a.prompt),
            (Part::Adapters, Some(a)) => format!("decode, {} rows over {} adapters, {} new tokens", a.rows, a.adapters, a.new),
            (_, Some(a)) if a.rows == 1 => format!("decode, 1 row, {} new tokens", a.new),
            (_, Some(a)) => format!("decode, {} rows, {} new tokens", a.rows, a.new),
        }
    }
}

/// About 70 % of a row is answer.
fn row(tokens: usize) -> RowLength {
    RowLength { tokens, labels: (tokens * 7).div_ceil(10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_rows_of_46_to_449_tokens() {
        let work = Work::full(true);
        assert_eq!((work.rows.len(), work.tokens(Part::Train)), (16, 3042));
        assert_eq!((work.rows[0].tokens, work.rows[15].tokens), (46, 449));
        let labels: usize = work.rows.iter().map(|row| row.labels).sum();
        assert!((0.69..0.72).contains(&(labels as f64 / 3042.0)), "{labels}");
        assert!(work.rows.iter().all(|row| row.labels < row.tokens), "the first token of a row is predicted by nothing");
    }

    #[test]
    fn rows_divide_evenly_over_adapters() {
        for work in [Work::full(true), Work::full(false), Work::small()] {
            assert_eq!(work.adapters.rows % work.adapters.adapters, 0);
        }
    }
}
