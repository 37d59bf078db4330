//! The low-rank kernels: alone, inside the activation, and with the residual.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};

use super::{Kernels, THROUGH};
use crate::commands::doctor::moved;
use crate::model::lora::{Adapter, LoraConfig, LoraPair};
use crate::model::ops::cuda::dropout::DropoutPlaces;
use crate::model::ops::cuda::lowrank::{DropoutBits, Group, Table, Updates};
use crate::model::ops::cuda::upload::{Place, Upload, Uploaded};
use crate::model::ops::dropout::Dropout;
use crate::model::ops::linear::{Linear, LowRank, Update};
use crate::model::ops::{cuda, swiglu};
use crate::model::site::{Module, Site};
use crate::model::spec::Spec;

/// Modules that share an input.
const GROUPS: [(Group, &[Module]); 4] = [
    (Group::QKV, &[Module::Q, Module::K, Module::V]),
    (Group::O, &[Module::O]),
    (Group::GATE_UP, &[Module::Gate, Module::Up]),
    (Group::DOWN, &[Module::Down]),
];

/// Two adapters over the rows of a pass.
struct Adapted<'a> {
    spec: &'a Spec,
    /// Each adapter's updates, on the host.
    adapters: Vec<BTreeMap<Site, LowRank>>,
    table: Table,
    dropout: Dropout,
    bits: DropoutBits,
    uploaded: Uploaded,
    through: Place,
    ranges: Place,
    /// Where each adapter's tokens begin, and where the last one's end.
    bounds: [usize; 3],
    tokens: usize,
}

impl Adapted<'_> {
    fn updates(&self, dropping: bool) -> Updates<'_> {
        Updates {
            table: &self.table,
            spec: self.spec,
            layer: 0,
            through: self.uploaded.at(self.through),
            ranges: Some(self.uploaded.at(self.ranges)),
            tokens: self.tokens,
            dropout: dropping.then_some(&self.bits),
        }
    }

    fn pairs<'b>(&'b self, module: Module) -> Vec<Update<'b>> {
        let pair = |(adapter, own): (usize, &'b BTreeMap<Site, LowRank>)| {
            let tokens = self.bounds[adapter]..self.bounds[adapter + 1];
            Some(Update { adapter, tokens, low_rank: own.get(&Site { layer: 0, module })? })
        };
        self.adapters.iter().enumerate().filter_map(pair).collect()
    }

    /// A linear of zeros: what comes out of it is the update alone.
    fn linear(&self, module: Module) -> Result<Linear> {
        let (width, output) = module.widths(self.spec);
        Linear::new(&Tensor::zeros((output, width), DType::F32, &Device::Cpu)?, None)
    }

    fn forward(&self, module: Module, x: &Tensor) -> Result<Tensor> {
        self.linear(module)?.forward(x, &self.pairs(module), None)
    }
}

impl<'a> Kernels<'a> {
    pub(super) fn low_rank(&mut self) -> Result<()> {
        let adapted = self.adapted()?;
        for (group, modules) in GROUPS {
            self.products(&adapted, group, modules)?;
        }
        self.inside_swiglu(&adapted)?;
        self.with_residual(&adapted)
    }

