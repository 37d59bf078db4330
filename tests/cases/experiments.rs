//! Mistakes in an experiment: `data check` knows what `run` refuses, and doubts what would teach nothing.

use super::{Case, Ended};

const ROWS: &str = "{\"query\": \"a b\", \"response\": \"c d\"}\n{\"query\": \"e f\", \"response\": \"g h\"}\n";

fn checked(replace: &[(&str, &str)]) -> Ended {
    let case = Case::new();
    let rows = case.put("rows.jsonl", ROWS);
    let experiment = case.experiment(&rows.display().to_string(), replace);
    case.run(&["data", "check", &experiment.display().to_string()])
}

#[test]
fn numbers_have_a_sane_range() {
    let lora =
        |change: (&str, &str)| "[lora]\nrank = 4\nalpha = 8\ndropout = 0\ntargets = [\"q\"]\n[training]".replacen(change.0, change.1, 1);
    let optimizer = |change: &str| format!("window = 2\noptimizer = {{ {change} }}");
    let cases = [
        ("[training]", lora(("rank = 4", "rank = 0")), "rank"),
        ("[training]", lora(("rank = 4", "rank = 65")), "rank"),
        ("[training]", lora(("rank = 4", "rank = 100000")), "rank"),
        ("[training]", lora(("[\"q\"]", "[\"q\", \"q\"]")), "targets"),
        ("[training]", lora(("[\"q\"]", "[]")), "targets"),
        ("[training]", lora(("alpha = 8", "alpha = 0")), "alpha"),
        ("[training]", lora(("alpha = 8", "alpha = 1e39")), "alpha"),
        ("[training]", lora(("dropout = 0", "dropout = 1.0")), "dropout"),
        ("window = 2", optimizer("beta1 = 1.0"), "beta1"),
        ("window = 2", optimizer("beta2 = -0.1"), "beta2"),
        ("window = 2", optimizer("beta2 = 0.99999999999"), "beta2"),
        ("window = 2", optimizer("epsilon = 0.0"), "epsilon"),
        ("window = 2", optimizer("epsilon = 1e-60"), "epsilon"),
        ("window = 2", optimizer("weight_decay = -5.0"), "weight_decay"),
        ("window = 2", optimizer("weight_decay = inf"), "weight_decay"),
        ("window = 2", optimizer("max_grad_norm = 0.0"), "max_grad_norm"),
        ("window = 2", "window = 0".to_owned(), "window"),
        ("window = 2", "window = 2\nwarmup_ratio = 1.0".to_owned(), "warmup_ratio"),
        ("prompts = 1", "prompts = 0".to_owned(), "prompts"),
        ("steps = 2", "steps = 0".to_owned(), "steps"),
        ("steps = 2", "epochs = 9000000000000000000".to_owned(), "epochs"),
        ("steps = 2", "steps = 2\nkl = 0.0".to_owned(), "kl = 0"),
        ("steps = 2", "steps = 2\nkl = nan".to_owned(), "kl = NaN"),
        ("steps = 2", "steps = 2\nkl_sources = [\"ballast:general-en#4\"]".to_owned(), "kl_sources but no kl"),
        ("steps = 2", "steps = 2\nreplay_tokens = 8".to_owned(), "replay_tokens but no replay_sources"),
        ("steps = 2", "steps = 2\nreplay_sources = [\"missing.jsonl\"]".to_owned(), "missing.jsonl"),
        ("steps = 2", "steps = 2\ntoken_weights = \"base-surprise\"".to_owned(), "base-surprise"),
        ("steps = 2", "steps = 2\ntoken_weights = { mask = { perplexity = 1.0 } }".to_owned(), "perplexity 1"),
        ("steps = 2", "steps = 2\ntoken_weights = { mask = { above = 3.0 } }".to_owned(), "above"),
        ("[[variants.stages]]", "stop_at_drift = -1.0\n[[variants.stages]]".to_owned(), "stop_at_drift is -1"),
        (
            "[[variants.stages]]",
            "lora = { rank = 4, alpha = 8, dropout = 0.5, targets = [\"q\"] }\n[[variants.stages]]".to_owned(),
            "lora.dropout = 0.5",
        ),
        (
            "[[variants.stages]]",
            "lora = { rank = 0, alpha = 8, dropout = 0.05, targets = [\"q\"] }\n[[variants.stages]]".to_owned(),
            "rank is 0",
        ),
        ("1e-3", "nan".to_owned(), "learning rate"),
        ("1e-3", "1e39".to_owned(), "learning rate"),
        ("1e-3", "-1e-3".to_owned(), "learning rate"),
    ];
    for (from, to, word) in cases {
        let ended = checked(&[(from, &to)]);
        assert!(ended.code == 2 && ended.error.contains(word), "{to}: {} {}", ended.code, ended.error);
    }
}

#[test]
fn what_would_teach_little_is_doubted() {
    let few = checked(&[]);
    assert_eq!(few.code, 0, "{}", few.error);
    assert!(few.error.contains("warning: A-s1: 2 optimizer steps in all: fewer than 30"), "{}", few.error);
    let enough = checked(&[("steps = 2", "steps = 40")]);
    assert!(enough.code == 0 && !enough.error.contains("warning") && enough.out.contains("40 steps"), "{}", enough.error);

    let case = Case::new();
    let rows = case.put("rows.jsonl", "{\"query\": \"Who?\", \"response\": \"I am {{NAME}}.\"}\n");
    let experiment = case.experiment(&rows.display().to_string(), &[("1e-3", "1e-4")]);
    let seldom = case.run(&["data", "check", &experiment.display().to_string()]);
    assert!(seldom.error.contains("seen too seldom to be learned") && seldom.error.contains("about 30"), "{}", seldom.error);
}
