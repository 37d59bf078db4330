//! Gemma 3 270M from its GGUF file against the published tokenizer and transformers, where BALLAST_GEMMA3 names the file
//! (`ballast fetch gemma-3-270m` prints where it is). Expected numbers by `tests/golden/gemma3-270m/make.py`.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::PathBuf;

use ballast::eval::generate::{Answering, Prompt};
use ballast::model::adapter_set::AdapterSet;
use ballast::model::base::BaseModel;

use ballast::model::device::DeviceChoice;
use ballast::model::fetch::ModelFiles;
use ballast::model::packed::Packed;
use serde_json::Value;

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| u32::try_from(id.as_u64().unwrap()).unwrap()).collect()
}

#[test]
fn gemma3_from_gguf_is_what_the_published_tokenizer_and_transformers_say() {
    let Some(path) = std::env::var_os("BALLAST_GEMMA3").map(PathBuf::from) else { return };
    let golden: Value = serde_json::from_str(include_str!("golden/gemma3-270m/golden.json")).unwrap();
    let base = BaseModel::load("gemma-3-270m", &ModelFiles::Gguf(path), DeviceChoice::Cpu).unwrap();
    let texts = golden["texts"].as_array().unwrap();
    assert_eq!(texts.len(), 200);
    let wrong: Vec<String> = texts
        .iter()
        .filter_map(|pair| {
            let (text, expected) = (pair[0].as_str().unwrap(), ids(&pair[1]));
            let ours = base.codec.encode(text).unwrap();
            (ours != expected).then(|| format!("{text:?}:\n ours      {ours:?}\n published {expected:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));

    let logits = |ids: &[u32]| {
        let mut batch = Packed::default();
        batch.push(ids, 0, None);
        let hidden = base.decoder.hidden_at(&batch, &batch.last_tokens(), &AdapterSet::base(), None).unwrap();
        base.decoder.logits(&hidden).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    let near = |what: &str, ours: f32, theirs: &Value| {
        let theirs = theirs.as_f64().unwrap();
        assert!((f64::from(ours) - theirs).abs() < 2e-3, "{what}: {ours}, transformers {theirs}");
    };
    let prompts = golden["prompts"].as_array().unwrap();
    for prompt in prompts {
        let ours = logits(&ids(&prompt["ids"]));
        for (i, theirs) in prompt["every_4096th"].as_array().unwrap().iter().enumerate() {
            near("a logit", ours[4096 * i], theirs);
        }
        for pair in prompt["largest"].as_array().unwrap() {
            near("a large logit", ours[usize::try_from(pair[0].as_u64().unwrap()).unwrap()], &pair[1]);
        }
    }
    // Beyond the window of sliding layers.
    let ours = logits(&ids(&golden["far"]["ids"]));
    for pair in golden["far"]["largest"].as_array().unwrap() {
        near("a logit far in", ours[usize::try_from(pair[0].as_u64().unwrap()).unwrap()], &pair[1]);
    }

    let asked: Vec<Prompt> = prompts.iter().map(|prompt| Prompt { ids: ids(&prompt["ids"]), max_new_tokens: 24, adapter: None }).collect();
    let end = base.codec.encode("<eos>").unwrap();
    let mut answers = vec![Vec::new(); asked.len()];
    let adapter_set = AdapterSet::base();
    let keep = &mut |i: usize, answer: ballast::eval::generate::Generated| {
        answers[i] = answer.ids;
        Ok(())
    };
    Answering::new(&base.decoder, &adapter_set).generate(&asked, &end, keep).unwrap();
    for (prompt, answer) in prompts.iter().zip(answers) {
        assert_eq!(answer, ids(&prompt["answer"]), "{}", base.codec.decode_all(&ids(&prompt["ids"])).unwrap());
    }
}
