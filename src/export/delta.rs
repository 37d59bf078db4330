//! One weight with an adapter's update folded in, how much rounding takes of it, and the proof that a file holds it.

use anyhow::{Result, bail, ensure};
use candle_core::{DType, Tensor};

use crate::error::Invalid;
use crate::model::lora::LoraPair;

/// `W + s B A` in f32. `weight`: [out, in], of any type.
pub fn fold(weight: &Tensor, pair: &LoraPair, scale: f64) -> Result<Tensor> {
    let update = (pair.b.matmul(&pair.a)? * scale)?;
    Ok((weight.to_dtype(DType::F32)? + update)?)
}

/// A tensor in another type. Numbers beyond that type are an error that says which type holds them.
pub fn narrow(name: &str, wide: &Tensor, dtype: DType) -> Result<Tensor> {
    let narrow = wide.to_dtype(dtype)?;
    let largest = largest(wide)?;
    ensure!(
        self::largest(&narrow)?.is_finite(),
        "tensor `{name}` has numbers up to {largest:e}, which {} does not hold: export as bf16 or f32",
        dtype.as_str()
    );
    Ok(narrow)
}

fn largest(tensor: &Tensor) -> Result<f64> {
    Ok(f64::from(tensor.to_dtype(DType::F32)?.abs()?.max_all()?.to_scalar::<f32>()?))
}

/// What the type of a file took of the folded weights.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rounding {
    /// Largest distance of a stored weight from base + adapter.
    pub largest: f64,
    /// Sum of the squares of those distances.
    error: f64,
    /// Sum of the squares of the updates.
    update: f64,
    /// Linears that were folded.
    pub linears: usize,
}

impl Rounding {
    /// Size of the rounding as a share of the size of the update (Frobenius norms). None where nothing was updated.
    pub fn share(&self) -> Option<f64> {
        (self.update > 0.0).then(|| (self.error / self.update).sqrt())
    }

    /// Adds one weight as it was read back from a file, held against base + adapter computed apart, in f64. A stored weight
    /// that is farther from it than its type's rounding allows is [`Invalid`].
    ///
    /// `stored` and `base`: [out, in]. `slack` is the largest rounding of the type.
    pub fn add(&mut self, name: &str, stored: &Tensor, base: &Tensor, pair: &LoraPair, scale: f64, slack: Slack) -> Result<()> {
        let wide = |tensor: &Tensor| tensor.to_dtype(DType::F64);
        let (base, a, b) = (wide(base)?, wide(&pair.a)?, wide(&pair.b)?);
        let update = (b.matmul(&a)? * scale)?;
        let exact = (&base + &update)?;
        let distance = (wide(stored)? - &exact)?.abs()?;
        self.largest = self.largest.max(distance.max_all()?.to_scalar::<f64>()?);
        self.error += distance.sqr()?.sum_all()?.to_scalar::<f64>()?;
        self.update += update.sqr()?.sum_all()?.to_scalar::<f64>()?;
        self.linears += 1;
        if let Slack::Type(dtype) = slack {
            // Terms of the sum in f32, each off by a little, and the rounding of what they come to.
            let terms = ((b.abs()?.matmul(&a.abs()?)? * scale.abs())? + base.abs()?)?;
            let sum = (terms * (f64::from(f32::EPSILON) * (pair.rank()? + 2) as f64))?;
            let allowed = ((exact.abs()? * half_step(dtype)?)? + sum)?;
            let allowed = (allowed + smallest(dtype))?;
            if distance.gt(&allowed)?.max_all()?.to_scalar::<u8>()? != 0 {
                bail!(Invalid(format!("`{name}` was read back and is not base + adapter: the file cannot be used")));
            }
        }
        Ok(())
    }
}

/// How far a stored weight may be from the exact one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slack {
    /// By the rounding of a floating-point type.
    Type(DType),
    /// Blocks of quantized numbers: measured, not bounded.
    Quantized,
}

/// Half a step of a type's last digit, relative to the number.
fn half_step(dtype: DType) -> Result<f64> {
    Ok(match dtype {
        DType::BF16 => 2f64.powi(-8),
        DType::F16 => 2f64.powi(-11),
        DType::F32 | DType::F64 => 2f64.powi(-24),
        other => bail!("{} is no type of weights", other.as_str()),
    })
}

/// Half of the smallest step of a type, absolute.
fn smallest(dtype: DType) -> f64 {
    if dtype == DType::F16 { 2f64.powi(-25) } else { f64::from(f32::MIN_POSITIVE) }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn example() -> (Tensor, LoraPair) {
        let numbers = |count: usize, step: f32| (0..count).map(|i| (i as f32 * step).sin()).collect::<Vec<f32>>();
        let tensor =
            |rows: usize, columns: usize, step| Tensor::from_vec(numbers(rows * columns, step), (rows, columns), &Device::Cpu).unwrap();
        (tensor(6, 5, 0.7), LoraPair { a: tensor(2, 5, 1.3), b: tensor(6, 2, 0.31) })
    }

    /// One entry by hand: 1 + 2 x (3 x 5 + 4 x 6).
    #[test]
    fn the_update_is_scale_times_b_times_a() {
        let of = |rows: usize, values: &[f32]| Tensor::from_slice(values, (rows, 2), &Device::Cpu).unwrap();
        let pair = LoraPair { a: of(2, &[5.0, 0.0, 6.0, 0.0]), b: of(1, &[3.0, 4.0]) };
        let folded = fold(&of(1, &[1.0, 7.0]), &pair, 2.0).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(folded, [[79.0, 7.0]]);
    }

    #[test]
    fn what_was_stored_is_held_against_base_and_adapter() {
        let (base, pair) = example();
        for dtype in [DType::F32, DType::BF16, DType::F16] {
            let stored = narrow("w", &fold(&base, &pair, 0.5).unwrap(), dtype).unwrap();
            let mut rounding = Rounding::default();
            rounding.add("w", &stored, &base, &pair, 0.5, Slack::Type(dtype)).unwrap();
            assert!(rounding.largest <= half_step(dtype).unwrap() * 2.5, "{dtype:?} {rounding:?}");
            assert!(rounding.share().unwrap() < 0.02);
            // Another scale, the base alone, and one number a step of the type away.
            let add = |stored: &Tensor, scale| Rounding::default().add("w", stored, &base, &pair, scale, Slack::Type(dtype)).unwrap_err();
            assert!(add(&stored, 0.51).is::<Invalid>());
            assert!(add(&base.to_dtype(dtype).unwrap(), 0.5).is::<Invalid>());
            let step = (stored.to_dtype(DType::F64).unwrap() * (1.0 + 3.0 * half_step(dtype).unwrap())).unwrap();
            let near = Rounding::default().add("w", &step, &base, &pair, 0.5, Slack::Type(dtype));
            assert!(near.is_err() || dtype == DType::F32, "{dtype:?}");
        }
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        let large = Tensor::new(&[[70_000f32]], &Device::Cpu).unwrap();
        assert!(narrow("w", &large, DType::F16).unwrap_err().to_string().contains("f16 does not hold"));
        narrow("w", &large, DType::BF16).unwrap();
    }
}
