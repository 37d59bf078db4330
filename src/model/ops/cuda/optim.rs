//! Kernels of `optim.cu`: all tensors of an adapter at once.

use anyhow::{Result, ensure};
use candle_core::{DType, Tensor};

use super::launch::{Call, Module, address, cuda, module, unset};
use super::upload::{Upload, Uploaded};

const OPTIM: Module = module!("optim");

/// A parameter with its gradient and moments, all f32 of one size.
pub(crate) struct Parameter<'a> {
    pub(crate) value: &'a Tensor,
    pub(crate) gradient: &'a Tensor,
    pub(crate) m: &'a Tensor,
    pub(crate) v: &'a Tensor,
}

/// Scalars of an AdamW update, in the order of the kernel.
pub(crate) struct Factors {
    pub(crate) clip: f32,
    pub(crate) keep: f32,
    pub(crate) beta1: f32,
    pub(crate) rest1: f32,
    pub(crate) beta2: f32,
    pub(crate) rest2: f32,
    pub(crate) step: f32,
    pub(crate) root: f32,
    pub(crate) epsilon: f32,
}

/// Sum of squares of each tensor.
pub(crate) fn square_sums(tensors: &[&Tensor]) -> Result<Vec<f64>> {
    let Some(first) = tensors.first() else { return Ok(Vec::new()) };
    let parameters: Vec<Parameter<'_>> = tensors.iter().map(|t| Parameter { value: t, gradient: t, m: t, v: t }).collect();
    let (uploaded, at) = upload(&parameters)?;
    let out = unset(tensors.len(), DType::F32, first.device())?;
    let call = Call::new(OPTIM, "square_sums", cuda(first.device())?)?.address(uploaded.at(at)).tensor(&out)?;
    call.launch((tensors.len(), 1, 1), 512)?;
    Ok(out.to_vec1::<f32>()?.into_iter().map(f64::from).collect())
}

/// AdamW in place, on values and moments.
pub(crate) fn adamw(parameters: &[Parameter<'_>], factors: &Factors) -> Result<()> {
    let Some(first) = parameters.first() else { return Ok(()) };
    let device = first.value.device().clone();
    let (uploaded, at) = upload(parameters)?;
    let f = factors;
    let mut call = Call::new(OPTIM, "adamw", cuda(&device)?)?.address(uploaded.at(at));
    for x in [f.clip, f.keep, f.beta1, f.rest1, f.beta2, f.rest2, f.step, f.root, f.epsilon] {
        call = call.float(x);
    }
    call.launch((16, parameters.len(), 1), 256)
}

/// Structures `Parameter` of the kernels.
fn upload(parameters: &[Parameter<'_>]) -> Result<(Uploaded, super::upload::Place)> {
    let mut words = Vec::with_capacity(parameters.len() * 5);
    for p in parameters {
        let count = p.value.elem_count();
        for tensor in [p.value, p.gradient, p.m, p.v] {
            ensure!(tensor.elem_count() == count && tensor.dtype() == DType::F32, "a parameter of {count} numbers with {tensor:?}");
            words.push(address(tensor)?);
        }
        words.push(u64::from(u32::try_from(count)?));
    }
    let mut upload = Upload::default();
    let at = upload.add_wide(words);
    Ok((upload.send(parameters[0].value.device())?, at))
}
