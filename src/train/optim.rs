//! AdamW with decoupled weight decay (Loshchilov and Hutter 2019), as torch computes it, over an adapter's pairs.
//!
//! `p -= lr·wd·p; m = β1·m + (1-β1)·g; v = β2·v + (1-β2)·g²; p -= lr / (1-β1ᵗ) · m / (sqrt(v) / sqrt(1-β2ᵗ) + ε)`

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::model::lora::Adapter;
use crate::model::lora::Gradients;
use crate::model::ops::host;
use crate::model::site::Site;

/// Constants of the optimizer. Defaults: those of ms-swift.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamWConfig {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the denominator.
    pub epsilon: f64,
    /// Decoupled weight decay, on A and on B.
    pub weight_decay: f64,
    /// Total gradient norm above which gradients are scaled down.
    pub max_grad_norm: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.1, max_grad_norm: 1.0 }
    }
}

impl AdamWConfig {
    /// Refuses constants with which an update is undefined, or no descent. They are used as f32.
    pub fn check(&self) -> Result<()> {
        for (name, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            ensure!((0.0..1.0).contains(&(beta as f32)), "training.optimizer.{name} is {beta}: use 0 up to less than 1");
        }
        for (name, value) in [("epsilon", self.epsilon), ("max_grad_norm", self.max_grad_norm)] {
            let used = value as f32;
            ensure!(used.is_finite() && used > 0.0, "training.optimizer.{name} is {value}: use a positive number");
        }
        let decay = self.weight_decay as f32;
        ensure!(decay.is_finite() && decay >= 0.0, "training.optimizer.weight_decay is {}: use 0 or a positive number", self.weight_decay);
        Ok(())
    }
}

/// First and second moment of one tensor.
#[derive(Debug, Clone)]
pub struct Moments {
    /// Running mean of gradients.
    pub m: Tensor,
    /// Running mean of squared gradients.
    pub v: Tensor,
}

/// State of an optimizer over one adapter.
#[derive(Debug, Clone)]
pub struct AdamW {
    /// Constants.
    pub config: AdamWConfig,
    /// Updates made so far.
    pub steps: usize,
    /// Moments of A and B of every site.
    pub moments: BTreeMap<Site, [Moments; 2]>,
}

impl AdamW {
    /// A fresh optimizer: moments of zero.
    pub fn new(adapter: &Adapter, config: AdamWConfig) -> Result<Self> {
        let zero = |x: &Tensor| -> Result<Moments> { Ok(Moments { m: x.zeros_like()?, v: x.zeros_like()? }) };
        let moments = adapter.pairs.iter().map(|(site, pair)| Ok((*site, [zero(&pair.a)?, zero(&pair.b)?]))).collect::<Result<_>>()?;
        Ok(Self { config, steps: 0, moments })
    }

    /// One update of every pair with gradients multiplied by `clip`. A pair without a gradient is an error.
    pub fn update(&mut self, adapter: &mut Adapter, gradients: &Gradients, clip: f64, learning_rate: f64) -> Result<()> {
        self.steps += 1;
        let c = &self.config;
        let factors = Factors {
            clip: clip as f32,
            keep: (1.0 - learning_rate * c.weight_decay) as f32,
            beta1: c.beta1 as f32,
            rest1: (1.0 - c.beta1) as f32,
            beta2: c.beta2 as f32,
            rest2: (1.0 - c.beta2) as f32,
            step: (learning_rate / (1.0 - c.beta1.powi(self.steps as i32))) as f32,
            root: (1.0 - c.beta2.powi(self.steps as i32)).sqrt() as f32,
            epsilon: c.epsilon as f32,
        };
        #[cfg(feature = "cuda")]
        if adapter.pairs.values().next().is_some_and(|pair| crate::model::ops::cuda::applies(&pair.a)) {
            return self.update_on_device(adapter, gradients, &factors);
        }
        for (site, pair) in &mut adapter.pairs {
            let gradient = gradients.get(site).with_context(|| format!("{site} got no gradient"))?;
            let moments = self.moments.get_mut(site).with_context(|| format!("{site} has no optimizer state"))?;
            let [of_a, of_b] = moments;
            pair.a = factors.apply(&pair.a, &gradient.a, of_a).with_context(|| format!("{site} lora_A"))?;
            pair.b = factors.apply(&pair.b, &gradient.b, of_b).with_context(|| format!("{site} lora_B"))?;
        }
        Ok(())
    }
}

