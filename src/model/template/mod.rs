//! A model's chat template, rendered as transformers renders it: jinja2's immutable sandbox with `trim_blocks`,
//! `lstrip_blocks`, loop controls, `{% generation %}`, and transformers' own `tojson`, `raise_exception` and
//! `strftime_now`. Held byte for byte against jinja2 on published templates in `tests/templates.rs`.
//!
//! A template is a stranger's program: it runs with a bound on its work and on what it writes, and reads nothing but the
//! conversation. `strftime_now` formats a fixed day, since a prompt must not depend on the day it is asked.

mod bounds;
mod date;
mod json;
mod methods;
mod namespaces;
pub mod shipped;
mod source;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use anyhow::{Context, Result, bail, ensure};
use minijinja::formatting::{FormatStyle, format};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Tuple, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value, context, escape_formatter};

const NAME: &str = "chat";

/// Longest source of a template; published ones have up to 20 kB.
const LONGEST_SOURCE: usize = 1 << 20;

/// Instructions that a rendering may take, and more for each message and for each byte of the conversation. Published
/// templates take some hundred per message. An instruction's price also buys 64 bytes of memory.
const FUEL: (u64, u64, u64) = (100_000, 2_000, 8);

/// Bytes that a rendering may write, and more for each byte of the conversation.
const OUTPUT: (usize, usize) = (1 << 20, 16);

/// Compiled, for one model.
pub struct Template {
    environment: Environment<'static>,
    switched: bool,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Template")
    }
}

/// What a template is rendered with.
#[derive(Debug, Clone, Copy)]
pub struct Rendering<'a> {
    /// Role and content of each message, in order.
    pub messages: &'a [(&'a str, &'a str)],
    /// End with what asks the assistant for an answer.
    pub ask: bool,
    /// Texts of special tokens by their names: `bos_token`, `eos_token`, ...
    pub specials: &'a [(String, String)],
    /// Whether the model shall think before it answers, for templates that ask; None leaves it to them.
    pub thinking: Option<bool>,
}

/// Names that published templates read whether to think by.
const SWITCHES: [&str; 2] = ["enable_thinking", "thinking"];
/// The most tokens to think, 0 for none.
const BUDGET: &str = "thinking_budget";

impl Template {
    /// Whether the template can be told to think, or not to.
    pub fn asks_whether_to_think(&self) -> bool {
        self.switched
    }

