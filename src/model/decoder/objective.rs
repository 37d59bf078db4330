//! What a label position is trained towards: its target token, the base's own distribution, or both.
//!
//! The loss of a window is `sum(weight * cross-entropy) / labels + kl * sum(KL(base || adapted)) / positions held to the base`.

/// A position whose prediction is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Label {
    /// Index of the token that predicts.
    pub at: u32,
    /// Token that follows.
    pub target: u32,
    /// Factor of the cross-entropy; None where the target is not trained and so not counted.
    pub weight: Option<f32>,
    /// Whether the prediction is held to the base's.
    pub to_base: bool,
}

impl From<(u32, u32)> for Label {
    /// A plain label: (index of the predicting token, target).
    fn from((at, target): (u32, u32)) -> Self {
        Self { at, target, weight: Some(1.0), to_base: false }
    }
}

/// What one adapter's sums are multiplied by.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Scales {
    /// The sum of weighted cross-entropies.
    pub cross_entropy: f64,
    /// The sum of divergences from the base.
    pub to_base: f64,
}

impl From<f64> for Scales {
    fn from(cross_entropy: f64) -> Self {
        Self { cross_entropy, to_base: 0.0 }
    }
}

/// Sums over the label positions of one adapter's rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LossSum {
    /// Sum of `-ln p(target)`, nats, each counted once whatever its weight.
    pub total: f64,
    /// Label positions whose target is trained.
    pub labels: usize,
    /// Of these, positions whose target was the most probable token.
    pub hits: usize,
    /// Sum of KL(base || adapted), nats.
    pub divergence: f64,
    /// Positions held to the base.
    pub held: usize,
}

impl LossSum {
    /// One label more. Positions whose target is not trained count as held to the base only.
    pub(super) fn add(&mut self, label: &Label, loss: f32, hit: bool) {
        if label.weight.is_some() {
            self.total += f64::from(loss);
            self.labels += 1;
            self.hits += usize::from(hit);
        }
    }

    /// Adds another pass's sums.
    pub fn merge(&mut self, other: &Self) {
        self.total += other.total;
        self.labels += other.labels;
        self.hits += other.hits;
        self.divergence += other.divergence;
        self.held += other.held;
    }
}
