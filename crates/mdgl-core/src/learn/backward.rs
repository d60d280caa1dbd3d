//! The backward form of every rule: one recursion a cell, from the last step to the first.
//!
//! ```text
//! λ_t = adjoint(ψ_t, L_t + Γ_t+1, λ_t+1)   of the cell's model, see [`crate::neuron`]
//! ∂E/∂W[q→p] = (1−α_p) Σ_t λ_p,t z_q,t−1   (x_i,t for an input), λ_p the adjoint of p's input
//! ```
//!
//! ModProp passes what a cell receives on through a constant μ in place of ψ, and follows the leak alone.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use crate::batch::encode::BlockInput;
use crate::error::Result;
use crate::instrument::probe::Probe;
use crate::instrument::section::Section;
use crate::learn::diffusion::Diffusive;
use crate::learn::field::{Field, Sources};
use crate::learn::gather::{Gather, GatherValues, Grouped, Tile, ValueTile, tile_rows};
use crate::learn::low_pass::{FilteredPsi, LowPass, PsiSegments};
use crate::learn::modulation::Modulation;
use crate::learn::partial::Partial;
use crate::learn::plan::{Delta, Plan};
use crate::learn::rates::RatePart;
use crate::learn::secretion::Secretion;
use crate::neuron::constants::Splat;
use crate::neuron::equations::{Equations, FURTHER, LeakDrive, Variables};
use crate::neuron::for_model;
use crate::neuron::storage::Further;
use crate::numeric::cancel::check_cancelled;
use crate::numeric::csr::Csr;
use crate::numeric::lanes::{Block, Kernel, Lanes, clear_tiny, just_cleared};
use crate::numeric::memory::{bytes_of, product, refill};
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::{CompiledNetwork, Run, ended};
use crate::simulate::delays::{Delayed, Past};
use crate::simulate::packed::RowReader;
use crate::simulate::padded_csr::PaddedCsr;
use crate::simulate::trajectory::{Load, Trajectory};

/// The backward pass over one block of trials.
pub struct Backward<'a, F: Scalar> {
    pub(crate) circuit: &'a CompiledNetwork<F>,
    pub(crate) plan: &'a Plan<F>,
    pub(crate) input: &'a BlockInput<F>,
    pub(crate) trajectory: &'a mut Trajectory<F>,
    pub(crate) delta: &'a Delta<F>,
    /// The regulariser's part of L.
    pub(crate) rates: RatePart<'a, F>,
    /// The cells' whole signal from outside, `[step][neuron]`, in place of L; every cell of the plan must count as signalled.
    pub(crate) given: Option<&'a [Block<F>]>,
    pub(crate) work: &'a mut Work<F>,
    /// Where L and Γ go, if wanted.
    pub(crate) signals: Option<&'a mut Signals<F>>,
    pub(crate) cancel: &'a AtomicBool,
}

/// Recorded signals, `[step][neuron]`.
#[derive(Debug, Default)]
pub(crate) struct Signals<F: Scalar> {
    /// L_p,t.
    pub learning: Vec<Block<F>>,
    /// Γ_p,t, as secreted at step t.
    pub modulation: Vec<Block<F>>,
}

