//! Seeds for everything that draws: each use gets its own, derived from the run's seed and the use's name, so that
//! adding a draw in one place changes nothing in another.

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

#[cfg(test)]
mod tests {
    use super::derive;

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
}
