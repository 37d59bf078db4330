//! Every kernel alone against its host twin: random numbers at the model's own widths, in rows of different length through
//! two adapters of different rank and through none.
//!
//! Both sides are given the same numbers, rounded to the device's type. What is compared is the largest difference over the
//! largest value. (The kernels of a paged cache are compared by the greedy answers, and by tests/cuda/attention.py.)

mod lowrank;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use candle_core::{D, DType, Device, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::model::decoder::Decoder;
use crate::model::lora::Gradients;
use crate::model::lora::{Adapter, LoraConfig};
use crate::model::ops::attention::{self, Heads, Segment};
use crate::model::ops::cuda;
use crate::model::ops::cuda::upload::Upload;
use crate::model::ops::linear::LowRankGradient;
use crate::model::ops::rope::{RopeTable, Turn};
use crate::model::ops::{cross_entropy, rms_norm, swiglu};
use crate::model::site::Module;
use crate::train::optim::{AdamW, AdamWConfig};

/// A kernel and how far it is from its twin.
pub(super) struct Checked {
    pub(super) kernel: String,
    pub(super) error: f64,
}

/// Lengths of the rows: whole tiles of the kernels and parts of them.
const ROWS: [usize; 4] = [37, 5, 130, 16];
/// Adapters of the rows, in the order that gradients need.
const THROUGH: [Option<usize>; 4] = [Some(0), Some(0), Some(1), None];
const EPS: f64 = 1e-6;

/// The same numbers on either side.
struct Both {
    host: Tensor,
    device: Tensor,
}

struct Kernels<'a> {
    decoder: &'a Decoder,
    random: ChaCha8Rng,
    rows: Vec<Segment>,
    tokens: usize,
    found: Vec<Checked>,
}

/// All kernels, in the type of the decoder's weights.
pub(super) fn check(decoder: &Decoder) -> Result<Vec<Checked>> {
    let mut start = 0;
    let rows: Vec<Segment> = ROWS
        .map(|len| {
            start += len;
            Segment { start: start - len, len }
        })
        .into();
    let mut kernels = Kernels { decoder, random: ChaCha8Rng::seed_from_u64(5), rows, tokens: start, found: Vec::new() };
    kernels.norms()?;
    kernels.heads()?;
    kernels.attention()?;
    kernels.swiglu()?;
    kernels.low_rank()?;
    kernels.head()?;
    kernels.optimizer()?;
    Ok(kernels.found)
}

