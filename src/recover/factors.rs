//! A low-rank product B A in f64: inner products, norms and singular values, without ever forming it.

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use nalgebra::{DMatrix, SVD};

use crate::error::Invalid;
use crate::model::lora::LoraPair;

/// Where the iteration that finds singular values stops: relative size of what is taken for zero.
const SMALLEST: f64 = 1e-15;
/// Steps of that iteration at most: it takes a few for each singular value.
const STEPS: usize = 100_000;

/// The factors of a product, any strength included.
#[derive(Debug, Clone, PartialEq)]
pub struct Factors {
    /// [rank, in]
    a: DMatrix<f64>,
    /// [out, rank]
    b: DMatrix<f64>,
}

/// The singular value decomposition of a product, as far as it is not zero by construction: `u diag(values) vt`.
#[derive(Debug, Clone, PartialEq)]
pub struct Svd {
    /// [out, k], orthonormal columns.
    u: DMatrix<f64>,
    /// k values, the largest first.
    values: Vec<f64>,
    /// [k, in], orthonormal rows.
    vt: DMatrix<f64>,
}

impl Factors {
    /// The factors of `strength` B A.
    pub fn of(pair: &LoraPair, strength: f64) -> Result<Self> {
        Ok(Self { a: matrix(&pair.a)?, b: matrix(&pair.b)? * strength })
    }

    /// The sum over all places of the product of both matrices' entries: tr((B A)^T B' A') = sum((B^T B') * (A A'^T)).
    pub fn inner(&self, other: &Self) -> f64 {
        (self.b.tr_mul(&other.b)).component_mul(&(&self.a * other.a.transpose())).sum()
    }

    /// Singular values and vectors: of B = Q_b R_b and A^T = Q_a R_a, those of the small matrix R_b R_a^T are turned back by the
    /// orthonormal Q_b and Q_a.
    pub fn svd(&self) -> Result<Svd> {
        let (a, b) = (self.a.transpose().qr(), self.b.clone().qr());
        let core = b.r() * a.r().transpose();
        if core.iter().any(|value| !value.is_finite()) {
            bail!(Invalid("the adapter's update is not finite, so it has no singular values".to_owned()));
        }
        let svd = SVD::try_new(core, true, true, SMALLEST, STEPS).context("the singular values of an update were not found")?;
        let (u, vt) = svd.u.zip(svd.v_t).context("an update has no singular vectors")?;
        Ok(Svd { u: b.q() * u, values: svd.singular_values.iter().copied().collect(), vt: vt * a.q().transpose() })
    }
}

impl Svd {
    /// The singular values, the largest first.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The best approximation of at most the given rank (Eckart and Young) as a pair, its strength shared by both factors.
    /// A rank of 0 is 1.
    pub fn pair(&self, rank: usize, device: &Device) -> Result<LoraPair> {
        let kept = rank.clamp(1, self.values.len().max(1));
        let (mut b, mut a) = (self.u.columns(0, kept).into_owned(), self.vt.rows(0, kept).into_owned());
        for (i, value) in self.values.iter().take(kept).enumerate() {
            b.column_mut(i).scale_mut(value.sqrt());
            a.row_mut(i).scale_mut(value.sqrt());
        }
        Ok(LoraPair { a: tensor(&a, device)?, b: tensor(&b, device)? })
    }
}

/// A matrix from a tensor of two dimensions.
pub(super) fn matrix(tensor: &Tensor) -> Result<DMatrix<f64>> {
    let (rows, columns) = tensor.dims2()?;
    let values = tensor.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
    Ok(DMatrix::from_row_slice(rows, columns, &values))
}