    /// Compiles a template's source.
    pub fn compile(source: &str) -> Result<Self> {
        ensure!(!source.trim().is_empty(), "the model's chat template is empty");
        ensure!(source.len() <= LONGEST_SOURCE, "the model's chat template has {} bytes, more than {LONGEST_SOURCE}", source.len());
        let mut environment = Environment::new();
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.set_unknown_method_callback(methods::call);
        environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_function("strftime_now", |format: String| date::format(&format));
        environment.add_filter("tojson", json::filter);
        environment.add_filter("trim", methods::trim);
        environment.add_filter(source::PERCENT, percent);
        environment.add_filter(source::ITERATE, iterate);
        environment.add_filter("attr", |_: &Value, name: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, format!("attributes of Python objects are not known here: `{name}`")))
        });
        environment.set_formatter(|out, state, value| match f64::try_from(value.clone()) {
            Ok(number) if value.kind() == ValueKind::Number && !value.is_integer() => Ok(out.write_str(&json::float(number))?),
            _ => escape_formatter(out, state, value),
        });
        // jinja2 asks whether `iter` and `len` work; minijinja takes none and numbers for iterable.
        environment.add_test("iterable", |value: &Value| methods::is_sequence(value) || value.kind() == ValueKind::Iterable);
        environment.add_test("sequence", methods::is_sequence);
        let source = source.to_owned();
        bounds::within(bounds::COMPILING, move || {
            let source = source::rewritten(&source)?;
            environment.add_template_owned(NAME, source).context("the model's chat template does not compile")?;
            let read = environment.get_template(NAME)?.undeclared_variables(false);
            let switched = SWITCHES.iter().chain([&BUDGET]).any(|name| read.contains(*name));
            Ok(Self { environment, switched })
        })
    }

    /// The text of a conversation. Fails where the template refuses it, or works or writes without end.
    pub fn render(&self, rendering: Rendering<'_>) -> Result<String> {
        let size: usize = rendering.messages.iter().map(|(role, content)| role.len() + content.len()).sum();
        let mut environment = self.environment.clone();
        let fuel = FUEL.0 + FUEL.1 * rendering.messages.len() as u64 + FUEL.2 * size as u64;
        environment.set_fuel(Some(fuel));
        let message = |(role, content): &(&str, &str)| context! { role => *role, content => *content };
        let messages: Value = rendering.messages.iter().map(message).collect();
        let specials = rendering.specials.iter().map(|(name, text)| (name.clone(), Value::from(text.as_str())));
        let others = [
            ("messages", messages),
            ("add_generation_prompt", Value::from(rendering.ask)),
            // transformers passes both as None where there are none.
            ("tools", Value::from(())),
            ("documents", Value::from(())),
        ];
        let others = others.map(|(name, value)| (name.to_owned(), value));
        let switches = rendering.thinking.into_iter().flat_map(|thinking| SWITCHES.map(|name| (name.to_owned(), Value::from(thinking))));
        let budget = (rendering.thinking == Some(false)).then(|| (BUDGET.to_owned(), Value::from(0)));
        let context: BTreeMap<String, Value> = specials.chain(others).chain(switches).chain(budget).collect();
        let mut out = Bounded { text: Vec::new(), room: OUTPUT.0 + OUTPUT.1 * size };
        bounds::within(bounds::rendering(fuel), move || {
            let template = environment.get_template(NAME)?;
            let full = |out: &Bounded| out.room == 0;
            match template.render_captured_to(Value::from(context), &mut out) {
                Ok(_) => {}
                Err(_) if full(&out) => bail!("the model's chat template writes more than {} bytes for this conversation", out.text.len()),
                Err(error) if error.kind() == ErrorKind::OutOfFuel => {
                    bail!("the model's chat template does not come to an end: it was stopped after {fuel} instructions")
                }
                Err(error) => return Err(error).context("the model's chat template refuses this conversation"),
            }
            String::from_utf8(out.text).context("the model's chat template wrote something that is not text")
        })
    }
}

/// `text % values`, as Python has it for texts; the source is rewritten to call this.
fn percent(text: &str, values: &Value) -> Result<Value, Error> {
    let values = match values.downcast_object_ref::<Tuple>() {
        Some(_) => values.try_iter()?.collect(),
        None => vec![values.clone()],
    };
    format(FormatStyle::Printf, text, &values).map(Value::from)
}

/// What a loop goes over: minijinja passes over none in silence where Python fails.
fn iterate(value: &Value) -> Result<Value, Error> {
    if value.is_none() {
        return Err(Error::new(ErrorKind::InvalidOperation, "none is not iterable"));
    }
    Ok(value.clone())
}

