//! What each optimizer step reports: one row of `train.csv`.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Context, Result};
use candle_core::Tensor;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::model::lora::Gradients;
use crate::model::ops::elementwise::square_sums;
use crate::model::site::{Module, Site};

/// Pre-clip gradient norms (L2) of the A and B matrices of each kind of linear, all layers together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GradientNorms {
    /// (A, B) by kind.
    pub by_module: BTreeMap<Module, (f64, f64)>,
    /// Of all together: what clipping looks at.
    pub total: f64,
}

impl GradientNorms {
    /// Norms of the given gradients. The first site whose gradient is not finite is returned as the error.
    pub fn of(gradients: &Gradients) -> Result<std::result::Result<Self, Site>> {
        let mut squares: BTreeMap<Module, (f64, f64)> = BTreeMap::new();
        let tensors: Vec<&Tensor> = gradients.values().flat_map(|gradient| [&gradient.a, &gradient.b]).collect();
        let sums = square_sums(&tensors)?;
        for (site, sums) in gradients.keys().zip(sums.chunks_exact(2)) {
            let (a, b) = (sums[0], sums[1]);
            if !a.is_finite() || !b.is_finite() {
                return Ok(Err(*site));
            }
            let sum = squares.entry(site.module).or_default();
            *sum = (sum.0 + a, sum.1 + b);
        }
        let total = squares.values().map(|(a, b)| a + b).sum::<f64>().sqrt();
        let by_module = squares.into_iter().map(|(module, (a, b))| (module, (a.sqrt(), b.sqrt()))).collect();
        Ok(Ok(Self { by_module, total }))
    }
}

/// One optimizer step, as a row of `train.csv`: the columns are [`COLUMNS`], with a norm of A and of B for each kind of
/// linear between them (`a_q`, ..., `b_down`), empty for kinds that are not adapted. A model that holds several linears as
/// one has columns for that too (`a_qkv`, ...).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct StepRow {
    /// Step of the variant, from 1, over all stages.
    pub step: usize,
    /// Stage it belongs to.
    pub stage: String,
    /// Epochs of the stage completed after this step.
    pub epoch: f64,
    /// Mean cross-entropy of the window's label tokens before the update, nats, whatever their weights; None where no row of
    /// the window is trained towards its tokens.
    pub loss: Option<f64>,
    /// Share of label tokens that were the most probable token.
    pub token_accuracy: Option<f64>,
    /// Rate of this update.
    pub learning_rate: f64,
    /// Pre-clip L2 norms of the gradients.
    pub norms: GradientNorms,
    /// Rows of the window.
    pub rows: usize,
    /// Tokens of the window.
    pub tokens: usize,
    /// Label tokens of the window.
    pub label_tokens: usize,
    /// Wall time of the step. Differs between runs; every column before it does not.
    pub seconds: f64,
    /// Tokens over seconds.
    pub tokens_per_second: f64,
    /// Resident memory of the process after the step, MiB; empty where the system does not say.
    pub memory_mib: Option<f64>,
    /// Mean KL(base || adapted) at the positions of the window that are held to the base, nats, before the update; None where
    /// none is.
    pub divergence: Option<f64>,
}

/// Columns of `train.csv` before the norms by kind of linear, and after them.
pub const COLUMNS: [&[&str]; 2] = [
    &["step", "stage", "epoch", "loss", "token_accuracy", "learning_rate", "grad_norm"],
    &["rows", "tokens", "label_tokens", "seconds", "tokens_per_second", "memory_mib", "divergence"],
];

/// Columns of the norms of A and of B.
const NORMS: [(Module, [&str; 2]); Module::ALL.len() + Module::JOINT.len()] = [
    (Module::Q, ["a_q", "b_q"]),
    (Module::K, ["a_k", "b_k"]),
    (Module::V, ["a_v", "b_v"]),
    (Module::O, ["a_o", "b_o"]),
    (Module::Gate, ["a_gate", "b_gate"]),
    (Module::Up, ["a_up", "b_up"]),
    (Module::Down, ["a_down", "b_down"]),
    (Module::Qkv, ["a_qkv", "b_qkv"]),
    (Module::GateUp, ["a_gate_up", "b_gate_up"]),
];

