//! The control: a base that is served answers as the base that is loaded, and what differs in serving is found.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ballast::data::chat::ChatTemplate;
use ballast::data::example::{Message, Role};
use ballast::eval::generate::{Answering, Prompt};
use ballast::eval::likelihood::Continuation;
use ballast::model::adapter_set::AdapterSet;
use ballast::model::decoder::Decoder;
use ballast::model::tokenizer::TextCodec;
use ballast::record::rows::ItemRow;
use serde_json::{Value, json};

use super::server::{Play, Request, Server};
use super::{Suites, ballast, eval, rows, text};
use crate::common::{tiny, tiny_folder};

/// The tiny model behind an endpoint as llama.cpp's server has it, which echoes texts besides.
struct Model {
    decoder: Decoder,
    template: ChatTemplate,
    /// What its template writes that the model's own does not.
    extra: &'static str,
    shows_prompts: bool,
}

impl Model {
    fn new(extra: &'static str, shows_prompts: bool) -> Self {
        let template = ChatTemplate::new(TextCodec::from_folder(&tiny_folder("qwen2")).unwrap()).unwrap();
        Self { decoder: tiny("qwen2"), template, extra, shows_prompts }
    }

    fn text(&self, messages: &Value) -> String {
        let role = |role: &str| [Role::System, Role::User, Role::Assistant].into_iter().find(|known| known.as_str() == role).unwrap();
        let messages: Vec<Message> = messages
            .as_array()
            .unwrap()
            .iter()
            .map(|m| Message::new(role(m["role"].as_str().unwrap()), m["content"].as_str().unwrap()))
            .collect();
        format!("{}{}", self.extra, self.template.render(&messages, true).unwrap())
    }

    fn play(&self, request: &Request) -> Play {
        let codec = self.template.codec();
        let body = &request.body;
        match request.path.as_str() {
            "/v1/models" => Play::json(&json!({"data": [{"id": "tiny", "owned_by": "llamacpp"}]})),
            "/apply-template" if self.shows_prompts => Play::json(&json!({"prompt": self.text(&body["messages"])})),
            "/tokenize" if self.shows_prompts => Play::json(&json!({"tokens": codec.encode(body["content"].as_str().unwrap()).unwrap()})),
            "/v1/chat/completions" => {
                let ids = codec.encode(&self.text(&body["messages"])).unwrap();
                let base = AdapterSet::base();
                let asked = Prompt { ids: ids.clone(), max_new_tokens: body["max_tokens"].as_u64().unwrap() as usize, adapter: None };
                let mut answer = Play::HangUp;
                Answering::new(&self.decoder, &base)
                    .generate(&[asked], &codec.stops, &mut |_, generated| {
                        let reason = if generated.truncated { "length" } else { "stop" };
                        answer = Play::json(&json!({
                            "choices": [{"message": {"content": codec.decode(&generated.ids)?}, "finish_reason": reason}],
                            "usage": {"prompt_tokens": ids.len(), "completion_tokens": generated.ids.len()}
                        }));
                        Ok(())
                    })
                    .unwrap();
                answer
            }
            "/v1/completions" => {
                let ids = codec.encode(body["prompt"].as_str().unwrap()).unwrap();
                let base = AdapterSet::base();
                let answering = Answering::new(&self.decoder, &base);
                let mut scores = vec![Value::Null];
                answering
                    .read(&[Prompt { ids: ids[..1].to_vec(), max_new_tokens: ids.len(), adapter: None }], &mut |read| {
                        let rest = [Continuation { prompt: 0, ids: ids[1..].to_vec() }];
                        scores.extend(answering.log_likelihoods(read, &rest)?[0].iter().map(|score| json!(f64::from(*score))));
                        Ok(())
                    })
                    .unwrap();
                Play::json(&json!({"choices": [{"text": "", "finish_reason": "length", "logprobs": {"token_logprobs": scores}}]}))
            }
            _ => Play::Answer(404, "", "{}".to_owned()),
        }
    }

    fn serve(self) -> Server {
        let model = Arc::new(self);
        Server::start(move |request| model.play(request))
    }
}

const TINY: &str = "fixtures/tiny/qwen2";

