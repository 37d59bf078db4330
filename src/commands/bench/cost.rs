//! What a part must compute and move at least: the floor that times are compared with.
//!
//! A phase (an optimizer step, a prefill, one decoding step) takes no less than the larger of its FLOPs over the matmul
//! rate and its bytes over the memory bandwidth; a part takes no less than the sum over its phases.
//!
//! Counted, with multiply and add as two FLOPs:
//!
//! | what | FLOPs |
//! | --- | --- |
//! | frozen linear | 2 a weight and token forward, 2 backward (the gradient of its input alone), 2 for computing it again |
//! | LoRA pair | the same, and 2 a weight and token for its own gradient |
//! | attention | 4 a head element and pair of positions forward (scores, values), 8 backward, 4 again; a token sees itself and those before |
//! | head | 2 a weight forward, 2 backward, at label positions (training) or each row's last token; never again |
//!
//! | what | bytes |
//! | --- | --- |
//! | weights | each once a pass that uses it: forward, backward, again; once a decoding step, whatever the rows |
//! | LoRA pairs | in f32, each adapter's once a decoding step |
//! | keys and values | of all tokens seen, once a decoding step |
//!
//! Left out, so that the floor stays one: norms, rotary embedding, activations, embedding rows, optimizer state, biases.

use super::work::{Answers, RowLength, Work};
use crate::cli::Part;
use crate::model::site::Module;
use crate::model::spec::Spec;

/// FLOPs and bytes of one phase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Phase {
    pub(super) flops: f64,
    pub(super) bytes: f64,
}

/// What a device was measured to do.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Rates {
    /// FLOPs a second of a large matmul in the weights' type.
    pub(super) flops: f64,
    /// Bytes a second of a large copy, read and written.
    pub(super) bytes: f64,
}

/// Least seconds of the phases, one after the other.
pub(super) fn floor_seconds(phases: &[Phase], rates: Rates) -> f64 {
    phases.iter().map(|phase| (phase.flops / rates.flops).max(phase.bytes / rates.bytes)).sum()
}

/// Numbers of a model that costs are multiples of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Weights of all frozen linears.
    linear: f64,
    /// Weights of the head.
    head: f64,
    /// Numbers of one adapter.
    lora: f64,
    /// Elements of all layers' query heads.
    queries: f64,
    /// Elements of all layers' keys, or values, of one token.
    keys: f64,
    /// Bytes of a weight, key or value.
    element: f64,
}

impl Sizes {
    pub(super) fn of(spec: &Spec, rank: usize, element_bytes: usize) -> Self {
        let per_layer = |size: fn((usize, usize)) -> usize| -> f64 {
            (spec.layers * Module::ALL.iter().map(|module| size(module.widths(spec))).sum::<usize>()) as f64
        };
        Self {
            linear: per_layer(|(input, output)| input * output),
            head: (spec.vocabulary * spec.hidden) as f64,
            lora: rank as f64 * per_layer(|(input, output)| input + output),
            queries: (spec.layers * spec.heads * spec.head_dim) as f64,
            keys: (spec.layers * spec.kv_heads * spec.head_dim) as f64,
            element: element_bytes as f64,
        }
    }

    /// The phases of a part.
    pub(super) fn phases(self, part: Part, work: &Work) -> Vec<Phase> {
        match work.answers(part) {
            None => vec![self.step(&work.rows, part == Part::Checkpointed)],
            Some(answers) => self.answers(answers),
        }
    }

    fn step(self, rows: &[RowLength], again: bool) -> Phase {
        let again = if again { 1.0 } else { 0.0 };
        let tokens: f64 = rows.iter().map(|row| row.tokens as f64).sum();
        let labels: f64 = rows.iter().map(|row| row.labels as f64).sum();
        let pairs: f64 = rows.iter().map(|row| pairs(row.tokens)).sum();
        Phase {
            flops: tokens * (self.linear * (4.0 + 2.0 * again) + self.lora * (6.0 + 2.0 * again))
                + pairs * self.queries * (12.0 + 4.0 * again)
                + labels * self.head * 4.0,
            bytes: self.element * (self.linear * (2.0 + again) + self.head * 2.0),
        }
    }

