//! The decoder's own backward pass against candle's autograd on a plain model of the same weights, against finite
//! differences, and against itself: fused against composed, packed against single rows, checkpointed against not.
#![allow(clippy::unwrap_used, clippy::float_cmp, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::HashMap;

use ballast::model::adapter_set::AdapterSet;
use ballast::model::decoder::{Decoder, Label, LossSum, Saving, Scales};
use ballast::model::lora::Gradients;
use ballast::model::lora::{Adapter, LoraPair};
use ballast::model::ops::attention::{Heads, Segment, attention, attention_backward};
use ballast::model::ops::cross_entropy::cross_entropy;
use ballast::model::ops::dropout::Dropout;
use ballast::model::ops::elementwise::scale_rows;
use ballast::model::ops::geglu::{geglu, geglu_backward};
use ballast::model::ops::linear::LowRankGradient;
use ballast::model::ops::rms_norm::{rms_norm, rms_norm_backward};
use ballast::model::ops::rope::{RopeTable, Turn};
use ballast::model::ops::swiglu::{swiglu, swiglu_backward};
use ballast::model::packed::Packed;
use ballast::model::site::{Module, Site};
use ballast::model::spec::Rope;
use candle_core::{D, DType, Device, Tensor, Var};
use common::{largest_difference, random_adapter, tiny};

const ROWS: [&[u32]; 3] = [&[257, 117, 115, 101, 114, 10, 72, 105, 258], &[1, 2, 3, 4, 5], &[9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 50, 60, 70]];

/// Every second token predicts its successor.
fn labels(rows: &[&[u32]]) -> Vec<(u32, u32)> {
    let mut start = 0;
    let mut labels = Vec::new();
    for row in rows {
        labels.extend((0..row.len() - 1).step_by(2).map(|i| ((start + i) as u32, row[i + 1])));
        start += row.len();
    }
    labels
}

fn gradients(
    decoder: &Decoder,
    adapter: &Adapter,
    rows: &[&[u32]],
    dropout: Option<Dropout>,
    saving: Saving,
    scale: f64,
) -> (LossSum, Gradients) {
    let batch = Packed::from_rows(rows, Some(0));
    let adapter_set = AdapterSet::new(decoder, vec![adapter]).unwrap();
    let tape = decoder.forward_training(&batch, &adapter_set, dropout, saving).unwrap();
    let labels: Vec<Label> = labels(rows).into_iter().map(Label::from).collect();
    decoder.backward(tape, &batch, &adapter_set, &labels, &[scale.into()]).unwrap().pop().unwrap()
}

fn assert_close(a: &Gradients, b: &Gradients, bound: f32) {
    assert_eq!(a.len(), b.len());
    for (site, x) in a {
        for (x, y) in [(&x.a, &b[site].a), (&x.b, &b[site].b)] {
            let size = y.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(largest_difference(x, y) <= bound * size.max(1e-3), "{site}: {} of {size}", largest_difference(x, y));
        }
    }
}

/// A and B of an adapter as variables.
fn variables(adapter: &Adapter) -> HashMap<(Site, bool), Var> {
    let of_pair = |(site, pair): (&Site, &LoraPair)| {
        [((*site, false), Var::from_tensor(&pair.a).unwrap()), ((*site, true), Var::from_tensor(&pair.b).unwrap())]
    };
    adapter.pairs.iter().flat_map(of_pair).collect()
}

