//! `ballast export`: an adapter for other programs.

mod sample;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device};

use self::sample::{Questions, Said};
use super::{fetched, model, print};
use crate::cli::{ExportArgs, ExportFormat, StoredType};
use crate::data::chat::ChatSettings;
use crate::export::{self, FileType, OllamaTemplate, Rounding, modelfile};
use crate::files::Staged;
use crate::model::adapter;
use crate::model::base::BaseModel;
use crate::model::device::DeviceChoice;
use crate::model::fetch::ModelFiles;
use crate::model::lora::Adapter;
use crate::model::spec::Spec;
use crate::model::tokenizer::TextCodec;
use crate::progress::note;

pub(super) fn export(args: &ExportArgs) -> Result<()> {
    let single = args.out.extension().is_some_and(|end| end == "gguf");
    let gguf = matches!(args.format, ExportFormat::Gguf | ExportFormat::GgufLora);
    ensure!(!single || gguf, "{} ends in .gguf, and this format is a folder: name another", args.out.display());
    let types = Types::of(args)?;
    // Before anything is read: a place that is taken should not cost a merge.
    let staged = if single { Staged::file(&args.out)? } else { Staged::folder(&args.out)? };
    let files = fetched::files(&args.model)?;
    let spec = model::spec(&args.model)?;
    if gguf {
        export::gguf_holds(&spec)?;
    }
    let adapter = adapter::load(&args.adapter, &spec, &Device::Cpu)?.scaled(args.lambda);
    adapter.check_scale()?;
    let Asked { spec, codec, questions, before } = ask(args, &adapter)?;
    let export = Export { args, files: &files, spec: &spec, adapter: &adapter, codec: &codec, staged: &staged, single };
    let (mut text, written) = export.write(types)?;
    if let (Some(written), true) = (written, args.check > 0) {
        note("asking what was written");
        let merged = BaseModel::load(&args.out.display().to_string(), &written, DeviceChoice::Cpu)?;
        text += &questions.compare(&before, &questions.ask(&merged, None)?, &codec)?;
    }
    if args.check > 0 && !single {
        staged.bytes(ANSWERS, &questions.to_json(&before, &codec)?)?;
    }
    staged.commit()?;
    print(&text)
}

/// What base + adapter answers, beside what was written.
const ANSWERS: &str = "answers.json";

/// The base's shape and tokenizer, and what base + adapter answers.
struct Asked {
    spec: Spec,
    codec: TextCodec,
    questions: Questions,
    before: Vec<Said>,
}

/// Loads the base for as long as it is asked, and not at all where neither its answers nor its tensors are needed.
fn ask(args: &ExportArgs, adapter: &Adapter) -> Result<Asked> {
    let questions = Questions::draw(args.check, &args.system)?;
    if args.check == 0 && args.format != ExportFormat::Gguf {
        let codec = model::template(&args.model, &ChatSettings::default())?.codec().clone();
        return Ok(Asked { spec: model::spec(&args.model)?, codec, questions, before: Vec::new() });
    }
    let (base, _) = model::load(&args.model, DeviceChoice::Cpu, &ChatSettings::default())?;
    if args.check > 0 {
        note("asking base + adapter");
    }
    let before = questions.ask(&base, Some(adapter))?;
    Ok(Asked { spec: base.decoder.spec.clone(), codec: base.codec, questions, before })
}

/// What `--dtype` comes to.
#[derive(Clone, Copy)]
enum Types {
    Safetensors(Option<DType>),
    Gguf(FileType),
    None,
}

impl Types {
    fn of(args: &ExportArgs) -> Result<Self> {
        Ok(match args.format {
            ExportFormat::Safetensors => Self::Safetensors(args.dtype.map(StoredType::dtype).transpose()?),
            ExportFormat::Gguf => Self::Gguf(args.dtype.map_or(FileType::F16, StoredType::file_type)),
            ExportFormat::GgufLora | ExportFormat::Peft => {
                ensure!(args.dtype.is_none(), "--dtype is for merged weights: the adapter alone is written in f32");
                Self::None
            }
        })
    }
}

/// One export under way.
struct Export<'a> {
    args: &'a ExportArgs,
    files: &'a ModelFiles,
    spec: &'a Spec,
    adapter: &'a Adapter,
    codec: &'a TextCodec,
    staged: &'a Staged,
    single: bool,
}

