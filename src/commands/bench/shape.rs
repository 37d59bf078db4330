//! Shapes of published models, for timing without their files, and weights drawn for them.

use std::collections::HashMap;

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::cli::Shape;
use crate::model::site::Module;
use crate::model::spec::{Biases, Rope, Sizes, Spec};
use crate::model::weights::Weights;

impl Shape {
    /// Sizes and constants, as in the model's config.json.
    pub fn spec(self) -> Spec {
        // Hidden, layers, heads, key heads, head size, feed-forward, vocabulary.
        let sizes = |hidden, layers, heads, kv_heads, head_dim, intermediate, vocabulary| Sizes {
            hidden,
            intermediate,
            layers,
            heads,
            kv_heads,
            head_dim,
            vocabulary,
        };
        let qwen2 = |tied, sizes| Spec {
            ropes: vec![Rope::new(1e6)],
            biases: Biases { qkv: true, ..Biases::default() },
            max_positions: 32768,
            tied,
            ..Spec::new("qwen2", sizes)
        };
        match self {
            Self::Qwen7b => qwen2(false, sizes(3584, 28, 28, 4, 128, 18944, 152_064)),
            Self::Qwen1b5 => qwen2(true, sizes(1536, 28, 12, 2, 128, 8960, 151_936)),
            Self::Qwen0b5 => qwen2(true, sizes(896, 24, 14, 2, 64, 4864, 151_936)),
            Self::Smol135m => Spec {
                rms_eps: 1e-5,
                ropes: vec![Rope::new(1e5)],
                max_positions: 8192,
                tied: true,
                ..Spec::new("llama", sizes(576, 30, 9, 3, 64, 1536, 49152))
            },
            Self::Tiny => qwen2(false, sizes(64, 2, 4, 2, 16, 128, 512)),
        }
    }

    /// Weights of standard deviation 0.02, norms of one. The same on every device.
    pub fn weights(self, seed: u64, device: &Device, dtype: DType) -> Result<Weights> {
        let spec = self.spec();
        let mut noise = Noise::new(seed, device, dtype)?;
        let ones = || Tensor::ones(spec.hidden, dtype, device);
        let mut named = HashMap::new();
        named.insert("model.embed_tokens.weight".to_owned(), noise.matrix(spec.vocabulary, spec.hidden)?);
        named.insert("model.norm.weight".to_owned(), ones()?);
        if !spec.tied {
            named.insert("lm_head.weight".to_owned(), noise.matrix(spec.vocabulary, spec.hidden)?);
        }
        for layer in 0..spec.layers {
            let prefix = format!("model.layers.{layer}");
            for norm in ["input_layernorm", "post_attention_layernorm"] {
                named.insert(format!("{prefix}.{norm}.weight"), ones()?);
            }
            for module in Module::ALL {
                let (input, output) = module.widths(&spec);
                let path = format!("{prefix}.{}", module.path());
                named.insert(format!("{path}.weight"), noise.matrix(output, input)?);
                if spec.biases.on(module) {
                    named.insert(format!("{path}.bias"), noise.matrix(1, output)?.squeeze(0)?);
                }
            }
        }
        Weights::from_named(named, &spec)
    }
}

/// A block of normal numbers, laid end to end from where the last tensor stopped. Drawing billions of them would take
/// longer than the runs that are timed; a prime length keeps the rows of a matrix different.
struct Noise {
    block: Tensor,
    at: usize,
}

const BLOCK: usize = 1_048_573;

impl Noise {
    fn new(seed: u64, device: &Device, dtype: DType) -> Result<Self> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut unit = || ((random.next_u32() >> 8) as f32 + 0.5) / (1u32 << 24) as f32;
        // Box and Muller 1958.
        let block: Vec<f32> = (0..BLOCK).map(|_| 0.02 * (-2.0 * unit().ln()).sqrt() * (std::f32::consts::TAU * unit()).cos()).collect();
        Ok(Self { block: Tensor::from_vec(block, BLOCK, device)?.to_dtype(dtype)?, at: 0 })
    }

    fn matrix(&mut self, rows: usize, columns: usize) -> Result<Tensor> {
        let mut pieces = Vec::new();
        let mut left = rows * columns;
        while left > 0 {
            let take = left.min(BLOCK - self.at);
            pieces.push(self.block.narrow(0, self.at, take)?);
            self.at = (self.at + take) % BLOCK;
            left -= take;
        }
        Ok(Tensor::cat(&pieces, 0)?.reshape((rows, columns))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_have_the_published_numbers_of_parameters() {
        assert_eq!(Shape::Qwen7b.spec().parameters(), 7_615_616_512);
        assert_eq!(Shape::Qwen1b5.spec().parameters(), 1_543_714_304);
        assert_eq!(Shape::Qwen0b5.spec().parameters(), 494_032_768);
        assert_eq!(Shape::Smol135m.spec().parameters(), 134_515_008);
    }

    #[test]
    fn drawn_weights_are_small_and_differ_from_row_to_row() {
        let weights = Shape::Tiny.weights(7, &Device::Cpu, DType::F32).unwrap();
        let values = weights.embedding.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let deviation = (values.iter().map(|x| x * x).sum::<f32>() / values.len() as f32).sqrt();
        assert!((0.019..0.021).contains(&deviation), "{deviation}");
        assert_ne!(values[..64], values[64..128]);
        let again = Shape::Tiny.weights(7, &Device::Cpu, DType::F32).unwrap().embedding.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values, again);
    }

    #[test]
    fn noise_goes_on_over_the_end_of_its_block() {
        let mut noise = Noise::new(1, &Device::Cpu, DType::F32).unwrap();
        let (rows, columns) = (BLOCK / 1024 + 2, 1024);
        let values = noise.matrix(rows, columns).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values[BLOCK..], values[..rows * columns - BLOCK]);
        assert_eq!(noise.at, rows * columns - BLOCK);
    }
}
