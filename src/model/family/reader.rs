//! A configuration as keys and values: null is absent, a value of the wrong kind is an error that names its key.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

use crate::keys::Rule::{Harmless, Refused, Used};
use crate::keys::{Rule, Table};

/// One object of a configuration and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Config<'a> {
    place: &'a str,
    object: &'a Map<String, Value>,
}

const WORDS: &str = "it is for text that a pipeline writes down; the weights decide";
const ANSWERS: &str = "a setting of sampling; Ballast answers greedily and reads end tokens with the tokenizer";
const TRAINING: &str = "acts while the base itself is trained";
const LOADING: &str = "how transformers loads or runs the model, not what it computes";

/// Keys that every family has.
const COMMON: Table = Table {
    what: "the model's configuration",
    remedy: "a newer Ballast may know it; if it only describes the model, remove it",
    rules: &[
        ("model_type", Used),
        ("architectures", Used),
        ("hidden_size", Used),
        ("intermediate_size", Used),
        ("num_hidden_layers", Used),
        ("num_attention_heads", Used),
        ("num_key_value_heads", Used),
        ("head_dim", Used),
        ("vocab_size", Used),
        ("rms_norm_eps", Used),
        ("hidden_act", Used),
        ("rope_theta", Used),
        ("rope_scaling", Used),
        ("rope_parameters", Used),
        ("max_position_embeddings", Used),
        ("tie_word_embeddings", Used),
        ("is_encoder_decoder", Used),
        ("add_cross_attention", Used),
        ("pruned_heads", Used),
        ("quantization_config", Refused(QUANTIZED)),
        ("compression_config", Refused(QUANTIZED)),
        ("auto_map", Refused("the model brings code of its own, which may compute something else than the family it names")),
        ("_name_or_path", Harmless(WORDS)),
        ("name_or_path", Harmless(WORDS)),
        ("transformers_version", Harmless(WORDS)),
        ("transformers.js_config", Harmless(WORDS)),
        ("unsloth_version", Harmless(WORDS)),
        ("unsloth_fixed", Harmless(WORDS)),
        ("task_specific_params", Harmless(WORDS)),
        ("finetuning_task", Harmless(WORDS)),
        ("id2label", Harmless("labels of a classifier, which a language model has none of")),
        ("label2id", Harmless("labels of a classifier, which a language model has none of")),
        ("problem_type", Harmless("labels of a classifier, which a language model has none of")),
        ("tokenizer_class", Harmless("tokenizer.json is what is read")),
        ("model_max_length", Harmless("max_position_embeddings is what is read")),
        ("bos_token_id", Harmless("read with the tokenizer")),
        ("eos_token_id", Harmless("read with the tokenizer")),
        ("pad_token_id", Harmless("Ballast never pads")),
        ("sep_token_id", Harmless("the chat template writes what separates turns")),
        ("decoder_start_token_id", Harmless("read by encoder-decoders alone")),
        ("dtype", Harmless("each tensor says its own type")),
        ("torch_dtype", Harmless("each tensor says its own type")),
        ("use_bfloat16", Harmless("each tensor says its own type")),
        ("use_cache", Harmless(LOADING)),
        ("attn_implementation", Harmless(LOADING)),
        ("_attn_implementation", Harmless(LOADING)),
        ("_attn_implementation_autoset", Harmless(LOADING)),
        ("use_flash_attn", Harmless(LOADING)),
        ("pretraining_tp", Harmless(LOADING)),
        ("chunk_size_feed_forward", Harmless(LOADING)),
        ("torchscript", Harmless(LOADING)),
        ("tf_legacy_loss", Harmless(LOADING)),
        ("return_dict", Harmless(LOADING)),
        ("return_dict_in_generate", Harmless(LOADING)),
        ("output_attentions", Harmless(LOADING)),
        ("output_hidden_states", Harmless(LOADING)),
        ("output_scores", Harmless(LOADING)),
        ("is_decoder", Harmless("every model here is one")),
        ("cross_attention_hidden_size", Harmless("read where there is cross attention, which is refused")),
        ("tie_encoder_decoder", Harmless("read where there is an encoder, which is refused")),
        ("prefix", Harmless("the chat template writes the prompt")),
        ("initializer_range", Harmless(TRAINING)),
        ("attention_dropout", Harmless(TRAINING)),
        ("hidden_dropout", Harmless(TRAINING)),
        ("resid_pdrop", Harmless(TRAINING)),
        ("embd_pdrop", Harmless(TRAINING)),
        ("max_length", Harmless(ANSWERS)),
        ("min_length", Harmless(ANSWERS)),
        ("do_sample", Harmless(ANSWERS)),
        ("early_stopping", Harmless(ANSWERS)),
        ("num_beams", Harmless(ANSWERS)),
        ("num_beam_groups", Harmless(ANSWERS)),
        ("num_return_sequences", Harmless(ANSWERS)),
        ("diversity_penalty", Harmless(ANSWERS)),
        ("temperature", Harmless(ANSWERS)),
        ("top_k", Harmless(ANSWERS)),
        ("top_p", Harmless(ANSWERS)),
        ("typical_p", Harmless(ANSWERS)),
        ("repetition_penalty", Harmless(ANSWERS)),
        ("length_penalty", Harmless(ANSWERS)),
        ("no_repeat_ngram_size", Harmless(ANSWERS)),
        ("encoder_no_repeat_ngram_size", Harmless(ANSWERS)),
        ("bad_words_ids", Harmless(ANSWERS)),
        ("begin_suppress_tokens", Harmless(ANSWERS)),
        ("suppress_tokens", Harmless(ANSWERS)),
        ("forced_bos_token_id", Harmless(ANSWERS)),
        ("forced_eos_token_id", Harmless(ANSWERS)),
        ("remove_invalid_values", Harmless(ANSWERS)),
        ("exponential_decay_length_penalty", Harmless(ANSWERS)),
    ],
};

