//! The decoder against candle-transformers on the same weights, and against itself: batched, cached, composed.
#![allow(clippy::unwrap_used, clippy::float_cmp, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

mod common;

use ballast::model::adapter_set::AdapterSet;
use ballast::model::decoder::Decoder;
use ballast::model::lora::Adapter;
use ballast::model::packed::Packed;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use common::{cache, hidden, largest_difference, random_adapter, tiny};

const ROW: [u32; 9] = [257, 117, 115, 101, 114, 10, 72, 105, 258];

fn all_logits(decoder: &Decoder, rows: &[&[u32]], adapter: Option<&Adapter>) -> Tensor {
    let hidden = hidden(decoder, rows, adapter);
    decoder.logits(&hidden).unwrap()
}

fn reference_tensors(kind: &str) -> VarBuilder<'static> {
    let path = common::tiny_folder(kind).join("model.safetensors");
    let tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu)
}

/// Last-position logits of candle-transformers' qwen2.
fn reference_qwen2(ids: &[u32]) -> Vec<f32> {
    let text = std::fs::read_to_string(common::tiny_folder("qwen2").join("config.json")).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (key, default) in [("sliding_window", 4096), ("max_window_layers", 99)] {
        value[key] = default.into();
    }
    value["use_sliding_window"] = false.into();
    let config: candle_transformers::models::qwen2::Config = serde_json::from_value(value).unwrap();
    let mut model = candle_transformers::models::qwen2::ModelForCausalLM::new(&config, reference_tensors("qwen2")).unwrap();
    let input = Tensor::from_slice(ids, (1, ids.len()), &Device::Cpu).unwrap();
    model.forward(&input, 0).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Last-position logits of candle-transformers' llama.
fn reference_llama(ids: &[u32]) -> Vec<f32> {
    use candle_transformers::models::llama::{Cache, Llama, LlamaConfig};
    let text = std::fs::read_to_string(common::tiny_folder("llama").join("config.json")).unwrap();
    let config = serde_json::from_str::<LlamaConfig>(&text).unwrap().into_config(false);
    let model = Llama::load(reference_tensors("llama"), &config).unwrap();
    let mut cache = Cache::new(false, DType::F32, &config, &Device::Cpu).unwrap();
    let input = Tensor::from_slice(ids, (1, ids.len()), &Device::Cpu).unwrap();
    model.forward(&input, 0, &mut cache).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn logits_equal_candle_transformers() {
    for (kind, reference) in [("llama", reference_llama as fn(&[u32]) -> Vec<f32>), ("qwen2", reference_qwen2)] {
        let ours: Vec<Vec<f32>> = all_logits(&tiny(kind), &[&ROW], None).to_vec2().unwrap();
        for end in 1..=ROW.len() {
            let expected = reference(&ROW[..end]);
            let worst = ours[end - 1].iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
            assert!(worst < 1e-4, "{kind}, position {end}: {worst}");
            assert!(expected.iter().any(|x| x.abs() > 0.1), "the reference is not trivially zero");
        }
    }
}

#[test]
fn a_batch_equals_its_rows_one_at_a_time() {
    for kind in ["llama", "qwen2"] {
        let decoder = tiny(kind);
        let adapter = random_adapter(&decoder.spec);
        let rows: [&[u32]; 3] = [&ROW, &ROW[2..5], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]];
        let together = all_logits(&decoder, &rows, Some(&adapter));
        let alone: Vec<Tensor> = rows.iter().map(|row| all_logits(&decoder, &[row], Some(&adapter))).collect();
        let difference = largest_difference(&together, &Tensor::cat(&alone, 0).unwrap());
        assert!(difference < 1e-4, "{kind}: {difference}");
    }
}

#[test]
fn cached_steps_equal_one_pass() {
    for kind in ["llama", "qwen2"] {
        let decoder = tiny(kind);
        let adapter = random_adapter(&decoder.spec);
        let rows: [&[u32]; 2] = [&ROW, &[9, 8, 7, 6, 5, 4]];
        let adapter_set = AdapterSet::one(&decoder, Some(&adapter)).unwrap();
        let mut cache = cache(&decoder, 2);
        let prompt = Packed::from_rows(&[&rows[0][..4], &rows[1][..2]], Some(0));
        decoder.hidden(&prompt, &adapter_set, Some(&mut cache)).unwrap();
        for step in 0..4 {
            let mut next = Packed::default();
            next.push(&rows[0][4 + step..5 + step], 4 + step, Some(0));
            next.push(&rows[1][2 + step..3 + step], 2 + step, Some(0));
            let stepped = decoder.logits(&decoder.hidden(&next, &adapter_set, Some(&mut cache)).unwrap()).unwrap();
            let whole = all_logits(&decoder, &[&rows[0][..5 + step], &rows[1][..3 + step]], Some(&adapter));
            let last = Tensor::from_slice(&[4 + step as u32, 5 + step as u32 + 2 + step as u32], 2, &Device::Cpu).unwrap();
            let difference = largest_difference(&stepped, &whole.index_select(&last, 0).unwrap());
            assert!(difference < 1e-4, "{kind}, step {step}: {difference}");
        }
    }
}

#[test]
fn a_dropped_row_leaves_the_others_as_they_were() {
    let decoder = tiny("llama");
    let base = AdapterSet::base();
    let mut cache = cache(&decoder, 3);
    decoder.hidden(&Packed::from_rows(&[&ROW[..3], &ROW[..5], &ROW[..4]], None), &base, Some(&mut cache)).unwrap();
    cache.keep(&[2]);
    let mut next = Packed::default();
    next.push(&ROW[4..5], 4, None);
    let stepped = decoder.logits(&decoder.hidden(&next, &base, Some(&mut cache)).unwrap()).unwrap();
    let whole = all_logits(&decoder, &[&ROW[..5]], None);
    assert!(largest_difference(&stepped, &whole.narrow(0, 4, 1).unwrap()) < 1e-4);
}

#[test]
fn chosen_positions_equal_all_positions() {
    let decoder = tiny("qwen2");
    let batch = Packed::from_rows(&[&ROW[..], &ROW[1..]], None);
    let all = all_logits(&decoder, &[&ROW, &ROW[1..]], None);
    let chosen = decoder.logits(&decoder.hidden_at(&batch, &[3, 16], &AdapterSet::base(), None).unwrap()).unwrap();
    let expected = all.index_select(&Tensor::from_slice(&[3u32, 16], 2, &Device::Cpu).unwrap(), 0).unwrap();
    assert!(largest_difference(&chosen, &expected) < 1e-4);
}

#[test]
fn a_fresh_adapter_changes_nothing_and_a_trained_one_does() {
    let decoder = tiny("llama");
    let config = common::lora_config();
    let fresh = Adapter::init(&decoder.spec, &config, 1, &Device::Cpu).unwrap();
    let base = all_logits(&decoder, &[&ROW], None);
    assert!(largest_difference(&base, &all_logits(&decoder, &[&ROW], Some(&fresh))) < 1e-6);
    let trained = random_adapter(&decoder.spec);
    assert!(largest_difference(&base, &all_logits(&decoder, &[&ROW], Some(&trained))) > 0.01);
    assert!(largest_difference(&base, &all_logits(&decoder, &[&ROW], Some(&trained.scaled(0.0)))) < 1e-6);
}

#[test]
fn continuation_likelihoods_equal_those_of_all_logits() {
    use ballast::eval::generate::{Answering, Prompt};
    use ballast::eval::likelihood::Continuation;
    let decoder = tiny("llama");
    let pairs: [(&[u32], &[u32]); 4] = [(&ROW[..4], &ROW[4..]), (&ROW[..1], &ROW[1..3]), (&ROW[..7], &ROW[7..8]), (&ROW[..4], &ROW[4..6])];
    // The last pair goes on from the first one's prompt: one prompt, several continuations.
    let prompts: Vec<Prompt> = pairs[..3].iter().map(|(ids, _)| Prompt { ids: ids.to_vec(), max_new_tokens: 1, adapter: None }).collect();
    let asked: Vec<Continuation> =
        pairs.iter().enumerate().map(|(i, (_, ids))| Continuation { prompt: i % 3, ids: ids.to_vec() }).collect();
    let base = AdapterSet::base();
    let answering = Answering::new(&decoder, &base);
    let mut scores = Vec::new();
    let empty = [Continuation { prompt: 0, ids: Vec::new() }];
    answering
        .read(&prompts, &mut |read| {
            scores = answering.log_likelihoods(read, &asked)?;
            assert!(answering.log_likelihoods(read, &empty).is_err());
            Ok(())
        })
        .unwrap();
    let logits = all_logits(&decoder, &[&ROW], None);
    let log_p: Vec<Vec<f32>> = candle_nn::ops::log_softmax(&logits, 1).unwrap().to_vec2().unwrap();
    for ((prompt, continuation), scores) in pairs.iter().zip(&scores) {
        assert_eq!(scores.len(), continuation.len());
        for (i, (token, score)) in continuation.iter().zip(scores).enumerate() {
            let expected = log_p[prompt.len() - 1 + i][*token as usize];
            assert!((score - expected).abs() < 1e-4, "{score} and {expected}");
        }
    }
}

#[test]
fn a_merged_adapter_is_the_same_function() {
    for kind in ["llama", "qwen2"] {
        let decoder = tiny(kind);
        let adapter = random_adapter(&decoder.spec);
        let merged = decoder.merged(&adapter).unwrap();
        let difference = largest_difference(&all_logits(&merged, &[&ROW], None), &all_logits(&decoder, &[&ROW], Some(&adapter)));
        assert!(difference < 1e-4, "{kind}: {difference}");
        assert!(largest_difference(&all_logits(&merged, &[&ROW], None), &all_logits(&decoder, &[&ROW], None)) > 0.01);
        assert!(
            largest_difference(
                &all_logits(&decoder.merged(&adapter.scaled(0.0)).unwrap(), &[&ROW], None),
                &all_logits(&decoder, &[&ROW], None)
            ) < 1e-6
        );
    }
}

#[test]
fn rows_of_several_adapters_in_one_batch_equal_each_alone() {
    let decoder = tiny("qwen2");
    let (one, two) = (random_adapter(&decoder.spec), random_adapter(&decoder.spec).scaled(-2.0));
    let adapter_set = AdapterSet::new(&decoder, vec![&one, &two]).unwrap();
    let rows: [&[u32]; 4] = [&ROW[..5], &ROW[2..], &ROW[..1], &ROW[..7]];
    let through = [Some(1), None, Some(0), Some(1)];
    let mut batch = Packed::default();
    for (row, adapter) in rows.iter().zip(through) {
        batch.push(row, 0, adapter);
    }
    let together = decoder.hidden(&batch, &adapter_set, None).unwrap();
    for ((row, adapter), segment) in rows.iter().zip(through).zip(&batch.rows) {
        let adapter = adapter.map(|i| [&one, &two][i]);
        let alone = hidden(&decoder, &[row], adapter);
        let part = together.narrow(0, segment.start, segment.len).unwrap();
        assert!(largest_difference(&alone, &part) < 1e-5, "{adapter:?}");
        if let Some(adapter) = adapter {
            assert!(largest_difference(&hidden(&decoder, &[row], None), &part) > 1e-2, "{:?} acts", adapter.scale);
        }
    }
    assert!(decoder.hidden(&Packed::from_rows(&rows, Some(2)), &adapter_set, None).is_err(), "there is no third adapter");
}

#[test]
fn answers_do_not_depend_on_how_many_rows_decode_together() {
    use ballast::eval::generate::{Answering, Capacity, Prompt};
    let decoder = tiny("llama");
    let adapter = random_adapter(&decoder.spec);
    let adapter_set = AdapterSet::new(&decoder, vec![&adapter]).unwrap();
    let prompts: Vec<Prompt> = (0..9)
        .map(|i| Prompt { ids: ROW[..=(i % 5)].to_vec(), max_new_tokens: 3 + (i * 5) % 7, adapter: (i % 2 == 0).then_some(0) })
        .collect();
    let answers = |rows: usize, prefill_tokens: usize| {
        let answering = Answering { capacity: Capacity { rows, prefill_tokens }, ..Answering::new(&decoder, &adapter_set) };
        let (mut answers, mut read) = (vec![Vec::new(); prompts.len()], Vec::new());
        let mut reading = |part: &ballast::eval::generate::Read| {
            read.extend(part.prompts.clone());
            Ok(())
        };
        answering
            .read_and_answer(&prompts, &[258], &mut reading, &mut |i, generated| {
                answers[i] = generated.ids;
                Ok(())
            })
            .unwrap();
        assert_eq!(read, (0..prompts.len()).collect::<Vec<_>>(), "every prompt is read once, in order");
        answers
    };
    let all = answers(96, 2048);
    assert!(all.iter().zip(&prompts).all(|(ids, prompt)| !ids.is_empty() && ids.len() <= prompt.max_new_tokens));
    // Finished rows are replaced by waiting ones.
    assert_eq!(answers(3, 4), all);
    assert_eq!(answers(1, 1), all);
}