/// Text with a limit. What goes beyond it ends the writing.
struct Bounded {
    text: Vec<u8>,
    room: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.room {
            self.room = 0;
            return Err(io::Error::other("too much text"));
        }
        self.room -= bytes.len();
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str) -> Result<String> {
        let specials = [("eos_token".to_owned(), "<|im_end|>".to_owned())];
        let messages = [("system", "Be brief."), ("user", "Who <are> you & 'why'?")];
        Template::compile(source)?.render(Rendering { messages: &messages, ask: true, specials: &specials, thinking: None })
    }

    fn error(source: &str) -> String {
        format!("{:#}", render(source).unwrap_err())
    }

    /// Expected texts are those of transformers 5.24.0: `apply_chat_template` with the same template and messages.
    #[test]
    fn constructs_of_real_templates_come_out_as_in_jinja2() {
        for (source, expected) in [
            ("{% generation %}{{ messages[0].content }}{% endgeneration %}", "Be brief."),
            ("a {%- generation -%} b {%- endgeneration -%} c", "abc"),
            ("{{ '{% generation %}' }}{# {% generation %} #}{% raw %}{% generation %}{% endraw %}", "{% generation %}{% generation %}"),
            ("{{ 'x' if tools is none }}{{ 'y' if documents is none }}{{ 'z' if tools is defined }}", "xyz"),
            ("{{ messages[1].content | tojson }}", r#""Who <are> you & 'why'?""#),
            ("{{ {'b': 1, 'a': [1, 2.0, none, true]} | tojson }}", r#"{"b": 1, "a": [1, 2.0, null, true]}"#),
            ("{{ {'b': [], 'a': {'c': 'é\\n'}} | tojson(indent=2) }}", "{\n  \"b\": [],\n  \"a\": {\n    \"c\": \"é\\n\"\n  }\n}"),
            ("{{ {'b': 1, 'a': 'é'} | tojson(separators=(',', ':'), sort_keys=true, ensure_ascii=true) }}", "{\"a\":\"\\u00e9\",\"b\":1}"),
            ("{{ '%s-%d' % ('a', 3) }}{{ '%s' % messages[0]['role'] + '!' }}", "a-3system!"),
            ("{{ 'a,b,c'.rsplit(',', 1) | join('|') }} {{ ' a  b '.split() | join('|') }}", "a,b|c a|b"),
            (
                "{{ 'a-b-c'.split('-', maxsplit=1)[1] }}{{ 'xxabx'.strip('x') }}{{ 'xxabx'.lstrip('x') }}{{ 'abx '.rstrip() }}",
                "b-cababxabx",
            ),
            ("{{ 'abc'.startswith(('x', 'ab')) }}{{ 'abc'.endswith('bc') }}{{ \"they're bill's\".title() }}", "TrueTrueThey'Re Bill'S"),
            (
                "{{ 'a=b=c'.partition('=')[2] }}{{ 'a=b=c'.rpartition('=')[0] }}{{ 'abc'.removeprefix('a') }}{{ 'abc'.removesuffix('c') }}",
                "b=ca=bbcab",
            ),
            ("{{ strftime_now('%d %b %Y') }} {{ strftime_now('%Y-%m-%d') }}", "01 Jan 2024 2024-01-01"),
            ("{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.role }}{% break %}{% endfor %}", "user"),
            ("{{ messages[0] }}", "{'role': 'system', 'content': 'Be brief.'}"),
            ("{{ eos_token }}{{ bos_token }}", "<|im_end|>"),
        ] {
            assert_eq!(render(source).unwrap(), expected, "{source}");
        }
    }

    #[test]
    fn templates_that_do_not_end_are_stopped() {
        let endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
        assert!(error(endless).contains("does not come to an end"));
        let doubling = "{% set ns = namespace(s='0123456789') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}";
        assert!(error(doubling).contains("does not come to an end"));
        let words = "{% for i in range(99999) %}{{ '0123456789' * 100 }}{% endfor %}";
        assert!(error(words).contains("writes more than"));
        assert!(error("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}").contains("refuses this conversation"));
        for call in ["'x'.ljust(99999999999)", "'x'.center(999999999)", "'x'.zfill(999999999)"] {
            assert!(render(&format!("{{{{ {call} }}}}")).is_err(), "{call}");
        }
    }

    #[test]
    fn what_cannot_be_rendered_is_refused_in_words() {
        assert!(error("").contains("is empty") && error(" \n").contains("is empty"));
        assert!(error("{% if %}").contains("does not compile"));
        assert!(error("{{ raise_exception('no tools here') }}").contains("no tools here"));
        assert!(error("{{ messages.append(1) }}").contains("refuses this conversation"));
        assert!(error("{{ strftime_now('%G') }}").contains("%G"));
        let deep = "{{ ".to_owned() + &"(".repeat(100_000) + "1" + &")".repeat(100_000) + " }}";
        assert!(error(&deep).contains("brackets within each other"));
    }
}
