//! Keys of the small files beside a tokenizer: `generation_config.json`, `special_tokens_map.json`, and the entries of a
//! list of chat templates.

use crate::keys::Rule::{self, Harmless, Refused, Used};
use crate::keys::Table;

const GREEDY: Rule = Harmless("a setting of sampling or searching; every model here answers greedily");
const RUNTIME: Rule = Harmless("how transformers runs a model, not what it computes");
const ENCODERS: Rule = Harmless("read by encoder-decoders alone");
const BUDGET: Rule = Harmless("suites say how long answers may be");
const WORDS: Rule = Harmless("who wrote the file");
const OTHER_MODEL: Rule = Harmless("speculation with a second model, which does not change greedy answers");
const MEDIA: Rule = Harmless("names a token for other than text");

/// transformers' `GenerationConfig`.
pub(super) const GENERATION: Table = Table {
    what: "the model's generation settings",
    remedy: "remove it if answers do not depend on it",
    rules: &[
        ("eos_token_id", Used),
        ("stop_strings", Refused("answers end at tokens: name those in eos_token_id and remove the key")),
        ("guidance_scale", Refused("answers would come from two passes of the model; remove the key to ask it alone")),
        ("watermarking_config", Refused("answers are not watermarked; remove the key")),
        ("bos_token_id", Harmless("read with the tokenizer")),
        ("pad_token_id", Harmless("nothing is padded")),
        ("decoder_start_token_id", ENCODERS),
        ("forced_bos_token_id", ENCODERS),
        ("forced_decoder_ids", ENCODERS),
        ("encoder_no_repeat_ngram_size", ENCODERS),
        ("encoder_repetition_penalty", ENCODERS),
        ("max_length", BUDGET),
        ("max_new_tokens", BUDGET),
        ("max_time", BUDGET),
        ("max_window_size", BUDGET),
        ("min_length", GREEDY),
        ("min_new_tokens", GREEDY),
        ("forced_eos_token_id", GREEDY),
        ("early_stopping", GREEDY),
        ("do_sample", GREEDY),
        ("num_beams", GREEDY),
        ("num_beam_groups", GREEDY),
        ("num_return_sequences", GREEDY),
        ("penalty_alpha", GREEDY),
        ("dola_layers", GREEDY),
        ("temperature", GREEDY),
        ("top_k", GREEDY),
        ("top_p", GREEDY),
        ("min_p", GREEDY),
        ("top_h", GREEDY),
        ("typical_p", GREEDY),
        ("epsilon_cutoff", GREEDY),
        ("eta_cutoff", GREEDY),
        ("diversity_penalty", GREEDY),
        ("repetition_penalty", GREEDY),
        ("presence_penalty", GREEDY),
        ("frequency_penalty", GREEDY),
        ("length_penalty", GREEDY),
        ("no_repeat_ngram_size", GREEDY),
        ("bad_words_ids", GREEDY),
        ("force_words_ids", GREEDY),
        ("constraints", GREEDY),
        ("renormalize_logits", GREEDY),
        ("remove_invalid_values", GREEDY),
        ("exponential_decay_length_penalty", GREEDY),
        ("suppress_tokens", GREEDY),
        ("begin_suppress_tokens", GREEDY),
        ("sequence_bias", GREEDY),
        ("token_healing", GREEDY),
        ("low_memory", RUNTIME),
        ("use_cache", RUNTIME),
        ("cache_implementation", RUNTIME),
        ("cache_config", RUNTIME),
        ("return_legacy_cache", RUNTIME),
        ("prefill_chunk_size", RUNTIME),
        ("compile_config", RUNTIME),
        ("disable_compile", RUNTIME),
        ("continuous_batching_config", RUNTIME),
        ("output_attentions", RUNTIME),
        ("output_hidden_states", RUNTIME),
        ("output_scores", RUNTIME),
        ("output_logits", RUNTIME),
        ("return_dict_in_generate", RUNTIME),
        ("use_model_defaults", RUNTIME),
        ("trust_remote_code", Harmless("no code of a model is run")),
        ("is_assistant", OTHER_MODEL),
        ("num_assistant_tokens", OTHER_MODEL),
        ("num_assistant_tokens_schedule", OTHER_MODEL),
        ("assistant_confidence_threshold", OTHER_MODEL),
        ("assistant_early_exit", OTHER_MODEL),
        ("assistant_lookbehind", OTHER_MODEL),
        ("target_lookbehind", OTHER_MODEL),
        ("prompt_lookup_num_tokens", OTHER_MODEL),
        ("max_matching_ngram_size", OTHER_MODEL),
        ("chat_format", Harmless("of Python code that Ballast does not run; the chat template says it")),
        ("user_token_id", Harmless("the chat template writes it")),
        ("assistant_token_id", Harmless("the chat template writes it")),
        ("_from_model_config", WORDS),
        ("transformers_version", WORDS),
    ],
};

/// What older versions of transformers write beside a tokenizer.
pub(super) const SPECIAL_TOKENS: Table = Table {
    what: "the map of special tokens",
    remedy: "remove it if prompts do not depend on it",
    rules: &[
        ("bos_token", Used),
        ("eos_token", Used),
        ("unk_token", Used),
        ("sep_token", Used),
        ("pad_token", Used),
        ("cls_token", Used),
        ("mask_token", Used),
        ("additional_special_tokens", Harmless("tokenizer.json has them")),
        ("extra_special_tokens", Harmless("tokenizer.json has them")),
        ("image_token", MEDIA),
        ("video_token", MEDIA),
        ("audio_token", MEDIA),
        ("boi_token", MEDIA),
        ("eoi_token", MEDIA),
        ("boa_token", MEDIA),
        ("eoa_token", MEDIA),
        ("vision_bos_token", MEDIA),
        ("vision_eos_token", MEDIA),
    ],
};

/// One of several chat templates.
pub(super) const TEMPLATE: Table = Table {
    what: "a chat template of the list",
    remedy: "an entry has a name and a template",
    rules: &[("name", Used), ("template", Used)],
};
