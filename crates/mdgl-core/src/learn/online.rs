//! The online form: eligibility traces from the first step to the last; memory does not grow with time.
//!
//! The traces ε of a synapse are the derivatives of its target's state variables by the weight; the model defines how they
//! evolve, and the eligibility e that follows from them (see [`crate::neuron`]).
//!
//! With causal errors the task's part is Σ_t Σ_k W_out δ_k,t ē_t, ē the κ-filter of e; MDGL adds
//! Σ_t Σ_k δ_k,t F_k,t, F_k the κ-filter of m_kp,t e_t−1. Of channels whose kernel h is a filter (see
//! [`crate::learn::secretion`]) the synapse carries h ∗ e, and F_k is the κ-filter of Σ_h m^h_kp,t (h ∗ e)_t−1, with
//! m^h the part of the cells that secrete through h. The regulariser's rates are known after
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
use crate::instrument::probe::Probe;
use crate::instrument::section::Section;
use crate::learn::batch_sums::BatchSums;
use crate::learn::block_gradient::{BlockGradient, Edge};
use crate::learn::evaluate_loss::LossEvaluator;
use crate::learn::field::{FieldSources, FieldStep};
use crate::learn::low_pass::LowPass;
use crate::learn::plan::LearningPlan;
use crate::network::SynapseKind;
use crate::neuron::constants::Splat;
use crate::neuron::equations::{Tangent, Variables};
use crate::neuron::filter::Filter;
use crate::neuron::storage::Further;
use crate::neuron::{Dynamics, for_tangent};
use crate::numeric::cancel::check_cancelled;
use crate::numeric::csr::Csr;
use crate::numeric::lanes::{Block, LANES, Lanes, Mask, SimdKernel, clear_tiny};
use crate::numeric::memory::{bytes_of, ensure_memory, product, refill, reserve};
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::{CompiledNetwork, ended};
use crate::simulate::delays::Delayed;
use crate::simulate::step::{BlockStep, NetworkState, Row, Snapshot, step};

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

/// A secreting cell, per receiver.
#[derive(Debug, Clone, Copy)]
struct Emitter<F> {
    from: u32,
    gain: F,
    /// The trace that its secretion is multiplied by: e or e through a filter, for each delay.
    view: u32,
}

/// Arrivals of a delay of more than one step at the current step.
#[derive(Debug, Clone, Copy)]
struct DelayedArrival {
    /// The delay's place among the network's.
    rank: usize,
    first: usize,
}

/// The ring index of so many steps before a step; the ring is as long as the longest delay.
fn ring_place<F: Scalar>(plan: &LearningPlan<F>, t: usize, before: usize) -> usize {
    let kept = plan.longest_delay();
    (t + kept - before) % kept
}

const WHAT: &str = "the eligibility traces of a block of trials";

/// Lists of traces beyond the first: a stream's state has a second one whether or not it is used.
pub(crate) fn trace_lists<F: Scalar>(network: &CompiledNetwork<F>) -> usize {
    network.further.max(1)
}