/// The logits at the labels of one row: a plain llama/qwen2 forward in candle's differentiable operations, with A and B as
/// variables. A scale of 0 is the base.
fn traced_logits(
    kind: &str,
    decoder: &Decoder,
    vars: &HashMap<(Site, bool), Var>,
    scale: f64,
    row: &[u32],
    labels: &[(u32, u32)],
) -> Tensor {
    let spec = &decoder.spec;
    let w = candle_core::safetensors::load(common::tiny_folder(kind).join("model.safetensors"), &Device::Cpu).unwrap();
    let norm = |x: &Tensor, name: &str| {
        let inverse = (x.sqr().unwrap().mean_keepdim(D::Minus1).unwrap() + spec.rms_eps).unwrap().sqrt().unwrap().recip().unwrap();
        x.broadcast_mul(&inverse).unwrap().broadcast_mul(&w[name]).unwrap()
    };
    let linear = |x: &Tensor, layer: usize, module: Module| {
        let name = format!("model.layers.{layer}.{}", module.path());
        let mut y = x.matmul(&w[&format!("{name}.weight")].t().unwrap()).unwrap();
        if let Some(bias) = w.get(&format!("{name}.bias")) {
            y = y.broadcast_add(bias).unwrap();
        }
        let site = Site { layer, module };
        let reduced = x.matmul(&vars[&(site, false)].t().unwrap()).unwrap();
        (y + (reduced.matmul(&vars[&(site, true)].t().unwrap()).unwrap() * scale).unwrap()).unwrap()
    };
    let n = row.len();
    let half = spec.head_dim / 2;
    let angles: Vec<f32> = (0..n)
        .flat_map(|p| (0..half).map(move |i| (p, i)))
        .map(|(p, i)| (p as f64 * spec.ropes[0].theta.powf(-2.0 * i as f64 / spec.head_dim as f64)) as f32)
        .collect();
    let angles = Tensor::from_vec(angles, (1, n, half), &Device::Cpu).unwrap();
    let heads = |x: &Tensor, count: usize| x.reshape((n, count, spec.head_dim)).unwrap().transpose(0, 1).unwrap().contiguous().unwrap();
    let turn = |x: Tensor| {
        let (a, b) = (x.narrow(2, 0, half).unwrap(), x.narrow(2, half, half).unwrap());
        let (c, s) = (angles.cos().unwrap(), angles.sin().unwrap());
        let y0 = (a.broadcast_mul(&c).unwrap() - b.broadcast_mul(&s).unwrap()).unwrap();
        let y1 = (b.broadcast_mul(&c).unwrap() + a.broadcast_mul(&s).unwrap()).unwrap();
        Tensor::cat(&[y0, y1], 2).unwrap()
    };
    let mask: Vec<f32> = (0..n * n).map(|i| if i % n <= i / n { 0.0 } else { -1e9 }).collect();
    let mask = Tensor::from_vec(mask, (1, n, n), &Device::Cpu).unwrap();
    let group = spec.heads / spec.kv_heads;
    let repeat = |x: Tensor| {
        let x = x.unsqueeze(1).unwrap().broadcast_as((spec.kv_heads, group, n, spec.head_dim)).unwrap();
        x.contiguous().unwrap().reshape((spec.heads, n, spec.head_dim)).unwrap()
    };
    let mut x = w["model.embed_tokens.weight"].index_select(&Tensor::new(row, &Device::Cpu).unwrap(), 0).unwrap();
    for layer in 0..spec.layers {
        let h = norm(&x, &format!("model.layers.{layer}.input_layernorm.weight"));
        let q = turn(heads(&linear(&h, layer, Module::Q), spec.heads));
        let k = repeat(turn(heads(&linear(&h, layer, Module::K), spec.kv_heads)));
        let v = repeat(heads(&linear(&h, layer, Module::V), spec.kv_heads));
        let scores = (q.matmul(&k.t().unwrap()).unwrap() / (spec.head_dim as f64).sqrt()).unwrap().broadcast_add(&mask).unwrap();
        let out = candle_nn::ops::softmax(&scores, D::Minus1).unwrap().matmul(&v).unwrap();
        let out = out.transpose(0, 1).unwrap().contiguous().unwrap().reshape((n, spec.heads * spec.head_dim)).unwrap();
        x = (x + linear(&out, layer, Module::O)).unwrap();
        let h = norm(&x, &format!("model.layers.{layer}.post_attention_layernorm.weight"));
        let gated = (linear(&h, layer, Module::Gate).silu().unwrap() * linear(&h, layer, Module::Up)).unwrap();
        x = (x + linear(&gated, layer, Module::Down)).unwrap();
    }
    let head = w.get("lm_head.weight").unwrap_or(&w["model.embed_tokens.weight"]);
    let logits = norm(&x, "model.norm.weight").matmul(&head.t().unwrap()).unwrap();
    let at: Vec<u32> = labels.iter().map(|(at, _)| *at).collect();
    logits.index_select(&Tensor::new(at, &Device::Cpu).unwrap(), 0).unwrap()
}