fn local(suites: &[&str], out: &Path) {
    let mut arguments = vec!["eval", "--model", TINY, "--name", "Skiff", "--author", "Blue Harbor Lab"];
    for suite in suites {
        arguments.extend(["--suite", suite]);
    }
    let output = ballast(&arguments).arg("--out").arg(out).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Without what only one of both can know.
fn comparable(mut rows: Vec<ItemRow>) -> Vec<ItemRow> {
    rows.sort_by(|a, b| (&a.suite, &a.item).cmp(&(&b.suite, &b.item)));
    for row in &mut rows {
        row.prompt_digest.clear();
        let chosen = row.suite == "mmlu";
        row.likelihood =
            row.likelihood.take().filter(|_| chosen).map(|likelihood| ballast::eval::likelihood::Likelihood { ids: None, ..likelihood });
    }
    rows
}

#[test]
fn a_served_base_answers_as_the_base_that_is_loaded() {
    let (suites, server) = (Suites::new(), Model::new("", true).serve());
    let (facts, talks, choices, mmlu) = (suites.suite("facts"), suites.suite("talks"), suites.suite("choices"), suites.mmlu());
    let (here, there) = (suites.path("here.jsonl"), suites.path("there.jsonl"));
    local(&[&facts, &talks, &choices, &mmlu], &here);
    let mut arguments = vec!["--base", TINY, "--name", "Skiff", "--author", "Blue Harbor Lab", "--out", there.to_str().unwrap()];
    for suite in [&facts, &talks, &choices, &mmlu] {
        arguments.extend(["--suite", suite.as_str()]);
    }
    let output = eval(&server, &arguments);
    assert!(output.status.success(), "{output:?}");
    let shown = text(&output.stdout);
    assert!(shown.contains("compared by token ids, all equal"), "{shown}");
    let (ours, theirs) = (comparable(rows(&here)), comparable(rows(&there)));
    assert_eq!(ours.len(), 10);
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
    // Texts to continue, with examples and without options.
    for form in ["plain", "cloze"] {
        let (here, there) = (suites.path(&format!("{form}.here.jsonl")), suites.path(&format!("{form}.there.jsonl")));
        let asked = ["--suite", &mmlu, "--form", form, "--shots", "1", "--out"];
        let output = ballast(&["eval", "--model", TINY]).args(asked).arg(&here).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let output = ballast(&["eval", "--endpoint", &server.url, "--base", TINY]).args(asked).arg(&there).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(comparable(rows(&here)), comparable(rows(&there)), "{form}");
    }
    // The records say so too.
    let compared = ballast(&["compare", here.to_str().unwrap(), there.to_str().unwrap()]).output().unwrap();
    assert!(compared.status.success(), "{compared:?}");
}

#[test]
fn a_template_that_differs_in_serving_is_found_and_named() {
    let suites = Suites::new();
    let facts = suites.suite("facts");
    for (shows, says) in [
        (
            true,
            "3 of 3 prompts differ by token ids: item f1: from character 1 on the base's template writes `<|im_start|>system\\nYou a` and the server's `Hi <|im_start|>system\\nYo`",
        ),
        (false, "3 of 3 prompts differ by number of tokens: item f1: the server reads"),
    ] {
        let server = Model::new("Hi ", shows).serve();
        let out = suites.path(&format!("{shows}.jsonl"));
        let output = eval(&server, &["--base", TINY, "--suite", &facts, "--out", out.to_str().unwrap()]);
        assert!(output.status.success(), "{output:?}");
        let shown = text(&output.stdout);
        assert!(shown.contains(says), "{shown}");
        let evidence: Value =
            serde_json::from_str(&fs::read_to_string(suites.path(&format!("{shows}.jsonl.evidence.json"))).unwrap()).unwrap();
        assert!(evidence["template"].as_str().unwrap().starts_with("as served, not the base's: item f1"), "{evidence}");
        assert_eq!(evidence["served"]["prompts"]["differing"], 3);
    }
}

#[test]
fn a_text_that_the_server_reads_as_other_tokens_has_no_likelihood() {
    let suites = Suites::new();
    // Echoes one token too few.
    let server = Server::start(|request| match request.path.as_str() {
        "/v1/completions" => Play::json(&json!({"choices": [{"logprobs": {"token_logprobs": [null, -1.0, -1.0, -1.0]}}]})),
        _ => Play::Answer(404, "", "{}".to_owned()),
    });
    let said = super::error(&eval(&server, &["--base", TINY, "--suite", &suites.mmlu()]));
    assert!(said.contains("log-probabilities of 4 tokens, where the text has") && said.contains("item boats-"), "{said}");
    let said = super::error(&eval(&server, &["--suite", &suites.mmlu(), "--form", "cloze"]));
    assert!(said.contains("suite mmlu") && said.contains("--base"), "{said}");
}
