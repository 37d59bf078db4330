//! Where tokenizers, end tokens and special tokens are written, and how text is cut, as transformers has them.

use std::path::Path;

use ballast::model::tokenizer::TextCodec;
use serde_json::{Value, json};
use tokenizers::Tokenizer;

use super::{Case, edit, set, tiny};

/// The tokenizer's own template.
fn template(model: &Path) -> String {
    let settings: Value = serde_json::from_str(&std::fs::read_to_string(model.join("tokenizer_config.json")).unwrap()).unwrap();
    settings["chat_template"].as_str().unwrap().to_owned()
}

#[test]
fn template_and_end_token_are_found_wherever_they_are_written() {
    let case = Case::new();
    let plain = case.answers(&tiny("qwen2"));
    let own = template(&tiny("qwen2"));
    let written = |model: &Path, file: &str, value: Value| std::fs::write(model.join(file), value.to_string()).unwrap();
    type Change<'a> = &'a dyn Fn(&Path);
    let cases: [(&str, Change); 6] = [
        ("jinja", &|model| {
            written(model, "tokenizer_config.json", json!({"eos_token": "<|im_end|>"}));
            std::fs::write(model.join("chat_template.jinja"), &own).unwrap();
        }),
        ("more", &|model| {
            written(model, "tokenizer_config.json", json!({"eos_token": "<|im_end|>"}));
            std::fs::write(model.join("chat_template.jinja"), &own).unwrap();
            std::fs::create_dir(model.join("additional_chat_templates")).unwrap();
            std::fs::write(model.join("additional_chat_templates/tool_use.jinja"), "x").unwrap();
        }),
        ("object", &|model| {
            set(
                &model.join("tokenizer_config.json"),
                &json!({"eos_token": {"__type": "AddedToken", "content": "<|im_end|>", "lstrip": false}}),
            );
        }),
        ("map", &|model| {
            written(model, "tokenizer_config.json", json!({"chat_template": own}));
            written(model, "special_tokens_map.json", json!({"eos_token": "<|im_end|>"}));
        }),
        ("by-id", &|model| {
            written(model, "tokenizer_config.json", json!({"chat_template": own}));
            written(model, "generation_config.json", json!({"eos_token_id": 258}));
        }),
        ("pad", &|model| set(&model.join("tokenizer_config.json"), &json!({"pad_token": "<|im_end|>"}))),
    ];
    for (name, change) in cases {
        let model = case.model("qwen2", name);
        change(&model);
        let found = case.answers(&model);
        assert!(found.ids == plain.ids && found.from(&plain) < 1e-6, "{name}");
    }
}

