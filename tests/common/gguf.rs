//! GGUF files written by the tests: a header of keys and tensors in the order given, as llama.cpp's writer lays it out.

/// A value of the header.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    U32(u32),
    I32(i32),
    U64(u64),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    Numbers(Vec<i32>),
    Reals(Vec<f32>),
    /// A type's number and bytes, as they are.
    Raw(u32, Vec<u8>),
}

/// A tensor, its dimensions with the fastest first.
#[derive(Debug, Clone)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) dimensions: Vec<u64>,
    /// ggml's number of the type; 0 is f32.
    pub(crate) kind: u32,
    pub(crate) bytes: Vec<u8>,
}

impl Tensor {
    /// In f32, from a shape with the slowest dimension first, as in safetensors.
    pub(crate) fn f32(name: &str, shape: &[usize], values: &[f32]) -> Self {
        let dimensions = shape.iter().rev().map(|n| *n as u64).collect();
        Self { name: name.to_owned(), dimensions, kind: 0, bytes: values.iter().flat_map(|value| value.to_le_bytes()).collect() }
    }
}

/// A file.
#[derive(Debug, Clone)]
pub(crate) struct Gguf {
    pub(crate) version: u32,
    pub(crate) keys: Vec<(String, Value)>,
    pub(crate) tensors: Vec<Tensor>,
    /// What is added to the counts of tensors and keys, and to each tensor's offset.
    pub(crate) lies: (i64, i64, i64),
}

const ALIGNMENT: usize = 32;

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.bytes());
}

fn array(bytes: &mut Vec<u8>, kind: u32, len: usize) {
    bytes.extend(9_u32.to_le_bytes());
    bytes.extend(kind.to_le_bytes());
    bytes.extend((len as u64).to_le_bytes());
}

impl Gguf {
    pub(crate) fn new(keys: Vec<(&str, Value)>, tensors: Vec<Tensor>) -> Self {
        let keys = keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Self { version: 3, keys, tensors, lies: (0, 0, 0) }
    }

    /// Replaces the value of a key, or adds the key.
    pub(crate) fn set(&mut self, key: &str, value: Value) {
        self.keys.retain(|(known, _)| known != key);
        self.keys.push((key.to_owned(), value));
    }

    /// The file's bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend((self.tensors.len() as u64).wrapping_add_signed(self.lies.0).to_le_bytes());
        bytes.extend((self.keys.len() as u64).wrapping_add_signed(self.lies.1).to_le_bytes());
        for (key, value) in &self.keys {
            text(&mut bytes, key);
            write(&mut bytes, value);
        }
        let (mut offset, mut data) = (0_u64, Vec::new());
        for tensor in &self.tensors {
            text(&mut bytes, &tensor.name);
            bytes.extend((tensor.dimensions.len() as u32).to_le_bytes());
            for n in &tensor.dimensions {
                bytes.extend(n.to_le_bytes());
            }
            bytes.extend(tensor.kind.to_le_bytes());
            bytes.extend(offset.wrapping_add_signed(self.lies.2).to_le_bytes());
            data.extend(&tensor.bytes);
            data.resize(data.len().next_multiple_of(ALIGNMENT), 0);
            offset = data.len() as u64;
        }
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        bytes.extend(data);
        bytes
    }
}

fn write(bytes: &mut Vec<u8>, value: &Value) {
    let kind = |bytes: &mut Vec<u8>, kind: u32| bytes.extend(kind.to_le_bytes());
    match value {
        Value::U32(value) => {
            kind(bytes, 4);
            bytes.extend(value.to_le_bytes());
        }
        Value::I32(value) => {
            kind(bytes, 5);
            bytes.extend(value.to_le_bytes());
        }
        Value::F32(value) => {
            kind(bytes, 6);
            bytes.extend(value.to_le_bytes());
        }
        Value::Bool(value) => {
            kind(bytes, 7);
            bytes.push(u8::from(*value));
        }
        Value::Text(value) => {
            kind(bytes, 8);
            text(bytes, value);
        }
        Value::U64(value) => {
            kind(bytes, 10);
            bytes.extend(value.to_le_bytes());
        }
        Value::Texts(values) => {
            array(bytes, 8, values.len());
            for value in values {
                text(bytes, value);
            }
        }
        Value::Numbers(values) => {
            array(bytes, 5, values.len());
            for value in values {
                bytes.extend(value.to_le_bytes());
            }
        }
        Value::Reals(values) => {
            array(bytes, 6, values.len());
            for value in values {
                bytes.extend(value.to_le_bytes());
            }
        }
        Value::Raw(number, raw) => {
            kind(bytes, *number);
            bytes.extend(raw);
        }
    }
}