/// State and sums of the pass; kept between batches for its memory.
#[derive(Debug, Default)]
pub(crate) struct Work<F: Scalar> {
    /// Steps in a tile.
    pub tile: usize,
    /// The adjoint of each neuron's input in a tile's steps, `[step − first][neuron]`; a ring: the row above the last is the
    /// first.
    pub input_adjoint: Vec<Block<F>>,
    /// The adjoints of further state variables, in the step at hand.
    pub further_adjoint: Further<F>,
    /// L of the step at hand.
    signal: Vec<Block<F>>,
    /// Γ_t+1 while step t runs.
    gamma: Vec<Block<F>>,
    /// Whether any cell has a learning signal in the step at hand.
    heard: bool,
    /// Whether no cell secretes: Γ is 0.
    silent: bool,
    /// Of each run of cells, whether its adjoint has been found to be 0 and nothing has driven it since.
    quiet: Vec<bool>,
    /// Adjoints and Γ of the rules with fewer hops: the input's `[hops][step's parity][neuron]`, the others `[hops][neuron]`.
    level_adjoint: Vec<Block<F>>,
    level_further: Further<F>,
    level_gamma: Vec<Block<F>>,
    /// On-MDGL: Σ_{u≥t} κ^{u−t} Γ_u+1.
    filtered: Vec<Block<F>>,
    /// On-MDGL: the same times 1 − κ, in place of Γ.
    filtered_gamma: Vec<Block<F>>,
    secreted: Vec<Block<F>>,
    /// s and r of the secreting cells' memory, `[kernel][neuron]`; and Γ of one kernel.
    memory_s: Vec<Block<F>>,
    memory_r: Vec<Block<F>>,
    memory_gamma: Vec<Block<F>>,
    /// What was secreted before: of instantaneous channels, of each kernel with memory, of each rule with fewer hops.
    pasts: Vec<Past<F>>,
    /// What has spread over the sheet: of instantaneous channels, then of each kernel with memory.
    fields: Vec<Vec<Block<F>>>,
    /// Where the cells sit at the moment, if that changes.
    places: Vec<u32>,
    /// The learning signals' own.
    field: Field<F>,
    totals: Vec<Block<F>>,
    /// g_k,t = δ_k,t + κ g_k,t+1, `[step − first][unit]`, a ring likewise.
    pub error: Vec<Block<F>>,
    grouped: Grouped,
    /// On-MDGL's ψ̄.
    psi_filtered: FilteredPsi<F>,
    /// One sum a slot of the plan.
    sums: Vec<Block<F>>,
    /// One sum a readout unit: the bias's gradient.
    bias: Vec<Block<F>>,
    pub probe: Probe,
}

const WHAT: &str = "the gradient sums of a block of trials";

impl<F: Scalar> Work<F> {
    /// Bytes of memory that its larger parts hold.
    pub fn bytes(&self) -> usize {
        let tiles = [&self.input_adjoint, &self.error, &self.secreted];
        let rows = [&self.level_adjoint, &self.memory_s, &self.memory_r, &self.sums];
        let lists = tiles.into_iter().chain(rows).chain(&self.fields).map(bytes_of).sum::<usize>();
        lists + self.further_adjoint.bytes() + self.level_further.bytes() + self.psi_filtered.bytes()
    }

    /// The rows of a step and of the step after it in the rings.
    #[inline(always)]
    pub fn rows(&self, t: usize) -> (usize, usize) {
        (t & (self.tile - 1), (t + 1) & (self.tile - 1))
    }

    /// The lanes' sums, with the targets' scales.
    pub fn partial(&self, plan: &Plan<F>) -> Partial<F> {
        let slots = self.sums.iter().zip(&plan.slots);
        Partial {
            sums: slots.map(|(sum, slot)| sum.sum() * slot.scale).collect(),
            bias: self.bias.iter().map(Block::sum).collect(),
            ..Partial::default()
        }
    }

    fn reset(&mut self, circuit: &CompiledNetwork<F>, plan: &Plan<F>) -> Result<()> {
        let (n, outputs) = (circuit.size(), circuit.outputs());
        self.tile = tile_rows::<F>(n);
        let levels = plan.levels.as_ref().map_or(0, |levels| levels.count);
        let types = plan.modulations().map(Modulation::totals).max().unwrap_or(0);
        let kernels = plan.secretions.len();
        let depth = circuit.longest_delay();
        self.pasts.resize_with(1 + kernels + levels, Past::default);
        self.pasts.iter_mut().try_for_each(|past| past.reset(n, depth))?;
        self.fields.resize_with(1 + kernels, Vec::new);
        let secretions = plan.secretions.iter().map(|secretion| &secretion.modulation);
        let direct = std::iter::once(plan.modulation.as_ref()).chain(secretions.map(Some));
        for (fields, modulation) in self.fields.iter_mut().zip(direct) {
            let diffusive = modulation.and_then(|modulation| modulation.diffusive.as_ref());
            refill(fields, diffusive.map_or(0, Diffusive::blocks), "what spreads over a sheet of cells")?;
            diffusive.map_or(Ok(()), |diffusive| diffusive.places.make_room(&mut self.places))?;
        }
        for (buffer, len) in [
            (&mut self.input_adjoint, self.tile * n),
            (&mut self.signal, n),
            (&mut self.gamma, n),
            (&mut self.filtered, n),
            (&mut self.filtered_gamma, n),
            (&mut self.secreted, n),
            (&mut self.memory_s, product(&[kernels, n])),
            (&mut self.memory_r, product(&[kernels, n])),
            (&mut self.memory_gamma, if kernels > 0 { n } else { 0 }),
            (&mut self.level_adjoint, product(&[2, levels, n])),
            (&mut self.level_gamma, product(&[levels, n])),
            (&mut self.totals, types),
            (&mut self.error, self.tile * outputs),
            (&mut self.bias, outputs),
            (&mut self.sums, plan.slots.len() + 1),
        ] {
            refill(buffer, len, WHAT)?;
        }
        self.further_adjoint.reset(circuit.further, n, WHAT)?;
        self.level_further.reset(circuit.further, product(&[levels, n]), WHAT)?;
        self.silent = plan.secretes() && !plan.separate;
        self.quiet.clear();
        self.quiet.resize(plan.runs.len(), false);
        Ok(())
    }
}

