//! Tokenizers of GGUF headers against llama.cpp's own ids, where BALLAST_GGML_VOCABS names llama.cpp's `models` folder (it is in
//! llama-cpp-python's source package). Each vocabulary there has test texts (`.inp`) and the ids of the published tokenizer
//! (`.out`).
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::PathBuf;

use ballast::model::gguf::open_gguf;
use ballast::model::tokenizer::TextCodec;

#[test]
fn named_pre_tokenizers_give_the_ids_of_llama_cpp() {
    let Some(folder) = std::env::var_os("BALLAST_GGML_VOCABS").map(PathBuf::from) else { return };
    let mut wrong = Vec::new();
    for name in
        ["gpt-2", "llama-bpe", "qwen2", "starcoder", "refact", "command-r", "deepseek-llm", "deepseek-coder", "mpt", "llama-spm", "phi-3"]
    {
        let path = folder.join(format!("ggml-vocab-{name}.gguf"));
        let file = open_gguf(&path).unwrap();
        let read = |more: &str| std::fs::read_to_string(format!("{}{more}", path.display())).unwrap();
        let (texts, ids) = (read(".inp"), read(".out"));
        let texts: Vec<&str> = texts.split("\n__ggml_vocab_test__\n").collect();
        let ours = TextCodec::gguf_ids(file.header(), &texts).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        for ((text, ids), ours) in texts.iter().zip(ids.lines()).zip(ours) {
            let ids: Vec<u32> = ids.split_whitespace().map(|id| id.parse().unwrap()).collect();
            if ours != ids {
                wrong.push(format!("{name} {text:?}:\n ours      {ours:?}\n llama.cpp {ids:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}
