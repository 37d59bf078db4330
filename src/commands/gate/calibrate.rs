//! `ballast calibrate --model`: the gate on the base itself and on planted collapses, through the code that judges real
//! adapters.
//!
//! Base against base in other batches shows how much of the churn is arithmetic. Damaged answers plant a collapse whose size
//! is known; random adapters of growing strength plant one in the weights.

use anyhow::{Context, Result};
use candle_core::{DType, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::measure::{Measured, measure_loaded};
use crate::cli::{CalibrateArgs, PolicyArgs};
use crate::commands::circumstances::{describe, utc_date};
use crate::commands::session::{Session, planned, terms};
use crate::commands::{bless, print};
use crate::data::chat::ChatSettings;
use crate::eval::score::Verdict;
use crate::files::{create_folder, write_atomic};
use crate::gate::baseline::Baseline;
use crate::gate::result::AdapterEvidence;
use crate::model::adapter;
use crate::model::lora::{Adapter, LoraConfig};
use crate::model::site::Module;
use crate::plan::PlannedSuite;
use crate::random::{derive, shuffle};
use crate::record::rows::ItemRow;
use crate::report::calibration::{Measurement, measured};

/// Items of a batch in base against base; the evaluator's own are larger.
const GROUP: usize = 7;
/// Shares of items whose right answers are damaged.
const DAMAGES: [f64; 2] = [0.1, 0.2];
/// Strengths of the random adapter.
const STRENGTHS: [f64; 4] = [0.01, 0.1, 1.0, 10.0];
/// A strength that changes logits and no answer.
const FAINT: f64 = 1e-4;

struct Calibration<'a> {
    session: &'a Session,
    baseline: Baseline,
    random: Adapter,
}

pub(in crate::commands) fn calibrate(args: &CalibrateArgs) -> Result<()> {
    let suites = planned(&args.suites, args.items)?;
    let session = Session::open(
        &args.model,
        args.device.device,
        &ChatSettings::of(args.template.as_deref()),
        suites,
        "You are a helpful assistant.",
        terms("Swift-Robot", "CSDN"),
    )?;
    let base = session.ask("base", None)?;
    let points = format!("{}", args.margin);
    let of_all = |session: &Session| session.suites.iter().map(|planned| format!("{}={points}", planned.suite.name)).collect::<Vec<_>>();
    let policy = PolicyArgs {
        margins: of_all(&session),
        form_margins: of_all(&session),
        leak_margin: points.clone(),
        // What is calibrated is the rule over answers: drift is measured beside it and shown.
        drift_limit: "none".to_owned(),
        agreement_floor: "none".to_owned(),
        identity_floor: None,
    };
    let (baseline, _) = bless::baseline(&session, &base, &policy)?;
    let calibration = Calibration { session: &session, baseline, random: random(&session, args.seed)? };

    let again = other_batches(&session, args.seed)?;
    let changed = |same: fn(&ItemRow, &ItemRow) -> bool| {
        let differs = |row: &&ItemRow| base.iter().any(|other| other.suite == row.suite && other.hash == row.hash && !same(row, other));
        again.iter().filter(differs).count()
    };
    let texts = changed(|a, b| a.answer == b.answer);
    let verdicts = changed(|a, b| (a.verdict == Verdict::Correct) == (b.verdict == Verdict::Correct));
    let mut found = vec![calibration.judge("base against base, other batches", FAINT, &|_| Ok(again.clone()))?];
    for share in DAMAGES {
        let name = format!("{:.0} % of all answers, right ones, made wrong", 100.0 * share);
        let damaged = damage(&base, &session, share, args.seed);
        found.push(calibration.judge(&name, FAINT, &|_| Ok(damaged.clone()))?);
    }
    for strength in STRENGTHS {
        let adapter = calibration.random.scaled(strength);
        let name = format!("random adapter, strength {strength}");
        found.push(calibration.judge(&name, strength, &|session| session.ask(&name, Some(&adapter)))?);
    }
    let how = format!("{}, {}, seed {}", describe(args.device.device), utc_date(), args.seed);
    let page = measured(&session.base.name, &how, args.margin, (texts, verdicts, again.len()), &found);
    if let Some(folder) = &args.out {
        create_folder(folder)?;
        write_atomic(&folder.join("measured.md"), page.as_bytes())?;
    }
    print(&page)
}

impl Calibration<'_> {
    /// One gate: the random adapter at a strength proves liveness, `ask` gives the answers that are judged.
    fn judge(&self, name: &str, strength: f64, ask: &dyn Fn(&Session) -> Result<Vec<ItemRow>>) -> Result<Measurement> {
        let adapter = self.random.scaled(strength);
        let known = AdapterEvidence {
            folder: name.to_owned(),
            digest: Some(adapter::digest(&adapter)?),
            lambda: strength,
            ..AdapterEvidence::default()
        };
        let Measured { result, .. } = measure_loaded(self.session, &self.baseline, "blessed just now", known, &adapter, ask)?;
        Ok(Measurement { name: name.to_owned(), result })
    }
}

/// The same items in another order and in small batches.
fn other_batches(session: &Session, seed: u64) -> Result<Vec<ItemRow>> {
    let shuffled = session.suites.iter().map(|planned| PlannedSuite {
        suite: planned.suite.clone(),
        items: shuffle(planned.items.clone(), derive(seed, &["calibrate", "batches", &planned.suite.name])),
    });
    session.ask_in_groups("base again, other batches", None, &shuffled.collect::<Vec<_>>(), GROUP)
}

/// The rows with so large a share of each suite's items made wrong, drawn among the right ones; all of these where there
/// are fewer.
fn damage(rows: &[ItemRow], session: &Session, share: f64, seed: u64) -> Vec<ItemRow> {
    let mut damaged = rows.to_vec();
    for PlannedSuite { suite, items } in &session.suites {
        let right = (0..rows.len()).filter(|i| rows[*i].suite == suite.name && rows[*i].verdict == Verdict::Correct).collect();
        let count = (share * items.len() as f64).ceil() as usize;
        for i in shuffle(right, derive(seed, &["calibrate", "damage", &suite.name])).into_iter().take(count) {
            damaged[i].verdict = Verdict::Wrong;
            "(damaged)".clone_into(&mut damaged[i].answer);
        }
    }
    damaged
}

/// An adapter of random weights on every site.
fn random(session: &Session, seed: u64) -> Result<Adapter> {
    let config = LoraConfig { rank: 8, alpha: 16.0, dropout: 0.0, targets: Module::ALL.to_vec(), rslora: false };
    let device = &session.base.device;
    let mut adapter = Adapter::init(&session.base.decoder.spec, &config, derive(seed, &["calibrate", "init"]), device)?;
    let mut draws = ChaCha8Rng::seed_from_u64(derive(seed, &["calibrate", "random"]));
    for pair in adapter.pairs.values_mut() {
        // Uniform in (-0.1, 0.1).
        let values: Vec<f32> =
            (0..pair.b.elem_count()).map(|_| (f64::from(draws.next_u32()) / f64::from(u32::MAX) - 0.5) as f32 * 0.2).collect();
        pair.b = Tensor::from_vec(values, pair.b.shape(), device)?.to_dtype(DType::F32).context("failed to make a random adapter")?;
    }
    Ok(adapter)
}
