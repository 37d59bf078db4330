//! Retention: how much of what the base model knew above chance a variant still knows.

/// `(variant - chance) / (base - chance)`: 1 when nothing was lost, 0 when the variant guesses, negative below chance,
/// above 1 when the variant gained. `None` unless the base is above chance: from nothing, nothing can be lost.
pub fn retention(base: f64, variant: f64, chance: f64) -> Option<f64> {
    let above_chance = base - chance;
    (above_chance > 0.0).then(|| (variant - chance) / above_chance).filter(|r| r.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_is_measured_above_chance() {
        assert_eq!(retention(0.75, 0.5, 0.25), Some(0.5));
        assert_eq!(retention(0.75, 0.25, 0.25), Some(0.0));
        assert_eq!(retention(0.5, 0.5, 0.0), Some(1.0));
        assert_eq!(retention(0.75, 0.0, 0.25), Some(-0.5));
    }

    #[test]
    fn a_base_at_chance_has_nothing_to_retain() {
        assert_eq!(retention(0.25, 0.5, 0.25), None);
        assert_eq!(retention(0.0, 0.0, 0.0), None);
        assert_eq!(retention(f64::NAN, 0.5, 0.25), None);
        assert_eq!(retention(0.5, f64::NAN, 0.25), None);
    }
}
