//! One conversation's answer, token by token, greedy or drawn at a temperature.

use anyhow::{Result, ensure};
use candle_core::{DType, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::generate::most_probable;
use crate::model::adapter_set::AdapterSet;
use crate::model::cache::KvCache;
use crate::model::decoder::Decoder;
use crate::model::lora::Adapter;
use crate::model::packed::Packed;
use crate::random::unit;

/// How the next token is chosen.
#[derive(Debug, Clone)]
pub enum Sampling {
    /// The most probable token.
    Greedy,
    /// A draw from the softmax of logits / temperature.
    Temperature {
        /// Positive.
        temperature: f64,
        /// Seeded.
        random: Box<ChaCha8Rng>,
    },
}

impl Sampling {
    /// Temperature 0 is greedy.
    pub fn new(temperature: f64, seed: u64) -> Result<Self> {
        ensure!(temperature.is_finite() && temperature >= 0.0, "the temperature is {temperature}: use 0 or more");
        if temperature == 0.0 {
            return Ok(Self::Greedy);
        }
        Ok(Self::Temperature { temperature, random: Box::new(ChaCha8Rng::seed_from_u64(seed)) })
    }

    /// Chooses from logits [1, vocabulary].
    fn choose(&mut self, logits: &Tensor) -> Result<u32> {
        let best = most_probable(logits)?[0];
        let Self::Temperature { temperature, random } = self else { return Ok(best) };
        let logits: Vec<f32> = logits.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        let max = f64::from(logits[best as usize]);
        let weights: Vec<f64> = logits.iter().map(|x| ((f64::from(*x) - max) / *temperature).exp()).collect();
        let mut left = unit(random.as_mut()) * weights.iter().sum::<f64>();
        for (token, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return Ok(token as u32);
            }
        }
        Ok(best)
    }
}

/// Decodes one answer; `shown` gets the ids so far after each token. Gives the answer's ids without the stop token.
pub fn stream(
    decoder: &Decoder,
    adapter: Option<&Adapter>,
    prompt: &[u32],
    max_new_tokens: usize,
    stops: &[u32],
    sampling: &mut Sampling,
    shown: &mut dyn FnMut(&[u32]) -> Result<()>,
) -> Result<Vec<u32>> {
    let adapter_set = AdapterSet::one(decoder, adapter)?;
    let mut cache = KvCache::new(decoder, prompt.len() + max_new_tokens + 16)?;
    cache.add_row(prompt, adapter_set.only(), prompt.len() + max_new_tokens)?;
    let mut batch = Packed::from_rows(&[prompt], adapter_set.only());
    let mut ids = Vec::new();
    while ids.len() < max_new_tokens {
        let hidden = decoder.hidden_at(&batch, &batch.last_tokens(), &adapter_set, Some(&mut cache))?;
        let token = sampling.choose(&decoder.logits(&hidden)?)?;
        if stops.contains(&token) {
            break;
        }
        ids.push(token);
        shown(&ids)?;
        batch = Packed::default();
        batch.push(&[token], prompt.len() + ids.len() - 1, adapter_set.only());
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn draws_follow_the_softmax_and_the_seed() {
        let logits = Tensor::new(&[[0f32, 1.0, -1e9, 2.0]], &Device::Cpu).unwrap();
        let draw = |temperature: f64, seed: u64| -> Vec<u32> {
            let mut sampling = Sampling::new(temperature, seed).unwrap();
            (0..4000).map(|_| sampling.choose(&logits).unwrap()).collect()
        };
        assert!(draw(0.0, 1).iter().all(|token| *token == 3));
        let drawn = draw(1.0, 7);
        assert_eq!(drawn, draw(1.0, 7));
        assert_ne!(drawn, draw(1.0, 8));
        let weights = [1.0, 1f64.exp(), 0.0, 2f64.exp()];
        for (token, weight) in weights.iter().enumerate() {
            let share = drawn.iter().filter(|t| **t as usize == token).count() as f64 / drawn.len() as f64;
            let expected = weight / weights.iter().sum::<f64>();
            assert!((share - expected).abs() < 0.025, "token {token}: {share} and {expected}");
        }
        assert!(Sampling::new(-1.0, 0).is_err());
    }
}