#[cfg(feature = "cuda")]
impl AdamW {
    /// All tensors in one launch, values and moments in place.
    fn update_on_device(&self, adapter: &Adapter, gradients: &Gradients, f: &Factors) -> Result<()> {
        use crate::model::ops::cuda::optim::{Factors as Scalars, Parameter, adamw};
        let mut parameters = Vec::with_capacity(2 * adapter.pairs.len());
        for (site, pair) in &adapter.pairs {
            let gradient = gradients.get(site).with_context(|| format!("{site} got no gradient"))?;
            let [of_a, of_b] = self.moments.get(site).with_context(|| format!("{site} has no optimizer state"))?;
            for (value, gradient, moments) in [(&pair.a, &gradient.a, of_a), (&pair.b, &gradient.b, of_b)] {
                ensure!(value.dims() == gradient.dims(), "gradient {:?} for {site} of {:?}", gradient.dims(), value.dims());
                parameters.push(Parameter { value, gradient, m: &moments.m, v: &moments.v });
            }
        }
        let scalars = Scalars {
            clip: f.clip,
            keep: f.keep,
            beta1: f.beta1,
            rest1: f.rest1,
            beta2: f.beta2,
            rest2: f.rest2,
            step: f.step,
            root: f.root,
            epsilon: f.epsilon,
        };
        adamw(&parameters, &scalars)
    }
}

/// The scalars of one update.
struct Factors {
    clip: f32,
    keep: f32,
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    step: f32,
    root: f32,
    epsilon: f32,
}

impl Factors {
    fn apply(&self, parameter: &Tensor, gradient: &Tensor, moments: &mut Moments) -> Result<Tensor> {
        ensure!(parameter.dims() == gradient.dims(), "gradient {:?} for a parameter {:?}", gradient.dims(), parameter.dims());
        if ![parameter, gradient, &moments.m, &moments.v].iter().all(|t| host::applies(t)) {
            return self.apply_composed(parameter, gradient, moments);
        }
        let (rows, columns) = parameter.dims2()?;
        let (p, g) = (host::slice(parameter)?, host::slice(gradient)?);
        let (mut p, mut m, mut v) = (p.to_vec(), host::slice(&moments.m)?.to_vec(), host::slice(&moments.v)?.to_vec());
        host::vectorised(
            #[inline(always)]
            || {
                for (((p, g), m), v) in p.iter_mut().zip(g.iter()).zip(&mut m).zip(&mut v) {
                    let g = g * self.clip;
                    *m = self.beta1 * *m + self.rest1 * g;
                    *v = self.beta2 * *v + self.rest2 * g * g;
                    *p = *p * self.keep - self.step * *m / (v.sqrt() / self.root + self.epsilon);
                }
            },
        );
        *moments = Moments { m: host::tensor(m, rows, columns)?, v: host::tensor(v, rows, columns)? };
        host::tensor(p, rows, columns)
    }