/// Cross-entropy of each label.
fn cross_entropies(logits: &Tensor, labels: &[(u32, u32)]) -> Tensor {
    let targets: Vec<u32> = labels.iter().map(|(_, target)| *target).collect();
    let targets = Tensor::from_vec(targets, (labels.len(), 1), &Device::Cpu).unwrap();
    candle_nn::ops::log_softmax(logits, D::Minus1).unwrap().gather(&targets, 1).unwrap().squeeze(1).unwrap().neg().unwrap()
}

fn assert_autograds(kind: &str, ours: &Gradients, traced: &Tensor, vars: &HashMap<(Site, bool), Var>) {
    let expected = traced.backward().unwrap();
    for (site, gradient) in ours {
        for (b, ours) in [(false, &gradient.a), (true, &gradient.b)] {
            let reference = expected.get(&vars[&(*site, b)]).expect("autograd reaches every variable");
            let size = reference.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(size > 1e-4, "{kind} {site}: the reference gradient is {size}");
            assert!(largest_difference(ours, reference) < 2e-4 * size, "{kind} {site}: {} of {size}", largest_difference(ours, reference));
        }
    }
    assert_eq!(ours.len(), 2 * 7, "every adapted linear has a gradient");
}

#[test]
fn gradients_equal_candles_autograd() {
    for kind in ["llama", "qwen2"] {
        let decoder = tiny(kind);
        let adapter = random_adapter(&decoder.spec);
        let vars = variables(&adapter);
        let row = ROWS[0];
        let traced = traced_logits(kind, &decoder, &vars, adapter.scale, row, &labels(&[row]));
        let traced = cross_entropies(&traced, &labels(&[row])).sum_all().unwrap();
        let (loss, ours) = gradients(&decoder, &adapter, &[row], None, Saving::Activations, 1.0);
        let total = f64::from(traced.to_scalar::<f32>().unwrap());
        assert!((loss.total - total).abs() < 1e-4 * total, "{kind}: {} and {total}", loss.total);
        assert_autograds(kind, &ours, &traced, &vars);
    }
}

#[test]
fn weighted_labels_and_the_divergence_from_the_base_have_autograds_gradients() {
    for kind in ["llama", "qwen2"] {
        let decoder = tiny(kind);
        let adapter = random_adapter(&decoder.spec);
        let vars = variables(&adapter);
        // A row in front, so that positions in the base's pass are not those of the batch.
        let rows = [ROWS[2], ROWS[0]];
        let row = ROWS[0];
        let plain = labels(&[row]);
        let weights = [0.5f32, 0.0, 2.0, 1.0];
        let held = [true, false, true, true];
        let trained = [true, true, true, false];
        let start = ROWS[2].len() as u32;
        let label =
            |i: usize| Label { at: start + plain[i].0, target: plain[i].1, weight: trained[i].then_some(weights[i]), to_base: held[i] };
        let own: Vec<Label> = (0..4).map(label).collect();
        let scales = Scales { cross_entropy: 0.7, to_base: 1.3 };
        let batch = Packed::from_rows(&rows, Some(0));
        let adapter_set = AdapterSet::new(&decoder, vec![&adapter]).unwrap();
        let tape = decoder.forward_training(&batch, &adapter_set, None, Saving::Activations).unwrap();
        let (sum, ours) = decoder.backward(tape, &batch, &adapter_set, &own, &[scales]).unwrap().pop().unwrap();

        let logits = |scale: f64| traced_logits(kind, &decoder, &vars, scale, row, &plain);
        let base = candle_nn::ops::log_softmax(&logits(0.0).detach(), D::Minus1).unwrap();
        let adapted = candle_nn::ops::log_softmax(&logits(adapter.scale), D::Minus1).unwrap();
        let kl = (base.exp().unwrap() * (&base - &adapted).unwrap()).unwrap().sum(D::Minus1).unwrap();
        let factors = |of: [f32; 4]| Tensor::new(&of, &Device::Cpu).unwrap();
        let losses = cross_entropies(&logits(adapter.scale), &plain);
        let weighted = (&losses * factors([0.5, 0.0, 2.0, 0.0])).unwrap().sum_all().unwrap();
        let divergence = (kl * factors([1.0, 0.0, 1.0, 1.0])).unwrap().sum_all().unwrap();
        let traced = ((weighted * scales.cross_entropy).unwrap() + (&divergence * scales.to_base).unwrap()).unwrap();
        assert_autograds(kind, &ours, &traced, &vars);

        assert_eq!((sum.labels, sum.held), (3, 3));
        let losses = losses.to_vec1::<f32>().unwrap();
        let total: f64 = losses[..3].iter().map(|loss| f64::from(*loss)).sum();
        assert!((sum.total - total).abs() < 1e-4 * total, "each label counts once, whatever its weight: {} and {total}", sum.total);
        let divergence = f64::from(divergence.to_scalar::<f32>().unwrap());
        assert!(divergence > 1e-3 && (sum.divergence - divergence).abs() < 1e-3 * divergence, "{} and {divergence}", sum.divergence);
    }
}