impl<F: Scalar> Kernel<F> for Backward<'_, F> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(mut self) -> Result<()> {
        self.work.reset(self.circuit, self.plan)?;
        if self.plan.separate {
            let (kappa, n) = (&self.circuit.kappa, self.circuit.size());
            let (mut trial, psi_filtered) = self.segmented();
            psi_filtered.filter_psi_before_segments::<L>(&mut trial, kappa, n)?;
        }
        self.find_field::<L>()?;
        let n = self.circuit.size();
        for t in (0..self.trajectory.steps).rev() {
            check_cancelled(t, self.cancel)?;
            let segment = self.trajectory.segments.of(t);
            if t + 1 == self.trajectory.steps || self.trajectory.segments.of(t + 1) != segment {
                self.load_segment::<L>(segment)?;
            }
            self.work.probe.step();
            let (before, outputs) = (self.work.rows(t).1, self.circuit.outputs());
            clear_tiny::<L>(t, &mut self.work.input_adjoint[before * n..][..n]);
            self.work.further_adjoint.clear_tiny::<L>(t);
            clear_tiny::<L>(t, &mut self.work.filtered);
            clear_tiny::<L>(t, &mut self.work.memory_s);
            clear_tiny::<L>(t, &mut self.work.memory_r);
            for fields in &mut self.work.fields {
                clear_tiny::<L>(t, fields);
            }
            clear_tiny::<L>(t, &mut self.work.level_adjoint);
            self.work.level_further.clear_tiny::<L>(t);
            clear_tiny::<L>(t, &mut self.work.error[before * outputs..][..outputs]);
            self.filter_error::<L>(t);
            self.update_cells::<L>(t);
            self.work.probe.lap(Section::BackwardRecursion);
            self.modulate::<L>(t);
            self.work.probe.lap(Section::Modulation);
            if t.is_multiple_of(self.work.tile) {
                self.work.probe.open();
                self.gather_events::<L>(t);
                self.gather_values::<L>(t);
                self.work.probe.close(Section::GradientGather);
            }
        }
        Ok(())
    }
}