    fn apply_composed(&self, parameter: &Tensor, gradient: &Tensor, moments: &mut Moments) -> Result<Tensor> {
        let g = (gradient * f64::from(self.clip))?;
        let m = ((&moments.m * f64::from(self.beta1))? + (&g * f64::from(self.rest1))?)?;
        let v = ((&moments.v * f64::from(self.beta2))? + (g.sqr()? * f64::from(self.rest2))?)?;
        let denominator = ((v.sqrt()? / f64::from(self.root))? + f64::from(self.epsilon))?;
        let moved = ((parameter * f64::from(self.keep))? - ((&m * f64::from(self.step))? / denominator)?)?;
        *moments = Moments { m, v };
        Ok(moved)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::model::lora::{LoraConfig, LoraPair};
    use crate::model::ops::linear::LowRankGradient;
    use crate::model::site::Module;

    /// Checked against torch's algorithm in double precision:
    /// ```python
    /// import math
    /// p, m, v = 0.5, 0.0, 0.0
    /// for t, (g, lr) in enumerate([(0.3, 1e-2), (-0.1, 5e-3), (0.7, 2e-2)], 1):
    ///     p *= 1 - lr * 0.1
    ///     m = 0.9 * m + 0.1 * g
    ///     v = 0.95 * v + 0.05 * g * g
    ///     p -= lr / (1 - 0.9 ** t) * m / (math.sqrt(v) / math.sqrt(1 - 0.95 ** t) + 1e-8)
    ///     print(p)  # 0.4895000003, 0.4870808447, 0.4710411...
    /// ```
    #[test]
    fn three_updates_as_torch_makes_them() {
        let site = Site { layer: 0, module: Module::Q };
        let scalar = |x: f32| Tensor::from_vec(vec![x], (1, 1), &Device::Cpu).unwrap();
        let config = LoraConfig { rank: 1, alpha: 1.0, dropout: 0.0, targets: vec![Module::Q], rslora: false };
        let mut adapter = Adapter { pairs: [(site, LoraPair { a: scalar(0.5), b: scalar(0.5) })].into(), scale: 1.0, config };
        let mut optimizer = AdamW::new(&adapter, AdamWConfig::default()).unwrap();
        let (mut p, mut m, mut v) = (0.5f64, 0f64, 0f64);
        for (t, (g, lr)) in [(0.3f32, 1e-2), (-0.1, 5e-3), (0.7, 2e-2)].into_iter().enumerate() {
            // Half the gradient with clip 1 equals the gradient with clip 0.5: clipping multiplies before the moments.
            let gradient = LowRankGradient { a: scalar(2.0 * g), b: scalar(2.0 * g) };
            optimizer.update(&mut adapter, &[(site, gradient)].into(), 0.5, lr).unwrap();
            let g = f64::from(g);
            p *= 1.0 - lr * 0.1;
            m = 0.9 * m + 0.1 * g;
            v = 0.95 * v + 0.05 * g * g;
            p -= lr / (1.0 - 0.9f64.powi(t as i32 + 1)) * m / (v.sqrt() / (1.0 - 0.95f64.powi(t as i32 + 1)).sqrt() + 1e-8);
            for tensor in [&adapter.pairs[&site].a, &adapter.pairs[&site].b] {
                let ours = f64::from(tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap()[0]);
                assert!((ours - p).abs() < 1e-6, "step {t}: {ours} and {p}");
            }
        }
        assert!((p - 0.5).abs() > 0.02);
    }

    #[test]
    fn fused_equals_composed() {
        let values = |n: usize, phase: f32| -> Vec<f32> { (0..n).map(|i| (i as f32 + phase).sin()).collect() };
        let tensor = |v: Vec<f32>| Tensor::from_vec(v, (3, 4), &Device::Cpu).unwrap();
        let factors =
            Factors { clip: 0.7, keep: 0.999, beta1: 0.9, rest1: 0.1, beta2: 0.95, rest2: 0.05, step: 0.01, root: 0.3, epsilon: 1e-8 };
        let (p, g) = (tensor(values(12, 0.0)), tensor(values(12, 1.0)));
        let start = || Moments { m: tensor(values(12, 2.0)), v: tensor(values(12, 3.0)).sqr().unwrap() };
        let (mut fused, mut composed) = (start(), start());
        let a = factors.apply(&p, &g, &mut fused).unwrap();
        let b = factors.apply_composed(&p, &g, &mut composed).unwrap();
        for (x, y) in [(&a, &b), (&fused.m, &composed.m), (&fused.v, &composed.v)] {
            let difference = (x - y).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(difference < 1e-6, "{difference}");
        }
    }

    #[test]
    fn a_missing_gradient_is_an_error() {
        let config = LoraConfig { rank: 1, alpha: 1.0, dropout: 0.0, targets: vec![Module::Q], rslora: false };
        let one = Tensor::ones((1, 1), candle_core::DType::F32, &Device::Cpu).unwrap();
        let site = Site { layer: 3, module: Module::Up };
        let mut adapter = Adapter { pairs: [(site, LoraPair { a: one.clone(), b: one })].into(), scale: 1.0, config };
        let mut optimizer = AdamW::new(&adapter, AdamWConfig::default()).unwrap();
        let error = optimizer.update(&mut adapter, &Gradients::new(), 1.0, 0.1).unwrap_err().to_string();
        assert!(error.contains("layers.3.mlp.up_proj"), "{error}");
    }
}
