//! The online form: eligibility traces from the first step to the last; memory does not grow with time.
//!
//! The traces ε of a synapse are the derivatives of its target's state variables by the weight; the model defines how they
//! evolve, and the eligibility e that follows from them (see [`crate::neuron`]).
//!
//! With causal errors the task's part is Σ_t Σ_k W_out δ_k,t ē_t, ē the κ-filter of e; MDGL adds
//! Σ_t Σ_k δ_k,t F_k,t, F_k the κ-filter of m_kp,t e_t−1. Of channels whose kernel h is a filter (see
//! [`crate::learn::secretion`]) the synapse carries h ∗ e, and F_k is the κ-filter of Σ_h m^h_kp,t (h ∗ e)_t−1, with
//! m^h the part of the cells that secrete through h. With several hops there is one such trace for each way through several
//! filters, (h ∗ h' ∗ e)_t−2, and m^hh' has the paths of two synapses through cells of these filters. The regulariser's rates are known after
//! the batch only, so its sums are separate and weighted at the end.
//!
//! What arrives along a synapse of delay d is multiplied by e, or h ∗ e, d steps earlier: with delays of more than one
//! step every learning synapse keeps as many steps of them as the longest has.
//!
//! The trace of RFLO (J. M. Murray, *Local online learning in recurrent networks with random feedback*, eLife 8:e43299,
//! 2019) has the leak alone: thr = β = 0 in the traces, not in the neuron.

use std::sync::atomic::AtomicBool;

use crate::batch::encode::{BlockInput, Entry};
use crate::error::Result;
use crate::instrument::section::Section;
use crate::learn::batch_sums::BatchSums;
use crate::learn::evaluate_loss::LossEvaluator;
use crate::learn::field::FieldStep;
use crate::learn::low_pass::LowPass;
use crate::learn::plan::LearningPlan;
use crate::learn::traces::{DelayedArrival, Emitter, Traces, ring_place};
use crate::neuron::constants::Splat;
use crate::neuron::equations::{Tangent, Variables};
use crate::neuron::{Dynamics, for_tangent};
use crate::numeric::cancel::check_cancelled;
use crate::numeric::csr::Csr;
use crate::numeric::lanes::{Block, LANES, Lanes, Mask, SimdKernel, clear_tiny, flat_mut};
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::{CompiledNetwork, ended};
use crate::simulate::delays::Delayed;
use crate::simulate::step::{BlockStep, Row, step};

/// The online pass over one block of trials: it simulates and learns in the same loop.
pub struct Online<'a, F: Scalar> {
    pub(crate) network: &'a CompiledNetwork<F>,
    /// The constants of the traces.
    pub(crate) cells: &'a [Dynamics<F>],
    pub(crate) plan: &'a LearningPlan<F>,
    pub(crate) input: &'a BlockInput<F>,
    pub(crate) lengths: [u32; LANES],
    pub(crate) steps: usize,
    pub(crate) evaluator: LossEvaluator<'a>,
    /// Whether the regulariser's sums are needed.
    pub(crate) regularised: bool,
    pub(crate) traces: &'a mut Traces<F>,
    pub(crate) cancel: &'a AtomicBool,
}

impl<F: Scalar> SimdKernel<F> for Online<'_, F> {
    /// Sums of the trials.
    type Output = Result<BatchSums>;

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(mut self) -> Result<BatchSums> {
        self.traces.reset(self.network, self.plan, self.regularised)?;
        for t in 0..self.steps {
            check_cancelled(t, self.cancel)?;
            let ended_lanes = ended(&self.lengths, t);
            L::call(self.online_step(t, StepHalf::Simulate { ended_lanes }));
            let traces = &mut *self.traces;
            traces.probe.step();
            let has_delta = self.evaluator.at(t, &traces.readout, &mut traces.delta);
            traces.probe.lap(Section::Loss);
            L::call(self.online_step(t, StepHalf::Learn { has_delta }));
        }
        Ok(self.evaluator.batch_sums())
    }
}