impl<F: Scalar> Backward<'_, F> {
    /// The trial by segments, and the filtered ψ.
    fn segmented(&mut self) -> (Segmented<'_, F>, &mut FilteredPsi<F>) {
        let Self { trajectory, circuit, input, plan, cancel, work, .. } = self;
        (Segmented { trajectory, circuit, input, wanted: &plan.wanted, cancel }, &mut work.psi_filtered)
    }

    /// Brings the segment's ψ, and for On-MDGL its ψ̄.
    #[inline(always)]
    fn load_segment<L: Lanes<Scalar = F>>(&mut self, segment: usize) -> Result<()> {
        let (separate, kappa) = (self.plan.separate, &self.circuit.kappa);
        let (mut trial, psi_filtered) = self.segmented();
        match separate {
            true => psi_filtered.load::<L>(&mut trial, kappa, segment),
            false => trial.load::<L>(segment),
        }
    }

    /// g_t = δ_t + κ g_t+1, and the bias's gradient.
    #[inline(always)]
    pub(crate) fn filter_error<L: Lanes<Scalar = F>>(&mut self, t: usize) {
        let outputs = self.circuit.outputs();
        let (row, before) = self.work.rows(t);
        for (k, &kappa) in self.circuit.kappa.iter().enumerate() {
            let held = L::load(&self.work.error[before * outputs + k]).mul(L::splat(kappa));
            held.store(&mut self.work.error[row * outputs + k]);
        }
        let now = &mut self.work.error[row * outputs..(row + 1) * outputs];
        let sums = now.iter_mut().zip(&mut self.work.bias);
        for ((g, bias), delta) in sums.zip(self.delta.at(t, outputs)) {
            L::load(g).add(L::load(delta)).store(g);
            L::load(bias).add(L::load(delta)).store(bias);
        }
    }

    /// The errors' field from the first step to the last.
    #[inline(always)]
    fn find_field<L: Lanes<Scalar = F>>(&mut self) -> Result<()> {
        let Some(sources) = &self.plan.field else { return Ok(()) };
        let (steps, outputs) = (self.trajectory.steps, self.circuit.outputs());
        self.work.field.reset(sources, self.circuit.size(), steps)?;
        for t in 0..steps {
            check_cancelled(t, self.cancel)?;
            let over = ended(&self.trajectory.lengths, t);
            self.work.field.pass::<L>(sources, t, over, self.delta.at(t, outputs));
        }
        Ok(())
    }

    /// L_t = (1−κ) Σ_{u≥t} κ^{u−t} G_u where each cell was, plus the regulariser's part.
    #[inline(always)]
    fn hear_field<L: Lanes<Scalar = F>>(&mut self, sources: &Sources<F>, t: usize) {
        let (outputs, work) = (self.circuit.outputs(), &mut *self.work);
        for u in work.field.missing(t, self.trajectory.steps) {
            let over = ended(&self.trajectory.lengths, u);
            work.field.fill::<L>(sources, u, over, self.delta.at(u, outputs));
        }
        let kappa = self.circuit.kappa.first().copied().unwrap_or(F::ZERO);
        work.field.hold::<L>(sources, t, kappa);
        let rest = L::splat(F::ONE - kappa);
        for (p, (signal, held)) in work.signal.iter_mut().zip(&work.field.held).enumerate() {
            let part = self.rates.of_cell::<L>(p);
            L::load(held).mul_add(rest, part).store(signal);
        }
    }

    /// L_t; false where it is 0 in all cells.
    #[inline(always)]
    fn find_signal<L: Lanes<Scalar = F>>(&mut self, t: usize) -> bool {
        let plan = self.plan;
        if let Some(sources) = &plan.field {
            self.hear_field::<L>(sources, t);
            self.record_signal(t);
            return true;
        }
        let (circuit, work) = (self.circuit, &mut *self.work);
        if let Some(given) = self.given {
            work.signal.copy_from_slice(&given[t * circuit.size()..][..circuit.size()]);
            return true;
        }
        let outputs = circuit.outputs();
        let error = &work.error[work.rows(t).0 * outputs..][..outputs];
        // Errors of the last step alone have decayed to nothing long before the first.
        let heard = !self.rates.is_empty() || !error.iter().all(is_zero);
        if heard && self.rates.own.is_empty() {
            find_signals::<L, false>(self.plan, error, self.rates, &mut work.signal);
        } else if heard {
            find_signals::<L, true>(self.plan, error, self.rates, &mut work.signal);
        }
        if heard {
            self.record_signal(t);
        }
        heard
    }

    /// Keeps L_t, if that is wanted.
    fn record_signal(&mut self, t: usize) {
        let Some(signals) = self.signals.as_mut() else { return };
        let n = self.circuit.size();
        signals.learning[t * n..][..n].copy_from_slice(&self.work.signal);
    }

    /// The cells' adjoints and what they secrete, after those of the rules with fewer hops, e-prop first.
    #[inline(always)]
    pub(crate) fn update_cells<L: Lanes<Scalar = F>>(&mut self, t: usize) {
        let heard = self.find_signal::<L>(t);
        self.work.heard = heard;
        if self.plan.separate {
            self.filter_gamma::<L>();
        }
        let levels = self.plan.levels.as_ref().map_or(0, |levels| levels.count);
        for level in 0..=levels {
            self.recur::<L>(t, level, level == levels, heard);
        }
    }

    /// One step of the recursion of the rule with so many hops, or of the rule itself.
    #[inline(always)]
    fn recur<L: Lanes<Scalar = F>>(&mut self, t: usize, level: usize, last: bool, heard: bool) {
        let (plan, n) = (self.plan, self.circuit.size());
        let work = &mut *self.work;
        let (row, before) = if last { work.rows(t) } else { (2 * level + t % 2, 2 * level + (t + 1) % 2) };
        let first = if last { 0 } else { level * n };
        let (input_adjoint, further, gamma) = match last {
            true if plan.separate => {
                (&mut work.input_adjoint, &mut work.further_adjoint, &work.filtered_gamma[..])
            }
            true => (&mut work.input_adjoint, &mut work.further_adjoint, &work.gamma[..]),
            false => (&mut work.level_adjoint, &mut work.level_further, &work.level_gamma[first..first + n]),
        };
        let modulated = plan.modulation.is_some() && !work.silent;
        let filtered = !plan.secretions.is_empty();
        let receives = match last {
            true => modulated || filtered || plan.separate || plan.levels.is_some(),
            false => level > 0,
        };
        let secretes = last && plan.secretes();
        let mut psi = self.trajectory.psi(t);
        for (run, quiet) in plan.runs.iter().zip(&mut work.quiet) {
            psi.pass_to(run.first as usize);
            let cells = run.first as usize..run.end as usize;
            let driven = run.signalled && heard || receives || run.dynamics.further() > 0;
            if last && !driven {
                let before = &input_adjoint[before * n..][cells.clone()];
                *quiet = *quiet || just_cleared(t) && before.iter().all(is_zero);
                if *quiet {
                    input_adjoint[row * n..][cells.clone()].fill(Block::ZERO);
                    psi.pass_to(cells.end);
                    continue;
                }
            } else if last {
                *quiet = false;
            }
            let mut recursion = Recursion::<L> {
                psi: &mut psi,
                signal: &work.signal[cells.clone()],
                gamma: &gamma[cells.clone()],
                secreted: &mut work.secreted[cells.clone()],
                further: further.slices(first + cells.start..first + cells.end),
                row: row * n + cells.start,
                before: before * n + cells.start,
                input_adjoint,
            };
            let signal = run.signalled && heard;
            for_model!(run.dynamics, model => match plan.mu {
                Some(mu) => recursion.pass_on(model.map::<Splat<L>>(), L::splat(mu), signal, receives),
                None => recursion.run_as(model.map::<Splat<L>>(), signal, receives, secretes),
            });
        }
    }

    /// On-MDGL: (1−κ) Σ_{u≥t} κ^{u−t} Γ_u+1.
    #[inline(always)]
    fn filter_gamma<L: Lanes<Scalar = F>>(&mut self) {
        let low_pass = LowPass::<L>::of(&self.circuit.kappa);
        let work = &mut *self.work;
        let blocks = work.filtered.iter_mut().zip(&work.gamma).zip(&mut work.filtered_gamma);
        for ((held, gamma), filtered) in blocks {
            let (sum, now) = low_pass.backwards(L::load(held), L::load(gamma));
            sum.store(held);
            now.store(filtered);
        }
    }

    /// Γ_t, from what the cells secreted at step t.
    #[inline(always)]
    pub(crate) fn modulate<L: Lanes<Scalar = F>>(&mut self, t: usize) {
        let sums = self.plan.levels.is_some() && self.plan.modulation.is_some();
        if sums || !self.plan.secretions.is_empty() {
            self.work.gamma.fill(Block::ZERO);
        }
        self.modulate_instantly::<L>(t);
        self.modulate_filtered::<L>(t);
        self.modulate_levels::<L>(t);
        if let Some(signals) = self.signals.as_mut() {
            let n = self.circuit.size();
            signals.modulation[t * n..(t + 1) * n].copy_from_slice(&self.work.gamma);
        }
    }

    #[inline(always)]
    fn modulate_instantly<L: Lanes<Scalar = F>>(&mut self, t: usize) {
        let Some(modulation) = &self.plan.modulation else { return };
        let work = &mut *self.work;
        if modulation.diffusive.is_some() || self.plan.delayed() {
            // What was secreted later is still on its way.
            work.silent = false;
            if !work.heard {
                work.secreted.fill(Block::ZERO);
            }
        } else if self.plan.secretes() && !self.plan.separate {
            if !work.heard && !work.silent {
                work.gamma.fill(Block::ZERO);
            }
            work.silent = !work.heard;
            if work.silent {
                return;
            }
        }
        if self.plan.separate {
            secrete_task_error::<L>(self.circuit, self.plan, self.delta, t, work);
        }
        let row = work.rows(t).0 * self.circuit.size();
        let secreted = match self.plan.adjoint {
            true => &work.input_adjoint[row..row + self.circuit.size()],
            false => &work.secreted[..],
        };
        let arriving = work.pasts[0].take(secreted);
        modulation.receive::<L>(arriving, &mut work.totals, &mut work.gamma);
        if let Some(diffusive) = &modulation.diffusive {
            let places = diffusive.places.at(t, &mut work.places);
            diffusive.receive::<L>(places, secreted, &mut work.fields[0], &mut work.gamma);
        }
    }

    /// L ψ passes through each secreting cell's memory; what comes out joins Γ_t.
    #[inline(always)]
    fn modulate_filtered<L: Lanes<Scalar = F>>(&mut self, t: usize) {
        let (n, work) = (self.circuit.size(), &mut *self.work);
        if !work.heard && !self.plan.secretions.is_empty() {
            work.secreted.fill(Block::ZERO);
        }
        for (kernel, secretion) in self.plan.secretions.iter().enumerate() {
            let own = kernel * n..(kernel + 1) * n;
            let (s, r) = (&mut work.memory_s[own.clone()], &mut work.memory_r[own]);
            remember::<L>(secretion, &work.secreted, s, r);
            let arriving = work.pasts[1 + kernel].take(s);
            secretion.modulation.receive::<L>(arriving, &mut work.totals, &mut work.memory_gamma);
            if let Some(diffusive) = &secretion.modulation.diffusive {
                let places = diffusive.places.at(t, &mut work.places);
                diffusive.receive::<L>(places, s, &mut work.fields[1 + kernel], &mut work.memory_gamma);
            }
            for &p in &secretion.modulation.receivers {
                let gamma = &mut work.gamma[p as usize];
                L::load(gamma).add(L::load(&work.memory_gamma[p as usize])).store(gamma);
            }
        }
    }

    /// What each rule with fewer hops secretes reaches the one with a hop more; the last one's joins Γ_t.
    #[inline(always)]
    fn modulate_levels<L: Lanes<Scalar = F>>(&mut self, t: usize) {
        let Some(levels) = &self.plan.levels else { return };
        let (n, work) = (self.circuit.size(), &mut *self.work);
        for level in 0..levels.count {
            let secreted = &work.level_adjoint[(2 * level + t % 2) * n..][..n];
            // The first rule, e-prop, receives nothing: its place takes what the last one secretes.
            let next = (level + 1) % levels.count;
            let past = 1 + self.plan.secretions.len() + level;
            levels.modulation.receive::<L>(
                work.pasts[past].take(secreted),
                &mut work.totals,
                &mut work.level_gamma[next * n..][..n],
            );
        }
        for &p in &levels.modulation.receivers {
            let p = p as usize;
            let mut gamma = L::load(&work.level_gamma[p]);
            if self.plan.receives_directly() {
                gamma = gamma.add(L::load(&work.gamma[p]));
            }
            gamma.store(&mut work.gamma[p]);
        }
    }

    /// Adds the tile from step `first` on to the sums.
    #[inline(always)]
    pub(crate) fn gather_events<L: Lanes<Scalar = F>>(&mut self, first: usize) {
        let (circuit, plan, work) = (self.circuit, self.plan, &mut *self.work);
        let rows = work.tile.min(self.trajectory.steps - first);
        let (n, outputs) = (circuit.size(), circuit.outputs());
        let spikes = &self.trajectory.state.spikes;
        let (cells, units) = (&work.input_adjoint[..], &work.error[..]);
        let inputs = self.input.units;
        let (grouped, sums) = (&mut work.grouped, &mut work.sums);
        let tile = Tile { lists: spikes, units: n, first, rows, lag: 0, values: units, columns: outputs };
        gather_tile::<L>(tile, &plan.readout_chunks, grouped, sums);
        let tile = Tile { lists: &self.input.events, units: inputs, values: cells, columns: n, ..tile };
        gather_tile::<L>(tile, &plan.input_chunks, grouped, sums);
        for Delayed { delay, chunks, .. } in &plan.recurrent {
            let tile = Tile { lists: spikes, units: n, lag: *delay, ..tile };
            gather_tile::<L>(tile, chunks, grouped, sums);
        }
    }

    /// The same for units that send values: analogue inputs and rate units.
    #[inline(always)]
    fn gather_values<L: Lanes<Scalar = F>>(&mut self, first: usize) {
        let (circuit, plan, work) = (self.circuit, self.plan, &mut *self.work);
        let rows = work.tile.min(self.trajectory.steps - first);
        let sums = &mut work.sums;
        let cells = ValueTile {
            units: &self.input.analogue_units,
            sent: &self.input.analogue,
            first,
            rows,
            lag: 0,
            values: &work.input_adjoint,
            columns: circuit.size(),
        };
        gather_value_tile::<L>(cells, &plan.input_chunks, sums);
        let cells =
            ValueTile { units: &circuit.rate_units, sent: self.trajectory.state.values.all(), ..cells };
        for Delayed { delay, chunks, .. } in &plan.recurrent {
            gather_value_tile::<L>(ValueTile { lag: *delay, ..cells }, chunks, sums);
        }
        let units = ValueTile { values: &work.error, columns: circuit.outputs(), ..cells };
        gather_value_tile::<L>(units, &plan.readout_chunks, sums);
    }
}

