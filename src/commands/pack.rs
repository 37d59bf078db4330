//! `ballast pack` and `ballast unpack`: an adapter in one file, with all that it needs to be itself elsewhere.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use candle_core::Device;

use super::{fetched, model, print};
use crate::cli::{PackArgs, UnpackArgs};
use crate::data::chat::ChatSettings;
use crate::export::{OllamaTemplate, gguf_holds, lora_gguf, modelfile};
use crate::files::{self, Staged, read_json, read_text, sha256};
use crate::gate::result::GateResult;
use crate::model::adapter;
use crate::model::base;
use crate::model::catalogue::{CATALOGUE, ModelSource};
use crate::model::fetch::ModelFiles;
use crate::model::lora::Adapter;
use crate::model::spec::Spec;
use crate::model::tokenizer::TextCodec;
use crate::pack::{self, ADAPTER, Base, Launch, Manifest, Member, SYSTEM, TEMPLATE};
use crate::progress::note;

/// System prompt where nothing says another.
const PLAIN: &str = "You are a helpful assistant.";
/// Bytes of one file of a pack.
const LARGEST: u64 = 32 << 30;

pub(super) fn pack(args: &PackArgs) -> Result<()> {
    pack::check_name(&args.name)?;
    // A place that is taken should not cost the reading of a base.
    drop(Staged::file(&args.out)?);
    let (spec, codec) = (model::spec(&args.base)?, model::template(&args.base, &ChatSettings::default())?.codec().clone());
    let adapter = adapter::load(&args.adapter, &spec, &Device::Cpu)?.scaled(args.lambda);
    adapter.check_scale()?;
    let digest = adapter::digest(&adapter)?;
    let gate = args.gate.as_deref().map(|folder| read_json::<GateResult>(&folder.join("gate.json"))).transpose()?;
    let base = base_of(&args.base, &codec)?;
    if let Some(gate) = &gate {
        let judged = (&gate.evidence.weights, &gate.evidence.template, gate.adapter.digest.as_ref());
        ensure!(judged.2 == Some(&digest), "the gate judged another adapter, or this one at another strength (--lambda): gate this one");
        ensure!(
            (judged.0, judged.1) == (&base.weights, &base.template),
            "the gate judged the adapter on another base than `{}`",
            args.base
        );
    }
    let judged_with = gate.as_ref().map(|gate| gate.evidence.system.as_str());
    if let (Some(system), Some(judged_with)) = (&args.system, judged_with) {
        ensure!(system == judged_with, "--system is another than the gate asked with, `{judged_with}`: leave it out, or gate with it");
    }
    let system = args.system.as_deref().or(judged_with).unwrap_or(PLAIN);
    let mut contents = adapter_files(&adapter, &spec, &base.model)?;
    contents.insert(SYSTEM.to_owned(), system.as_bytes().to_vec());
    contents.insert(TEMPLATE.to_owned(), codec.template.clone().into_bytes());
    let llama_cpp = gguf_holds(&spec).is_ok();
    if llama_cpp {
        contents.insert(
            "adapter.gguf".to_owned(),
            temporary(|folder| lora_gguf(&spec, &adapter, &folder.join("adapter.gguf")))?
                .remove("adapter.gguf")
                .context("no adapter.gguf")?,
        );
        let template = OllamaTemplate::measure(&codec);
        if let Err(why) = &template {
            note(&format!("the Modelfile is without the chat template: {why:#}"));
        }
        contents.insert(
            "Modelfile".to_owned(),
            modelfile("./BASE.gguf", Some("./adapter.gguf"), &template, system, &codec.stop_texts())?.into_bytes(),
        );
    }
    if let Some(folder) = &args.gate {
        for name in ["gate.json", "summary.md", "junit.xml", "forest.svg", "forest.png"] {
            let path = folder.join(name);
            if path.exists() {
                contents.insert(format!("gate/{name}"), files::read(&path, files::TEXT)?);
            }
        }
    }
    if let Some(report) = &args.report {
        contents.insert("report.md".to_owned(), read_text(report)?.into_bytes());
    }
    let launch = Launch {
        name: &args.name,
        base: elsewhere(&args.base),
        gguf: matches!(fetched::files(&args.base)?, ModelFiles::Gguf(_)).then_some(base.weights.as_str()),
        rank: adapter.config.rank,
        llama_cpp,
    };
    contents.extend(pack::scripts(&launch).into_iter().map(|(name, text)| (name, text.into_bytes())));
    let manifest = |contents: &BTreeMap<String, Vec<u8>>| {
        let member = |(path, bytes): (&String, &Vec<u8>)| Member { path: path.clone(), bytes: bytes.len() as u64, sha256: sha256(bytes) };
        Manifest::new(&args.name, base.clone(), digest.clone(), contents.iter().map(member).collect())
    };
    let card = pack::card(&manifest(&contents), repository(&args.base).as_deref(), system, gate.as_ref());
    contents.insert("README.md".to_owned(), card.into_bytes());
    let manifest = manifest(&contents).checked()?;
    pack::write(&args.out, &manifest, &contents)?;
    let verdict = gate.as_ref().map_or("not gated", |gate| gate.verdict.word());
    print(&format!("{}: {} files for {}, {verdict}\n", args.out.display(), contents.len() + 1, base.model))
}

