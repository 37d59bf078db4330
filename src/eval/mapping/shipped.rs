//! The mappings that ship inside the binary, one for each benchmark, from `evalsets/mappings`.

macro_rules! mapping {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../evalsets/mappings/", $name, ".toml")))
    };
}

/// Name and text of each.
pub(super) const SHIPPED: [(&str, &str); 15] = [
    mapping!("mmlu"),
    mapping!("cmmlu"),
    mapping!("ceval"),
    mapping!("gsm8k"),
    mapping!("humaneval"),
    mapping!("mbpp"),
    mapping!("arc"),
    mapping!("hellaswag"),
    mapping!("winogrande"),
    mapping!("truthfulqa"),
    mapping!("logiqa"),
    mapping!("cmath"),
    mapping!("bbh"),
    mapping!("ifeval"),
    mapping!("xstest"),
];