/// A block of trials, its ψ by segments.
struct Segmented<'a, F: Scalar> {
    trajectory: &'a mut Trajectory<F>,
    circuit: &'a CompiledNetwork<F>,
    input: &'a BlockInput<F>,
    wanted: &'a [Run<F>],
    cancel: &'a AtomicBool,
}

impl<F: Scalar> PsiSegments<F> for Segmented<'_, F> {
    fn count(&self) -> usize {
        self.trajectory.segments.count()
    }

    fn steps(&self, segment: usize) -> Range<usize> {
        self.trajectory.segments.steps(segment)
    }

    #[inline(always)]
    fn load<L: Lanes<Scalar = F>>(&mut self, segment: usize) -> Result<()> {
        let Self { trajectory, circuit, input, wanted, cancel } = self;
        L::call(Load { trajectory, circuit, input, segment, wanted, cancel })
    }

    #[inline(always)]
    fn filter<L: Lanes<Scalar = F>>(&self, low_pass: LowPass<L>, step: usize, psi_filtered: &mut [Block<F>]) {
        let mut psi = self.trajectory.psi(step);
        for held in psi_filtered {
            low_pass.forwards(L::load(held), psi.next()).store(held);
        }
    }
}

/// s and r of the secreting cells take one step back in time.
#[inline(always)]
fn remember<L: Lanes>(
    secretion: &Secretion<L::Scalar>,
    secreted: &[Block<L::Scalar>],
    s: &mut [Block<L::Scalar>],
    r: &mut [Block<L::Scalar>],
) {
    for &(j, filter) in &secretion.emitters {
        let filter = secretion.filters[filter as usize].map::<Splat<L>>();
        let j = j as usize;
        let (now_s, now_r) = filter.step((L::load(&s[j]), L::load(&r[j])), L::load(&secreted[j]));
        now_s.store(&mut s[j]);
        now_r.store(&mut r[j]);
    }
}