impl<F: Scalar> Online<'_, F> {
    #[inline(always)]
    fn online_step(&mut self, t: usize, half: StepHalf) -> OnlineStep<'_, F, false> {
        let Self { network, cells, plan, input, regularised, .. } = *self;
        OnlineStep { network, cells, plan, input, regularised, traces: self.traces, t, half }
    }
}

/// One step of the online form: first its simulation, then, with δ known, its learning. The pass over a block of
/// trials and the stream both run it.
///
/// `PACKED`: rows of traces are sixteen synapses of one trial, which stands in the first lane of everything else.
pub struct OnlineStep<'a, F: Scalar, const PACKED: bool> {
    pub(crate) network: &'a CompiledNetwork<F>,
    pub(crate) cells: &'a [Dynamics<F>],
    pub(crate) plan: &'a LearningPlan<F>,
    pub(crate) input: &'a BlockInput<F>,
    pub(crate) regularised: bool,
    pub(crate) traces: &'a mut Traces<F>,
    pub(crate) t: usize,
    pub(crate) half: StepHalf,
}

/// A half of a step.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StepHalf {
    /// Spikes, ψ and readout; δ becomes 0. The `ended_lanes` do not spike.
    Simulate { ended_lanes: Mask },
    /// Traces, and gradient sums where `has_delta`: some δ is not 0.
    Learn { has_delta: bool },
}

impl<F: Scalar, const PACKED: bool> SimdKernel<F> for OnlineStep<'_, F, PACKED> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(mut self) {
        match self.half {
            StepHalf::Simulate { ended_lanes } => {
                self.clear_tiny::<L>();
                self.simulate::<L>(ended_lanes);
            }
            StepHalf::Learn { has_delta } => {
                self.find_relevance::<L>();
                self.follow_modulation::<L>(has_delta);
                self.traces.probe.lap(Section::Modulation);
                self.update_traces::<L>();
                self.filter_traces::<L>();
                self.traces.probe.lap(Section::EligibilityTraces);
                self.follow_readout::<L>(has_delta);
                self.traces.probe.lap(Section::GradientGather);
                self.remember();
                self.traces.probe.lap(Section::EligibilityTraces);
            }
        }
    }
}

