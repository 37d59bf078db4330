//! Chat templates as models ship them, and templates that would not end or would not fit on any stack.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Case, set, tiny};

fn own() -> String {
    let settings: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(tiny("qwen2").join("tokenizer_config.json")).unwrap()).unwrap();
    settings["chat_template"].as_str().unwrap().to_owned()
}

#[test]
fn of_several_templates_the_one_named_default_is_used() {
    let case = Case::new();
    let plain = case.answers(&tiny("qwen2"));
    let model = case.model("qwen2", "model");
    let settings = model.join("tokenizer_config.json");
    let list = |list: serde_json::Value| set(&settings, &json!({"chat_template": list}));
    let tools = json!({"name": "tool_use", "template": "{{ raise_exception('tools only') }}"});
    list(json!([tools, {"name": "default", "template": own()}]));
    assert_eq!(case.answers(&model), plain);
    for (templates, words) in [
        (json!([tools]), ["tokenizer_config.json", "tool_use", "`default`"]),
        (json!([]), ["tokenizer_config.json", "chat templates", "`default`"]),
        (
            json!([{"name": "default", "template": "a"}, {"name": "default", "template": "b"}]),
            ["tokenizer_config.json", "two chat templates", "keep one"],
        ),
        (json!([{"name": "default"}]), ["tokenizer_config.json", "lacks", "`template`"]),
        (json!([{"name": "default", "template": own(), "when": "thinking"}]), ["tokenizer_config.json", "`when`", "a name and a template"]),
        (json!(["default"]), ["tokenizer_config.json", "not an object", "default"]),
        (json!(7), ["tokenizer_config.json", "neither a text", "list"]),
    ] {
        list(templates);
        case.refused(&model, &words);
    }
}

/// transformers reads `chat_template.jinja` even where `tokenizer_config.json` has a template too.
#[test]
fn the_template_in_a_file_of_its_own_wins() {
    let case = Case::new();
    let model = case.model("qwen2", "model");
    let sure = own().replace("<|im_start|>assistant\\n", "<|im_start|>assistant\\nSure: ");
    assert!(sure != own());
    std::fs::write(model.join("chat_template.jinja"), sure).unwrap();
    let answers = case.answers(&model);
    let prompt = answers.ids[0]["prompt"].as_array().unwrap();
    let text: String = prompt[prompt.len() - 6..].iter().map(|id| id.as_u64().unwrap() as u8 as char).collect();
    assert!(text.starts_with("Sure:"), "{text}");
}

#[test]
fn tags_and_names_that_change_nothing_change_nothing() {
    let case = Case::new();
    let plain = case.answers(&tiny("qwen2"));
    let model = case.model("qwen2", "model");
    let none =
        |test: &str| format!("{{% if {test} %}}{{{{ '<|im_start|>system\\nYou may call tools.<|im_end|>\\n' }}}}{{% endif %}}{}", own());
    let marked = own().replacen("{{'<|im_start|>' +", "{% generation %}{% endgeneration %}{{'<|im_start|>' +", 1);
    assert!(marked != own());
    let others = [none("tools is not none"), none("documents is not none"), none("tools != none"), none("not tools is defined"), marked];
    for template in others {
        set(&model.join("tokenizer_config.json"), &json!({"chat_template": template}));
        assert_eq!(case.answers(&model).ids, plain.ids, "{template}");
    }
}

/// Each would overflow the stack, fill the memory or never end.
#[test]
fn templates_without_bounds_are_stopped_in_words() {
    let many = |text: &str, count: usize| text.repeat(count);
    let grown = |value: &str, rounds: usize, then: &str| {
        format!("{{% set ns = namespace(x=[1]) %}}{{% for i in range({rounds}) %}}{{% set ns.x = {value} %}}{{% endfor %}}{then}")
    };
    let templates = [
        format!("{{{{ 1{} }}}}", many("+1", 100_000)),
        format!("{{{{ 1{} }}}}", many("~1", 3_000)),
        format!("{{{{ 'a'{} }}}}", many("|trim", 100_000)),
        format!("{{{{ messages{} }}}}", many(".a", 100_000)),
        format!("{{{{ {}1{} }}}}", many("(", 5_000), many(")", 5_000)),
        format!("{{{{ {}1{} }}}}", many("[", 5_000), many("]", 5_000)),
        format!("{{{{ {} }}}}", many("not ", 100_000)),
        format!("{{{{ '%s' {} }}}}", many("% ('%s' ", 2_000)),
        format!("{{% if a %}}{}{{% endif %}}", many("{% elif b %}", 50_000)),
        format!("{}{}", many("{% if a %}", 5_000), many("{% endif %}", 5_000)),
        grown("[ns.x]", 90_000, "{{ ns.x }}"),
        grown(&format!("{}ns.x{}", many("[", 60), many("]", 60)), 90_000, ""),
        grown("[ns.x, ns.x]", 60, "{{ ns.x == [ns.x[0], ns.x[1]] }}"),
        grown("[ns.x, ns.x]", 60, "{{ ns.x | string | length }}"),
        grown("[ns.x, ns.x]", 60, "{{ ns.x | tojson }}"),
        "{% set ns = namespace() %}{% set ns.a = ns %}{% set other = namespace() %}{% set other.a = other %}{{ ns == other }}".to_owned(),
        "{% set ns = namespace() %}{% set ns.a = ns %}{{ [ns] | unique }}".to_owned(),
        "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}".to_owned(),
        "{% for a in [[1]] recursive %}{{ loop([a]) }}{% endfor %}".to_owned(),
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}".to_owned(),
        "{% for a in range(99999) %}{{ 'x' * 9999 }}{% endfor %}".to_owned(),
    ];
    let case = Case::new();
    let model = case.model("qwen2", "model");
    for template in templates {
        set(&model.join("tokenizer_config.json"), &json!({"chat_template": template}));
        let started = Instant::now();
        let (ended, _) = case.asked_of(&model, "suite", &[]);
        let shown: String = template.chars().take(120).collect();
        assert!(ended.code == 2 && ended.error.contains("chat template"), "{shown}: {} {}", ended.code, ended.error);
        assert!(started.elapsed() < Duration::from_secs(10), "{shown}: {:?}", started.elapsed());
    }
}