/// A tensor of f32 from a matrix.
fn tensor(matrix: &DMatrix<f64>, device: &Device) -> Result<Tensor> {
    // Columns of the transpose are rows.
    let values: Vec<f32> = matrix.transpose().iter().map(|value| *value as f32).collect();
    Ok(Tensor::from_vec(values, matrix.shape(), device)?)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::random::{stream, unit};

    /// A pair of uniform numbers in (-1, 1).
    pub(in crate::recover) fn pair(out: usize, rank: usize, input: usize, seed: u64) -> LoraPair {
        let mut random = stream(seed, 0);
        let mut draw = |rows: usize, columns: usize| {
            let values: Vec<f32> = (0..rows * columns).map(|_| (2.0 * unit(&mut random) - 1.0) as f32).collect();
            Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
        };
        LoraPair { a: draw(rank, input), b: draw(out, rank) }
    }

    pub(in crate::recover) fn dense(pair: &LoraPair, strength: f64) -> DMatrix<f64> {
        matrix(&pair.b).unwrap() * matrix(&pair.a).unwrap() * strength
    }

    fn from_rows(rows: &[&[f32]]) -> Tensor {
        Tensor::from_vec(rows.concat(), (rows.len(), rows[0].len()), &Device::Cpu).unwrap()
    }

    /// B A is [[3, 0], [0, 4], [0, 0]]: norm 5, singular values 4 and 3.
    #[test]
    fn a_product_worked_by_hand() {
        let pair = LoraPair { a: from_rows(&[&[3.0, 0.0], &[0.0, 2.0]]), b: from_rows(&[&[1.0, 0.0], &[0.0, 2.0], &[0.0, 0.0]]) };
        let factors = Factors::of(&pair, 1.0).unwrap();
        assert!((factors.inner(&factors) - 25.0).abs() < 1e-12);
        let doubled = Factors::of(&pair, 2.0).unwrap();
        assert!((factors.inner(&doubled) - 50.0).abs() < 1e-12);
        let svd = factors.svd().unwrap();
        assert!((svd.values()[0] - 4.0).abs() < 1e-12 && (svd.values()[1] - 3.0).abs() < 1e-12, "{:?}", svd.values());
        let largest = dense(&svd.pair(1, &Device::Cpu).unwrap(), 1.0);
        let expected = DMatrix::from_row_slice(3, 2, &[0.0, 0.0, 0.0, 4.0, 0.0, 0.0]);
        assert!((largest - expected).norm() < 1e-6);
    }

    /// Against the decomposition of the dense product, in every shape: wide, tall, and of more rank than a side is long.
    #[test]
    fn singular_values_and_truncations_are_those_of_the_dense_product() {
        for (case, (out, rank, input)) in [(9, 4, 7), (7, 4, 9), (12, 1, 5), (3, 6, 8), (8, 6, 3), (5, 5, 5)].into_iter().enumerate() {
            let pair = pair(out, rank, input, case as u64);
            let svd = Factors::of(&pair, 1.5).unwrap().svd().unwrap();
            let whole = dense(&pair, 1.5).svd(true, true);
            for (i, value) in svd.values().iter().enumerate() {
                assert!((value - whole.singular_values[i]).abs() < 1e-10, "case {case}: {:?}", svd.values());
            }
            for kept in 1..=rank.min(out).min(input) {
                let (u, vt) = (whole.u.as_ref().unwrap(), whole.v_t.as_ref().unwrap());
                let expected =
                    u.columns(0, kept) * DMatrix::from_diagonal(&whole.singular_values.rows(0, kept).into_owned()) * vt.rows(0, kept);
                let found = svd.pair(kept, &Device::Cpu).unwrap();
                assert_eq!((found.a.dims(), found.b.dims()), ([kept, input].as_slice(), [out, kept].as_slice()));
                assert!((dense(&found, 1.0) - expected).norm() < 1e-5, "case {case}, rank {kept}");
            }
        }
    }

    #[test]
    fn inner_products_are_those_of_the_dense_products() {
        let (left, right) = (pair(6, 2, 5, 1), pair(6, 3, 5, 2));
        let found = Factors::of(&left, 0.5).unwrap().inner(&Factors::of(&right, -2.0).unwrap());
        assert!((found - dense(&left, 0.5).dot(&dense(&right, -2.0))).abs() < 1e-10);
    }

    #[test]
    fn an_update_of_zeros_stays_one_and_what_is_not_finite_is_invalid() {
        let mut zeros = pair(4, 2, 3, 1);
        zeros.b = zeros.b.zeros_like().unwrap();
        let svd = Factors::of(&zeros, 1.0).unwrap().svd().unwrap();
        assert!(svd.values().iter().all(|value| *value == 0.0));
        assert!(dense(&svd.pair(1, &Device::Cpu).unwrap(), 1.0).norm() < f64::MIN_POSITIVE);
        let broken = Factors::of(&pair(4, 2, 3, 1), f64::INFINITY).unwrap();
        assert!(broken.svd().unwrap_err().is::<Invalid>());
    }
}