    fn answers(self, work: Answers) -> Vec<Phase> {
        let rows = work.rows as f64;
        let lora = if work.adapters > 0 { self.lora } else { 0.0 };
        let weights = self.element * (self.linear + self.head) + 4.0 * lora * work.adapters as f64;
        let read = Phase {
            flops: rows * (work.prompt as f64 * 2.0 * (self.linear + lora) + pairs(work.prompt) * self.queries * 4.0 + 2.0 * self.head),
            bytes: weights,
        };
        // The first new token comes out of the prefill.
        let step = |seen: usize| Phase {
            flops: rows * (2.0 * (self.linear + lora + self.head) + seen as f64 * self.queries * 4.0),
            bytes: weights + rows * seen as f64 * 2.0 * self.keys * self.element,
        };
        std::iter::once(read).chain((1..work.new).map(|new| step(work.prompt + new))).collect()
    }
}

/// Pairs of a position and one that it sees.
fn pairs(tokens: usize) -> f64 {
    (tokens * (tokens + 1) / 2) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::spec::Sizes as Shape;

    /// One layer of width 4, two heads of 2 over one key head, feed-forward 3, ten tokens.
    /// q 4x4, k 4x2, v 4x2, o 4x4, gate and up 4x3, down 3x4: 16 + 8 + 8 + 16 + 12 + 12 + 12 = 84 weights;
    /// widths in and out: 8 + 6 + 6 + 8 + 7 + 7 + 7 = 49, with rank 2 98 numbers an adapter; head 40.
    fn tiny() -> Sizes {
        let sizes = Shape { hidden: 4, intermediate: 3, layers: 1, heads: 2, kv_heads: 1, head_dim: 2, vocabulary: 10 };
        let spec = Spec { tied: true, ..Spec::new("llama", sizes) };
        Sizes::of(&spec, 2, 2)
    }

    fn work() -> Work {
        Work {
            rows: vec![RowLength { tokens: 3, labels: 2 }, RowLength { tokens: 2, labels: 1 }],
            decode: Answers { rows: 2, adapters: 0, prompt: 3, new: 3 },
            adapters: Answers { rows: 2, adapters: 2, prompt: 3, new: 2 },
            prefill: Answers { rows: 2, adapters: 0, prompt: 3, new: 1 },
            ..Work::small()
        }
    }

    #[test]
    fn an_optimizer_step_by_hand() {
        // 5 tokens, 3 labels, 6 + 3 pairs: 5 (84 * 4 + 98 * 6) + 9 * 4 * 12 + 3 * 40 * 4
        let step = tiny().phases(Part::Train, &work());
        assert_eq!(step, [Phase { flops: 5532.0, bytes: 2.0 * (84.0 * 2.0 + 40.0 * 2.0) }]);
        // And again: 5 (84 * 2 + 98 * 2) + 9 * 4 * 4
        let again = tiny().phases(Part::Checkpointed, &work());
        assert_eq!(again, [Phase { flops: 5532.0 + 1964.0, bytes: 2.0 * (84.0 * 3.0 + 40.0 * 2.0) }]);
    }

    #[test]
    fn answers_by_hand() {
        // Prefill: 2 rows (3 * 2 * 84 + 6 pairs * 4 * 4 + 2 * 40); a step over 4 and 5 tokens: 2 (2 * 124 + seen * 4 * 4),
        // its bytes 2 * 124 and 2 rows * seen * (keys and values of 2) * 2 bytes.
        let read = Phase { flops: 1360.0, bytes: 248.0 };
        let steps = [Phase { flops: 624.0, bytes: 248.0 + 64.0 }, Phase { flops: 656.0, bytes: 248.0 + 80.0 }];
        assert_eq!(tiny().phases(Part::Prefill, &work()), [read]);
        assert_eq!(tiny().phases(Part::Decode, &work()), [read, steps[0], steps[1]]);
        // With two adapters of 98 numbers: 2 * 98 FLOPs more a token, and both read in f32.
        let adapted = tiny().phases(Part::Adapters, &work());
        assert_eq!(adapted[1], Phase { flops: 624.0 + 2.0 * 2.0 * 98.0, bytes: 312.0 + 4.0 * 2.0 * 98.0 });
    }

    #[test]
    fn the_floor_is_the_slower_of_computing_and_moving_in_each_phase() {
        let phases = [Phase { flops: 10.0, bytes: 1.0 }, Phase { flops: 1.0, bytes: 10.0 }];
        let seconds = floor_seconds(&phases, Rates { flops: 5.0, bytes: 2.0 });
        assert!((seconds - 7.0).abs() < 1e-12, "{seconds}");
    }
}