#[test]
fn gradients_equal_finite_differences() {
    let decoder = tiny("qwen2");
    let adapter = random_adapter(&decoder.spec);
    let (_, ours) = gradients(&decoder, &adapter, &ROWS, None, Saving::Activations, 1.0);
    let loss_at = |site: Site, a: bool, direction: &Tensor, step: f64| {
        let mut moved = adapter.clone();
        let pair = moved.pairs.get_mut(&site).unwrap();
        let target = if a { &mut pair.a } else { &mut pair.b };
        *target = (&*target + (direction * step).unwrap()).unwrap();
        gradients(&decoder, &moved, &ROWS, None, Saving::Inputs, 1.0).0.total
    };
    for (site, gradient) in &ours {
        for (a, gradient) in [(true, &gradient.a), (false, &gradient.b)] {
            let norm = f64::from(gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap()).sqrt();
            let direction = (gradient / norm).unwrap();
            let step = 2e-3;
            let measured = (loss_at(*site, a, &direction, step) - loss_at(*site, a, &direction, -step)) / (2.0 * step);
            assert!((measured - norm).abs() < 0.02 * norm, "{site} {}: slope {measured}, gradient norm {norm}", if a { "A" } else { "B" });
        }
    }
}

#[test]
fn packed_rows_give_the_gradients_of_single_rows_with_the_same_dropout() {
    let decoder = tiny("llama");
    let adapter = random_adapter(&decoder.spec);
    let dropout = |keys: &[u64]| Some(Dropout::new(0.3, 5, keys));
    let (together_loss, together) = gradients(&decoder, &adapter, &ROWS, dropout(&[0, 1, 2]), Saving::Activations, 0.1);
    let mut sum: Option<Gradients> = None;
    let mut total = 0.0;
    for (i, row) in ROWS.iter().enumerate() {
        let (loss, one) = gradients(&decoder, &adapter, &[row], dropout(&[i as u64]), Saving::Activations, 0.1);
        total += loss.total;
        sum = Some(match sum {
            None => one,
            Some(mut sum) => {
                for (site, gradient) in &mut sum {
                    gradient.a = (&gradient.a + &one[site].a).unwrap();
                    gradient.b = (&gradient.b + &one[site].b).unwrap();
                }
                sum
            }
        });
    }
    assert!((together_loss.total - total).abs() < 1e-4 * total);
    assert_close(&together, &sum.unwrap(), 1e-4);
    let (_, without) = gradients(&decoder, &adapter, &ROWS, None, Saving::Activations, 0.1);
    let site = Site { layer: 0, module: Module::Q };
    assert!(largest_difference(&without[&site].a, &together[&site].a) > 1e-4, "dropout acts");
}

