//! Which linears a configuration adapts, by the rules of PEFT's `check_target_module_exists`.

use anyhow::{Context, Result, bail, ensure};
use fancy_regex::Regex;
use serde::Deserialize;

/// The keys that name linears.
#[derive(Debug, Deserialize)]
pub(super) struct Scope {
    target_modules: Option<OneOrMany<String>>,
    exclude_modules: Option<OneOrMany<String>>,
    layers_to_transform: Option<OneOrMany<usize>>,
    layers_pattern: Option<OneOrMany<String>>,
}

/// PEFT takes one value or a list in many places; one text means a regular expression where a list means names.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl Scope {
    /// Refuses what names no linear at all.
    pub(super) fn checked(self) -> Result<Self> {
        match &self.target_modules {
            None => bail!("target_modules is absent, and PEFT's default depends on the base model: name the adapted linears"),
            Some(OneOrMany::Many(names)) if names.is_empty() => bail!("target_modules is empty: name the adapted linears"),
            Some(OneOrMany::One(_)) if self.layers().is_some() => {
                bail!("layers_to_transform goes with a list of target_modules, not with a regular expression")
            }
            Some(_) => {}
        }
        Ok(self)
    }

    /// Whether PEFT would adapt a linear of this name, which is of the given layer.
    pub(super) fn holds(&self, name: &str, layer: usize) -> Result<bool> {
        let excluded = match &self.exclude_modules {
            None => false,
            Some(OneOrMany::One(pattern)) => !pattern.is_empty() && matches(pattern, name).context("exclude_modules")?,
            Some(OneOrMany::Many(names)) => names.iter().any(|module| is_or_ends_with(name, module)),
        };
        if excluded {
            return Ok(false);
        }
        match &self.target_modules {
            None => Ok(false),
            Some(OneOrMany::One(pattern)) if pattern.eq_ignore_ascii_case("all-linear") => Ok(true),
            Some(OneOrMany::One(pattern)) => matches(pattern, name).context("target_modules"),
            // A full name is meant wherever it stands.
            Some(OneOrMany::Many(names)) if names.iter().any(|module| module == name) => Ok(true),
            Some(OneOrMany::Many(names)) => Ok(names.iter().any(|module| is_or_ends_with(name, module)) && self.holds_layer(name, layer)?),
        }
    }

    fn layers(&self) -> Option<&[usize]> {
        match &self.layers_to_transform {
            None => None,
            Some(OneOrMany::One(layer)) => Some(std::slice::from_ref(layer)),
            Some(OneOrMany::Many(layers)) => (!layers.is_empty()).then_some(layers),
        }
    }

    fn holds_layer(&self, name: &str, layer: usize) -> Result<bool> {
        let Some(layers) = self.layers() else { return Ok(true) };
        let patterns = match &self.layers_pattern {
            None => &[],
            Some(OneOrMany::One(pattern)) => std::slice::from_ref(pattern),
            Some(OneOrMany::Many(patterns)) => patterns.as_slice(),
        };
        // Without a pattern PEFT takes the number after any word, which is the layer's in every supported model.
        let mut named = patterns.iter().all(String::is_empty);
        for pattern in patterns.iter().filter(|pattern| !pattern.is_empty()) {
            named |= matches(&format!("(?:|.*?\\.){pattern}\\.{layer}\\..*"), name).context("layers_pattern")?;
        }
        Ok(named && layers.contains(&layer))
    }
}

fn is_or_ends_with(name: &str, module: &str) -> bool {
    name == module || name.strip_suffix(module).is_some_and(|before| before.ends_with('.'))
}

/// Python's `re.fullmatch`. The engine gives up on patterns that would run very long.
pub(super) fn matches(pattern: &str, name: &str) -> Result<bool> {
    ensure!(pattern.len() <= 10_000, "a regular expression of {} bytes", pattern.len());
    let regex = Regex::new(&format!("\\A(?:{pattern})\\z"))
        .map_err(|error| anyhow::anyhow!("`{pattern}` is not a regular expression that can be read here: {error}"))?;
    regex.is_match(name).map_err(|error| anyhow::anyhow!("`{pattern}` cannot be matched against {name}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::site::{Module, Site};

    fn scope(text: &str) -> Result<Scope> {
        serde_json::from_str::<Scope>(text)?.checked()
    }

    fn holds(scope: &Scope, site: Site) -> Result<bool> {
        scope.holds(&format!("model.{site}"), site.layer)
    }

    fn held(text: &str) -> Vec<String> {
        let scope = scope(text).unwrap();
        let sites = (0..2).flat_map(|layer| Module::ALL.map(|module| Site { layer, module }));
        sites.filter(|site| holds(&scope, *site).unwrap()).map(|site| site.to_string()).collect()
    }

    /// Expected lists: which modules of a two-layer Qwen2 get LoRA layers from PEFT 0.21.2 with the same keys.
    #[test]
    fn linears_are_chosen_as_peft_chooses_them() {
        assert_eq!(held(r#"{"target_modules": ["q_proj"], "layers_to_transform": [1]}"#), ["layers.1.self_attn.q_proj"]);
        assert_eq!(
            held(r#"{"target_modules": ["q_proj"], "layers_to_transform": 1, "layers_pattern": "layers"}"#),
            ["layers.1.self_attn.q_proj"]
        );
        assert!(held(r#"{"target_modules": ["q_proj"], "layers_to_transform": [1], "layers_pattern": ["h"]}"#).is_empty());
        assert_eq!(
            held(r#"{"target_modules": ["model.layers.0.self_attn.q_proj", "o_proj"], "layers_to_transform": [1]}"#),
            ["layers.0.self_attn.q_proj", "layers.1.self_attn.o_proj"]
        );
        assert_eq!(held(r#"{"target_modules": ".*\\.1\\..*(q_proj|up_proj)"}"#), ["layers.1.self_attn.q_proj", "layers.1.mlp.up_proj"]);
        assert!(held(r#"{"target_modules": "q_proj"}"#).is_empty(), "an expression must fit the whole name");
        assert!(held(r#"{"target_modules": ["proj"]}"#).is_empty(), "a name ends at a dot");
        assert_eq!(held(r#"{"target_modules": "all-linear"}"#).len(), 14);
        assert_eq!(held(r#"{"target_modules": "^(model)(?!.*(lm_head|emb)).*"}"#).len(), 14);
        assert_eq!(held(r#"{"target_modules": ["q_proj", "k_proj"], "exclude_modules": ["q_proj"]}"#).len(), 2);
        assert_eq!(held(r#"{"target_modules": ["q_proj"], "exclude_modules": ".*layers.0.*"}"#), ["layers.1.self_attn.q_proj"]);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for text in ["{}", r#"{"target_modules": []}"#, r#"{"target_modules": "x", "layers_to_transform": [0]}"#] {
            scope(text).unwrap_err();
        }
        let endless = scope(r#"{"target_modules": "(?=(.*)*x)(.*)*y"}"#).unwrap();
        let site = Site { layer: 0, module: Module::Q };
        assert!(holds(&endless, site).map_or_else(|error| error.to_string().contains("target_modules"), |held| !held));
        holds(&scope(r#"{"target_modules": "("}"#).unwrap(), site).unwrap_err();
    }
}
