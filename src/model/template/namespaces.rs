//! A namespace is the one value that a template can change. One that came to hold itself would be compared and hashed
//! without end, on whatever stack, so namespaces are used by their attributes alone. No published template is known that
//! does otherwise.

use std::collections::HashSet;

use anyhow::{Result, bail};

use super::source::words;

const FUNCTION: &str = "namespace";

/// Fails where a tag makes a namespace other than by `{% set name = namespace(...) %}`, or uses one as a value.
pub(super) fn check(tags: &[&str]) -> Result<()> {
    let names: HashSet<&str> = tags.iter().filter_map(|tag| made(tag)).collect();
    // A macro's own parameter of that name is not the function.
    let mut parameter = false;
    for tag in tags {
        let first = words(tag).first().map(|(_, word)| *word);
        parameter &= first != Some("endmacro");
        let mut of_macro = false;
        for (place, (at, word)) in words(tag).into_iter().enumerate() {
            let (before, after) = (tag[..at].trim_end(), tag[at + word.len()..].trim_start());
            let named_argument = after.starts_with('=') && !after.starts_with("==");
            // Not in the arguments of a call that is a default.
            let outermost = tag[2..at].matches(['(', '[', '{']).count() == 1;
            let listed = outermost && before.ends_with(['(', ',']) && (named_argument || after.starts_with([',', ')']));
            if word == FUNCTION && first == Some("macro") && listed {
                of_macro = true;
                continue;
            }
            if before.ends_with(['.', '|']) || named_argument || parameter && word == FUNCTION {
                continue;
            }
            if word == FUNCTION && !(place == 2 && made(tag).is_some()) {
                bail!(
                    "the model's chat template calls `namespace` other than as {{% set name = namespace(...) %}}, which is not supported"
                );
            }
            let asked = after.strip_prefix("is").is_some_and(|rest| rest.starts_with(char::is_whitespace));
            if names.contains(word) && !after.starts_with('.') && !asked {
                bail!("the model's chat template uses its namespace `{word}` other than by its attributes, which is not supported");
            }
        }
        parameter |= of_macro;
    }
    Ok(())
}

/// The name that a tag gives to a new namespace.
fn made(tag: &str) -> Option<&str> {
    let words = words(tag);
    let [(_, "set"), (start, name), (function, FUNCTION)] = *words.get(..3)? else { return None };
    let called = tag[function + FUNCTION.len()..].trim_start().starts_with('(');
    (called && tag[start + name.len()..function].trim() == "=").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_used_by_their_attributes() {
        let good = [
            "{%- set ns = namespace(a=1, ns=2) -%}",
            "{% set ns.a = ns.a + 1 %}",
            "{{ f(ns.a, ns=3, namespace=4) }}",
            "{%- macro f(a, namespace='x') -%}",
            "{{ 'a' + namespace }}",
            "{% endmacro %}",
            "{% if ns is defined and x.ns and 'ns' == x.namespace %}",
        ];
        check(&good).unwrap();
        for bad in [
            "{% set ns.a = ns %}",
            "{% set ns.a = [ ns ] %}",
            "{% set other = ns %}",
            "{{ f(ns) }}",
            "{{ ns == ns }}",
            "{{ ns['a'] }}",
            "{% for x in [1] if ns %}",
            "{% set ns.a = namespace() %}",
            "{% set f = namespace %}",
            "{% with b = namespace() %}",
            "{% macro f(a=namespace) %}",
            "{% macro f(a=g(1, namespace)) %}",
        ] {
            check(&[good[0], bad]).unwrap_err();
        }
    }
}