/// Traces and sums, one per slot of the plan unless said otherwise.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traces<F: Scalar> {
    pub state: NetworkState<F>,
    /// ε of the variable to which input is added.
    integrator: Vec<Block<F>>,
    /// ε of the others.
    further: Further<F>,
    /// e_t, then e_t−1.
    eligibility: Vec<Block<F>>,
    /// ē `[slot][unit]`: one filter per readout unit; for a readout slot only s.
    filtered: Vec<Block<F>>,
    /// s = h ∗ e and r of each filter, `[slot][filter]`.
    filtered_s: Vec<Block<F>>,
    filtered_r: Vec<Block<F>>,
    /// F_k `[slot][unit]`.
    modulated: Vec<Block<F>>,
    /// The factors of a synapse's modulatory traces, `[step in ring_place][1 + filter][slot]`: e (On-MDGL: ē), then
    /// each h ∗ e; as many steps as the longest delay, none where that is one.
    past: Vec<Block<F>>,
    /// Arrivals of the longer delays at the current step.
    arrivals: Vec<DelayedArrival>,
    /// m_kp,t `[cell][view][unit]`, the views of a synapse's past being e itself, then each filter's, for one delay after another;
    /// On-MDGL: Q_p,t in the first unit of each delay.
    relevance: Vec<Block<F>>,
    psi: Vec<Block<F>>,
    /// ψ_t−1.
    psi_before: Vec<Block<F>>,
    psi_filtered: Vec<Block<F>>,
    /// y of this step.
    pub readout: Vec<Block<F>>,
    /// δ of this step.
    pub delta: Vec<Block<F>>,
    counts: Vec<u64>,
    /// Σ_t ψ of each cell, if its mean is needed.
    psi_sums: Vec<Block<F>>,
    /// G on the sheet, if cells learn by it, and its sums by rows.
    field: Vec<Block<F>>,
    field_sums: Vec<Block<F>>,
    /// The cells' current sites, if these change.
    places: Vec<u32>,
    /// The filters of all kernels, one after another.
    filters: Vec<Filter<F>>,
    /// The secreting cells of each receiver.
    emitters: Vec<Vec<Emitter<F>>>,
    /// Cells whose modulatory traces are followed.
    receives: Vec<bool>,
    edges: Vec<Edge<F>>,
    /// The gradient of the task loss.
    pub sums: Vec<Block<F>>,
    pub bias: Vec<Block<F>>,
    /// Σ_t e_t.
    pub plain: Vec<Block<F>>,
    /// Σ_t e_t−1 ψ_j,t, one per modulatory edge.
    pub edge_sums: Vec<Block<F>>,
    probe: Probe,
}

/// The state that a step's simulation changes, before the step.
#[derive(Debug, Clone, Default)]
pub(crate) struct Before<F: Scalar> {
    state: Snapshot<F>,
    readout: Vec<Block<F>>,
    psi_sums: Vec<Block<F>>,
}

impl<F: Scalar> Traces<F> {
    fn reset(
        &mut self,
        network: &CompiledNetwork<F>,
        plan: &LearningPlan<F>,
        regularised: bool,
    ) -> Result<()> {
        self.begin(network, plan, regularised)?;
        self.forget(plan, network.outputs())
    }

    /// Starts a trial; the gradient sums stay.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] when the traces cannot be allocated.
    pub fn begin(
        &mut self,
        network: &CompiledNetwork<F>,
        plan: &LearningPlan<F>,
        regularised: bool,
    ) -> Result<()> {
        let (n, k, slots) = (network.size(), network.outputs(), plan.slots.len());
        self.state.reset(network)?;
        self.counts.clear();
        self.counts.resize(n, 0);
        self.list_filters(plan);
        self.list_emitters(plan, n);
        self.receives = self.emitters.iter().map(|emitters| !emitters.is_empty()).collect();
        self.edges =
            if regularised && !plan.filters_factors_separately { self.list_edges(plan)? } else { Vec::new() };
        let filters = self.filters.len();
        let sites = plan.field.as_ref().map_or(0, FieldSources::sites);
        plan.field.as_ref().map_or(Ok(()), |sources| sources.places.allocate(&mut self.places))?;
        let buffers = [
            (&mut self.integrator, slots),
            (&mut self.eligibility, slots),
            (&mut self.filtered, product(&[slots, k])),
            (&mut self.filtered_s, product(&[slots, filters])),
            (&mut self.filtered_r, product(&[slots, filters])),
            (&mut self.modulated, product(&[slots, k])),
            (&mut self.past, plan.past_len()),
            (&mut self.relevance, product(&[n, plan.recurrent.len(), 1 + filters, k])),
            (&mut self.field, sites),
            (&mut self.field_sums, sites),
            (&mut self.psi, n),
            (&mut self.psi_before, n),
            (&mut self.psi_filtered, n),
            (&mut self.readout, k),
            (&mut self.delta, k),
        ];
        // One check for all of them: each may be small.
        let missing =
            buffers.iter().map(|(buffer, len)| len.saturating_sub(buffer.capacity())).sum::<usize>();
        let missing = missing.saturating_add(product(&[trace_lists(network), slots]));
        ensure_memory(product(&[missing, size_of::<Block<F>>()]), WHAT)?;
        buffers.into_iter().try_for_each(|(buffer, len)| refill(buffer, len, WHAT))?;
        self.further.reset(trace_lists(network), slots, WHAT)
    }

