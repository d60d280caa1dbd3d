//! The backward form of every rule: one recursion per cell, from the last step to the first.
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
use crate::learn::block_gradient::BlockGradient;
use crate::learn::diffusion::Diffusive;
use crate::learn::field::{Field, FieldSources};
use crate::learn::gather::{Grouped, Tile, ValueTile, gather_tile, gather_value_tile, tile_rows};
use crate::learn::low_pass::{FilteredPsi, LowPass, PsiSegments};
use crate::learn::modulation::Modulation;
use crate::learn::plan::{Delta, LearningPlan};
use crate::learn::rates::RatePart;
use crate::learn::work::BackwardWork;
use crate::neuron::constants::Splat;
use crate::neuron::equations::{Equations, LeakDrive, Variables};
use crate::neuron::for_model;
use crate::neuron::storage::Further;
use crate::numeric::cancel::check_cancelled;
use crate::numeric::csr::Csr;
use crate::numeric::lanes::{Block, Lanes, SimdKernel, clear_tiny, just_cleared};
use crate::numeric::memory::{bytes_of, product, refill};
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::{CellRun, CompiledNetwork, ended};
use crate::simulate::delays::{Delayed, Past};
use crate::simulate::packed::RowReader;
use crate::simulate::trajectory::{Keep, Simulate, Trajectory};

/// The backward pass over one block of trials.
pub struct Backward<'a, F: Scalar> {
    pub(crate) network: &'a CompiledNetwork<F>,
    pub(crate) plan: &'a LearningPlan<F>,
    pub(crate) input: &'a BlockInput<F>,
    pub(crate) trajectory: &'a mut Trajectory<F>,
    pub(crate) delta: &'a Delta<F>,
    /// The regulariser's part of L.
    pub(crate) rates: RatePart<'a, F>,
    /// The cells' whole learning signal from outside the engine, `[step][neuron]`, in place of L; the plan must have a
    /// signal in every cell.
    pub(crate) given: Option<&'a [Block<F>]>,
    pub(crate) state: &'a mut BackwardState<F>,
    /// Destination of L and Γ, if recorded.
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
pub(crate) struct BackwardState<F: Scalar> {
    /// Steps in a tile.
    pub tile: usize,
    /// The adjoint of each neuron's input in a tile's steps, `[step − first][neuron]`; a ring: the row above the last is the
    /// first.
    pub input_adjoint: Vec<Block<F>>,
    /// The adjoints of further state variables, in the current step.
    pub further_adjoint: Further<F>,
    /// L of the current step.
    signal: Vec<Block<F>>,
    /// Γ_t+1 while step t runs.
    gamma: Vec<Block<F>>,
    /// Whether any cell has a learning signal in the current step.
    has_error: bool,
    /// Whether no cell secretes: Γ is 0.
    no_secretion: bool,
    /// Per run of cells: whether its adjoint is 0 and has had no input since.
    run_is_zero: Vec<bool>,
    /// Adjoints and Γ of the rules with fewer hops: the input's `[hops][step's parity][neuron]`, the others `[hops][neuron]`.
    hop_adjoint: Vec<Block<F>>,
    hop_further: Further<F>,
    hop_gamma: Vec<Block<F>>,
    /// On-MDGL: Σ_{u≥t} κ^{u−t} Γ_u+1.
    filtered: Vec<Block<F>>,
    /// On-MDGL: the same times 1 − κ, in place of Γ.
    filtered_gamma: Vec<Block<F>>,
    secreted: Vec<Block<F>>,
    /// s and r of the secreting cells' memory, `[kernel and hop][neuron]`; and Γ of one kernel.
    memory_s: Vec<Block<F>>,
    memory_r: Vec<Block<F>>,
    memory_gamma: Vec<Block<F>>,
    /// Γ_t+1 of fewer hops through that memory, likewise; those of a kernel's last hop are not used.
    passed_gamma: Vec<Block<F>>,
    /// Past secretions: of instantaneous channels, of each hop of each kernel with memory, of each rule with fewer hops.
    pasts: Vec<Past<F>>,
    /// The fields on the sheet: of instantaneous channels, then of each kernel with memory.
    fields: Vec<Vec<Block<F>>>,
    /// The cells' current sites, if these change.
    places: Vec<u32>,
    /// Field of the learning signals.
    field: Field<F>,
    totals: Vec<Block<F>>,
    /// g_k,t = δ_k,t + κ g_k,t+1, `[step − first][unit]`, a ring likewise.
    pub error: Vec<Block<F>>,
    grouped: Grouped,
    /// On-MDGL's ψ̄.
    psi_filtered: FilteredPsi<F>,
    /// One sum per slot of the plan.
    sums: Vec<Block<F>>,
    /// One sum per readout unit: the bias's gradient.
    bias: Vec<Block<F>>,
    pub work: BackwardWork,
    pub probe: Probe,
}