#[test]
fn checkpointing_gives_the_same_gradients() {
    let decoder = tiny("qwen2");
    let adapter = random_adapter(&decoder.spec);
    let dropout = || Some(Dropout::new(0.1, 9, &[0, 1, 2]));
    let (loss, kept) = gradients(&decoder, &adapter, &ROWS, dropout(), Saving::Activations, 1.0);
    let (again_loss, again) = gradients(&decoder, &adapter, &ROWS, dropout(), Saving::Inputs, 1.0);
    assert_eq!(loss, again_loss);
    assert_close(&kept, &again, 0.0);
}

/// Same values, not contiguous: takes the composed path.
/// What an observer is shown makes the gradient of the whole weight, of which those of the pair are: `dB = s dW A^T` and
/// `dA = s B^T dW`. The pair's are held against autograd above.
#[test]
fn observed_inputs_and_gradients_make_the_pairs_gradients() {
    for kind in ["llama", "qwen2"] {
        let decoder = tiny(kind);
        let adapter = random_adapter(&decoder.spec);
        let (_, expected) = gradients(&decoder, &adapter, &ROWS, None, Saving::Inputs, 0.1);
        let batch = Packed::from_rows(&ROWS, Some(0));
        let adapter_set = AdapterSet::new(&decoder, vec![&adapter]).unwrap();
        let labels: Vec<Label> = labels(&ROWS).into_iter().map(Label::from).collect();
        let mut made = Gradients::new();
        let mut observe = |site: Site, x: &Tensor, d_y: &Tensor| {
            let whole = d_y.t()?.matmul(x)?;
            let pair = &adapter.pairs[&site];
            let (a, b) = (pair.b.t()?.matmul(&whole)? * adapter.scale, whole.matmul(&pair.a.t()?)? * adapter.scale);
            made.insert(site, LowRankGradient { a: a?, b: b? });
            Ok(())
        };
        let (_, own) = decoder.observed_backward(&batch, &adapter_set, &labels, &[0.1.into()], &mut observe).unwrap().pop().unwrap();
        assert_close(&own, &expected, 1e-5);
        assert_close(&made, &expected, 1e-4);
    }
}

fn strided(x: &Tensor) -> Tensor {
    x.t().unwrap().contiguous().unwrap().t().unwrap()
}

fn wave(rows: usize, columns: usize, phase: f32) -> Tensor {
    let values: Vec<f32> = (0..rows * columns).map(|i| (i as f32 * 0.713 + phase).sin() * 1.5).collect();
    Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
}