/// One step of the recursion for neighbours with the same constants.
struct Recursion<'a, 'b, L: Lanes> {
    psi: &'a mut RowReader<'b, L::Scalar>,
    signal: &'a [Block<L::Scalar>],
    gamma: &'a [Block<L::Scalar>],
    secreted: &'a mut [Block<L::Scalar>],
    further: [&'a mut [Block<L::Scalar>]; FURTHER],
    input_adjoint: &'a mut [Block<L::Scalar>],
    /// Where the cells' input adjoints of this step and of the step after it begin.
    row: usize,
    before: usize,
}

impl<L: Lanes> Recursion<'_, '_, L> {
    #[inline(always)]
    fn run_as<M: Equations<L>>(&mut self, model: M, signal: bool, gamma: bool, secretes: bool) {
        match (signal, gamma, secretes) {
            (true, true, true) => self.run::<M, true, true, true>(model),
            (true, true, false) => self.run::<M, true, true, false>(model),
            (true, false, true) => self.run::<M, true, false, true>(model),
            (true, false, false) => self.run::<M, true, false, false>(model),
            (false, true, _) => self.run::<M, false, true, false>(model),
            (false, false, _) => self.run::<M, false, false, false>(model),
        }
    }

    /// ModProp's step.
    #[inline(always)]
    fn pass_on<M: Equations<L>>(&mut self, model: M, mu: L, signal: bool, gamma: bool) {
        for i in 0..self.signal.len() {
            let psi = self.psi.next::<L>();
            let drive = LeakDrive {
                signal: if signal { Some((psi, L::load(&self.signal[i]))) } else { None },
                modulation: if gamma { Some((mu, L::load(&self.gamma[i]))) } else { None },
            };
            let before = M::Variables::load(L::load(&self.input_adjoint[self.before + i]), &self.further, i);
            let adjoint = model.leak_only_adjoint(drive, before);
            adjoint.integrator().store(&mut self.input_adjoint[self.row + i]);
            adjoint.store(&mut self.further, i);
        }
    }