const WHAT: &str = "the gradient sums of a block of trials";

impl<F: Scalar> BackwardState<F> {
    /// Bytes of memory of its larger parts.
    pub fn bytes(&self) -> usize {
        let tiles = [&self.input_adjoint, &self.error, &self.secreted];
        let rows = [&self.hop_adjoint, &self.memory_s, &self.memory_r, &self.passed_gamma, &self.sums];
        let lists = tiles.into_iter().chain(rows).chain(&self.fields).map(bytes_of).sum::<usize>();
        lists + self.further_adjoint.bytes() + self.hop_further.bytes() + self.psi_filtered.bytes()
    }

    /// The rows of a step and of the step after it in the rings.
    #[inline(always)]
    pub fn rows(&self, t: usize) -> (usize, usize) {
        (t & (self.tile - 1), (t + 1) & (self.tile - 1))
    }

    /// The sums over lanes, with the targets' scales.
    pub fn block_gradient(&self, plan: &LearningPlan<F>) -> BlockGradient<F> {
        let slots = self.sums.iter().zip(&plan.synapses.slots);
        BlockGradient {
            sums: slots.map(|(sum, slot)| sum.sum() * slot.scale).collect(),
            bias: self.bias.iter().map(Block::sum).collect(),
            ..BlockGradient::default()
        }
    }

    fn reset(&mut self, network: &CompiledNetwork<F>, plan: &LearningPlan<F>) -> Result<()> {
        let (n, outputs) = (network.size(), network.outputs());
        self.tile = tile_rows::<F>(n);
        let hop_recursions = plan.hop_recursions.as_ref().map_or(0, |hop_recursions| hop_recursions.count);
        let types = plan.modulations().map(Modulation::totals).max().unwrap_or(0);
        let (kernels, filtered_hops) = (plan.secretions.len(), plan.filtered_hops());
        let depth = network.longest_delay();
        self.pasts.resize_with(1 + filtered_hops + hop_recursions, Past::default);
        self.pasts.iter_mut().try_for_each(|past| past.reset(n, depth))?;
        self.fields.resize_with(1 + kernels, Vec::new);
        let secretions = plan.secretions.iter().map(|secretion| &secretion.modulation);
        let direct = std::iter::once(plan.modulation.as_ref()).chain(secretions.map(Some));
        for (fields, modulation) in self.fields.iter_mut().zip(direct) {
            let diffusive = modulation.and_then(|modulation| modulation.diffusive.as_ref());
            refill(fields, diffusive.map_or(0, Diffusive::blocks), "the fields on a sheet of cells")?;
            diffusive.map_or(Ok(()), |diffusive| diffusive.places.allocate(&mut self.places))?;
        }
        for (buffer, len) in [
            (&mut self.input_adjoint, self.tile * n),
            (&mut self.signal, n),
            (&mut self.gamma, n),
            (&mut self.filtered, n),
            (&mut self.filtered_gamma, n),
            (&mut self.secreted, n),
            (&mut self.memory_s, product(&[filtered_hops, n])),
            (&mut self.memory_r, product(&[filtered_hops, n])),
            (&mut self.memory_gamma, if kernels > 0 { n } else { 0 }),
            (&mut self.passed_gamma, if filtered_hops > kernels { product(&[filtered_hops, n]) } else { 0 }),
            (&mut self.hop_adjoint, product(&[2, hop_recursions, n])),
            (&mut self.hop_gamma, product(&[hop_recursions, n])),
            (&mut self.totals, types),
            (&mut self.error, self.tile * outputs),
            (&mut self.bias, outputs),
            (&mut self.sums, plan.synapses.slots.len() + 1),
        ] {
            refill(buffer, len, WHAT)?;
        }
        self.further_adjoint.reset(network.further, n, WHAT)?;
        self.hop_further.reset(network.further, product(&[hop_recursions, n]), WHAT)?;
        self.no_secretion = plan.secretes() && !plan.filters_factors_separately;
        self.run_is_zero.clear();
        self.run_is_zero.resize(plan.runs.len(), false);
        self.work.start(plan.runs.len());
        Ok(())
    }
}

