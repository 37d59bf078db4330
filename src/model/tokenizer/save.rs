//! A tokenizer as the files of a Hugging Face folder.

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use tokenizers::processors::template::TemplateProcessing;

use super::TextCodec;

impl TextCodec {
    /// Id of a special token by its name: `bos_token`, `eos_token`, `pad_token`, ...
    pub fn special_id(&self, name: &str) -> Option<u32> {
        let (_, text) = self.specials.iter().find(|(key, _)| key == name)?;
        self.tokenizer.token_to_id(text)
    }

    /// `tokenizer.json` and `tokenizer_config.json`, with the chat template and the token that texts begin with.
    pub fn to_files(&self) -> Result<[(&'static str, Vec<u8>); 2]> {
        let mut tokenizer = self.tokenizer.clone();
        let beginning = self.beginning.iter().map(|id| Some((self.tokenizer.id_to_token(*id)?, *id)));
        let beginning: Vec<(String, u32)> = beginning.collect::<Option<_>>().context("the token that texts begin with has no text")?;
        if !beginning.is_empty() {
            let marks = |sequence: &str| -> Vec<String> {
                let mut pieces: Vec<String> = beginning.iter().map(|(text, _)| format!("{text}:0")).collect();
                pieces.push(format!("${sequence}:0"));
                pieces
            };
            let processor = TemplateProcessing::builder()
                .try_single(marks("A"))
                .map_err(|e| anyhow!("{e}"))?
                .try_pair([marks("A"), marks("B")].concat())
                .map_err(|e| anyhow!("{e}"))?
                .special_tokens(beginning)
                .build()?;
            tokenizer.with_post_processor(Some(processor));
        }
        let mut config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": false,
            "chat_template": self.template,
        });
        for (name, text) in &self.specials {
            config[name] = Value::String(text.clone());
        }
        let text = tokenizer.to_string(true).map_err(|e| anyhow!("failed to write the tokenizer down: {e}"))?;
        Ok([
            ("tokenizer.json", text.into_bytes()),
            ("tokenizer_config.json", format!("{}\n", serde_json::to_string_pretty(&config)?).into_bytes()),
        ])
    }
}
