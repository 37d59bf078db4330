//! Why a variant forgets, measured: whether what identity rows teach and what general rows teach pull the same weights apart.
//!
//! At a chosen step, rows of both kinds go through the adapter as it then is, and for every linear of the decoder
//!
//! - the gradient that its whole weight would have had, `d_y^T x`, is made for either kind: its norm, and the cosine between the two.
//!   A step that lowers the loss of identity rows raises that of general rows where the cosine is negative, to first order;
//! - the same cosine is taken of the gradients of its low-rank pair, which is what moves;
//! - the linear's inputs on either kind span a subspace: the share of it that both have in common is
//!   `|U_i^T U_g|_F^2 / k`, with `U` the k principal directions (Saha et al. 2021, gradient projection memory, who forbid updates
//!   within it). Two random subspaces of as many dimensions share `k / width`.
//!
//! Tokens that all rows begin with, such as a system prompt, say nothing of either kind and span no subspace here.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Tensor};
use nalgebra::{DMatrix, SymmetricEigen};
use serde::{Deserialize, Serialize};

use super::batch::{TrainRow, micro_batches};
use crate::error::Invalid;
use crate::model::adapter_set::AdapterSet;
use crate::model::decoder::{Decoder, Gradients, Scales};
use crate::model::lora::{Adapter, Module, Site};
use crate::model::ops::linear::LowRankGradient;

/// Principal directions of a linear's inputs.
pub const DIRECTIONS: usize = 8;
/// Tokens of each kind whose inputs span them, taken at even distances.
const TOKENS: usize = 64;

/// One linear at one step: a row of `interference.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InterferenceRow {
    /// Step of the variant; 0 is before the first.
    pub step: usize,
    /// Decoder layer, from 0.
    pub layer: usize,
    /// Linear in it.
    pub module: Module,
    /// Norm (Frobenius) of the gradient of the whole weight, of the mean cross-entropy of the identity rows' labels.
    pub identity_norm: f64,
    /// Of the general rows' labels.
    pub general_norm: f64,
    /// Cosine between these two gradients; None where one of them is zero.
    pub cosine: Option<f64>,
    /// Cosine between the gradients of the low-rank pair, A and B together; None where there is no pair or one of them is zero.
    pub pair_cosine: Option<f64>,
    /// Share of the principal directions of the linear's inputs that identity and general rows have in common; None where either
    /// kind has fewer tokens than directions.
    pub overlap: Option<f64>,
    /// That share of two random subspaces.
    pub overlap_by_chance: f64,
}

/// Measures an adapter on rows of both kinds, in one pass, linears in the order of layers.
pub fn measure(
    decoder: &Decoder,
    adapter: &Adapter,
    step: usize,
    identity: &[&TrainRow],
    general: &[&TrainRow],
) -> Result<Vec<InterferenceRow>> {
    ensure!(!identity.is_empty() && !general.is_empty(), "interference is measured on rows of both kinds");
    let kinds = [identity, general];
    let mut batches = micro_batches(&kinds, usize::MAX)?;
    let (Some(batch), true) = (batches.pop(), batches.is_empty()) else { bail!("rows of one pass were divided") };
    // The adapter twice, so that each kind has gradients and a loss of its own.
    let adapter_set = AdapterSet::new(decoder, vec![adapter, adapter])?;
    let counts = kinds.map(|rows| rows.iter().map(|row| row.encoded.labels()).sum::<usize>());
    let scales = counts.map(|labels| Scales::from(1.0 / labels as f64));
    let shared = shared_beginning(&kinds);
    let border = identity.iter().map(|row| row.encoded.ids.len()).sum();
    let spans = tokens_of(&kinds, shared);
    let mut seen: BTreeMap<Site, InterferenceRow> = BTreeMap::new();
    let mut overlap = None;
    let result = decoder.observed_backward(&batch.packed, &adapter_set, &batch.labels, &scales, &mut |site, x, d_y| {
        // The inputs of q, k and v are one tensor, as are those of gate and up.
        if !matches!((site.module, overlap), (Module::K | Module::V | Module::Up, Some(_))) {
            overlap = Some(common_directions(x, &spans)?);
        }
        let whole = WholeWeight::of(x, d_y, border)?;
        let row = InterferenceRow {
            step,
            layer: site.layer,
            module: site.module,
            identity_norm: whole.norms[0],
            general_norm: whole.norms[1],
            cosine: cosine(whole.product, whole.norms),
            pair_cosine: None,
            overlap: overlap.flatten(),
            overlap_by_chance: DIRECTIONS as f64 / x.dim(1)? as f64,
        };
        let numbers = [Some(row.identity_norm), Some(row.general_norm), row.cosine, row.overlap];
        if numbers.into_iter().flatten().any(|number| !number.is_finite()) {
            bail!(Invalid(format!("the gradient of {site} is not finite where interference is measured, step {step}")));
        }
        seen.insert(site, row);
        Ok(())
    })?;
    let [of_identity, of_general] = <[_; 2]>::try_from(result).ok().context("two kinds of rows")?.map(|(_, gradients)| gradients);
    for (site, cosine) in pair_cosines(&of_identity, &of_general)? {
        for part in site.module.parts() {
            if let Some(row) = seen.get_mut(&Site { module: *part, ..site }) {
                row.pair_cosine = cosine;
            }
        }
    }
    Ok(seen.into_values().collect())
}