impl<F: Scalar> SimdKernel<F> for Backward<'_, F> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(mut self) -> Result<()> {
        self.state.reset(self.network, self.plan)?;
        if self.plan.filters_factors_separately {
            let (kappa, n) = (&self.network.kappa, self.network.size());
            let (mut trial, psi_filtered) = self.segmented();
            psi_filtered.filter_psi_before_segments::<L>(&mut trial, kappa, n)?;
        }
        self.find_field::<L>()?;
        let n = self.network.size();
        for t in (0..self.trajectory.steps).rev() {
            check_cancelled(t, self.cancel)?;
            let segment = self.trajectory.segments.of(t);
            if t + 1 == self.trajectory.steps || self.trajectory.segments.of(t + 1) != segment {
                self.load_segment::<L>(segment)?;
            }
            self.state.probe.step();
            self.state.work.step(&self.trajectory.lengths, t);
            let (before, outputs) = (self.state.rows(t).1, self.network.outputs());
            clear_tiny::<L>(t, &mut self.state.input_adjoint[before * n..][..n]);
            self.state.further_adjoint.clear_tiny::<L>(t);
            clear_tiny::<L>(t, &mut self.state.filtered);
            clear_tiny::<L>(t, &mut self.state.memory_s);
            clear_tiny::<L>(t, &mut self.state.memory_r);
            for fields in &mut self.state.fields {
                clear_tiny::<L>(t, fields);
            }
            clear_tiny::<L>(t, &mut self.state.hop_adjoint);
            self.state.hop_further.clear_tiny::<L>(t);
            clear_tiny::<L>(t, &mut self.state.error[before * outputs..][..outputs]);
            self.filter_error::<L>(t);
            self.update_cells::<L>(t);
            self.state.probe.lap(Section::BackwardRecursion);
            self.modulate::<L>(t);
            self.state.probe.lap(Section::Modulation);
            if t.is_multiple_of(self.state.tile) {
                self.state.probe.open();
                self.gather_events::<L>(t);
                self.gather_values::<L>(t);
                self.state.probe.close(Section::GradientGather);
            }
        }
        Ok(())
    }
}