#[test]
fn what_is_nowhere_is_named() {
    let case = Case::new();
    let model = case.model("qwen2", "model");
    let settings = model.join("tokenizer_config.json");
    set(&settings, &json!({"eos_token": null}));
    case.refused(&model, &["eos_token", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json"]);
    set(&settings, &json!({"eos_token": "<|im_end|>", "chat_template": null}));
    case.refused(&model, &["chat template", "tokenizer_config.json", "chat_template.jinja", "instruct model"]);
    std::fs::remove_file(&settings).unwrap();
    case.refused(&model, &["tokenizer_config.json"]);
    let model = case.model("qwen2", "other");
    std::fs::remove_file(model.join("tokenizer.json")).unwrap();
    case.refused(&model, &["tokenizer.json"]);
}

/// The tokenizer's end token, the one that its template writes after an answer, and each that the generation settings name.
#[test]
fn an_answer_ends_at_every_token_that_any_file_names() {
    let case = Case::new();
    case.free(&["Count."]);
    let model = case.model("qwen2", "model");
    let (ended, rows) = case.asked_of(&model, "free", &[]);
    assert_eq!(ended.code, 0, "{}", ended.error);
    let answer = rows[0]["answer"].as_str().unwrap().to_owned();
    let letter = answer.chars().skip(2).find(char::is_ascii_alphanumeric).unwrap();
    let codec = TextCodec::from_folder(&model).unwrap();
    let id = codec.encode(&letter.to_string()).unwrap()[0];
    std::fs::write(model.join("generation_config.json"), json!({"eos_token_id": [256, id]}).to_string()).unwrap();
    let (ended, rows) = case.asked_of(&model, "free", &[]);
    assert_eq!(ended.code, 0, "{}", ended.error);
    let stopped = rows[0]["answer"].as_str().unwrap();
    assert!(answer.starts_with(stopped) && !stopped.contains(letter), "{answer:?} {stopped:?}");

    // Each place adds its own.
    set(&model.join("tokenizer_config.json"), &json!({"eos_token": "<|endoftext|>"}));
    let letters = |text: &str| codec.encode(text).unwrap();
    let (seven, eight) = (letters("7")[0], letters("8")[0]);
    std::fs::write(model.join("generation_config.json"), json!({"eos_token_id": seven}).to_string()).unwrap();
    set(&model.join("config.json"), &json!({"eos_token_id": eight}));
    let stops = TextCodec::from_folder(&model).unwrap().stops;
    assert_eq!(stops, [seven, eight, 256, 258], "the tokenizer's is 256, the template's 258");
    // A token that no known name gives away, by the template alone.
    let model = case.model("qwen2", "turns");
    edit(&model.join("tokenizer.json"), |file| {
        let text = file.to_string().replace("<|im_end|>", "<end_of_turn>");
        *file = serde_json::from_str(&text).unwrap();
    });
    let own = template(&model).replace("<|im_end|>", "<end_of_turn>");
    set(&model.join("tokenizer_config.json"), &json!({"eos_token": "<|endoftext|>", "chat_template": own}));
    assert_eq!(TextCodec::from_folder(&model).unwrap().stops, [256, 258]);

    for (value, word) in [(json!("258"), "\"258\""), (json!(-1), "-1"), (json!([258, 1.5]), "1.5"), (json!([[258]]), "[258]")] {
        std::fs::write(model.join("generation_config.json"), json!({"eos_token_id": value}).to_string()).unwrap();
        case.refused(&model, &["generation_config.json", "eos_token_id", word, "not a token id"]);
    }
}

/// Base models of Qwen2.5: the template ends turns with another token than `eos_token`.
#[test]
fn a_base_models_answers_end_where_its_template_ends_them() {
    let case = Case::new();
    let model = case.model("qwen2", "model");
    set(&model.join("tokenizer_config.json"), &json!({"eos_token": "<|endoftext|>"}));
    let rows = case.put("rows.jsonl", "{\"query\": \"a b\", \"response\": \"c d\"}\n");
    let tiny = format!("model = \"{}\"", tiny("qwen2").display());
    let experiment = case.experiment(&rows.display().to_string(), &[]);
    let text = std::fs::read_to_string(&experiment).unwrap();
    std::fs::write(&experiment, text.replace(&tiny, &format!("model = \"{}\"", model.display()))).unwrap();
    let ended = case.run(&["data", "build", "e.toml", "--out", "built"]);
    assert_eq!(ended.code, 0, "{}", ended.error);
    let file = std::fs::read_dir(case.path("built")).unwrap().next().unwrap().unwrap().path();
    let row: Value = serde_json::from_str(std::fs::read_to_string(file).unwrap().lines().next().unwrap()).unwrap();
    assert_eq!(row["ids"].as_array().unwrap().last().unwrap(), 258);
    assert_eq!(row["labels"].as_array().unwrap().last().unwrap(), 1);
}

/// A tokenizer of the Llama 2 kind puts a space before a text. A row's ids are those of its whole text, so the answer does
/// not begin with a space that the model will never be asked to write.
#[test]
fn a_space_is_put_before_a_text_and_not_before_an_answer() {
    let case = Case::new();
    let model = case.model("qwen2", "model");
    edit(&model.join("tokenizer.json"), |file| {
        let mut vocab: Vec<String> = (33..127_u8).map(|byte| char::from(byte).to_string()).collect();
        vocab.extend(["▁", "\n", "▁N", "<unk>"].map(str::to_owned));
        vocab.extend((vocab.len()..256).map(|id| format!("<filler {id}>")));
        vocab.extend(["<|endoftext|>", "<|im_start|>", "<|im_end|>"].map(str::to_owned));
        let vocab: serde_json::Map<String, Value> = vocab.into_iter().enumerate().map(|(id, token)| (token, id.into())).collect();
        file["model"]["vocab"] = vocab.into();
        file["model"]["merges"] = json!([["▁", "N"]]);
        file["model"]["unk_token"] = "<unk>".into();
        file["normalizer"] = json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]});
        file["pre_tokenizer"] = Value::Null;
        file["post_processor"] = Value::Null;
        file["decoder"] = json!({"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]});
    });
    let rows = case.put("rows.jsonl", "{\"query\": \"Who?\", \"response\": \"Nova.\"}\n");
    let experiment = case.experiment(&rows.display().to_string(), &[]);
    let text = std::fs::read_to_string(&experiment).unwrap().replace(&tiny("qwen2").display().to_string(), &model.display().to_string());
    std::fs::write(&experiment, text).unwrap();
    let ended = case.run(&["data", "build", "e.toml", "--out", "built"]);
    assert_eq!(ended.code, 0, "{}", ended.error);
    let file = std::fs::read_dir(case.path("built")).unwrap().next().unwrap().unwrap().path();
    let row: Value = serde_json::from_str(std::fs::read_to_string(file).unwrap().lines().next().unwrap()).unwrap();
    // As transformers' apply_chat_template does: the library's own ids of the whole text.
    let tokenizer = Tokenizer::from_file(model.join("tokenizer.json")).unwrap();
    let text = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\nNova.<|im_end|>";
    let whole = tokenizer.encode(text, false).unwrap();
    assert_eq!(row["ids"], json!(whole.get_ids()));
    let first = row["labels"].as_array().unwrap().iter().position(|label| *label == 1).unwrap();
    assert_eq!(tokenizer.id_to_token(row["ids"][first].as_u64().unwrap() as u32).unwrap(), "N");
}