impl Export<'_> {
    /// What is to be said of it, and the model that it became, if it is one.
    fn write(&self, types: Types) -> Result<(String, Option<ModelFiles>)> {
        let Self { args, files, spec, adapter, staged, .. } = self;
        let out = args.out.display();
        let pairs = adapter.pairs.len();
        Ok(match (args.format, types) {
            (ExportFormat::Safetensors, Types::Safetensors(dtype)) => {
                note("folding the adapter into the base");
                let (rounding, types) = export::checkpoint(files, spec, Some(self.codec), adapter, dtype, staged)?;
                (said(&out.to_string(), &rounding, pairs, &types), Some(ModelFiles::Folder(staged.path().to_owned())))
            }
            (ExportFormat::Gguf, Types::Gguf(kind)) => {
                note("folding the adapter into the base");
                let (name, mut rounding) = (format!("model-{}.gguf", kind.name()), Rounding::default());
                let path = self.gguf(&name, &mut |path| {
                    rounding = export::merged_gguf(files, &args.model, spec, self.codec, adapter, kind, path)?;
                    Ok(())
                })?;
                self.modelfile(&format!("./{name}"), None)?;
                (said(&out.to_string(), &rounding, pairs, kind.name()), Some(ModelFiles::Gguf(path)))
            }
            (ExportFormat::GgufLora, _) => {
                self.gguf(ADAPTER, &mut |path| export::lora_gguf(spec, adapter, path))?;
                let (ModelFiles::Gguf(path) | ModelFiles::Folder(path)) = files;
                let base = std::fs::canonicalize(path).with_context(|| format!("failed to read {}", path.display()))?;
                self.modelfile(&base.display().to_string(), Some(&format!("./{ADAPTER}")))?;
                (format!("{out}: {pairs} pairs read back, each the adapter's update\n"), None)
            }
            (ExportFormat::Peft, _) => {
                adapter::save(adapter, spec, &args.model, staged.path())?;
                let read = adapter::load(staged.path(), spec, &Device::Cpu)?;
                ensure!(adapter::digest(&read)? == adapter::digest(adapter)?, "the PEFT folder was read back and is another adapter");
                (format!("{out}: {pairs} pairs read back, the same adapter\n"), None)
            }
            _ => bail!("this format has no such type"),
        })
    }

    /// Writes a GGUF file in the folder, or as the only file.
    fn gguf(&self, name: &str, write: &mut dyn FnMut(&Path) -> Result<()>) -> Result<PathBuf> {
        if self.single {
            self.staged.write_file(write)?;
            return Ok(self.staged.path().to_owned());
        }
        self.staged.write(name, write)?;
        Ok(self.staged.path().join(name))
    }

    fn modelfile(&self, from: &str, lora: Option<&str>) -> Result<()> {
        if self.single {
            return Ok(());
        }
        let template = OllamaTemplate::measure(self.codec);
        if let Err(why) = &template {
            note(&format!("the Modelfile is without the chat template: {why:#}"));
        }
        let text = modelfile(from, lora, &template, &self.args.system, &self.codec.stop_texts())?;
        self.staged.bytes("Modelfile", text.as_bytes())
    }
}

/// The adapter's file beside a Modelfile.
const ADAPTER: &str = "adapter.gguf";

/// `merged: 14 linears of 14 read back, ...`
fn said(out: &str, rounding: &Rounding, pairs: usize, types: &str) -> String {
    let share = rounding.share().map_or_else(String::new, |share| format!("; rounding is {:.2} % of the update's size", 100.0 * share));
    format!(
        "{out}: {} linears of {pairs} read back, each base + adapter to the rounding of {types}\n  largest difference {:.2e}{share}\n",
        rounding.linears, rounding.largest
    )
}

impl StoredType {
    fn dtype(self) -> Result<DType> {
        Ok(match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
            Self::Q8_0 | Self::Q4KM => bail!("quantized weights are for --format gguf: safetensors take f32, bf16 and f16"),
        })
    }

    fn file_type(self) -> FileType {
        match self {
            Self::F32 => FileType::F32,
            Self::Bf16 => FileType::Bf16,
            Self::F16 => FileType::F16,
            Self::Q8_0 => FileType::Q8_0,
            Self::Q4KM => FileType::Q4KM,
        }
    }
}