/// Tokens that every row begins with.
fn shared_beginning(kinds: &[&[&TrainRow]; 2]) -> usize {
    let mut rows = kinds.iter().copied().flatten().map(|row| row.encoded.ids.as_slice());
    let first = rows.next().unwrap_or_default();
    rows.fold(first.len(), |shared, row| first.iter().zip(row).take(shared).take_while(|(a, b)| a == b).count())
}

/// Indices of the tokens whose inputs span each kind's subspace.
fn tokens_of(kinds: &[&[&TrainRow]; 2], shared: usize) -> [Vec<u32>; 2] {
    let mut start = 0;
    kinds.map(|rows| {
        let mut tokens = Vec::new();
        for row in rows {
            tokens.extend((start + shared..start + row.encoded.ids.len()).map(|token| token as u32));
            start += row.encoded.ids.len();
        }
        let all = tokens.len();
        if all > TOKENS { (0..TOKENS).map(|i| tokens[i * all / TOKENS]).collect() } else { tokens }
    })
}

/// The gradients of one whole weight.
struct WholeWeight {
    norms: [f64; 2],
    /// Their inner product.
    product: f64,
}

impl WholeWeight {
    /// From the linear's input and its output's gradient; rows before `border` are the identity's.
    fn of(x: &Tensor, d_y: &Tensor, border: usize) -> Result<Self> {
        let tokens = x.dim(0)?;
        let gradient = |start: usize, len: usize| -> Result<Tensor> {
            let part = |tensor: &Tensor| -> Result<Tensor> { Ok(tensor.narrow(0, start, len)?.to_dtype(DType::F32)?.contiguous()?) };
            Ok(part(d_y)?.t()?.matmul(&part(x)?)?)
        };
        let (identity, general) = (gradient(0, border)?, gradient(border, tokens - border)?);
        Ok(Self {
            norms: [product(&identity, &identity)?.sqrt(), product(&general, &general)?.sqrt()],
            product: product(&identity, &general)?,
        })
    }
}

/// Inner product of two gradients.
fn product(a: &Tensor, b: &Tensor) -> Result<f64> {
    Ok(f64::from((a * b)?.sum_all()?.to_scalar::<f32>()?))
}

fn cosine(product: f64, norms: [f64; 2]) -> Option<f64> {
    let scale = norms[0] * norms[1];
    (scale > 0.0).then(|| (product / scale).clamp(-1.0, 1.0))
}

/// Cosines between the gradients of each pair.
fn pair_cosines(identity: &Gradients, general: &Gradients) -> Result<Vec<(Site, Option<f64>)>> {
    let both = identity.iter().filter_map(|(site, of_identity)| Some((*site, of_identity, general.get(site)?)));
    both.map(|(site, i, g)| {
        let pair = |x: &LowRankGradient, y: &LowRankGradient| -> Result<f64> { Ok(product(&x.a, &y.a)? + product(&x.b, &y.b)?) };
        Ok((site, cosine(pair(i, g)?, [pair(i, i)?.sqrt(), pair(g, g)?.sqrt()])))
    })
    .collect()
}