impl Serialize for StepRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let joint = |module: &Module| Module::JOINT.contains(module);
        let with_joint = self.norms.by_module.keys().any(joint);
        let norms: Vec<_> = NORMS.iter().filter(|(module, _)| with_joint || !joint(module)).collect();
        let mut row = serializer.serialize_struct("StepRow", COLUMNS[0].len() + COLUMNS[1].len() + 2 * norms.len())?;
        row.serialize_field("step", &self.step)?;
        row.serialize_field("stage", &self.stage)?;
        row.serialize_field("epoch", &self.epoch)?;
        row.serialize_field("loss", &self.loss)?;
        row.serialize_field("token_accuracy", &self.token_accuracy)?;
        row.serialize_field("learning_rate", &self.learning_rate)?;
        row.serialize_field("grad_norm", &self.norms.total)?;
        for (half, of_a) in [true, false].into_iter().enumerate() {
            for (module, columns) in &norms {
                row.serialize_field(columns[half], &self.norm(*module, of_a))?;
            }
        }
        row.serialize_field("rows", &self.rows)?;
        row.serialize_field("tokens", &self.tokens)?;
        row.serialize_field("label_tokens", &self.label_tokens)?;
        row.serialize_field("seconds", &self.seconds)?;
        row.serialize_field("tokens_per_second", &self.tokens_per_second)?;
        row.serialize_field("memory_mib", &self.memory_mib)?;
        row.serialize_field("divergence", &self.divergence)?;
        row.end()
    }
}

impl TryFrom<BTreeMap<String, String>> for StepRow {
    type Error = String;

    fn try_from(mut cells: BTreeMap<String, String>) -> std::result::Result<Self, String> {
        let mut by_module = BTreeMap::new();
        for (module, columns) in NORMS {
            let [a, b] = columns.map(|column| optional(&mut cells, column));
            if let (Some(a), Some(b)) = (a?, b?) {
                by_module.insert(module, (a, b));
            }
        }
        let row = Self {
            step: number(&mut cells, "step")?,
            stage: taken(&mut cells, "stage")?,
            epoch: number(&mut cells, "epoch")?,
            loss: present(&mut cells, "loss")?,
            token_accuracy: present(&mut cells, "token_accuracy")?,
            learning_rate: number(&mut cells, "learning_rate")?,
            norms: GradientNorms { by_module, total: number(&mut cells, "grad_norm")? },
            rows: number(&mut cells, "rows")?,
            tokens: number(&mut cells, "tokens")?,
            label_tokens: number(&mut cells, "label_tokens")?,
            seconds: number(&mut cells, "seconds")?,
            tokens_per_second: number(&mut cells, "tokens_per_second")?,
            memory_mib: optional(&mut cells, "memory_mib")?,
            divergence: optional(&mut cells, "divergence")?,
        };
        match cells.keys().next() {
            None => Ok(row),
            Some(unknown) => Err(format!("there is no column `{unknown}` in this version of Ballast")),
        }
    }
}

fn taken(cells: &mut BTreeMap<String, String>, column: &str) -> std::result::Result<String, String> {
    cells.remove(column).ok_or_else(|| format!("the column `{column}` is missing"))
}

fn number<T: FromStr>(cells: &mut BTreeMap<String, String>, column: &str) -> std::result::Result<T, String> {
    let text = taken(cells, column)?;
    text.parse().map_err(|_| format!("`{text}` in the column `{column}` is not a number of its kind"))
}

/// A number, or nothing where the cell is empty.
fn present(cells: &mut BTreeMap<String, String>, column: &str) -> std::result::Result<Option<f64>, String> {
    if cells.contains_key(column) { optional(cells, column) } else { Err(format!("the column `{column}` is missing")) }
}

/// A number, or nothing where the cell is empty or the column absent.
fn optional(cells: &mut BTreeMap<String, String>, column: &str) -> std::result::Result<Option<f64>, String> {
    if cells.get(column).is_none_or(String::is_empty) {
        cells.remove(column);
        return Ok(None);
    }
    number(cells, column).map(Some)
}

