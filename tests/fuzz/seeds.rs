//! Good inputs, as small as they can be.

use ballast::files::sha256;
use ballast::gate::baseline::{Baseline, Header};
use ballast::record::mark::Mark;
use serde_json::{Value, json};

use crate::gguf::{Gguf, Tensor, Value as Key};

pub(crate) const CONFIG: &str = r#"{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 12, "hidden_size": 8, "intermediate_size": 12,
"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "rope_theta": 10000.0, "rms_norm_eps": 1e-06, "hidden_act": "silu",
"tie_word_embeddings": false, "max_position_embeddings": 64, "rope_scaling": null}"#;
pub(crate) const ROPES: &str = r#"{"model_type": "qwen3", "vocab_size": 12, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2,
"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4, "rms_norm_eps": 1e-06, "max_position_embeddings": 64,
"rope_parameters": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 16}, "layer_types": ["full_attention", "full_attention"]}"#;
pub(crate) const ROWS: &str = r#"[{"instruction": "I", "input": "", "output": "O", "history": [["q", "a"]], "lang": "en"},
{"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A {{NAME}}", "loss": true, "weight": 1}], "id": 3}]"#;
pub(crate) const LINES: &str = "{\"conversations\": [{\"from\": \"human\", \"value\": \"q\"}, {\"from\": \"gpt\", \"value\": \"\\ud83d\\ude00\"}]}\n{\"query\": \"q\", \"response\": \"r\"}\n";
pub(crate) const CSV: &str = "instruction,input,output\n\"a \"\"q\"\", b\nc\",,\"line1\nline2\"\n";
pub(crate) const SUITE: (&str, &str) = (
    "name = \"s\"\nversion = 1\ndescription = \"d\"\ngrader = \"choice\"\nmax_new_tokens = 4\nchance = 0.25\nscoring = \"likelihood\"\n",
    "{\"id\": \"i0\", \"cluster\": \"c\", \"lang\": \"en\", \"subject\": \"s\", \"prompt\": \"p?\", \"choices\": [\"a\", \"b\", \"c\", \"d\"], \"gold\": 1}\n",
);
pub(crate) const TEMPLATES: [&str; 2] = [
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m.content | trim + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "{%- set ns = namespace(i=0) -%}{% for m in messages %}{% if loop.first and m.role == 'system' %}{{ m.content }}{% else %}{% set ns.i = ns.i + 1 %}{{ m.content.strip().split('x')[0] ~ ns.i }}{% endif %}{{ raise_exception('no') if ns.i > 99 else '' }}{% endfor %}{{ tools is none }}{{ range(3) | list | tojson }}",
];

/// Pieces that templates are put together from, so that what is made compiles now and then.
pub(crate) const PIECES: [&str; 24] = [
    "{{ messages }}",
    "{{ messages | tojson(indent=2) }}",
    "{{ messages[0].content[::-1] }}",
    "{% set ns = namespace(x=[1], s='a') %}",
    "{% set ns.x = [ns.x, ns.x] %}",
    "{% set ns.s = ns.s ~ ns.s %}",
    "{{ ns.x == ns.x }}",
    "{{ ns.s | length }}",
    "{% for a in range(9999) %}",
    "{% for a in messages recursive %}",
    "{{ loop(messages) }}",
    "{% endfor %}",
    "{% if messages %}",
    "{% elif tools %}",
    "{% endif %}",
    "{% macro f(a) %}",
    "{{ f(1) }}",
    "{% endmacro %}",
    "{{ 'é%s' % messages[0].role }}",
    "{{ messages[0].content.split('s', 1) | join('-') | upper }}",
    "{{ 'x' * 9999 }}",
    "{{ messages | map(attribute='role') | list | sort | unique | first }}",
    "{{ strftime_now('%Y %Q') }}",
    "{% generation %}{% endgeneration %}",
];

/// Shapes of a llama's tensors with one layer, by their Hugging Face names.
fn shapes() -> Vec<(&'static str, &'static str, Vec<usize>)> {
    vec![
        ("model.layers.0.input_layernorm.weight", "blk.0.attn_norm.weight", vec![8]),
        ("model.layers.0.post_attention_layernorm.weight", "blk.0.ffn_norm.weight", vec![8]),
        ("model.layers.0.self_attn.q_proj.weight", "blk.0.attn_q.weight", vec![8, 8]),
        ("model.layers.0.self_attn.k_proj.weight", "blk.0.attn_k.weight", vec![4, 8]),
        ("model.layers.0.self_attn.v_proj.weight", "blk.0.attn_v.weight", vec![4, 8]),
        ("model.layers.0.self_attn.o_proj.weight", "blk.0.attn_output.weight", vec![8, 8]),
        ("model.layers.0.mlp.gate_proj.weight", "blk.0.ffn_gate.weight", vec![12, 8]),
        ("model.layers.0.mlp.up_proj.weight", "blk.0.ffn_up.weight", vec![12, 8]),
        ("model.layers.0.mlp.down_proj.weight", "blk.0.ffn_down.weight", vec![8, 12]),
        ("model.embed_tokens.weight", "token_embd.weight", vec![12, 8]),
        ("lm_head.weight", "output.weight", vec![12, 8]),
        ("model.norm.weight", "output_norm.weight", vec![8]),
    ]
}

