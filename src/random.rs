//! All that draws: seeds by use, streams, uniforms, shuffles. Each use gets its own seed, derived from the run's and the use's
//! name, so that adding a draw in one place changes nothing in another.
//!
//! ChaCha8 and the draws here are fixed algorithms; `rand`'s own generators and shuffles may change between versions.
//!
//! Reference: D. Lemire, "Fast Random Integer Generation in an Interval", ACM TOMACS 29 (2019), article 3.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

/// A seed for the use named by `parts`.
pub fn derive(seed: u64, parts: &[&str]) -> u64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    for part in parts {
        // The length first, so that ("ab", "c") and ("a", "bc") differ.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let mut bytes = [0u8; 8];
    bytes.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(bytes)
}

/// One of the independent streams of a seed.
pub fn stream(seed: u64, index: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(index);
    random
}

/// What rows are drawn for: a stream each. An older rule than [`derive()`], kept because it decides which rows a seed gives.
#[derive(Debug, Clone, Copy)]
pub enum RowStream<'a> {
    /// Rows of the source with this label.
    Source {
        /// As written in the mixture.
        label: &'a str,
    },
    /// The order of a whole list.
    Mixture,
    /// The order of one epoch, counted from 0.
    Epoch {
        /// Which.
        epoch: usize,
    },
}

impl RowStream<'_> {
    /// The stream of a seed.
    pub fn start(&self, seed: u64) -> ChaCha8Rng {
        let hash = Sha256::new().chain_update(b"ballast mix 1\0").chain_update(seed.to_le_bytes());
        let hash = match self {
            Self::Source { label } => hash.chain_update(b"source\0").chain_update(label),
            Self::Mixture => hash.chain_update(b"mixture"),
            Self::Epoch { epoch } => hash.chain_update(b"epoch\0").chain_update((*epoch as u64).to_le_bytes()),
        };
        ChaCha8Rng::from_seed(hash.finalize().into())
    }
}

/// Uniform in [0, 1) with 53 bits.
pub fn unit(random: &mut impl RngCore) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Uniform in `0..bound`, which must not be 0: Lemire's multiplication, with the few biased products drawn again.
pub fn below(bound: u64, random: &mut impl RngCore) -> u64 {
    loop {
        let product = u128::from(random.next_u64()) * u128::from(bound);
        let low = product as u64;
        // The division is needed once in 2^64 / bound draws.
        if low >= bound || low >= bound.wrapping_neg() % bound {
            return (product >> 64) as u64;
        }
    }
}

/// Fisher-Yates, from the last place down.
pub fn shuffle_in_place<T>(values: &mut [T], random: &mut impl RngCore) {
    for last in (1..values.len()).rev() {
        let chosen = below(last as u64 + 1, random) as usize;
        values.swap(last, chosen);
    }
}

/// The values in an order drawn by seed.
pub fn shuffle<T>(mut values: Vec<T>, seed: u64) -> Vec<T> {
    shuffle_in_place(&mut values, &mut RowStream::Mixture.start(seed));
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_and_seeds_are_told_apart() {
        let seeds = [derive(1, &["ab", "c"]), derive(1, &["a", "bc"]), derive(2, &["ab", "c"]), derive(1, &["ab"])];
        for (i, seed) in seeds.iter().enumerate() {
            assert!(!seeds[..i].contains(seed));
        }
        // Computed with Python: sha256 of struct.pack("<Q", 42) and of each part's length and bytes, first 8 bytes little-endian.
        // A changed algorithm would silently change every experiment.
        assert_eq!(derive(42, &["shuffle", "A"]), 10_298_581_318_907_596_706);
    }

    #[test]
    fn draws_are_fixed() {
        // The same places as before draws were in one module.
        assert_eq!(shuffle((0..10).collect(), 42), [5, 4, 1, 0, 3, 9, 7, 6, 2, 8]);
        // What SplitMix64 and ChaCha8 of rand_chacha 0.9 give for the seed; a high half of a product, and 53 bits.
        let (mut a, mut b, mut c) = (stream(7, 3), stream(7, 3), stream(7, 3));
        for bound in [1, 2, 3, 10, 1 << 40] {
            let word = a.next_u64();
            assert_eq!(below(bound, &mut b), ((u128::from(word) * u128::from(bound)) >> 64) as u64);
            assert!((unit(&mut c) - word as f64 / 2_f64.powi(64)).abs() < 1e-15);
        }
        assert_ne!(stream(7, 3).next_u64(), stream(7, 4).next_u64());
    }

    #[test]
    fn a_biased_product_is_drawn_again() {
        struct Fixed(Vec<u64>);
        impl RngCore for Fixed {
            fn next_u32(&mut self) -> u32 {
                self.next_u64() as u32
            }
            fn next_u64(&mut self) -> u64 {
                self.0.remove(0)
            }
            fn fill_bytes(&mut self, bytes: &mut [u8]) {
                bytes.fill(0);
            }
        }
        // 2^64 mod 3 is 1: of all words 0 alone is one too many, and is drawn again.
        assert_eq!(below(3, &mut Fixed(vec![0, 1 << 63])), 1);
        assert_eq!(below(3, &mut Fixed(vec![1])), 0);
    }
}
