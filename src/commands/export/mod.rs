//! `ballast export`: an adapter for other programs.

mod sample;

use std::fmt::Write;

use anyhow::{Result, ensure};
use candle_core::DType;

use self::sample::Questions;
use super::{model, print};
use crate::cli::{ExportArgs, ExportFormat, StoredType};
use crate::export;
use crate::files::Staged;
use crate::model::adapter;
use crate::model::base::BaseModel;
use crate::model::device::DeviceChoice;
use crate::model::fetch::ModelFiles;
use crate::progress::note;

pub(super) fn export(args: &ExportArgs) -> Result<()> {
    ensure!(
        args.format != ExportFormat::Peft || args.dtype.is_none(),
        "--dtype is for merged weights: the pairs of a PEFT folder are written in f32"
    );
    // Before anything is read: a place that is taken should not cost a merge.
    let staged = Staged::folder(&args.out)?;
    let files = super::fetched::files(&args.model)?;
    let questions = Questions::draw(args.check, &args.system)?;
    let (base, _) = model::load(&args.model, DeviceChoice::Cpu)?;
    let adapter = adapter::load(&args.adapter, &base.decoder.spec, &base.device)?.scaled(args.lambda);
    adapter.check_scale()?;
    note("asking base + adapter");
    let before = questions.ask(&base, Some(&adapter))?;
    let spec = base.decoder.spec.clone();
    let codec = base.codec.clone();
    let mut text = String::new();
    match args.format {
        ExportFormat::Peft => {
            adapter::save(&adapter, &spec, &args.model, staged.path())?;
            let read = adapter::load(staged.path(), &spec, &base.device)?;
            ensure!(adapter::digest(&read)? == adapter::digest(&adapter)?, "the PEFT folder was read back and is another adapter");
            writeln!(text, "{}: {} pairs, read back, the same adapter", args.out.display(), adapter.pairs.len())?;
        }
        ExportFormat::Safetensors => {
            drop(base);
            note("folding the adapter into the base");
            let (rounding, types) = export::checkpoint(&files, &spec, &adapter, args.dtype.map(StoredType::dtype), &staged)?;
            writeln!(
                text,
                "{}: {} linears of {} read back, each base + adapter to the rounding of {types}\n  largest difference {:.2e}{}",
                args.out.display(),
                rounding.linears,
                adapter.pairs.len(),
                rounding.largest,
                rounding.share().map_or_else(String::new, |share| format!("; rounding is {:.2} % of the update's size", 100.0 * share))
            )?;
            note("asking the merged model");
            let merged =
                BaseModel::load(&args.out.display().to_string(), &ModelFiles::Folder(staged.path().to_owned()), DeviceChoice::Cpu)?;
            if args.check > 0 {
                text += &questions.compare(&before, &questions.ask(&merged, None)?, &codec)?;
            }
        }
    }
    staged.commit()?;
    print(&text)
}

impl StoredType {
    fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }
}