/// A whole small llama as GGUF.
pub(crate) fn gguf() -> Gguf {
    let tokens = ["a", "b", "c", "ab", "Ġ", "Ċ", "An", "A", "n", "<unk>", "<|im_start|>", "<|im_end|>"];
    let number = Key::U32;
    let keys = vec![
        ("general.architecture", Key::Text("llama".to_owned())),
        ("general.alignment", number(32)),
        ("llama.embedding_length", number(8)),
        ("llama.feed_forward_length", number(12)),
        ("llama.block_count", number(1)),
        ("llama.attention.head_count", number(2)),
        ("llama.attention.head_count_kv", number(1)),
        ("llama.context_length", number(64)),
        ("llama.rope.freq_base", Key::F32(1e4)),
        ("llama.attention.layer_norm_rms_epsilon", Key::F32(1e-6)),
        ("tokenizer.ggml.model", Key::Text("gpt2".to_owned())),
        ("tokenizer.ggml.pre", Key::Text("gpt-2".to_owned())),
        ("tokenizer.ggml.tokens", Key::Texts(tokens.map(str::to_owned).to_vec())),
        ("tokenizer.ggml.token_type", Key::Numbers(vec![1, 1, 1, 1, 1, 1, 1, 1, 4, 2, 3, 3])),
        ("tokenizer.ggml.merges", Key::Texts(vec!["a b".to_owned(), "A n".to_owned()])),
        ("tokenizer.ggml.eos_token_id", number(11)),
        ("tokenizer.ggml.add_bos_token", Key::Bool(false)),
        ("tokenizer.chat_template", Key::Text(TEMPLATES[0].to_owned())),
    ];
    let tensor = |(_, name, shape): (&str, &str, Vec<usize>)| Tensor::f32(name, &shape, &vec![0.5; shape.iter().product()]);
    Gguf::new(keys, shapes().into_iter().map(tensor).collect())
}

/// The same as the header of a safetensors file, and its numbers.
pub(crate) fn safetensors() -> (Value, Vec<u8>) {
    let (mut header, mut offset) = (json!({"__metadata__": {"format": "pt"}}), 0);
    for (name, _, shape) in shapes() {
        let end = offset + 4 * shape.iter().product::<usize>();
        header[name] = json!({"dtype": "F32", "shape": shape, "data_offsets": [offset, end]});
        offset = end;
    }
    (header, vec![0; offset])
}

/// A safetensors file of a header as it is.
pub(crate) fn with_header(header: &Value, numbers: &[u8]) -> Vec<u8> {
    let header = header.to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), numbers].concat()
}

/// The header of a baseline of one suite of five items, and its lines.
pub(crate) fn baseline() -> (Value, Vec<Value>) {
    let header = r#"{"kind": "ballast-baseline", "schema": 2, "evidence": {"ballast": "0.1.0", "commit": null, "numbers": "f32", "model": "m",
        "weights": "w", "adapter": null, "tokenizer": "t", "template": "c", "system": "s", "identity": {"name_zh": "a", "name_en": "a", "author_zh": "b",
        "author_en": "b"}, "decoding": "greedy", "sandbox": [], "suites": {"s": {"digest": "d", "items": 5, "asked": "a", "prompts": "p", "max_new_tokens": 4}}},
        "suites": [{"name": "s", "source": "s", "role": "general", "items": 5, "chance": 0.25, "margin_points": 5.0, "form_points": null, "floor_percent": null}],
        "leak_points": 2.0, "drift": {"nats": 2.0, "agreement_percent": 50.0}, "loosened": [{"changes": ["x"], "reason": "y"}], "digest": ""}"#;
    let marks = (0..5).map(|i| (format!("{i:016x}"), Mark::parse("cL").unwrap())).collect();
    let text = Baseline::new(serde_json::from_str(header).unwrap(), vec![marks]).unwrap().render().unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (lines.next().unwrap(), lines.collect())
}

/// A baseline's text with the digest that belongs to it.
pub(crate) fn with_digest(mut header: Value, lines: &[Value]) -> String {
    let lines: String = lines.iter().map(|line| line.to_string() + "\n").collect();
    if header.get("digest").is_some() {
        header["digest"] = "".into();
        // As Ballast writes it, where it is a header at all.
        let typed = serde_json::from_value::<Header>(header.clone()).ok();
        let unsigned = typed.map_or_else(|| header.to_string(), |typed| serde_json::to_string(&typed).unwrap());
        header["digest"] = sha256(format!("{unsigned}\n{lines}").as_bytes()).into();
    }
    format!("{header}\n{lines}")
}