impl Kernels<'_> {
    fn device(&self) -> &Device {
        self.decoder.device()
    }

    fn heads_of(&self) -> Heads {
        let spec = &self.decoder.spec;
        Heads::new(spec.heads, spec.kv_heads, spec.head_dim)
    }

    /// Uniform in (-size, size).
    fn draw(&mut self, shape: impl Into<candle_core::Shape>, size: f32) -> Result<Tensor> {
        let shape = shape.into();
        let values: Vec<f32> =
            (0..shape.elem_count()).map(|_| (self.random.next_u32() as f32 / u32::MAX as f32 * 2.0 - 1.0) * size).collect();
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }

    fn both(&mut self, shape: impl Into<candle_core::Shape>, size: f32) -> Result<Both> {
        let rounded = self.draw(shape, size)?.to_dtype(self.decoder.dtype())?;
        Ok(Both { host: rounded.to_dtype(DType::F32)?, device: rounded.to_device(self.device())? })
    }

    fn zeros(&self, rows: usize, width: usize) -> Result<Tensor> {
        Ok(Tensor::zeros((rows, width), self.decoder.dtype(), self.device())?)
    }

    fn compare(&mut self, kernel: impl Into<String>, found: &Tensor, expected: &Tensor) -> Result<()> {
        let found = found.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
        let largest = |x: &Tensor| -> Result<f64> { Ok(f64::from(x.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?)) };
        let difference = (&found - expected)?;
        // A maximum does not see a NaN; a sum does.
        let finite = difference.sum_all()?.to_scalar::<f32>()?.is_finite();
        let error = if finite { largest(&difference)? / largest(expected)?.max(f64::MIN_POSITIVE) } else { f64::INFINITY };
        self.found.push(Checked { kernel: kernel.into(), error });
        Ok(())
    }

    fn norms(&mut self) -> Result<()> {
        let (tokens, width) = (self.tokens, self.decoder.spec.hidden);
        let (x, added) = (self.both((tokens, width), 2.0)?, self.both((tokens, width), 2.0)?);
        let (weight, d_y) = (self.both(width, 1.5)?, self.both((tokens, width), 1.0)?);
        let normed = cuda::norm::rms_norm(&x.device, &weight.device, EPS)?;
        self.compare("rms_norm", &normed, &rms_norm::rms_norm(&x.host, &weight.host, EPS)?)?;
        let (sum, normed) = cuda::norm::add_rms_norm(&x.device, &added.device, &weight.device, EPS)?;
        let expected = (&x.host + &added.host)?;
        self.compare("add_rms_norm, the sum", &sum, &expected)?;
        self.compare("add_rms_norm, its norm", &normed, &rms_norm::rms_norm(&expected, &weight.host, EPS)?)?;
        let d_x = cuda::norm::rms_norm_backward(&x.device, &weight.device, &d_y.device, Some(&added.device), EPS)?;
        let expected = (rms_norm::rms_norm_backward(&x.host, &weight.host, EPS, &d_y.host)? + &added.host)?;
        self.compare("rms_norm_backward", &d_x, &expected)
    }

    fn heads(&mut self) -> Result<()> {
        let rope = &self.decoder.spec.ropes[0];
        if rope.interleaved || rope.turning(self.decoder.spec.head_dim) < self.decoder.spec.head_dim {
            // The kernel turns whole heads by halves; such a model runs operation by operation.
            return Ok(());
        }
        let (tokens, heads) = (self.tokens, self.heads_of());
        let (turned, keys) = ((heads.queries + heads.keys) * heads.size, heads.keys * heads.size);
        let (qkv, bias) = (self.both((tokens, turned + keys), 1.0)?, self.both(turned + keys, 0.5)?);
        let positions: Vec<u32> = self.rows.iter().flat_map(|row| 0..row.len as u32).collect();
        let spec = &self.decoder.spec;
        let (rope, on_host) = (RopeTable::new(spec, 256, self.device())?, RopeTable::new(spec, 256, &Device::Cpu)?);
        let mut upload = Upload::default();
        let at = upload.add(positions.iter().copied());
        // Every token's slot in the pages: its own index, backwards.
        let slots = upload.add((0..tokens as u32).rev());
        let uploaded = upload.send(self.device())?;
        let (in_keys, in_values) = (self.zeros(tokens, keys)?, self.zeros(tokens, keys)?);
        let pages = cuda::heads::Pages { keys: &in_keys, values: &in_values, slots: uploaded.at(slots) };
        cuda::heads::finish(&qkv.device, Some(&bias.device), &rope, uploaded.at(at), heads, Turn::Forward, Some(&pages))?;
        let biased = qkv.host.broadcast_add(&bias.host)?;
        let part = |x: &Tensor, start: usize, width: usize| -> Result<Tensor> { Ok(x.narrow(1, start, width)?.contiguous()?) };
        let expected = on_host.rotate(&part(&biased, 0, turned)?, &positions, Turn::Forward)?;
        let values = part(&biased, turned, keys)?;
        self.compare("finish_heads", &qkv.device, &Tensor::cat(&[&expected, &values], 1)?)?;
        let backwards = Tensor::from_iter((0..tokens as u32).rev(), &Device::Cpu)?;
        let expected_keys = part(&expected, heads.queries * heads.size, keys)?.index_select(&backwards, 0)?;
        self.compare("finish_heads, keys in pages", &in_keys, &expected_keys)?;
        self.compare("finish_heads, values in pages", &in_values, &values.index_select(&backwards, 0)?)?;
        let d = self.both((tokens, turned + keys), 1.0)?;
        cuda::heads::finish(&d.device, None, &rope, uploaded.at(at), heads, Turn::Backward, None)?;
        let turned_back = on_host.rotate(&part(&d.host, 0, turned)?, &positions, Turn::Backward)?;
        self.compare("finish_heads, backward", &d.device, &Tensor::cat(&[&turned_back, &part(&d.host, turned, keys)?], 1)?)
    }

    fn attention(&mut self) -> Result<()> {
        let (tokens, heads) = (self.tokens, self.heads_of());
        let (queries, keys) = (heads.queries * heads.size, heads.keys * heads.size);
        let (qkv, d_out) = (self.both((tokens, queries + 2 * keys), 1.0)?, self.both((tokens, queries), 1.0)?);
        let mut upload = Upload::default();
        let rows = cuda::attention::Rows::new(&self.rows, &[], &mut upload);
        let uploaded = upload.send(self.device())?;
        let found = cuda::attention::forward(&qkv.device, heads, &rows, &uploaded)?;
        let d_qkv = cuda::attention::backward(&qkv.device, &found, &d_out.device, heads, &rows, &uploaded)?;
        let part = |start: usize, width: usize| -> Result<Tensor> { Ok(qkv.host.narrow(1, start, width)?.contiguous()?) };
        let (q, k, v) = (part(0, queries)?, part(queries, keys)?, part(queries + keys, keys)?);
        let expected = attention::attention(&q, &k, &v, heads, &self.rows)?;
        let (d_q, d_k, d_v) = attention::attention_backward(&q, &k, &v, &expected, &d_out.host, heads, &self.rows)?;
        self.compare("attention_forward", &found.out, &expected.out)?;
        self.compare("attention_forward, log-sum-exp", &found.log_sum_exp, &expected.log_sum_exp)?;
        self.compare("attention_backward", &d_qkv, &Tensor::cat(&[&d_q, &d_k, &d_v], D::Minus1)?)
    }

    fn swiglu(&mut self) -> Result<()> {
        let (tokens, width) = (self.tokens, self.decoder.spec.intermediate);
        let (both, d_y) = (self.both((tokens, 2 * width), 3.0)?, self.both((tokens, width), 1.0)?);
        let (gate, up) = (both.host.narrow(1, 0, width)?.contiguous()?, both.host.narrow(1, width, width)?.contiguous()?);
        let expected = swiglu::swiglu(&gate, &up)?;
        self.compare("swiglu", &cuda::swiglu::swiglu(&both.device, None)?, &expected)?;
        let again = cuda::swiglu::swiglu_backward(&both.device, None, &d_y.device)?;
        let (d_gate, d_up) = swiglu::swiglu_backward(&gate, &up, &d_y.host)?;
        self.compare("swiglu_backward, the result again", &again, &expected)?;
        self.compare("swiglu_backward", &both.device, &Tensor::cat(&[&d_gate, &d_up], 1)?)
    }

    fn head(&mut self) -> Result<()> {
        let (positions, vocabulary) = (5, self.decoder.spec.vocabulary);
        let logits = self.both((positions, vocabulary), 8.0)?;
        let best: Vec<u32> = logits.host.argmax(D::Minus1)?.to_vec1()?;
        // A hit, a miss, and the ends of the vocabulary.
        let targets = [best[0], 3, 0, vocabulary as u32 - 1, best[4]];
        let scales = [1.0, 0.5, 0.25, 2.0, 1.0];
        let floats = |values: &[f32]| Tensor::new(values, &Device::Cpu);
        let host = cross_entropy::cross_entropy(&logits.host, &targets, &scales)?;
        let found = cuda::head::log_probabilities(&logits.device, &targets)?;
        self.compare("log_probabilities", &floats(&found)?, &floats(&host.losses)?.neg()?)?;
        let found = cuda::head::most_probable(&logits.device)?.context("finite logits have a most probable token")?;
        self.compare("most_probable", &Tensor::new(found, &Device::Cpu)?, &Tensor::new(best, &Device::Cpu)?.to_dtype(DType::F32)?)?;
        let mut upload = Upload::default();
        let (at, of) = (upload.add(targets), upload.add(scales.map(|scale| (scale as f32).to_bits())));
        // Rows in another order; the one that is left out stays zero.
        let order = upload.add([4, 0, 3]);
        let uploaded = upload.send(self.device())?;
        let hidden = self.both((positions, self.decoder.spec.hidden), 1.0)?;
        let gathered = cuda::head::gather_rows(&hidden.device, uploaded.at(order), 3)?;
        let chosen = hidden.host.index_select(&Tensor::new(&[4u32, 0, 3], &Device::Cpu)?, 0)?;
        self.compare("gather_rows", &gathered, &chosen)?;
        let scattered = self.zeros(positions, self.decoder.spec.hidden)?;
        cuda::head::scatter_rows(&gathered, uploaded.at(order), &scattered)?;
        let kept = Tensor::new(&[1f32, 0.0, 0.0, 1.0, 1.0], &Device::Cpu)?.unsqueeze(1)?;
        self.compare("scatter_rows", &scattered, &hidden.host.broadcast_mul(&kept)?)?;
        let found = cuda::head::cross_entropy(&logits.device, uploaded.at(at), uploaded.at(of))?;
        self.compare("cross_entropy, losses", &found.losses, &floats(&host.losses)?)?;
        let hits: Vec<f32> = host.hits.iter().map(|hit| f32::from(u8::from(*hit))).collect();
        self.compare("cross_entropy, hits", &found.hits, &floats(&hits)?)?;
        self.compare("cross_entropy, gradient", &logits.device, &host.d_logits)
    }

    /// Two updates of an adapter, and the sums of squares that clipping asks for.
    fn optimizer(&mut self) -> Result<()> {
        let targets = vec![self.decoder.spec.held_as(Module::Q), Module::Down];
        let config = LoraConfig { rank: 4, alpha: 8.0, dropout: 0.0, targets, rslora: false };
        let mut on_host = Adapter::init(&self.decoder.spec, &config, 3, &Device::Cpu)?;
        let mut on_device = super::moved(&on_host, self.device())?;
        let constants = AdamWConfig { weight_decay: 0.1, ..AdamWConfig::default() };
        let (mut host, mut device) = (AdamW::new(&on_host, constants.clone())?, AdamW::new(&on_device, constants)?);
        for _ in 0..2 {
            let (mut gradients, mut moved): (Gradients, Gradients) = (BTreeMap::new(), BTreeMap::new());
            for (site, pair) in &on_host.pairs {
                let (a, b) = (self.draw(pair.a.shape(), 1.0)?, self.draw(pair.b.shape(), 1.0)?);
                moved.insert(*site, LowRankGradient { a: a.to_device(self.device())?, b: b.to_device(self.device())? });
                gradients.insert(*site, LowRankGradient { a, b });
            }
            host.update(&mut on_host, &gradients, 0.5, 1e-2)?;
            device.update(&mut on_device, &moved, 0.5, 1e-2)?;
        }
        let flat = |adapter: &Adapter| -> Result<Tensor> {
            let tensors = adapter.pairs.values().flat_map(|pair| [&pair.a, &pair.b]).map(Tensor::flatten_all);
            Ok(Tensor::cat(&tensors.collect::<candle_core::Result<Vec<_>>>()?, 0)?)
        };
        self.compare("adamw", &flat(&on_device)?, &flat(&on_host)?)?;
        let (found, expected) = (flat(&on_device)?, flat(&on_host)?);
        let sums = cuda::optim::square_sums(&[&found])?;
        self.compare("square_sums", &Tensor::new(sums, &Device::Cpu)?, &expected.sqr()?.sum_all()?.unsqueeze(0)?)
    }
}