    /// The gradient sums become 0.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] when they cannot be allocated.
    pub fn forget(&mut self, plan: &LearningPlan<F>, outputs: usize) -> Result<()> {
        for (buffer, len) in [
            (&mut self.sums, plan.slots.len()),
            (&mut self.bias, outputs),
            (&mut self.plain, plan.slots.len()),
            (&mut self.edge_sums, self.edges.len()),
            (&mut self.psi_sums, if plan.follows_psi() { self.psi.len() } else { 0 }),
        ] {
            refill(buffer, len, WHAT)?;
        }
        Ok(())
    }

    /// Recomputes the gains after a change of weights; traces stay. From now on every cell's modulatory trace is
    /// followed: a cell that receives nothing now may have received before, and its trace decays.
    pub fn renew(&mut self, plan: &LearningPlan<F>, cells: usize) {
        self.list_filters(plan);
        self.list_emitters(plan, cells);
        self.receives.fill(plan.receives());
        self.relevance.fill(Block::ZERO);
    }

    /// The state of learning between two steps of a trial, in a fixed order; nothing that the plan's rule does not
    /// use.
    pub fn carried(&mut self, plan: &LearningPlan<F>) -> Vec<&mut Vec<Block<F>>> {
        let [second, further @ ..] = self.further.lists_mut();
        let mut carried = vec![
            &mut self.integrator,
            second,
            &mut self.eligibility,
            &mut self.filtered,
            &mut self.psi,
            &mut self.past,
        ];
        match plan.receives() {
            true if plan.filters_factors_separately => carried.push(&mut self.psi_filtered),
            true => carried.extend([&mut self.modulated, &mut self.filtered_s, &mut self.filtered_r]),
            false => {}
        }
        if plan.field.is_some() {
            carried.push(&mut self.field);
        }
        carried.extend(further);
        carried
    }

    fn list_filters(&mut self, plan: &LearningPlan<F>) {
        self.filters = plan.secretions.iter().flat_map(|secretion| secretion.filters.clone()).collect();
    }

    fn list_emitters(&mut self, plan: &LearningPlan<F>, cells: usize) {
        let views = 1 + self.filters.len();
        let rank_of = |delay| plan.recurrent.partition_point(|delayed| delayed.delay < delay);
        // The place of a secreting cell encodes the cell and the delay.
        let emitter = |(place, gain): (u32, F), view: &dyn Fn(u32) -> u32| {
            let (from, delay) = (place % cells as u32, 1 + place as usize / cells);
            Emitter { from, gain, view: (rank_of(delay) * views) as u32 + view(from) }
        };
        let emitters = |p: usize| {
            let instant = plan.modulation.iter().flat_map(|modulation| modulation.emitters(p));
            let mut emitters: Vec<_> = instant.map(|own| emitter(own, &|_| 0)).collect();
            let mut first = 1;
            for secretion in &plan.secretions {
                let own = secretion.modulation.emitters(p).into_iter();
                emitters.extend(own.map(|own| emitter(own, &|from| first + secretion.filter_of(from))));
                first += secretion.filters.len() as u32;
            }
            emitters
        };
        self.emitters = (0..cells).map(emitters).collect();
    }

