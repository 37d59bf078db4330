//! Chat templates that ship with Ballast, for base models, which have none of their own.

use anyhow::{Result, bail};

/// Names and sources.
const SHIPPED: [(&str, &str); 3] =
    [("chatml", include_str!("chatml.jinja")), ("gemma", include_str!("gemma.jinja")), ("plain", include_str!("plain.jinja"))];

/// Names of all shipped templates.
pub fn names() -> String {
    SHIPPED.map(|(name, _)| name).join(", ")
}

/// The source of a shipped template.
pub fn source(name: &str) -> Result<&'static str> {
    match SHIPPED.iter().find(|(known, _)| *known == name) {
        Some((_, source)) => Ok(source),
        None => bail!("there is no chat template `{name}`: use one of {}", names()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Rendering, Template};
    use super::*;

    fn render(name: &str, messages: &[(&str, &str)], ask: bool) -> String {
        let specials = [("bos_token".to_owned(), "<bos>".to_owned()), ("eos_token".to_owned(), "<eos>".to_owned())];
        let rendering = Rendering { messages, ask, specials: &specials, thinking: None };
        Template::compile(source(name).unwrap()).unwrap().render(rendering).unwrap()
    }

    /// `gemma` by the template that Gemma 3 is published with, under jinja2 3.1; `chatml` by Qwen2.5's.
    #[test]
    fn they_write_what_published_templates_write() {
        let messages = [("system", "Be brief."), ("user", " Who?\n"), ("assistant", "Me. "), ("user", "You?")];
        assert_eq!(
            render("gemma", &messages, true),
            "<bos><start_of_turn>user\nBe brief.\n\nWho?<end_of_turn>\n<start_of_turn>model\nMe.<end_of_turn>\n<start_of_turn>user\n\
             You?<end_of_turn>\n<start_of_turn>model\n"
        );
        assert_eq!(
            render("gemma", &messages[1..3], false),
            "<bos><start_of_turn>user\nWho?<end_of_turn>\n<start_of_turn>model\nMe.<end_of_turn>\n"
        );
        assert_eq!(
            render("chatml", &messages, true),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n Who?\n<|im_end|>\n<|im_start|>assistant\nMe. <|im_end|>\n\
             <|im_start|>user\nYou?<|im_end|>\n<|im_start|>assistant\n"
        );
        assert_eq!(render("plain", &messages, true), "<bos>Be brief.\n\nQuestion: Who?\nAnswer: Me.<eos>\n\nQuestion: You?\nAnswer:");
        assert_eq!(render("plain", &[("system", ""), ("user", "x")], true), "<bos>Question: x\nAnswer:");
    }

    #[test]
    fn another_name_is_refused_with_the_list() {
        assert_eq!(source("alpaca").unwrap_err().to_string(), "there is no chat template `alpaca`: use one of chatml, gemma, plain");
    }
}