impl<F: Scalar> Backward<'_, F> {
    /// The trial by segments, and the filtered ψ.
    fn segmented(&mut self) -> (Segmented<'_, F>, &mut FilteredPsi<F>) {
        let Self { trajectory, network, input, plan, cancel, state, .. } = self;
        (Segmented { trajectory, network, input, psi_runs: &plan.psi_runs, cancel }, &mut state.psi_filtered)
    }

    /// Loads the segment's ψ, and for On-MDGL its ψ̄.
    #[inline(always)]
    fn load_segment<L: Lanes<Scalar = F>>(&mut self, segment: usize) -> Result<()> {
        let (filters_factors_separately, kappa) = (self.plan.filters_factors_separately, &self.network.kappa);
        let (mut trial, psi_filtered) = self.segmented();
        match filters_factors_separately {
            true => psi_filtered.load::<L>(&mut trial, kappa, segment),
            false => trial.load::<L>(segment),
        }
    }

    /// g_t = δ_t + κ g_t+1, and the bias's gradient.
    #[inline(always)]
    pub(crate) fn filter_error<L: Lanes<Scalar = F>>(&mut self, t: usize) {
        let outputs = self.network.outputs();
        let (row, before) = self.state.rows(t);
        for (k, &kappa) in self.network.kappa.iter().enumerate() {
            let held = L::load(&self.state.error[before * outputs + k]).mul(L::splat(kappa));
            held.store(&mut self.state.error[row * outputs + k]);
        }
        let now = &mut self.state.error[row * outputs..(row + 1) * outputs];
        let sums = now.iter_mut().zip(&mut self.state.bias);
        for ((g, bias), delta) in sums.zip(self.delta.at(t, outputs)) {
            L::load(g).add(L::load(delta)).store(g);
            L::load(bias).add(L::load(delta)).store(bias);
        }
    }

    /// The errors' field from the first step to the last.
    #[inline(always)]
    fn find_field<L: Lanes<Scalar = F>>(&mut self) -> Result<()> {
        let Some(sources) = &self.plan.field else { return Ok(()) };
        let (steps, outputs) = (self.trajectory.steps, self.network.outputs());
        self.state.field.reset(sources, self.network.size(), steps)?;
        for t in 0..steps {
            check_cancelled(t, self.cancel)?;
            let ended_lanes = ended(&self.trajectory.lengths, t);
            self.state.field.pass::<L>(sources, t, ended_lanes, self.delta.at(t, outputs));
        }
        Ok(())
    }

    /// L_t = (1−κ) Σ_{u≥t} κ^{u−t} G_u where each cell was, plus the regulariser's part.
    #[inline(always)]
    fn sample_field<L: Lanes<Scalar = F>>(&mut self, sources: &FieldSources<F>, t: usize) {
        let (outputs, state) = (self.network.outputs(), &mut *self.state);
        for u in state.field.missing(t, self.trajectory.steps) {
            let ended_lanes = ended(&self.trajectory.lengths, u);
            state.field.fill::<L>(sources, u, ended_lanes, self.delta.at(u, outputs));
        }
        let kappa = self.network.kappa.first().copied().unwrap_or(F::ZERO);
        state.field.hold::<L>(sources, t, kappa);
        let rest = L::splat(F::ONE - kappa);
        for (p, (signal, held)) in state.signal.iter_mut().zip(&state.field.held).enumerate() {
            let part = self.rates.of_cell::<L>(p);
            L::load(held).mul_add(rest, part).store(signal);
        }
    }

    /// L_t; false where it is 0 in all cells.
    #[inline(always)]
    fn find_signal<L: Lanes<Scalar = F>>(&mut self, t: usize) -> bool {
        let plan = self.plan;
        if let Some(sources) = &plan.field {
            self.sample_field::<L>(sources, t);
            self.record_signal(t);
            return true;
        }
        let (network, state) = (self.network, &mut *self.state);
        if let Some(given) = self.given {
            state.signal.copy_from_slice(&given[t * network.size()..][..network.size()]);
            return true;
        }
        let outputs = network.outputs();
        let error = &state.error[state.rows(t).0 * outputs..][..outputs];
        // Errors of the last step alone have decayed to 0 long before the first step.
        let has_error = !self.rates.is_empty() || !error.iter().all(is_zero);
        if has_error && self.rates.own.is_empty() {
            find_signals::<L, false>(self.plan, error, self.rates, &mut state.signal);
        } else if has_error {
            find_signals::<L, true>(self.plan, error, self.rates, &mut state.signal);
        }
        if has_error {
            self.record_signal(t);
        }
        has_error
    }

    /// Records L_t, if requested.
    fn record_signal(&mut self, t: usize) {
        let Some(signals) = self.signals.as_mut() else { return };
        let n = self.network.size();
        signals.learning[t * n..][..n].copy_from_slice(&self.state.signal);
    }

    /// The cells' adjoints and what they secrete, after those of the rules with fewer hops, e-prop first.
    #[inline(always)]
    pub(crate) fn update_cells<L: Lanes<Scalar = F>>(&mut self, t: usize) {
        let has_error = self.find_signal::<L>(t);
        self.state.has_error = has_error;
        if has_error {
            self.state.work.count(|work| &mut work.signals);
        }
        if self.plan.filters_factors_separately {
            self.filter_gamma::<L>();
        }
        let hop_recursions =
            self.plan.hop_recursions.as_ref().map_or(0, |hop_recursions| hop_recursions.count);
        for hop in 0..=hop_recursions {
            self.recur::<L>(t, hop, hop == hop_recursions, has_error);
        }
    }

    /// One step of the recursion of the rule with a number of hops, or of the rule itself.
    #[inline(always)]
    fn recur<L: Lanes<Scalar = F>>(&mut self, t: usize, hop: usize, last: bool, has_error: bool) {
        let (plan, n) = (self.plan, self.network.size());
        let state = &mut *self.state;
        let (row, before) = if last { state.rows(t) } else { (2 * hop + t % 2, 2 * hop + (t + 1) % 2) };
        let first = if last { 0 } else { hop * n };
        let (input_adjoint, further, gamma) = match last {
            true if plan.filters_factors_separately => {
                (&mut state.input_adjoint, &mut state.further_adjoint, &state.filtered_gamma[..])
            }
            true => (&mut state.input_adjoint, &mut state.further_adjoint, &state.gamma[..]),
            false => (&mut state.hop_adjoint, &mut state.hop_further, &state.hop_gamma[first..first + n]),
        };
        let modulated = plan.modulation.is_some() && !state.no_secretion;
        let filtered = !plan.secretions.is_empty();
        let receives = match last {
            true => modulated || filtered || plan.filters_factors_separately || plan.hop_recursions.is_some(),
            false => hop > 0,
        };
        let secretes = last && plan.secretes();
        if last && receives {
            state.work.count(|work| &mut work.receptions);
        }
        let mut psi = self.trajectory.psi(t);
        let rows = [row * n..(row + 1) * n, before * n..(before + 1) * n];
        let [now, before] = input_adjoint.get_disjoint_mut(rows).expect("rows of two steps");
        for (i, (run, run_is_zero)) in plan.runs.iter().zip(&mut state.run_is_zero).enumerate() {
            psi.pass_to(run.first as usize);
            let cells = run.first as usize..run.end as usize;
            let driven = run.signalled && has_error || receives || run.dynamics.further() > 0;
            if last && !driven {
                *run_is_zero = *run_is_zero || just_cleared(t) && before[cells.clone()].iter().all(is_zero);
                if *run_is_zero {
                    now[cells.clone()].fill(Block::ZERO);
                    psi.pass_to(cells.end);
                    continue;
                }
            } else if last {
                *run_is_zero = false;
            }
            if last {
                state.work.count(|work| &mut work.runs[i]);
            }
            let mut recursion = Recursion::<L> {
                psi: &mut psi,
                signal: &state.signal[cells.clone()],
                gamma: &gamma[cells.clone()],
                secreted: &mut state.secreted[cells.clone()],
                further: &mut *further,
                places: first + cells.start..first + cells.end,
                before: &before[cells.clone()],
                now: &mut now[cells],
            };
            let signal = run.signalled && has_error;
            for_model!(run.dynamics, model => match plan.mu {
                Some(mu) => recursion.pass_on(model.map::<Splat<L>>(), L::splat(mu), signal, receives),
                None => recursion.run_as(model.map::<Splat<L>>(), signal, receives, secretes),
            });
        }
    }

    /// On-MDGL: (1−κ) Σ_{u≥t} κ^{u−t} Γ_u+1.
    #[inline(always)]
    fn filter_gamma<L: Lanes<Scalar = F>>(&mut self) {
        let low_pass = LowPass::<L>::of(&self.network.kappa);
        let state = &mut *self.state;
        let blocks = state.filtered.iter_mut().zip(&state.gamma).zip(&mut state.filtered_gamma);
        for ((held, gamma), filtered) in blocks {
            let (sum, now) = low_pass.backwards(L::load(held), L::load(gamma));
            sum.store(held);
            now.store(filtered);
        }
    }

    /// Γ_t, from what the cells secreted at step t.
    #[inline(always)]
    pub(crate) fn modulate<L: Lanes<Scalar = F>>(&mut self, t: usize) {
        let sums = self.plan.hop_recursions.is_some() && self.plan.modulation.is_some();
        if sums || !self.plan.secretions.is_empty() {
            self.state.gamma.fill(Block::ZERO);
        }
        self.modulate_instantly::<L>(t);
        self.modulate_filtered::<L>(t);
        self.modulate_hops::<L>(t);
        if let Some(signals) = self.signals.as_mut() {
            let n = self.network.size();
            signals.modulation[t * n..(t + 1) * n].copy_from_slice(&self.state.gamma);
        }
    }

    #[inline(always)]
    fn modulate_instantly<L: Lanes<Scalar = F>>(&mut self, t: usize) {
        let Some(modulation) = &self.plan.modulation else { return };
        let state = &mut *self.state;
        if modulation.diffusive.is_some() || self.plan.delayed() {
            // Later secretions that have not arrived yet.
            state.no_secretion = false;
            if !state.has_error {
                state.secreted.fill(Block::ZERO);
            }
        } else if self.plan.secretes() && !self.plan.filters_factors_separately {
            if !state.has_error && !state.no_secretion {
                state.gamma.fill(Block::ZERO);
            }
            state.no_secretion = !state.has_error;
            if state.no_secretion {
                return;
            }
        }
        state.work.count(|work| &mut work.modulation);
        if self.plan.filters_factors_separately {
            secrete_task_error::<L>(self.network, self.plan, self.delta, t, state);
        }
        let row = state.rows(t).0 * self.network.size();
        let secreted = match self.plan.secretes_lambda {
            true => &state.input_adjoint[row..row + self.network.size()],
            false => &state.secreted[..],
        };
        let arriving = state.pasts[0].take(secreted);
        modulation.receive::<L>(arriving, &mut state.totals, &mut state.gamma);
        if let Some(diffusive) = &modulation.diffusive {
            let places = diffusive.places.at(t, &mut state.places);
            diffusive.receive::<L>(places, secreted, &mut state.fields[0], &mut state.gamma);
        }
    }

    /// L ψ passes through each secreting cell's memory, and with several hops what the cell receives, too; the output joins Γ_t.
    #[inline(always)]
    fn modulate_filtered<L: Lanes<Scalar = F>>(&mut self, t: usize) {
        let (n, state) = (self.network.size(), &mut *self.state);
        if !state.has_error && !self.plan.secretions.is_empty() {
            state.secreted.fill(Block::ZERO);
        }
        let mut first = 0;
        for (kernel, secretion) in self.plan.secretions.iter().enumerate() {
            let last = first + secretion.hops - 1;
            // From the last hop on: it reads what the one before it brought a step later.
            for place in (first + 1..=last).rev() {
                let (own, before) = (place * n..(place + 1) * n, (place - 1) * n..place * n);
                let (s, r) = (&mut state.memory_s[own.clone()], &mut state.memory_r[own.clone()]);
                secretion.pass_on::<L>(&state.secreted, &state.passed_gamma[before], s, r);
                let arriving = state.pasts[1 + place].take(s);
                let gamma = match place == last {
                    true => &mut state.memory_gamma[..],
                    false => &mut state.passed_gamma[own],
                };
                secretion.modulation.receive::<L>(arriving, &mut state.totals, gamma);
            }
            let own = first * n..(first + 1) * n;
            let (s, r) = (&mut state.memory_s[own.clone()], &mut state.memory_r[own.clone()]);
            secretion.remember::<L>(&state.secreted, s, r);
            let arriving = state.pasts[1 + first].take(s);
            let gamma = match first == last {
                true => &mut state.memory_gamma[..],
                false => &mut state.passed_gamma[own],
            };
            secretion.modulation.receive::<L>(arriving, &mut state.totals, gamma);
            first = last + 1;
            if let Some(diffusive) = &secretion.modulation.diffusive {
                let places = diffusive.places.at(t, &mut state.places);
                diffusive.receive::<L>(places, s, &mut state.fields[1 + kernel], &mut state.memory_gamma);
            }
            for &p in &secretion.modulation.receivers {
                let gamma = &mut state.gamma[p as usize];
                L::load(gamma).add(L::load(&state.memory_gamma[p as usize])).store(gamma);
            }
        }
    }

    /// The secretion of each rule with fewer hops reaches the rule with one more; the last one's joins Γ_t.
    #[inline(always)]
    fn modulate_hops<L: Lanes<Scalar = F>>(&mut self, t: usize) {
        let Some(hop_recursions) = &self.plan.hop_recursions else { return };
        let (n, state) = (self.network.size(), &mut *self.state);
        for hop in 0..hop_recursions.count {
            let secreted = &state.hop_adjoint[(2 * hop + t % 2) * n..][..n];
            // The first rule, e-prop, receives nothing: its place takes the secretion of the last one.
            let next = (hop + 1) % hop_recursions.count;
            let past = 1 + self.plan.filtered_hops() + hop;
            hop_recursions.modulation.receive::<L>(
                state.pasts[past].take(secreted),
                &mut state.totals,
                &mut state.hop_gamma[next * n..][..n],
            );
        }
        for &p in &hop_recursions.modulation.receivers {
            let p = p as usize;
            let mut gamma = L::load(&state.hop_gamma[p]);
            if self.plan.receives_directly() {
                gamma = gamma.add(L::load(&state.gamma[p]));
            }
            gamma.store(&mut state.gamma[p]);
        }
    }

    /// Adds the tile from step `first` on to the sums.
    #[inline(always)]
    pub(crate) fn gather_events<L: Lanes<Scalar = F>>(&mut self, first: usize) {
        let (network, plan, state) = (self.network, self.plan, &mut *self.state);
        let rows = state.tile.min(self.trajectory.steps - first);
        let (n, outputs) = (network.size(), network.outputs());
        let spikes = &self.trajectory.state.spikes;
        let (cells, units) = (&state.input_adjoint[..], &state.error[..]);
        let inputs = self.input.units;
        let (grouped, sums) = (&mut state.grouped, &mut state.sums);
        let tile = Tile { lists: spikes, units: n, first, rows, lag: 0, values: units, columns: outputs };
        gather_tile::<L>(tile, &plan.synapses.readout_chunks, grouped, sums);
        let tile = Tile { lists: &self.input.events, units: inputs, values: cells, columns: n, ..tile };
        gather_tile::<L>(tile, &plan.synapses.input_chunks, grouped, sums);
        for late in &plan.synapses.late_input {
            gather_tile::<L>(Tile { lag: late.input_lag(), ..tile }, &late.chunks, grouped, sums);
        }
        for Delayed { delay, chunks, .. } in &plan.synapses.recurrent {
            let tile = Tile { lists: spikes, units: n, lag: *delay, ..tile };
            gather_tile::<L>(tile, chunks, grouped, sums);
        }
    }

    /// The same for units that send values: analogue inputs and rate units.
    #[inline(always)]
    fn gather_values<L: Lanes<Scalar = F>>(&mut self, first: usize) {
        let (network, plan, state) = (self.network, self.plan, &mut *self.state);
        let rows = state.tile.min(self.trajectory.steps - first);
        let sums = &mut state.sums;
        let cells = ValueTile {
            units: &self.input.analogue_units,
            sent: &self.input.analogue,
            first,
            rows,
            lag: 0,
            values: &state.input_adjoint,
            columns: network.size(),
        };
        gather_value_tile::<L>(cells, &plan.synapses.input_chunks, sums);
        for late in &plan.synapses.late_input {
            gather_value_tile::<L>(ValueTile { lag: late.input_lag(), ..cells }, &late.chunks, sums);
        }
        let cells =
            ValueTile { units: &network.rate_units, sent: self.trajectory.state.values.all(), ..cells };
        for Delayed { delay, chunks, .. } in &plan.synapses.recurrent {
            gather_value_tile::<L>(ValueTile { lag: *delay, ..cells }, chunks, sums);
        }
        let units = ValueTile { values: &state.error, columns: network.outputs(), ..cells };
        gather_value_tile::<L>(units, &plan.synapses.readout_chunks, sums);
    }
}