/// The share of principal directions that the inputs at two lists of tokens have in common.
fn common_directions(x: &Tensor, spans: &[Vec<u32>; 2]) -> Result<Option<f64>> {
    let width = x.dim(1)?;
    if spans.iter().any(|tokens| tokens.len().min(width) < DIRECTIONS) {
        return Ok(None);
    }
    let chosen = |tokens: &Vec<u32>| -> Result<Tensor> {
        Ok(x.index_select(&Tensor::from_slice(tokens, tokens.len(), x.device())?, 0)?.to_dtype(DType::F32)?)
    };
    let [identity, general] = [chosen(&spans[0])?, chosen(&spans[1])?];
    let (Some(of_identity), Some(of_general)) = (directions(&identity)?, directions(&general)?) else { return Ok(None) };
    // U_i^T U_g, with U = x^T V / s.
    let between = of_identity.transpose() * products(&identity, &general)? * of_general;
    Ok(Some(between.norm_squared() / DIRECTIONS as f64))
}

/// Inner products of the rows of two tensors, f64.
fn products(a: &Tensor, b: &Tensor) -> Result<DMatrix<f64>> {
    let values: Vec<f32> = a.matmul(&b.t()?)?.flatten_all()?.to_vec1()?;
    Ok(DMatrix::from_row_iterator(a.dim(0)?, b.dim(0)?, values.into_iter().map(f64::from)))
}

/// Combinations of the rows [rows, k] that are their k principal directions; None where they span fewer.
fn directions(x: &Tensor) -> Result<Option<DMatrix<f64>>> {
    let SymmetricEigen { eigenvectors, eigenvalues } = SymmetricEigen::new(products(x, x)?);
    let mut order: Vec<usize> = (0..eigenvalues.len()).collect();
    order.sort_by(|a, b| eigenvalues[*b].total_cmp(&eigenvalues[*a]));
    order.truncate(DIRECTIONS);
    // Below f32's rounding of the largest there is no direction.
    let least = eigenvalues[order[0]] * f64::from(f32::EPSILON);
    if order.iter().any(|i| eigenvalues[*i] <= least) {
        return Ok(None);
    }
    let columns: Vec<_> = order.iter().map(|i| eigenvectors.column(*i) / eigenvalues[*i].sqrt()).collect();
    Ok(Some(DMatrix::from_columns(&columns)))
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn tensor(rows: &[&[f32]]) -> Tensor {
        let (height, width) = (rows.len(), rows[0].len());
        Tensor::from_vec(rows.concat(), (height, width), &Device::Cpu).unwrap()
    }

    /// Two tokens of each kind: gradients [[1, 0], [0, 2]] and [[1, 0], [0, -2]] by hand.
    #[test]
    fn gradients_of_whole_weights_are_sums_of_outer_products() {
        let x = tensor(&[&[1.0, 0.0], &[0.0, 2.0], &[1.0, 0.0], &[0.0, 1.0]]);
        let d_y = tensor(&[&[1.0, 0.0], &[0.0, 1.0], &[1.0, 0.0], &[0.0, -2.0]]);
        let whole = WholeWeight::of(&x, &d_y, 2).unwrap();
        assert!(whole.norms.iter().all(|norm| (norm - 5.0f64.sqrt()).abs() < 1e-6), "{:?}", whole.norms);
        assert!((whole.product - -3.0).abs() < 1e-6);
        assert!((cosine(whole.product, whole.norms).unwrap() - -0.6).abs() < 1e-6);
        assert_eq!(cosine(0.0, [0.0, 1.0]), None);
    }

    /// Inputs along unit vectors: eight of identity rows, and as many of general ones of which three are the same.
    #[test]
    fn directions_that_both_kinds_have_are_counted() {
        let unit = |at: usize, long: f32| (0..20).map(|i| if i == at { long } else { 0.0 }).collect::<Vec<f32>>();
        let identity: Vec<Vec<f32>> = (0..8).map(|i| unit(i, 1.0 + i as f32)).collect();
        let general: Vec<Vec<f32>> = (5..13).map(|i| unit(i, 3.0)).collect();
        let rows: Vec<&[f32]> = identity.iter().chain(&general).map(Vec::as_slice).collect();
        let spans = [(0..8).collect(), (8..16).collect()];
        let found = common_directions(&tensor(&rows), &spans).unwrap().unwrap();
        assert!((found - 3.0 / 8.0).abs() < 1e-6, "{found}");
        let same = common_directions(&tensor(&rows), &[spans[0].clone(), spans[0].clone()]).unwrap().unwrap();
        assert!((same - 1.0).abs() < 1e-6, "{same}");
        // Seven tokens span no eight directions, and eight equal ones neither.
        assert_eq!(common_directions(&tensor(&rows), &[(0..7).collect(), spans[1].clone()]).unwrap(), None);
        assert_eq!(common_directions(&tensor(&rows), &[vec![0; 8], spans[1].clone()]).unwrap(), None);
    }
}
