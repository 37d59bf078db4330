//! Learning rate by step: linear warm-up from 0, then half a cosine to 0.
//!
//! transformers' `get_cosine_schedule_with_warmup`, whose first step of a warm-up runs at rate 0.

/// Steps of warm-up: `ceil(total * ratio)`.
pub fn warmup_steps(total: usize, ratio: f64) -> usize {
    (total as f64 * ratio).ceil() as usize
}

/// Rate of step `step` (from 0) of `total`.
pub fn learning_rate(step: usize, total: usize, warmup: usize, peak: f64) -> f64 {
    if step < warmup {
        return peak * step as f64 / warmup as f64;
    }
    let progress = (step - warmup) as f64 / (total - warmup).max(1) as f64;
    peak * (0.5 * (1.0 + (std::f64::consts::PI * progress).cos())).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rates transformers gives for 10 steps at peak 1e-4 with a warm-up ratio of 0.05, to three digits.
    #[test]
    fn ten_steps_as_transformers_runs_them() {
        let expected = [0.0, 1e-4, 9.70e-5, 8.83e-5, 7.5e-5, 5.87e-5, 4.13e-5, 2.5e-5, 1.17e-5, 3.0e-6];
        let warmup = warmup_steps(10, 0.05);
        assert_eq!(warmup, 1);
        for (step, expected) in expected.iter().enumerate() {
            let rate = learning_rate(step, 10, warmup, 1e-4);
            assert!((rate - expected).abs() < 5e-8, "step {step}: {rate}");
        }
    }

    #[test]
    fn warmup_rounds_up() {
        assert_eq!([189, 20, 150, 14].map(|total| warmup_steps(total, 0.05)), [10, 1, 8, 1]);
        assert_eq!(warmup_steps(10, 0.0), 0);
        assert!((learning_rate(0, 10, 0, 1e-4) - 1e-4).abs() < 1e-12);
    }
}