impl StepRow {
    /// The norm of one kind of linear's A (`true`) or B; None where it is not adapted.
    pub fn norm(&self, module: Module, a: bool) -> Option<f64> {
        self.norms.by_module.get(&module).map(|norms| if a { norms.0 } else { norms.1 })
    }
}

/// Resident memory of this process in MiB; None where the system does not say.
pub fn resident_mib() -> Option<f64> {
    status_mib("VmRSS:").ok()
}

/// Largest resident memory of this process so far in MiB; None where the system does not say.
pub fn peak_mib() -> Option<f64> {
    status_mib("VmHWM:").ok()
}

fn status_mib(key: &str) -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(key)).context("no such line")?;
    let kib: f64 = line.split_whitespace().next().context("no number")?.parse()?;
    Ok(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rows as the first version wrote them.
    const FIRST: &str = "step,stage,epoch,loss,token_accuracy,learning_rate,grad_norm,a_q,a_k,a_v,a_o,a_gate,a_up,a_down,b_q,b_k,b_v,b_o,b_gate,b_up,b_down,rows,tokens,label_tokens,seconds,tokens_per_second,memory_mib
1,anchor,0.5,3.25,0.125,0.0,1.5,0.0,,,,,,,2.5,,,,,,,4,100,40,0.5,200.0,
2,anchor,1.0,3.0,0.25,0.00001,1.25,0.25,,,,,,,2.0,,,,,,,4,100,40,0.5,200.0,81.5
";

    /// The same rows as they are written now, the second held to the base.
    fn written() -> String {
        let mut lines = FIRST.lines().zip(["divergence", "", "0.125"]).map(|(line, cell)| format!("{line},{cell}\n"));
        lines.by_ref().collect()
    }

    fn rows(text: &str) -> std::result::Result<Vec<StepRow>, csv::Error> {
        csv::Reader::from_reader(text.as_bytes()).deserialize().collect()
    }

    #[test]
    fn rows_are_read_and_written_back_byte_for_byte() {
        let read = rows(&written()).unwrap();
        assert_eq!(
            (read[1].norm(Module::Q, true), read[1].norm(Module::Q, false), read[1].norm(Module::K, true)),
            (Some(0.25), Some(2.0), None)
        );
        assert_eq!((read[0].memory_mib, read[1].memory_mib, read[1].learning_rate), (None, Some(81.5), 1e-5));
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in &read {
            writer.serialize(row).unwrap();
        }
        assert_eq!(String::from_utf8(writer.into_inner().unwrap()).unwrap(), written());
        assert_eq!((read[0].divergence, read[1].divergence), (None, Some(0.125)));
        let first = rows(FIRST).unwrap();
        assert!(first[0] == read[0] && first[1].divergence.is_none() && first[1].loss == read[1].loss);
        let written = written();
        let header: Vec<&str> = written.lines().next().unwrap().split(',').collect();
        assert!(header.starts_with(COLUMNS[0]) && header.ends_with(COLUMNS[1]));
    }

    #[test]
    fn joint_linears_have_columns_of_their_own() {
        let mut row = rows(&written()).unwrap().remove(1);
        row.norms.by_module = [(Module::Qkv, (0.5, 0.25)), (Module::Down, (1.0, 2.0))].into();
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.serialize(&row).unwrap();
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        assert!(text.contains(",a_down,a_qkv,a_gate_up,b_q,") && text.contains(",1.0,0.5,,,,,,,,2.0,0.25,,4,"), "{text}");
        assert_eq!(rows(&text).unwrap(), [row]);
    }

    #[test]
    fn what_is_not_a_row_is_named() {
        let error = |from: &str, to: &str| rows(&written().replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error("memory_mib", "memory").contains("`memory`"));
        assert!(error(",loss,", ",lost,").contains("the column `loss` is missing"));
        assert!(error("3.25", "three").contains("`three` in the column `loss`"));
    }
}