    /// Two adapters of different rank on every module, B not zero.
    fn adapted(&mut self) -> Result<Adapted<'a>> {
        let decoder = self.decoder;
        let mut adapters = Vec::new();
        for (seed, rank) in [(1, 8), (2, 12)] {
            let config = LoraConfig { rank, alpha: 2.0 * rank as f64, dropout: 0.25, targets: Module::ALL.to_vec(), rslora: false };
            let mut adapter = Adapter::init(&decoder.spec, &config, seed, &Device::Cpu)?;
            for pair in adapter.pairs.values_mut() {
                // Both sides see the numbers that the kernels' copies have.
                let rounded = |x: &Tensor| -> Result<Tensor> { Ok(x.to_dtype(decoder.dtype())?.to_dtype(DType::F32)?) };
                *pair = LoraPair { a: rounded(&pair.a)?, b: rounded(&self.draw(pair.b.shape(), 0.1)?)? };
            }
            adapters.push(adapter);
        }
        let on_device: Vec<Adapter> = adapters.iter().map(|adapter| moved(adapter, decoder.device())).collect::<Result<_>>()?;
        let updates = |adapters: &[Adapter]| adapters.iter().map(|adapter| adapter.updates(&decoder.spec)).collect::<Result<Vec<_>>>();
        let table = Table::new(decoder, &updates(&on_device)?)?.context("adapters on a GPU have a table")?;
        let adapters = updates(&adapters)?;
        let dropout = Dropout::new(0.25, 9, &[0, 1, 2, 3]);
        let mut upload = Upload::default();
        let rows = self.rows.iter().zip(THROUGH);
        let through = upload.add(rows.flat_map(|(row, adapter)| std::iter::repeat_n(adapter.map_or(u32::MAX, |a| a as u32), row.len)));
        let bounds = [0, self.rows[2].start, self.rows[3].start];
        let ranges = upload.add(bounds.map(|at| at as u32));
        let places = DropoutPlaces::new(&dropout, &self.rows, &mut upload).context("a quarter is dropped")?;
        let uploaded = upload.send(decoder.device())?;
        let bits = places.bits(&uploaded, &decoder.spec, 0, self.tokens, decoder.device())?;
        let tokens = self.tokens;
        Ok(Adapted { spec: &decoder.spec, adapters, table, dropout, bits, uploaded, through, ranges, bounds, tokens })
    }

    /// Forward, backward and gradients of the modules of one input, with dropout.
    fn products(&mut self, adapted: &Adapted<'_>, group: Group, modules: &[Module]) -> Result<()> {
        let (spec, tokens) = (adapted.spec, self.tokens);
        let (width, total) = (modules[0].widths(spec).0, modules.iter().map(|module| module.widths(spec).1).sum::<usize>());
        let (x, d_y) = (self.both((tokens, width), 1.0)?, self.both((tokens, total), 1.0)?);
        let (y, d_x) = (self.zeros(tokens, total)?, self.zeros(tokens, width)?);
        let updates = adapted.updates(true);
        let reduced = updates.reduce(group, &x.device)?;
        updates.expand(group, reduced.as_ref(), &y)?;
        let d_reduced = updates.reduce_backward(group, &d_y.device)?;
        updates.expand_backward(group, d_reduced.as_ref(), &d_x)?;
        let gradients = updates.gradients(group, reduced.as_ref(), d_reduced.as_ref(), &x.device, &d_y.device)?;
        let (mut expected, mut expected_d_x, mut start) = (Vec::new(), x.host.zeros_like()?, 0);
        for module in modules {
            let (linear, pairs) = (adapted.linear(*module)?, adapted.pairs(*module));
            let mask = adapted.dropout.mask(Site { layer: 0, module: spec.held_as(*module) }.index(), &self.rows, width, &x.host)?;
            expected.push(linear.forward(&x.host, &pairs, mask.as_ref())?);
            let output = module.widths(spec).1;
            let d_y = d_y.host.narrow(1, start, output)?.contiguous()?;
            start += output;
            let (d_x, of_pairs) = linear.backward(&x.host, &pairs, mask.as_ref(), &d_y)?;
            expected_d_x = (expected_d_x + d_x)?;
            for (update, expected) in pairs.iter().zip(of_pairs) {
                let own = gradients.iter().find(|(adapter, of, _)| (*adapter, of) == (update.adapter, module));
                let (.., own) = own.context("every pair has a gradient")?;
                let name = |half: &str| format!("lowrank_outer, {} of adapter {}, {half}", module.name(), update.adapter);
                self.compare(name("A"), &own.a, &expected.a)?;
                self.compare(name("B"), &own.b, &expected.b)?;
            }
        }
        let names = modules.iter().map(|module| module.name()).collect::<Vec<_>>().join(", ");
        self.compare(format!("lowrank_down, lowrank_up, {names}"), &y, &Tensor::cat(&expected, 1)?)?;
        self.compare(format!("lowrank_down, lowrank_up, backward, {names}"), &d_x, &expected_d_x)
    }

    fn inside_swiglu(&mut self, adapted: &Adapted<'_>) -> Result<()> {
        let (tokens, hidden, width) = (self.tokens, adapted.spec.hidden, adapted.spec.intermediate);
        let (x, gate_up) = (self.both((tokens, hidden), 1.0)?, self.both((tokens, 2 * width), 2.0)?);
        let d_y = self.both((tokens, width), 1.0)?;
        let updates = adapted.updates(false);
        let reduced = updates.reduce(Group::GATE_UP, &x.device)?;
        let given = reduced.as_ref().map(|reduced| (&updates, reduced));
        let updated = |module: Module, start: usize| -> Result<Tensor> {
            Ok((gate_up.host.narrow(1, start, width)?.contiguous()? + adapted.forward(module, &x.host)?)?)
        };
        let (gate, up) = (updated(Module::Gate, 0)?, updated(Module::Up, width)?);
        self.compare("swiglu with updates", &cuda::swiglu::swiglu(&gate_up.device, given)?, &swiglu::swiglu(&gate, &up)?)?;
        cuda::swiglu::swiglu_backward(&gate_up.device, given, &d_y.device)?;
        let (d_gate, d_up) = swiglu::swiglu_backward(&gate, &up, &d_y.host)?;
        self.compare("swiglu_backward with updates", &gate_up.device, &Tensor::cat(&[&d_gate, &d_up], 1)?)
    }

    fn with_residual(&mut self, adapted: &Adapted<'_>) -> Result<()> {
        let (tokens, hidden) = (self.tokens, adapted.spec.hidden);
        let x = self.both((tokens, adapted.spec.intermediate), 1.0)?;
        let (y, residual) = (self.both((tokens, hidden), 1.0)?, self.both((tokens, hidden), 1.0)?);
        let updates = adapted.updates(false);
        let reduced = updates.reduce(Group::DOWN, &x.device)?.context("down is adapted")?;
        updates.expand_and_add(Group::DOWN, &reduced, &residual.device, &y.device)?;
        let expected = ((adapted.forward(Module::Down, &x.host)? + &y.host)? + &residual.host)?;
        self.compare("lowrank_up with a residual", &y.device, &expected)
    }
}