    fn list_edges(&self, plan: &LearningPlan<F>) -> Result<Vec<Edge<F>>> {
        let slots = plan.slots.iter().enumerate().filter(|(_, s)| s.kind != SynapseKind::Readout);
        let count = slots.clone().map(|(_, s)| self.emitters[s.post as usize].len()).sum();
        let mut all = Vec::new();
        // Each block of trials uses a copy.
        reserve(&mut all, product(&[2, count]), "the modulatory edges of synapses")?;
        let edges = slots.flat_map(|(slot, s)| {
            let emitters = self.emitters[s.post as usize].iter();
            emitters.map(move |&Emitter { from, gain, view }| Edge { slot: slot as u32, from, gain, view })
        });
        all.extend(edges);
        Ok(all)
    }

    /// Computes the arrivals at a step.
    fn find_late(&mut self, plan: &LearningPlan<F>, t: usize) {
        let row = (1 + self.filters.len()) * plan.slots.len();
        let arrivals = (1..).zip(&plan.recurrent[1..]);
        self.arrivals.clear();
        self.arrivals.extend(
            arrivals.map(|(rank, delayed)| DelayedArrival {
                rank,
                first: ring_place(plan, t, delayed.delay) * row,
            }),
        );
    }

    /// Bytes of memory in use.
    pub fn bytes(&self) -> usize {
        let Self { state, integrator, further, eligibility, filtered, filtered_s, filtered_r, .. } = self;
        let Self { modulated, past, relevance, psi, psi_before, psi_filtered, readout, delta, .. } = self;
        let Self { psi_sums, field, field_sums, sums, bias, plain, edge_sums, emitters, edges, .. } = self;
        let blocks = [
            [integrator, eligibility, filtered, filtered_s, filtered_r],
            [modulated, past, relevance, psi, psi_before],
            [psi_filtered, readout, delta, psi_sums, field],
            [field_sums, sums, bias, plain, edge_sums],
        ];
        let lists = emitters.iter().map(bytes_of).sum::<usize>() + bytes_of(edges);
        state.bytes()
            + further.bytes()
            + blocks.iter().flatten().map(|list| bytes_of(list)).sum::<usize>()
            + lists
    }

    /// Saves what [`Self::take_back`] needs to undo the simulation of the next step.
    pub fn snapshot_into(&self, before: &mut Before<F>) {
        self.state.snapshot_into(&mut before.state);
        before.readout.clone_from(&self.readout);
        before.psi_sums.clone_from(&self.psi_sums);
    }

    /// Undoes the simulation of the last step, before its learning.
    pub fn take_back(&mut self, before: &Before<F>) {
        self.state.take_back(&before.state);
        self.readout.clone_from(&before.readout);
        self.psi_sums.clone_from(&before.psi_sums);
        std::mem::swap(&mut self.psi, &mut self.psi_before);
    }

    /// The sums over lanes: the task's gradient, and the sums that the regulariser's constants weight.
    pub fn block_gradient(&self) -> BlockGradient<F> {
        let sum = |blocks: &[Block<F>]| blocks.iter().map(Block::sum).collect();
        BlockGradient {
            sums: sum(&self.sums),
            bias: sum(&self.bias),
            plain: sum(&self.plain),
            edge_sums: sum(&self.edge_sums),
            edges: self.edges.clone(),
        }
    }

    /// The probes of simulation and learning.
    pub fn probes(&mut self) -> [&mut Probe; 2] {
        [&mut self.state.probe, &mut self.probe]
    }

    /// Spikes of each neuron in all lanes.
    pub fn spike_counts(&self) -> &[u64] {
        &self.counts
    }

    /// Σ ψ since the sums were 0, one per neuron; empty if its mean is not needed.
    pub fn psi_sums(&self) -> Vec<f64> {
        self.psi_sums.iter().map(|block| block.sum().to_f64()).collect()
    }
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
    fn online_step(&mut self, t: usize, half: StepHalf) -> OnlineStep<'_, F> {
        let Self { network, cells, plan, input, regularised, .. } = *self;
        OnlineStep { network, cells, plan, input, regularised, traces: self.traces, t, half }
    }
}