/// A block of trials, its ψ by segments.
struct Segmented<'a, F: Scalar> {
    trajectory: &'a mut Trajectory<F>,
    network: &'a CompiledNetwork<F>,
    input: &'a BlockInput<F>,
    psi_runs: &'a [CellRun<F>],
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
        let Self { trajectory, network, input, psi_runs, cancel } = self;
        let keep = Keep { psi: Some(psi_runs), ..Keep::NOTHING };
        L::call(Simulate { network, input, trajectory, keep, segment: Some(segment), cancel })
    }

    #[inline(always)]
    fn filter<L: Lanes<Scalar = F>>(&self, low_pass: LowPass<L>, step: usize, psi_filtered: &mut [Block<F>]) {
        let mut psi = self.trajectory.psi(step);
        for held in psi_filtered {
            low_pass.forwards(L::load(held), psi.next()).store(held);
        }
    }
}

/// One step of the recursion for neighbours with the same constants.
struct Recursion<'a, 'b, L: Lanes> {
    psi: &'a mut RowReader<'b, L::Scalar>,
    signal: &'a [Block<L::Scalar>],
    gamma: &'a [Block<L::Scalar>],
    secreted: &'a mut [Block<L::Scalar>],
    /// The adjoints of further variables, and the cells' places among them.
    further: &'a mut Further<L::Scalar>,
    places: Range<usize>,
    /// The cells' input adjoints of the step after this one.
    before: &'a [Block<L::Scalar>],
    /// Those of this step.
    now: &'a mut [Block<L::Scalar>],
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
        let mut further = self.further.slices_of(self.places.clone(), M::Variables::COUNT);
        for i in 0..self.signal.len() {
            let psi = self.psi.next::<L>();
            let drive = LeakDrive {
                signal: if signal { Some((psi, L::load(&self.signal[i]))) } else { None },
                modulation: if gamma { Some((mu, L::load(&self.gamma[i]))) } else { None },
            };
            let before = M::Variables::load(L::load(&self.before[i]), &further, i);
            let adjoint = model.leak_only_adjoint(drive, before);
            adjoint.integrator().store(&mut self.now[i]);
            adjoint.store(&mut further, i);
        }
    }

    #[inline(always)]
    fn run<M: Equations<L>, const SIGNAL: bool, const GAMMA: bool, const SECRETES: bool>(
        &mut self,
        model: M,
    ) {
        let Self { psi, signal, gamma, secreted, further, places, before, now } = self;
        let cells = signal.len();
        let (gamma, secreted) = (&gamma[..cells], &mut secreted[..cells]);
        let (before, now) = (&before[..cells], &mut now[..cells]);
        let mut further = further.slices_of(places.clone(), M::Variables::COUNT);
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
    plan: &LearningPlan<L::Scalar>,
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
    network: &CompiledNetwork<L::Scalar>,
    plan: &LearningPlan<L::Scalar>,
    delta: &Delta<L::Scalar>,
    t: usize,
    state: &mut BackwardState<L::Scalar>,
) {
    let delta_now = delta.at(t, network.outputs());
    let psi_filtered = state.psi_filtered.at(t);
    for &p in &plan.active {
        let p = p as usize;
        let mut error = L::splat(L::Scalar::ZERO);
        for &(k, weight) in plan.feedback.of(p) {
            if let Some(delta) = delta_now.get(k as usize) {
                let unfiltered = weight / (L::Scalar::ONE - network.kappa[k as usize]);
                error = L::load(delta).mul_add(L::splat(unfiltered), error);
            }
        }
        let secreted = match delta_now {
            [] => error,
            _ => error.mul(L::load(&psi_filtered[p])),
        };
        secreted.store(&mut state.secreted[p]);
    }
}