const QUANTIZED: &str = "the checkpoint is quantized; take the model's full-precision weights, or a GGUF file of it";

/// Whether a key describes the model in every family and changes nothing that it computes.
pub(super) fn is_harmless(key: &str) -> bool {
    matches!(COMMON.rule(key), Some(Harmless(_)))
}

impl<'a> Config<'a> {
    pub(super) fn new(place: &'a str, object: &'a Map<String, Value>) -> Self {
        Self { place, object }
    }

    /// Where the object stands, for errors.
    pub(super) fn place(&self) -> &'a str {
        self.place
    }

    /// Its keys and values.
    pub(super) fn entries(&self) -> &'a Map<String, Value> {
        self.object
    }

    /// Checks every key by the family's table, and by what all families have in common where that does not list it.
    pub(super) fn check(&self, family: &Table) -> Result<()> {
        let (own, common): (Map<_, _>, Map<_, _>) = self.object.clone().into_iter().partition(|(key, _)| family.rule(key).is_some());
        family.check(self.place, &own)?;
        COMMON.check(self.place, &common)?;
        for key in ["is_encoder_decoder", "add_cross_attention"] {
            self.must_be(key, &json!(false), "Ballast runs decoders of text alone")?;
        }
        if let Some(heads) = self.get("pruned_heads") {
            ensure!(heads == &json!({}), "{}: `pruned_heads` names heads, and Ballast keeps them all", self.place);
        }
        self.check_class()
    }

    /// What the model was saved as: a language model, or the body of one.
    fn check_class(&self) -> Result<()> {
        let Some(classes) = self.get("architectures") else { return Ok(()) };
        let names = classes.as_array().with_context(|| format!("{}: `architectures` is not a list", self.place))?;
        for name in names {
            let name = name.as_str().unwrap_or("?");
            ensure!(
                name.ends_with("ForCausalLM") || name.ends_with("ForConditionalGeneration") || name.ends_with("Model"),
                "{}: `architectures` names `{name}`, which is not a language model: Ballast trains and evaluates language models",
                self.place
            );
        }
        Ok(())
    }

    /// The value of a key, unless it is null.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    fn wrong(&self, key: &str, value: &Value, wanted: &str) -> anyhow::Error {
        let mut shown = value.to_string();
        if let Some((end, _)) = shown.char_indices().nth(60) {
            shown.truncate(end);
            shown.push_str("...");
        }
        anyhow::anyhow!("{}: `{key}` is {shown}, which is not {wanted}", self.place)
    }

    /// A whole number.
    pub(super) fn whole(&self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let whole = value.as_u64().or_else(|| value.as_f64().filter(|x| x.fract() == 0.0 && (0.0..9e15).contains(x)).map(|x| x as u64));
        whole.and_then(|x| usize::try_from(x).ok()).map(Some).ok_or_else(|| self.wrong(key, value, "a whole number"))
    }

    /// A whole number that has to be there.
    pub(super) fn size(&self, key: &str) -> Result<usize> {
        self.whole(key)?.with_context(|| format!("{} has no `{key}`", self.place))
    }

    /// A number.
    pub(super) fn real(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| self.wrong(key, value, "a number"))
    }

    /// A number that has to be there.
    pub(super) fn number(&self, key: &str) -> Result<f64> {
        self.real(key)?.with_context(|| format!("{} has no `{key}`", self.place))
    }

    /// True or false.
    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.wrong(key, value, "true or false"))
    }

    /// Text.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.wrong(key, value, "text"))
    }

    /// An object below this one, which stands at `place`.
    pub(super) fn below<'b>(&self, key: &str, place: &'b str) -> Result<Option<Config<'b>>>
    where
        'a: 'b,
    {
        let Some(value) = self.get(key) else { return Ok(None) };
        let object = value.as_object().ok_or_else(|| self.wrong(key, value, "an object"))?;
        Ok(Some(Config { place, object }))
    }

    /// Fails where a key has another value than the one that is implemented.
    pub(super) fn must_be(&self, key: &str, value: &Value, reason: &str) -> Result<()> {
        match self.get(key) {
            Some(found) if found != value => {
                bail!("{}: `{key}` is {found}, which is not supported: {reason}", self.place)
            }
            _ => Ok(()),
        }
    }
}

/// A rule for keys that are read.
pub(super) const fn used(key: &'static str) -> (&'static str, Rule) {
    (key, Used)
}