#[test]
fn fused_kernels_equal_composed_operations() {
    let check = |name: &str, fused: &Tensor, composed: &Tensor| {
        let difference = largest_difference(fused, composed);
        assert!(difference < 2e-5, "{name}: {difference}");
    };
    let (x, d) = (wave(7, 96, 0.1), wave(7, 96, 0.7));
    let weight = wave(1, 96, 0.3).squeeze(0).unwrap();
    check("rms_norm", &rms_norm(&x, &weight, 1e-5).unwrap(), &rms_norm(&strided(&x), &weight, 1e-5).unwrap());
    check(
        "rms_norm_backward",
        &rms_norm_backward(&x, &weight, 1e-5, &d).unwrap(),
        &rms_norm_backward(&strided(&x), &weight, 1e-5, &d).unwrap(),
    );

    let up = wave(7, 96, 2.0);
    check("swiglu", &swiglu(&x, &up).unwrap(), &swiglu(&strided(&x), &up).unwrap());
    let (g1, u1) = swiglu_backward(&x, &up, &d).unwrap();
    let (g2, u2) = swiglu_backward(&strided(&x), &up, &d).unwrap();
    check("swiglu_backward gate", &g1, &g2);
    check("swiglu_backward up", &u1, &u2);

    check("geglu", &geglu(&x, &up).unwrap(), &geglu(&strided(&x), &up).unwrap());
    let (g1, u1) = geglu_backward(&x, &up, &d).unwrap();
    let (g2, u2) = geglu_backward(&strided(&x), &up, &d).unwrap();
    check("geglu_backward gate", &g1, &g2);
    check("geglu_backward up", &u1, &u2);
    let factors = [0.5, 1.0, 2.0, -1.0, 0.0, 3.0, 1.5];
    check("scale_rows", &scale_rows(&x, &factors).unwrap(), &scale_rows(&strided(&x), &factors).unwrap());

    for (share, interleaved) in [(0.5, false), (0.5, true), (1.0, true)] {
        let table = RopeTable::of(&Rope { share, interleaved, ..Rope::new(100.0) }, 16, 64, &Device::Cpu).unwrap();
        let positions = [0, 1, 2, 9, 33, 4, 63];
        let turned = table.rotate(&x, &positions, Turn::Forward).unwrap();
        check("rope of a part", &turned, &table.rotate(&strided(&x), &positions, Turn::Forward).unwrap());
        check("rope of a part is undone by its inverse", &table.rotate(&turned, &positions, Turn::Backward).unwrap(), &x);
    }

    let spec = tiny("llama").spec;
    let table = RopeTable::new(&spec, 64, &Device::Cpu).unwrap();
    let positions = [0, 1, 2, 9, 33, 4, 63];
    let turned = table.rotate(&x, &positions, Turn::Forward).unwrap();
    check("rope", &turned, &table.rotate(&strided(&x), &positions, Turn::Forward).unwrap());
    check("rope is undone by its inverse", &table.rotate(&turned, &positions, Turn::Backward).unwrap(), &x);

    let heads = Heads::new(6, 2, 16);
    let rows = [Segment { start: 0, len: 4 }, Segment { start: 4, len: 3 }];
    let (k, v) = (wave(7, 32, 0.5), wave(7, 32, 0.9));
    let fused = attention(&x, &k, &v, heads, &rows).unwrap();
    let composed = attention(&strided(&x), &k, &v, heads, &rows).unwrap();
    check("attention", &fused.out, &composed.out);
    check("attention log-sum-exp", &fused.log_sum_exp, &composed.log_sum_exp);
    let f = attention_backward(&x, &k, &v, &fused, &d, heads, &rows).unwrap();
    let c = attention_backward(&strided(&x), &k, &v, &composed, &d, heads, &rows).unwrap();
    check("attention_backward q", &f.0, &c.0);
    check("attention_backward k", &f.1, &c.1);
    check("attention_backward v", &f.2, &c.2);

    // Blocks of queries and single ones, with a window, a cap and a scale of their own.
    for rows in [rows, [Segment { start: 0, len: 5 }, Segment { start: 5, len: 2 }]] {
        let heads = Heads { window: Some(3), softcap: Some(0.8), scale: 0.4, ..heads };
        let fused = attention(&x, &k, &v, heads, &rows).unwrap();
        let composed = attention(&strided(&x), &k, &v, heads, &rows).unwrap();
        check("windowed attention", &fused.out, &composed.out);
        let f = attention_backward(&x, &k, &v, &fused, &d, heads, &rows).unwrap();
        let c = attention_backward(&strided(&x), &k, &v, &composed, &d, heads, &rows).unwrap();
        check("windowed attention_backward q", &f.0, &c.0);
        check("windowed attention_backward k", &f.1, &c.1);
        check("windowed attention_backward v", &f.2, &c.2);
    }

    let targets = [3, 95, 0, 17, 64, 63, 1];
    let fused = cross_entropy(&x, &targets, &[0.5; 7]).unwrap();
    let composed = cross_entropy(&strided(&x), &targets, &[0.5; 7]).unwrap();
    check("cross_entropy gradient", &fused.d_logits, &composed.d_logits);
    assert_eq!(fused.hits, composed.hits);
    for (a, b) in fused.losses.iter().zip(&composed.losses) {
        assert!((a - b).abs() < 1e-5);
    }
}

#[test]
fn a_target_outside_the_vocabulary_is_an_error() {
    let logits = Tensor::zeros((1, 5), DType::F32, &Device::Cpu).unwrap();
    let error = cross_entropy(&logits, &[5], &[1.0]).err().unwrap().to_string();
    assert!(error.contains("outside the vocabulary"), "{error}");
}