pub(super) fn unpack(args: &UnpackArgs) -> Result<()> {
    let base = args.base.as_deref().map(|name| base_of(name, model::template(name, &ChatSettings::default())?.codec())).transpose()?;
    let manifest = pack::unpack(&args.file, &args.out, |manifest| base.as_ref().map_or(Ok(()), |base| manifest.check_base(base)))?;
    print(&format!("{}: {} for {}, {} files as packed\n", args.out.display(), manifest.name, manifest.base.model, manifest.files.len()))
}

/// A pack's folder, checked, its base with it: the base's name, the adapter's folder and the system prompt.
pub(super) fn opened(folder: &Path, base: Option<&str>) -> Result<(String, std::path::PathBuf, String)> {
    let manifest = pack::open(folder)?;
    let name = base.unwrap_or(&manifest.base.model).to_owned();
    let found = model::template(&name, &ChatSettings::default()).and_then(|template| base_of(&name, template.codec()));
    let found = found.with_context(|| format!("the base of the pack, `{}`, is not here: give it with --base", manifest.base.model))?;
    manifest.check_base(&found)?;
    let system = read_text(&folder.join(SYSTEM))?;
    Ok((name, folder.join(ADAPTER), system))
}

/// What a base is, by digests.
fn base_of(name: &str, codec: &TextCodec) -> Result<Base> {
    let files = fetched::files(name)?;
    Ok(Base {
        model: named(name),
        weights: base::weights_digest(&files)?,
        tokenizer: codec.digest()?,
        template: sha256(codec.template.as_bytes()),
    })
}

/// What another machine can ask for the base by, if anything.
fn elsewhere(name: &str) -> Option<&str> {
    (name.starts_with("hf:") || CATALOGUE.iter().any(|entry| entry.name == name)).then_some(name)
}

/// The base's name without the folders of this machine.
fn named(name: &str) -> String {
    let own = || Path::new(name).file_name().map_or_else(|| name.to_owned(), |file| file.to_string_lossy().into_owned());
    elsewhere(name).map_or_else(own, str::to_owned)
}

/// The base's repository on the Hub.
fn repository(name: &str) -> Option<String> {
    if let Some(repo) = name.strip_prefix("hf:") {
        return Some(repo.split(['@', ':']).next().unwrap_or(repo).split('/').take(2).collect::<Vec<_>>().join("/"));
    }
    let entry = CATALOGUE.iter().find(|entry| entry.name == name)?;
    entry.sources.iter().find_map(|source| match source {
        ModelSource::Hub(hub) => Some(hub.repo.to_owned()),
        ModelSource::Pip(_) => None,
    })
}

/// The adapter's own files, as they are written anywhere.
fn adapter_files(adapter: &Adapter, spec: &Spec, base: &str) -> Result<BTreeMap<String, Vec<u8>>> {
    let files = temporary(|folder| adapter::save(adapter, spec, base, folder))?;
    Ok(files.into_iter().map(|(name, bytes)| (format!("{ADAPTER}/{name}"), bytes)).collect())
}

/// The files that a function writes into a folder, which is gone afterwards.
fn temporary(write: impl FnOnce(&Path) -> Result<()>) -> Result<BTreeMap<String, Vec<u8>>> {
    let staged = Staged::folder(&std::env::temp_dir().join(format!("ballast-pack-{}", std::process::id())))?;
    write(staged.path())?;
    let mut contents = BTreeMap::new();
    for entry in std::fs::read_dir(staged.path())? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).context("a file without a name")?;
        contents.insert(name, files::read(&path, LARGEST)?);
    }
    Ok(contents)
}