impl<F: Scalar, const PACKED: bool> OnlineStep<'_, F, PACKED> {
    #[inline(always)]
    fn clear_tiny<L: Lanes<Scalar = F>>(&mut self) {
        let traces = &mut *self.traces;
        for buffer in [
            &mut traces.integrator,
            &mut traces.filtered,
            &mut traces.filtered_s,
            &mut traces.filtered_r,
            &mut traces.modulated,
            &mut traces.psi_filtered,
        ] {
            clear_tiny::<L>(self.t, buffer);
        }
        traces.further.clear_tiny::<L>(self.t);
    }

    #[inline(always)]
    fn simulate<L: Lanes<Scalar = F>>(&mut self, ended_lanes: Mask) {
        let traces = &mut *self.traces;
        std::mem::swap(&mut traces.psi, &mut traces.psi_before);
        let row = Row { readout: &mut traces.readout, voltage: None, chosen: None };
        let (state, psi) = (&mut traces.state, &mut &mut traces.psi[..]);
        let block_step = BlockStep { network: self.network, input: self.input, step: self.t, ended_lanes };
        step::<L, _>(block_step, state, psi, row);
        traces.delta.fill(Block::ZERO);
        if ended_lanes != 0 {
            for field in &mut traces.field {
                L::load(field).clear(ended_lanes).store(field);
            }
        }
        for (sum, psi) in traces.psi_sums.iter_mut().zip(&traces.psi) {
            L::load(sum).add(L::load(psi)).store(sum);
        }
    }

    /// m_kp = Σ_j gain W_out[j→k] ψ_j; On-MDGL: Q_p = Σ_j gain P_j ψ̄_j.
    #[inline(always)]
    fn find_relevance<L: Lanes<Scalar = F>>(&mut self) {
        if !self.plan.receives() {
            return;
        }
        let (network, traces) = (self.network, &mut *self.traces);
        let (k, views) = (network.outputs(), 1 + traces.filters.len());
        let all = views * self.plan.synapses.recurrent.len();
        if self.plan.filters_factors_separately {
            let low_pass = LowPass::<L>::of(&network.kappa);
            for (held, psi) in traces.psi_filtered.iter_mut().zip(&traces.psi) {
                low_pass.forwards(L::load(held), L::load(psi)).store(held);
            }
        }
        for (p, emitters) in traces.emitters.iter().enumerate().filter(|(_, emitters)| !emitters.is_empty()) {
            let of_cell = p * all * k..(p + 1) * all * k;
            let relevance = &mut traces.relevance[of_cell];
            relevance.fill(Block::ZERO);
            let separately = self.plan.filters_factors_separately;
            let psi = if separately { &traces.psi_filtered } else { &traces.psi };
            for &Emitter { from, gain, view } in emitters {
                let (psi, first) = (&psi[from as usize], view as usize * k);
                // 0 would add nothing.
                if PACKED && psi.0[0] == F::ZERO {
                    continue;
                }
                let unfiltered = traces.unfiltered.of(from as usize);
                let relevance = &mut relevance[first..first + k];
                match (PACKED, separately) {
                    (true, false) => {
                        let psi = psi.0[0] * gain;
                        for &(unit, weight) in unfiltered {
                            relevance[unit as usize].0[0] += psi * weight;
                        }
                    }
                    (_, false) => {
                        let psi = L::load(psi).mul(L::splat(gain));
                        for &(unit, weight) in unfiltered {
                            let relevance = &mut relevance[unit as usize];
                            L::load(relevance).add(psi.mul(L::splat(weight))).store(relevance);
                        }
                    }
                    (_, true) => {
                        let psi = L::load(psi).mul(L::splat(gain));
                        for &(unit, weight) in unfiltered {
                            let part = psi.mul(L::splat(weight)).mul(L::load(&traces.delta[unit as usize]));
                            L::load(&relevance[0]).add(part).store(&mut relevance[0]);
                        }
                    }
                }
            }
        }
    }

    /// A value of a cell, a readout unit or a site, for a row of traces.
    #[inline(always)]
    fn spread<L: Lanes<Scalar = F>>(block: &Block<F>) -> L {
        if PACKED { L::splat(block.0[0]) } else { L::load(block) }
    }

    /// The modulatory term of this step: its factor is the eligibility of the step before, or of as many steps before
    /// as the delay has.
    #[inline(always)]
    fn follow_modulation<L: Lanes<Scalar = F>>(&mut self, has_delta: bool) {
        if !self.plan.receives() {
            return;
        }
        let (network, traces) = (self.network, &mut *self.traces);
        let k = network.outputs();
        let views = 1 + traces.filters.len();
        let (all, rows) = (views * self.plan.synapses.recurrent.len(), traces.rows.len());
        traces.find_late(self.plan, self.t);
        for (row, target) in traces.rows.targets().iter().enumerate() {
            let p = target.post as usize;
            if target.is_readout || !traces.receives[p] {
                continue;
            }
            let mut sum = L::load(&traces.sums[row]);
            if self.plan.filters_factors_separately {
                if has_delta {
                    let relevance = &traces.relevance[p * all * k..][..all * k];
                    sum = Self::spread::<L>(&relevance[0]).mul_add(L::load(&traces.filtered[row * k]), sum);
                    for &DelayedArrival { rank, first } in &traces.arrivals {
                        let seen = L::load(&traces.past[first + row]);
                        sum = Self::spread::<L>(&relevance[rank * k]).mul_add(seen, sum);
                    }
                }
            } else {
                let eligibility = L::load(&traces.eligibility[row]);
                for (unit, &kappa) in network.kappa.iter().enumerate() {
                    let relevance = &traces.relevance[p * all * k..][..all * k];
                    let mut part = eligibility.mul(Self::spread::<L>(&relevance[unit]));
                    let filtered = &traces.filtered_s[row * (views - 1)..][..views - 1];
                    for (view, filtered) in (1..).zip(filtered) {
                        let relevance = Self::spread::<L>(&relevance[view * k + unit]);
                        part = L::load(filtered).mul_add(relevance, part);
                    }
                    for &DelayedArrival { rank, first } in &traces.arrivals {
                        for view in 0..views {
                            let seen = L::load(&traces.past[first + view * rows + row]);
                            let relevance = &relevance[(rank * views + view) * k + unit];
                            part = seen.mul_add(Self::spread::<L>(relevance), part);
                        }
                    }
                    let followed = &mut traces.modulated[row * k + unit];
                    let held = L::load(followed).mul(L::splat(kappa));
                    let held = part.mul_add(L::splat(F::ONE - kappa), held);
                    held.store(followed);
                    sum = held.mul_add(Self::spread::<L>(&traces.delta[unit]), sum);
                }
            }
            sum.store(&mut traces.sums[row]);
        }
        for (edge, sum) in traces.edges.iter().zip(&mut traces.edge_sums) {
            let psi = L::load(&traces.psi[edge.from as usize]);
            let (slot, rank, view) =
                (edge.slot as usize, edge.view as usize / views, edge.view as usize % views);
            let seen = match (rank.checked_sub(1), view.checked_sub(1)) {
                (Some(arrival), _) => &traces.past[traces.arrivals[arrival].first + view * rows + slot],
                (None, None) => &traces.eligibility[slot],
                (None, Some(filter)) => &traces.filtered_s[slot * (views - 1) + filter],
            };
            L::load(seen).mul_add(psi, L::load(sum)).store(sum);
        }
    }

    /// ε and e of this step.
    #[inline(always)]
    fn update_traces<L: Lanes<Scalar = F>>(&mut self) {
        let traces = &mut *self.traces;
        let rows = traces.rows.len();
        let mut further = traces.further.slices(0..rows);
        for (row, target) in traces.rows.targets().iter().enumerate() {
            if target.is_readout {
                continue;
            }
            let psi = Self::spread::<L>(&traces.psi_before[target.post as usize]);
            let integrator = &mut traces.integrator[row];
            for_tangent!(&self.cells[target.post as usize], model => {
                let before = Variables::load(L::load(integrator), &further, row);
                let trace = model.map::<Splat<L>>().trace(psi, before);
                trace.integrator().store(integrator);
                trace.store(&mut further, row);
            }, else {});
        }
        self.add_inputs::<L>();
        let traces = &mut *self.traces;
        let further = traces.further.slices(0..rows);
        for (row, target) in traces.rows.targets().iter().enumerate() {
            if target.is_readout {
                continue;
            }
            let psi = Self::spread::<L>(&traces.psi[target.post as usize]);
            let integrator = &traces.integrator[row];
            let eligibility = for_tangent!(&self.cells[target.post as usize], model => {
                model.map::<Splat<L>>().spike(psi, Variables::load(L::load(integrator), &further, row))
            }, else L::splat(F::ZERO));
            eligibility.store(&mut traces.eligibility[row]);
            if self.regularised {
                let plain = &mut traces.plain[row];
                L::load(plain).add(eligibility).store(plain);
            }
        }
    }

    /// Updates h ∗ e by e of this step, for every filter h; a filter after another by that one's output of the step before.
    #[inline(always)]
    fn filter_traces<L: Lanes<Scalar = F>>(&mut self) {
        let traces = &mut *self.traces;
        let filters = traces.filters.len();
        if filters == 0 {
            return;
        }
        for (row, target) in traces.rows.targets().iter().enumerate() {
            if target.is_readout || !traces.receives[target.post as usize] {
                continue;
            }
            let eligibility = L::load(&traces.eligibility[row]);
            let own = row * filters..(row + 1) * filters;
            let (all_s, all_r) = (&mut traces.filtered_s[own.clone()], &mut traces.filtered_r[own]);
            // A trace comes after its parent.
            for (place, &(filter, parent)) in traces.filters.iter().enumerate().rev() {
                let filter = filter.map::<Splat<L>>();
                let input = parent.map_or(eligibility, |parent| L::load(&all_s[parent]));
                let now = filter.step((L::load(&all_s[place]), L::load(&all_r[place])), input);
                now.0.store(&mut all_s[place]);
                now.1.store(&mut all_r[place]);
            }
        }
    }

    #[inline(always)]
    fn add_inputs<L: Lanes<Scalar = F>>(&mut self) {
        let (plan, t) = (self.plan, self.t);
        self.start_traces::<L>(self.input.events.at(t), &plan.synapses.input);
        for late in &plan.synapses.late_input {
            if let Some(sent) = t.checked_sub(late.input_lag()) {
                self.start_traces::<L>(self.input.events.at(sent), &late.csr);
            }
        }
        for Delayed { delay, csr, .. } in &plan.synapses.recurrent {
            if let Some(sent) = t.checked_sub(*delay) {
                // The lists are read while traces change.
                let spikes = std::mem::take(&mut self.traces.state.spikes);
                self.start_traces::<L>(spikes.at(sent), csr);
                self.traces.state.spikes = spikes;
            }
        }
        self.add_values::<L>(t, &plan.synapses.input);
        for late in &plan.synapses.late_input {
            if let Some(sent) = t.checked_sub(late.input_lag()) {
                self.add_values::<L>(sent, &late.csr);
            }
        }
    }

    /// (1−α) times the analogue values of a step join the traces of their synapses.
    #[inline(always)]
    fn add_values<L: Lanes<Scalar = F>>(&mut self, sent: usize, csr: &Csr<u32>) {
        let (plan, traces) = (self.plan, &mut *self.traces);
        let (units, values) = self.input.analogue_at(sent);
        for (&unit, value) in units.iter().zip(values) {
            for &(_, slot) in csr.of(unit as usize) {
                let scale = L::splat(plan.synapses.slots[slot as usize].scale);
                if PACKED {
                    let trace = &mut flat_mut(&mut traces.integrator)[traces.rows.place(slot)];
                    let mut sum = Block::ZERO;
                    L::load(value).mul_add(scale, L::splat(*trace)).store(&mut sum);
                    *trace = sum.0[0];
                } else {
                    let trace = &mut traces.integrator[slot as usize];
                    L::load(value).mul_add(scale, L::load(trace)).store(trace);
                }
            }
        }
    }

    /// (1−α) z_q,t−1, or x_i,t, joins the traces of the sender's synapses.
    #[inline(always)]
    fn start_traces<L: Lanes<Scalar = F>>(&mut self, entries: &[Entry], csr: &Csr<u32>) {
        let Traces { rows, integrator, .. } = &mut *self.traces;
        for &Entry { unit, mask, count } in entries {
            for &(_, slot) in csr.of(unit as usize) {
                let by = self.plan.synapses.slots[slot as usize].scale * F::from_f64(f64::from(count));
                if !PACKED {
                    let trace = &mut integrator[slot as usize];
                    L::load(trace).add_where(mask, L::splat(by)).store(trace);
                } else if mask & 1 == 1 {
                    flat_mut(integrator)[rows.place(slot)] += by;
                }
            }
        }
    }

    /// Stores the factors of later steps.
    #[inline(always)]
    fn remember(&mut self) {
        let (k, traces) = (self.network.outputs(), &mut *self.traces);
        if traces.past.is_empty() {
            return;
        }
        let (rows, filters) = (traces.rows.len(), traces.filters.len());
        let now = ring_place(self.plan, self.t, 0) * (1 + filters) * rows;
        for row in 0..rows {
            traces.past[now + row] = match self.plan.filters_factors_separately {
                true => traces.filtered[row * k],
                false => traces.eligibility[row],
            };
            for filter in 0..filters {
                traces.past[now + (1 + filter) * rows + row] = traces.filtered_s[row * filters + filter];
            }
        }
    }

    /// ē and s follow the readout's filter; errors turn them into gradients.
    #[inline(always)]
    fn follow_readout<L: Lanes<Scalar = F>>(&mut self, has_delta: bool) {
        let (network, plan, traces, t) = (self.network, self.plan, &mut *self.traces, self.t);
        let k = network.outputs();
        for (bias, delta) in traces.bias.iter_mut().zip(&traces.delta) {
            L::load(bias).add(L::load(delta)).store(bias);
        }
        for (row, target) in traces.rows.targets().iter().enumerate() {
            if target.is_readout {
                let kappa = network.kappa[target.post as usize];
                let trace = &mut traces.filtered[row * k];
                L::load(trace).mul(L::splat(kappa)).store(trace);
                continue;
            }
            let eligibility = L::load(&traces.eligibility[row]);
            for (unit, &kappa) in network.kappa.iter().enumerate() {
                let trace = &mut traces.filtered[row * k + unit];
                let held = L::load(trace).mul(L::splat(kappa));
                eligibility.mul_add(L::splat(F::ONE - kappa), held).store(trace);
            }
        }
        for entry in traces.state.spikes.at(t) {
            traces.counts[entry.unit as usize] += u64::from(entry.mask.count_ones());
            for &(_, slot) in plan.synapses.readout.of(entry.unit as usize) {
                let by = plan.synapses.slots[slot as usize].scale;
                if !PACKED {
                    let trace = &mut traces.filtered[slot as usize * k];
                    L::load(trace).add_where(entry.mask, L::splat(by)).store(trace);
                } else if entry.mask & 1 == 1 {
                    let (row, lane) = (traces.rows.place(slot) / LANES, traces.rows.place(slot) % LANES);
                    traces.filtered[row * k].0[lane] += by;
                }
            }
        }
        if has_delta {
            self.add_errors::<L>();
        }
        self.follow_field::<L>();
        self.traces.state.spikes.forget_before(t.saturating_sub(self.network.looks_back()));
    }

    /// G of this step times ē, at each synapse's site.
    #[inline(always)]
    fn follow_field<L: Lanes<Scalar = F>>(&mut self) {
        let Some(sources) = &self.plan.field else { return };
        let (k, traces) = (self.network.outputs(), &mut *self.traces);
        let Traces { delta, field, field_sums, places, .. } = traces;
        let places = sources.places.at(self.t, places);
        let at = FieldStep { step: self.t, places, ended_lanes: 0, delta };
        sources.advance::<L>(at, field, field_sums);
        for (row, target) in traces.rows.targets().iter().enumerate() {
            if target.is_readout || k == 0 {
                continue;
            }
            let field = Self::spread::<L>(&traces.field[places[target.post as usize] as usize]);
            let sum = &mut traces.sums[row];
            // The readouts share κ, so that all filters are the same.
            field.mul_add(L::load(&traces.filtered[row * k]), L::load(sum)).store(sum);
        }
    }

    #[inline(always)]
    fn add_errors<L: Lanes<Scalar = F>>(&mut self) {
        let (network, traces) = (self.network, &mut *self.traces);
        let k = network.outputs();
        for (row, target) in traces.rows.targets().iter().enumerate() {
            let (post, mut sum) = (target.post as usize, L::load(&traces.sums[row]));
            if target.is_readout {
                let delta = Self::spread::<L>(&traces.delta[post]);
                sum = delta.mul_add(L::load(&traces.filtered[row * k]), sum);
            } else if self.plan.field.is_none() {
                for &(unit, weight) in traces.unfiltered.of(post) {
                    let unit = unit as usize;
                    let error = Self::spread::<L>(&traces.delta[unit]).mul(L::splat(weight));
                    sum = error.mul_add(L::load(&traces.filtered[row * k + unit]), sum);
                }
            }
            sum.store(&mut traces.sums[row]);
        }
    }
}