/// A Hugging Face folder of the tiny llama or qwen2 as GGUF, as llama.cpp converts it.
pub(crate) fn converted(folder: &std::path::Path, pre: &str) -> Gguf {
    use candle_core::{DType, Device};
    let read = |name: &str| -> serde_json::Value { serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap() };
    let (config, tokenizer, settings) = (read("config.json"), read("tokenizer.json"), read("tokenizer_config.json"));
    let family = config["model_type"].as_str().unwrap();
    let number = |key: &str| config[key].as_u64().unwrap() as u32;
    let real = |key: &str| config[key].as_f64().unwrap() as f32;
    let head = number("hidden_size") / number("num_attention_heads");
    let mut tokens: Vec<(u64, String)> =
        tokenizer["model"]["vocab"].as_object().unwrap().iter().map(|(text, id)| (id.as_u64().unwrap(), text.clone())).collect();
    tokens.sort();
    let special: Vec<&str> = tokenizer["added_tokens"].as_array().unwrap().iter().map(|t| t["content"].as_str().unwrap()).collect();
    let types = tokens.iter().map(|(_, token)| if special.contains(&token.as_str()) { 3 } else { 1 }).collect();
    let below = |key: &str| format!("{family}.{key}");
    let keys = vec![
        ("general.architecture".to_owned(), Value::Text(family.to_owned())),
        ("general.name".to_owned(), Value::Text("tiny".to_owned())),
        (below("context_length"), Value::U32(number("max_position_embeddings"))),
        (below("embedding_length"), Value::U32(number("hidden_size"))),
        (below("block_count"), Value::U32(number("num_hidden_layers"))),
        (below("feed_forward_length"), Value::U32(number("intermediate_size"))),
        (below("attention.head_count"), Value::U32(number("num_attention_heads"))),
        (below("attention.head_count_kv"), Value::U32(number("num_key_value_heads"))),
        (below("attention.layer_norm_rms_epsilon"), Value::F32(real("rms_norm_eps"))),
        (below("rope.freq_base"), Value::F32(real("rope_theta"))),
        (below("rope.dimension_count"), Value::U32(head)),
        ("tokenizer.ggml.model".to_owned(), Value::Text("gpt2".to_owned())),
        ("tokenizer.ggml.pre".to_owned(), Value::Text(pre.to_owned())),
        ("tokenizer.ggml.tokens".to_owned(), Value::Texts(tokens.into_iter().map(|(_, token)| token).collect())),
        ("tokenizer.ggml.token_type".to_owned(), Value::Numbers(types)),
        ("tokenizer.ggml.merges".to_owned(), Value::Texts(Vec::new())),
        ("tokenizer.ggml.eos_token_id".to_owned(), Value::U32(258)),
        ("tokenizer.chat_template".to_owned(), Value::Text(settings["chat_template"].as_str().unwrap().to_owned())),
    ];
    let mut named: Vec<_> = candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu).unwrap().into_iter().collect();
    named.sort_by(|(a, _), (b, _)| a.cmp(b));
    let tensors = named.into_iter().map(|(name, tensor)| {
        let shape = tensor.dims().to_vec();
        let mut values: Vec<f32> = tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        // llama.cpp turns neighbouring pairs where Hugging Face turns halves.
        let pairs = family == "llama" && (name.ends_with("q_proj.weight") || name.ends_with("k_proj.weight"));
        if pairs {
            let (row, head) = (shape[1], head as usize);
            let old = values.clone();
            for (i, value) in values.iter_mut().enumerate() {
                let (r, column) = (i / row, i % row);
                let (of, within) = (r / head, r % head);
                let from = of * head + (within % 2) * (head / 2) + within / 2;
                *value = old[from * row + column];
            }
        }
        Tensor::f32(&renamed(&name), &shape, &values)
    });
    Gguf { version: 3, keys, tensors: tensors.collect(), lies: (0, 0, 0) }
}

/// A tensor's name in llama.cpp's words.
fn renamed(name: &str) -> String {
    let whole = [("model.embed_tokens", "token_embd"), ("model.norm", "output_norm"), ("lm_head", "output")];
    let parts = [
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
    ];
    let (path, end) = name.rsplit_once('.').unwrap();
    if let Some((_, ours)) = whole.iter().find(|(theirs, _)| *theirs == path) {
        return format!("{ours}.{end}");
    }
    let (layer, part) = path.strip_prefix("model.layers.").unwrap().split_once('.').unwrap();
    let (_, ours) = parts.iter().find(|(theirs, _)| *theirs == part).unwrap();
    format!("blk.{layer}.{ours}.{end}")
}