    #[inline(always)]
    fn run<M: Equations<L>, const SIGNAL: bool, const GAMMA: bool, const SECRETES: bool>(
        &mut self,
        model: M,
    ) {
        let Self { psi, signal, gamma, secreted, further, input_adjoint, row, before } = self;
        let cells = signal.len();
        let rows = [*row..*row + cells, *before..*before + cells];
        let [now, before] = input_adjoint.get_disjoint_mut(rows).expect("rows of two steps");
        let (gamma, secreted) = (&gamma[..cells], &mut secreted[..cells]);
        let mut further = further.each_mut().map(|list| &mut **list);
        for list in &further[..M::Variables::COUNT - 1] {
            assert_eq!(list.len(), cells, "a list for each variable");
        }
        for i in 0..cells {
            let psi = psi.next::<L>();
            let before = M::Variables::load(L::load(&before[i]), &further, i);
            let mut drive = L::splat(L::Scalar::ZERO);
            if SIGNAL {
                drive = L::load(&signal[i]);
            }
            if SECRETES {
                drive.mul(psi).store(&mut secreted[i]);
            }
            if GAMMA {
                drive = drive.add(L::load(&gamma[i]));
            }
            let adjoint = model.adjoint(psi, drive, before);
            adjoint.store(&mut further, i);
            adjoint.integrator().store(&mut now[i]);
        }
    }
}

#[inline(always)]
fn is_zero<F: Scalar>(block: &Block<F>) -> bool {
    block.0.iter().all(|&x| x == F::ZERO)
}

/// L of every cell that has one; `OWN`: each trial has its own part of the regulariser.
#[inline(always)]
fn find_signals<L: Lanes, const OWN: bool>(
    plan: &Plan<L::Scalar>,
    error: &[Block<L::Scalar>],
    rates: RatePart<'_, L::Scalar>,
    signals: &mut [Block<L::Scalar>],
) {
    for &p in &plan.signalled {
        let p = p as usize;
        let part = match OWN {
            true => L::load(&rates.own[p]),
            false => L::splat(rates.shared.get(p).copied().unwrap_or(L::Scalar::ZERO)),
        };
        signal::<L>(&plan.feedback, error, part, p).store(&mut signals[p]);
    }
}

/// L_p = (1−κ) Σ_k B[p→k] g_k, plus the regulariser's part.
#[inline(always)]
fn signal<L: Lanes>(feedback: &Csr<L::Scalar>, error: &[Block<L::Scalar>], part: L, p: usize) -> L {
    let mut signal = part;
    for &(k, weight) in feedback.of(p) {
        signal = L::load(&error[k as usize]).mul_add(L::splat(weight), signal);
    }
    signal
}

/// On-MDGL's secretion: P_j,t ψ̄_j,t with P = Σ_k W_out δ_k, no filter, no regulariser.
#[inline(always)]
fn secrete_task_error<L: Lanes>(
    circuit: &CompiledNetwork<L::Scalar>,
    plan: &Plan<L::Scalar>,
    delta: &Delta<L::Scalar>,
    t: usize,
    work: &mut Work<L::Scalar>,
) {
    let delta_now = delta.at(t, circuit.outputs());
    let psi_filtered = work.psi_filtered.at(t);
    for &p in &plan.active {
        let p = p as usize;
        let mut error = L::splat(L::Scalar::ZERO);
        for &(k, weight) in plan.feedback.of(p) {
            if let Some(delta) = delta_now.get(k as usize) {
                let unfiltered = weight / (L::Scalar::ONE - circuit.kappa[k as usize]);
                error = L::load(delta).mul_add(L::splat(unfiltered), error);
            }
        }
        let secreted = match delta_now {
            [] => error,
            _ => error.mul(L::load(&psi_filtered[p])),
        };
        secreted.store(&mut work.secreted[p]);
    }
}

/// Adds a tile to the sums of some slots.
#[inline(always)]
fn gather_tile<L: Lanes>(
    tile: Tile<'_, L::Scalar>,
    slots: &PaddedCsr<u32>,
    grouped: &mut Grouped,
    sums: &mut [Block<L::Scalar>],
) {
    if !slots.is_empty() {
        L::call(Gather { tile, slots, grouped, sums });
    }
}

/// Adds a tile of values to the sums of some slots.
#[inline(always)]
fn gather_value_tile<L: Lanes>(
    tile: ValueTile<'_, L::Scalar>,
    slots: &PaddedCsr<u32>,
    sums: &mut [Block<L::Scalar>],
) {
    if !tile.units.is_empty() && !slots.is_empty() {
        L::call(GatherValues { tile, slots, sums });
    }
}
