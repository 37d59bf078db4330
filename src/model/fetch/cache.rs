//! The folder where fetched models are kept, shared by all runs of a user.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Names the cache folder in the environment.
const CACHE_VARIABLE: &str = "BALLAST_CACHE";

/// The cache folder: `models/<name>/<file>` for the catalogue, `hub/` for repositories in the hub's own layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `BALLAST_CACHE`, or `ballast` in the platform's folder for caches.
    pub fn from_env() -> Result<Self> {
        Self::from_variables(env::consts::OS, |name| env::var_os(name))
    }

    /// The same with the platform and the environment as values. `os` is spelled as in [`env::consts::OS`].
    pub fn from_variables(os: &str, variable: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(root) = path(CACHE_VARIABLE) {
            return Self::at(&root);
        }
        let caches = match os {
            "windows" => path("LOCALAPPDATA"),
            "macos" => path("HOME").map(|home| home.join("Library").join("Caches")),
            // The XDG specification says that a relative path here is invalid and is to be ignored.
            _ => path("XDG_CACHE_HOME").filter(|path| path.is_absolute()).or_else(|| path("HOME").map(|home| home.join(".cache"))),
        };
        let caches = caches
            .with_context(|| format!("no folder for the model cache: this user has no home folder; set {CACHE_VARIABLE} to a folder"))?;
        Self::at(&caches.join("ballast"))
    }

    /// A cache in this folder, which need not exist yet.
    pub fn at(root: &Path) -> Result<Self> {
        let root = std::path::absolute(root).with_context(|| format!("cannot use {} as the model cache", root.display()))?;
        Ok(Self { root })
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of one model of the catalogue.
    pub fn model_folder(&self, name: &str) -> PathBuf {
        self.root.join("models").join(name)
    }

    /// The folder of all hub repositories.
    pub fn hub_folder(&self) -> PathBuf {
        self.root.join("hub")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(os: &str, variables: &[(&str, &str)]) -> Option<PathBuf> {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Cache::from_variables(os, lookup).ok().map(|cache| cache.root)
    }

    #[test]
    #[cfg(unix)]
    fn the_platform_decides_unless_the_variable_is_set() {
        let home = ("HOME", "/home/u");
        let cases = [
            ("linux", vec![home], "/home/u/.cache/ballast"),
            ("linux", vec![home, ("XDG_CACHE_HOME", "/x")], "/x/ballast"),
            ("linux", vec![home, ("XDG_CACHE_HOME", "relative")], "/home/u/.cache/ballast"),
            ("linux", vec![home, ("BALLAST_CACHE", "/b")], "/b"),
            ("linux", vec![home, ("BALLAST_CACHE", "")], "/home/u/.cache/ballast"),
            ("macos", vec![home], "/home/u/Library/Caches/ballast"),
            ("windows", vec![("LOCALAPPDATA", "/local")], "/local/ballast"),
        ];
        for (os, variables, expected) in cases {
            assert_eq!(root(os, &variables), Some(PathBuf::from(expected)), "{os} {variables:?}");
        }
        assert_eq!(root("linux", &[]), None);
    }
}