/// One step of the online form: first its simulation, then, with δ known, its learning. The pass over a block of
/// trials and the stream both run it.
pub struct OnlineStep<'a, F: Scalar> {
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

impl<F: Scalar> SimdKernel<F> for OnlineStep<'_, F> {
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

impl<F: Scalar> OnlineStep<'_, F> {
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
        let row = Row { readout: &mut traces.readout, voltage: None };
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
        let all = views * self.plan.recurrent.len();
        if self.plan.filters_factors_separately {
            let low_pass = LowPass::<L>::of(&network.kappa);
            for (held, psi) in traces.psi_filtered.iter_mut().zip(&traces.psi) {
                low_pass.forwards(L::load(held), L::load(psi)).store(held);
            }
        }
        let psi = if self.plan.filters_factors_separately { &traces.psi_filtered } else { &traces.psi };
        for (p, emitters) in traces.emitters.iter().enumerate().filter(|(_, emitters)| !emitters.is_empty()) {
            let first = p * all * k;
            traces.relevance[first..first + all * k].fill(Block::ZERO);
            for &Emitter { from, gain, view } in emitters {
                let psi = L::load(&psi[from as usize]).mul(L::splat(gain));
                for &(unit, weight) in self.plan.feedback.of(from as usize) {
                    let unfiltered = weight / (F::ONE - network.kappa[unit as usize]);
                    let mut part = psi.mul(L::splat(unfiltered));
                    let mut place = first + view as usize * k + unit as usize;
                    if self.plan.filters_factors_separately {
                        part = part.mul(L::load(&traces.delta[unit as usize]));
                        place = first + view as usize * k;
                    }
                    let relevance = &mut traces.relevance[place];
                    L::load(relevance).add(part).store(relevance);
                }
            }
        }
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
        let (all, slots) = (views * self.plan.recurrent.len(), self.plan.slots.len());
        traces.find_late(self.plan, self.t);
        for (slot, s) in self.plan.slots.iter().enumerate() {
            let p = s.post as usize;
            if s.kind == SynapseKind::Readout || !traces.receives[p] {
                continue;
            }
            let mut sum = L::load(&traces.sums[slot]);
            if self.plan.filters_factors_separately {
                if has_delta {
                    let relevance = &traces.relevance[p * all * k..][..all * k];
                    sum = L::load(&relevance[0]).mul_add(L::load(&traces.filtered[slot * k]), sum);
                    for &DelayedArrival { rank, first } in &traces.arrivals {
                        let seen = L::load(&traces.past[first + slot]);
                        sum = L::load(&relevance[rank * k]).mul_add(seen, sum);
                    }
                }
            } else {
                let eligibility = L::load(&traces.eligibility[slot]);
                for (unit, &kappa) in network.kappa.iter().enumerate() {
                    let relevance = &traces.relevance[p * all * k..][..all * k];
                    let mut part = eligibility.mul(L::load(&relevance[unit]));
                    let filtered = &traces.filtered_s[slot * (views - 1)..][..views - 1];
                    for (view, filtered) in (1..).zip(filtered) {
                        part = L::load(filtered).mul_add(L::load(&relevance[view * k + unit]), part);
                    }
                    for &DelayedArrival { rank, first } in &traces.arrivals {
                        for view in 0..views {
                            let seen = L::load(&traces.past[first + view * slots + slot]);
                            let relevance = &relevance[(rank * views + view) * k + unit];
                            part = seen.mul_add(L::load(relevance), part);
                        }
                    }
                    let followed = &mut traces.modulated[slot * k + unit];
                    let held = L::load(followed).mul(L::splat(kappa));
                    let held = part.mul_add(L::splat(F::ONE - kappa), held);
                    held.store(followed);
                    sum = held.mul_add(L::load(&traces.delta[unit]), sum);
                }
            }
            sum.store(&mut traces.sums[slot]);
        }
        for (edge, sum) in traces.edges.iter().zip(&mut traces.edge_sums) {
            let psi = L::load(&traces.psi[edge.from as usize]);
            let (slot, rank, view) =
                (edge.slot as usize, edge.view as usize / views, edge.view as usize % views);
            let seen = match (rank.checked_sub(1), view.checked_sub(1)) {
                (Some(arrival), _) => &traces.past[traces.arrivals[arrival].first + view * slots + slot],
                (None, None) => &traces.eligibility[slot],
                (None, Some(filter)) => &traces.filtered_s[slot * (views - 1) + filter],
            };
            L::load(seen).mul_add(psi, L::load(sum)).store(sum);
        }
    }

    /// ε and e of this step.
    #[inline(always)]
    fn update_traces<L: Lanes<Scalar = F>>(&mut self) {
        let (plan, traces) = (self.plan, &mut *self.traces);
        let mut further = traces.further.slices(0..plan.slots.len());
        for (slot, s) in plan.slots.iter().enumerate() {
            if s.kind == SynapseKind::Readout {
                continue;
            }
            let psi = L::load(&traces.psi_before[s.post as usize]);
            let integrator = &mut traces.integrator[slot];
            for_tangent!(&self.cells[s.post as usize], model => {
                let before = Variables::load(L::load(integrator), &further, slot);
                let trace = model.map::<Splat<L>>().trace(psi, before);
                trace.integrator().store(integrator);
                trace.store(&mut further, slot);
            }, else {});
        }
        self.add_inputs::<L>();
        let traces = &mut *self.traces;
        let further = traces.further.slices(0..plan.slots.len());
        for (slot, s) in plan.slots.iter().enumerate() {
            if s.kind == SynapseKind::Readout {
                continue;
            }
            let psi = L::load(&traces.psi[s.post as usize]);
            let integrator = &traces.integrator[slot];
            let eligibility = for_tangent!(&self.cells[s.post as usize], model => {
                model.map::<Splat<L>>().spike(psi, Variables::load(L::load(integrator), &further, slot))
            }, else L::splat(F::ZERO));
            eligibility.store(&mut traces.eligibility[slot]);
            if self.regularised {
                let plain = &mut traces.plain[slot];
                L::load(plain).add(eligibility).store(plain);
            }
        }
    }

    /// Updates h ∗ e by e of this step, for every filter h.
    #[inline(always)]
    fn filter_traces<L: Lanes<Scalar = F>>(&mut self) {
        let traces = &mut *self.traces;
        let filters = traces.filters.len();
        if filters == 0 {
            return;
        }
        for (slot, s) in self.plan.slots.iter().enumerate() {
            if s.kind == SynapseKind::Readout || !traces.receives[s.post as usize] {
                continue;
            }
            let eligibility = L::load(&traces.eligibility[slot]);
            let own = slot * filters..(slot + 1) * filters;
            let held = traces.filtered_s[own.clone()].iter_mut().zip(&mut traces.filtered_r[own]);
            for (filter, (s, r)) in traces.filters.iter().zip(held) {
                let filter = filter.map::<Splat<L>>();
                let now = filter.step((L::load(s), L::load(r)), eligibility);
                now.0.store(s);
                now.1.store(r);
            }
        }
    }

    #[inline(always)]
    fn add_inputs<L: Lanes<Scalar = F>>(&mut self) {
        let (plan, traces, t) = (self.plan, &mut *self.traces, self.t);
        start_traces::<L>(self.input.events.at(t), &plan.input, plan, &mut traces.integrator);
        for Delayed { delay, csr, .. } in &plan.recurrent {
            if let Some(sent) = t.checked_sub(*delay) {
                start_traces::<L>(traces.state.spikes.at(sent), csr, plan, &mut traces.integrator);
            }
        }
        for (&unit, value) in self.input.analogue_units.iter().zip(self.input.analogue_at(t)) {
            for &(_, slot) in plan.input.of(unit as usize) {
                let trace = &mut traces.integrator[slot as usize];
                let scale = L::splat(plan.slots[slot as usize].scale);
                L::load(value).mul_add(scale, L::load(trace)).store(trace);
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
        let (slots, filters) = (self.plan.slots.len(), traces.filters.len());
        let now = ring_place(self.plan, self.t, 0) * (1 + filters) * slots;
        for slot in 0..slots {
            traces.past[now + slot] = match self.plan.filters_factors_separately {
                true => traces.filtered[slot * k],
                false => traces.eligibility[slot],
            };
            for filter in 0..filters {
                traces.past[now + (1 + filter) * slots + slot] = traces.filtered_s[slot * filters + filter];
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
        for (slot, s) in plan.slots.iter().enumerate() {
            if s.kind == SynapseKind::Readout {
                let kappa = network.kappa[s.post as usize];
                let trace = &mut traces.filtered[slot * k];
                L::load(trace).mul(L::splat(kappa)).store(trace);
                continue;
            }
            let eligibility = L::load(&traces.eligibility[slot]);
            for (unit, &kappa) in network.kappa.iter().enumerate() {
                let trace = &mut traces.filtered[slot * k + unit];
                let held = L::load(trace).mul(L::splat(kappa));
                eligibility.mul_add(L::splat(F::ONE - kappa), held).store(trace);
            }
        }
        for entry in traces.state.spikes.at(t) {
            traces.counts[entry.unit as usize] += u64::from(entry.mask.count_ones());
            for &(_, slot) in plan.readout.of(entry.unit as usize) {
                let trace = &mut traces.filtered[slot as usize * k];
                let by = L::splat(plan.slots[slot as usize].scale);
                L::load(trace).add_where(entry.mask, by).store(trace);
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
        for (slot, s) in self.plan.slots.iter().enumerate() {
            if s.kind == SynapseKind::Readout || k == 0 {
                continue;
            }
            let field = L::load(&traces.field[places[s.post as usize] as usize]);
            let sum = &mut traces.sums[slot];
            // The readouts share κ, so that all filters are the same.
            field.mul_add(L::load(&traces.filtered[slot * k]), L::load(sum)).store(sum);
        }
    }

    #[inline(always)]
    fn add_errors<L: Lanes<Scalar = F>>(&mut self) {
        let (network, traces) = (self.network, &mut *self.traces);
        let k = network.outputs();
        for (slot, s) in self.plan.slots.iter().enumerate() {
            let mut sum = L::load(&traces.sums[slot]);
            if s.kind == SynapseKind::Readout {
                let delta = L::load(&traces.delta[s.post as usize]);
                sum = delta.mul_add(L::load(&traces.filtered[slot * k]), sum);
            } else if self.plan.field.is_none() {
                for &(unit, weight) in self.plan.feedback.of(s.post as usize) {
                    let unit = unit as usize;
                    let unfiltered = L::splat(weight / (F::ONE - network.kappa[unit]));
                    let error = L::load(&traces.delta[unit]).mul(unfiltered);
                    sum = error.mul_add(L::load(&traces.filtered[slot * k + unit]), sum);
                }
            }
            sum.store(&mut traces.sums[slot]);
        }
    }
}

/// (1−α) z_q,t−1, or x_i,t, joins the traces of the sender's synapses.
#[inline(always)]
fn start_traces<L: Lanes>(
    entries: &[Entry],
    csr: &Csr<u32>,
    plan: &LearningPlan<L::Scalar>,
    integrator: &mut [Block<L::Scalar>],
) {
    for &Entry { unit, mask, count } in entries {
        for &(_, slot) in csr.of(unit as usize) {
            let slot = slot as usize;
            let by = plan.slots[slot].scale * L::Scalar::from_f64(f64::from(count));
            L::load(&integrator[slot]).add_where(mask, L::splat(by)).store(&mut integrator[slot]);
        }
    }
}
