//! How far one prediction is from another: KL(p || q) per position with its gradient with respect to q's logits.

use anyhow::{Result, ensure};
use candle_core::{D, DType, Tensor};

/// Divergences of some positions and the gradient of their scaled sum.
pub struct Divergence {
    /// KL(p || q) of each position, nats.
    pub values: Vec<f32>,
    /// Gradient of `sum(scale * KL)` with respect to q's logits, `scale * (q - p)`: [positions, vocabulary], f32.
    pub d_logits: Tensor,
}

/// `p`, `q`: logits [positions, vocabulary]; one scale per position. Computed in f32.
pub fn divergence(p: &Tensor, q: &Tensor, scales: &[f64]) -> Result<Divergence> {
    let (positions, _) = q.dims2()?;
    ensure!(p.dims() == q.dims(), "logits {:?} against {:?}", p.dims(), q.dims());
    ensure!(positions == scales.len(), "{positions} rows of logits for {} scales", scales.len());
    let (log_p, log_q) = (log_softmax(p)?, log_softmax(q)?);
    let (p, q) = (log_p.exp()?, log_q.exp()?);
    let values = (&p * (log_p - log_q)?)?.sum(D::Minus1)?.to_vec1::<f32>()?;
    let scales: Vec<f32> = scales.iter().map(|scale| *scale as f32).collect();
    let scales = Tensor::from_vec(scales, (positions, 1), q.device())?;
    Ok(Divergence { values, d_logits: (q - p)?.broadcast_mul(&scales)? })
}

/// Log-probabilities [positions, vocabulary] in f32.
pub fn log_softmax(logits: &Tensor) -> Result<Tensor> {
    let logits = logits.to_dtype(DType::F32)?;
    Ok(logits.broadcast_sub(&logits.log_sum_exp(D::Minus1)?.unsqueeze(1)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn values_are_the_formulas_and_gradients_are_autograds() {
        let p = Tensor::new(&[[0.5f32, -1.0, 2.0], [0.0, 0.0, 3.0]], &Device::Cpu).unwrap();
        let q = Var::new(&[[1.5f32, 0.0, -1.0], [0.0, 0.0, 3.0]], &Device::Cpu).unwrap();
        let found = divergence(&p, &q, &[2.0, 1.0]).unwrap();
        let softmax = |x: &[f64]| {
            let sum: f64 = x.iter().map(|x| x.exp()).sum();
            x.iter().map(|x| x.exp() / sum).collect::<Vec<_>>()
        };
        let (first_p, first_q) = (softmax(&[0.5, -1.0, 2.0]), softmax(&[1.5, 0.0, -1.0]));
        let expected: f64 = first_p.iter().zip(&first_q).map(|(p, q)| p * (p / q).ln()).sum();
        assert!((f64::from(found.values[0]) - expected).abs() < 1e-5);
        assert!(found.values[1].abs() < 1e-6);
        let scales = Tensor::new(&[2.0f32, 1.0], &Device::Cpu).unwrap();
        let log_p = log_softmax(&p).unwrap();
        let kl = (log_p.exp().unwrap() * (log_p - log_softmax(&q).unwrap()).unwrap()).unwrap().sum(1).unwrap();
        let gradients = (kl * scales).unwrap().sum_all().unwrap().backward().unwrap();
        let expected = gradients.get(&q).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let ours = found.d_logits.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(ours.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6), "{ours:?} {expected:?}");
    }
}
