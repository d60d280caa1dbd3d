//! The traces of the online form and its gradient sums: what a step changes, and what a stream stores.
//!
//! A row is sixteen traces of synapses with the same target. In a block of trials it is one synapse's, a lane per trial; in a
//! stream ([`Rows::of_targets`]) it is those of sixteen synapses, so that one trial fills the lanes.

use crate::error::Result;
use crate::instrument::probe::Probe;
use crate::learn::block_gradient::{BlockGradient, Edge};
use crate::learn::field::FieldSources;
use crate::learn::plan::LearningPlan;
use crate::learn::secretion::FilterTrace;
use crate::network::SynapseKind;
use crate::neuron::filter::Filter;
use crate::neuron::storage::Further;
use crate::numeric::csr::Csr;
use crate::numeric::lanes::{Block, LANES, flat};
use crate::numeric::memory::{bytes_of, ensure_memory, product, refill, reserve};
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::CompiledNetwork;
use crate::simulate::step::{NetworkState, Snapshot};

/// A secreting cell, per receiver.
#[derive(Debug, Clone, Copy)]
pub(super) struct Emitter<F> {
    pub from: u32,
    pub gain: F,
    /// The trace that its secretion is multiplied by: e or e through a filter, for each delay.
    pub view: u32,
}

/// Arrivals of a delay of more than one step at the current step.
#[derive(Debug, Clone, Copy)]
pub(super) struct DelayedArrival {
    /// The delay's place among the network's.
    pub rank: usize,
    /// The place of its first trace in the past.
    pub first: usize,
}

/// The ring index of so many steps before a step; the ring is as long as the longest delay.
pub(super) fn ring_place<F: Scalar>(plan: &LearningPlan<F>, t: usize, before: usize) -> usize {
    let kept = plan.longest_delay();
    (t + kept - before) % kept
}

const WHAT: &str = "the eligibility traces of a block of trials";

/// Lists of traces beyond the first: a stream's state has a second one whether or not it is used.
pub(crate) fn trace_lists<F: Scalar>(network: &CompiledNetwork<F>) -> usize {
    network.further.max(1)
}

/// What rows belong to, and which row has which synapse.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    targets: Vec<RowTarget>,
    /// The place of each slot's trace among the lanes of all rows; empty where slot and row are the same, a lane per trial.
    places: Vec<u32>,
}

/// The target of a row's synapses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RowTarget {
    pub is_readout: bool,
    pub post: u32,
}

impl Rows {
    /// One row per synapse.
    pub fn of_synapses<F: Scalar>(plan: &LearningPlan<F>) -> Result<Self> {
        let mut rows = Self::default();
        reserve(&mut rows.targets, plan.synapses.slots.len(), WHAT)?;
        rows.targets.extend(targets(plan));
        Ok(rows)
    }

    /// Sixteen synapses of a target per row; the last row of a target may have lanes to spare, which stay 0.
    pub fn of_targets<F: Scalar>(plan: &LearningPlan<F>) -> Result<Self> {
        let mut order = Vec::new();
        let mut rows = Self::default();
        reserve(&mut order, plan.synapses.slots.len(), WHAT)?;
        reserve(&mut rows.places, plan.synapses.slots.len(), WHAT)?;
        order.extend(targets(plan).zip(0..));
        // Stable: a target's synapses stay in the order of their senders.
        order.sort_by_key(|&(target, _): &(RowTarget, usize)| target);
        rows.places.resize(order.len(), 0);
        let of_targets = || order.chunk_by(|a, b| a.0 == b.0);
        reserve(&mut rows.targets, of_targets().map(|synapses| synapses.len().div_ceil(LANES)).sum(), WHAT)?;
        for synapses in of_targets() {
            for sixteen in synapses.chunks(LANES) {
                let first = rows.targets.len() * LANES;
                rows.targets.push(sixteen[0].0);
                for (lane, &(_, slot)) in sixteen.iter().enumerate() {
                    rows.places[slot] = (first + lane) as u32;
                }
            }
        }
        Ok(rows)
    }

    pub fn len(&self) -> usize {
        self.targets.len()
    }

    fn bytes(&self) -> usize {
        bytes_of(&self.targets) + bytes_of(&self.places)
    }

    #[inline(always)]
    pub(super) fn targets(&self) -> &[RowTarget] {
        &self.targets
    }

    /// The place of a slot's trace where sixteen synapses share a row.
    #[inline(always)]
    pub(super) fn place(&self, slot: u32) -> usize {
        self.places[slot as usize] as usize
    }

    /// A sum per slot, over trials where a row has those.
    fn sums<F: Scalar>(&self, blocks: &[Block<F>]) -> Vec<F> {
        match self.places.is_empty() {
            true => blocks.iter().map(Block::sum).collect(),
            // + 0 as the sum over trials has: −0 is none.
            false => self.places.iter().map(|&place| flat(blocks)[place as usize] + F::ZERO).collect(),
        }
    }

    /// The places of a list's values among all its lanes, in the order in which a stream's state has them.
    pub fn places_in(&self, arrangement: Arrangement, len: usize) -> Box<dyn Iterator<Item = usize> + '_> {
        let synapses = self.places.iter().map(|&place| place as usize);
        let rows = self.len().max(1);
        match arrangement {
            Arrangement::Units => Box::new((0..len).map(|unit| unit * LANES)),
            Arrangement::Columns(width) => Box::new(synapses.flat_map(move |place| {
                let (row, lane) = (place / LANES, place % LANES);
                (0..width).map(move |column| (row * width + column) * LANES + lane)
            })),
            Arrangement::Lists => {
                let lists = (0..len / rows).map(move |list| list * rows * LANES);
                Box::new(lists.flat_map(move |first| synapses.clone().map(move |place| first + place)))
            }
        }
    }
}

fn targets<F: Scalar>(plan: &LearningPlan<F>) -> impl Iterator<Item = RowTarget> {
    let target = |kind, post| RowTarget { is_readout: kind == SynapseKind::Readout, post };
    plan.synapses.slots.iter().map(move |slot| target(slot.kind, slot.post))
}

/// How the values of a list stand.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Arrangement {
    /// One per unit or site, in the first lane.
    Units,
    /// So many per row, side by side.
    Columns(usize),
    /// Lists of one per row, one list after another.
    Lists,
}

/// A list of a stream's state.
pub(crate) type CarriedList<'a, F> = (Arrangement, &'a mut Vec<Block<F>>);

/// Traces and sums, one per row unless said otherwise.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traces<F: Scalar> {
    pub state: NetworkState<F>,
    pub(super) rows: Rows,
    /// ε of the variable to which input is added.
    pub(super) integrator: Vec<Block<F>>,
    /// ε of the others.
    pub(super) further: Further<F>,
    /// e_t, then e_t−1.
    pub(super) eligibility: Vec<Block<F>>,
    /// ē `[row][unit]`: one filter per readout unit; for a row of readout synapses only s.
    pub(super) filtered: Vec<Block<F>>,
    /// s = h ∗ e and r of each filter, `[row][filter]`.
    pub(super) filtered_s: Vec<Block<F>>,
    pub(super) filtered_r: Vec<Block<F>>,
    /// F_k `[row][unit]`.
    pub(super) modulated: Vec<Block<F>>,
    /// The factors of a synapse's modulatory traces, `[step in ring_place][1 + filter][row]`: e (On-MDGL: ē), then
    /// each h ∗ e; as many steps as the longest delay, none where that is one.
    pub(super) past: Vec<Block<F>>,
    /// Arrivals of the longer delays at the current step.
    pub(super) arrivals: Vec<DelayedArrival>,
    /// m_kp,t `[cell][view][unit]`, the views of a synapse's past being e itself, then each filter's, for one delay after another;
    /// On-MDGL: Q_p,t in the first unit of each delay.
    pub(super) relevance: Vec<Block<F>>,
    pub(super) psi: Vec<Block<F>>,
    /// ψ_t−1.
    pub(super) psi_before: Vec<Block<F>>,
    pub(super) psi_filtered: Vec<Block<F>>,
    /// y of this step.
    pub readout: Vec<Block<F>>,
    /// δ of this step.
    pub delta: Vec<Block<F>>,
    pub(super) counts: Vec<u64>,
    /// Σ_t ψ of each cell, if its mean is needed.
    pub(super) psi_sums: Vec<Block<F>>,
    /// G on the sheet, if cells learn by it, and its sums by rows.
    pub(super) field: Vec<Block<F>>,
    pub(super) field_sums: Vec<Block<F>>,
    /// The cells' current sites, if these change.
    pub(super) places: Vec<u32>,
    /// The filters of all kernels' traces, one after another, and the place of the trace that each reads; none: e.
    pub(super) filters: Vec<(Filter<F>, Option<usize>)>,
    /// The secreting cells of each receiver.
    pub(super) emitters: Vec<Vec<Emitter<F>>>,
    /// Feedback weights without the readout's factor 1 − κ.
    pub(super) unfiltered: Csr<F>,
    /// Cells whose modulatory traces are followed.
    pub(super) receives: Vec<bool>,
    pub(super) edges: Vec<Edge<F>>,
    /// The gradient of the task loss.
    pub sums: Vec<Block<F>>,
    pub bias: Vec<Block<F>>,
    /// Σ_t e_t.
    pub plain: Vec<Block<F>>,
    /// Σ_t e_t−1 ψ_j,t, one per modulatory edge.
    pub edge_sums: Vec<Block<F>>,
    pub(super) probe: Probe,
}

/// The state that a step's simulation changes, before the step.
#[derive(Debug, Clone, Default)]
pub(crate) struct Before<F: Scalar> {
    state: Snapshot<F>,
    readout: Vec<Block<F>>,
    psi_sums: Vec<Block<F>>,
}

impl<F: Scalar> Traces<F> {
    pub(super) fn reset(
        &mut self,
        network: &CompiledNetwork<F>,
        plan: &LearningPlan<F>,
        regularised: bool,
    ) -> Result<()> {
        self.begin(network, plan, Rows::of_synapses, regularised)?;
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
        rows: impl FnOnce(&LearningPlan<F>) -> Result<Rows>,
        regularised: bool,
    ) -> Result<()> {
        self.rows = rows(plan)?;
        let (n, k, rows) = (network.size(), network.outputs(), self.rows.len());
        self.state.reset(network)?;
        self.counts.clear();
        self.counts.resize(n, 0);
        // With several hops their number grows fast: what cannot be held is refused before it is listed.
        let held = self.filtered_s.capacity() + self.filtered_r.capacity();
        let missing = product(&[2, rows, plan.filter_traces()]).saturating_sub(held);
        ensure_memory(product(&[missing, size_of::<Block<F>>()]), WHAT)?;
        self.list_filters(plan);
        self.list_emitters(plan, network);
        self.receives = self.emitters.iter().map(|emitters| !emitters.is_empty()).collect();
        self.edges =
            if regularised && !plan.filters_factors_separately { self.list_edges(plan)? } else { Vec::new() };
        let filters = self.filters.len();
        let sites = plan.field.as_ref().map_or(0, FieldSources::sites);
        plan.field.as_ref().map_or(Ok(()), |sources| sources.places.allocate(&mut self.places))?;
        let buffers = [
            (&mut self.integrator, rows),
            (&mut self.eligibility, rows),
            (&mut self.filtered, product(&[rows, k])),
            (&mut self.filtered_s, product(&[rows, filters])),
            (&mut self.filtered_r, product(&[rows, filters])),
            (&mut self.modulated, product(&[rows, k])),
            (&mut self.past, product(&[plan.past_rows(), rows])),
            (&mut self.relevance, product(&[n, plan.synapses.recurrent.len(), 1 + filters, k])),
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
        let missing = missing.saturating_add(product(&[trace_lists(network), rows]));
        ensure_memory(product(&[missing, size_of::<Block<F>>()]), WHAT)?;
        buffers.into_iter().try_for_each(|(buffer, len)| refill(buffer, len, WHAT))?;
        self.further.reset(trace_lists(network), rows, WHAT)
    }

    /// The gradient sums become 0.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] when they cannot be allocated.
    pub fn forget(&mut self, plan: &LearningPlan<F>, outputs: usize) -> Result<()> {
        for (buffer, len) in [
            (&mut self.sums, self.rows.len()),
            (&mut self.bias, outputs),
            (&mut self.plain, self.rows.len()),
            (&mut self.edge_sums, self.edges.len()),
            (&mut self.psi_sums, if plan.follows_psi() { self.psi.len() } else { 0 }),
        ] {
            refill(buffer, len, WHAT)?;
        }
        Ok(())
    }

    /// Recomputes the gains after the weights changed; traces stay. From now on every cell's modulatory trace is
    /// followed: a cell that receives nothing now may have received before, and its trace decays.
    pub fn renew(&mut self, plan: &LearningPlan<F>, network: &CompiledNetwork<F>) {
        self.list_filters(plan);
        self.list_emitters(plan, network);
        self.receives.fill(plan.receives());
        self.relevance.fill(Block::ZERO);
    }

    /// The state of learning between two steps of a trial, in a fixed order; nothing that the plan's rule does not
    /// use.
    pub fn carried(&mut self, plan: &LearningPlan<F>) -> (&Rows, Vec<CarriedList<'_, F>>) {
        use Arrangement::{Columns, Lists, Units};
        let (outputs, filters) = (self.delta.len(), self.filters.len());
        let [second, further @ ..] = self.further.lists_mut();
        let mut carried = vec![
            (Lists, &mut self.integrator),
            (Lists, second),
            (Lists, &mut self.eligibility),
            (Columns(outputs), &mut self.filtered),
            (Units, &mut self.psi),
            (Lists, &mut self.past),
        ];
        match plan.receives() {
            true if plan.filters_factors_separately => carried.push((Units, &mut self.psi_filtered)),
            true => carried.extend([
                (Columns(outputs), &mut self.modulated),
                (Columns(filters), &mut self.filtered_s),
                (Columns(filters), &mut self.filtered_r),
            ]),
            false => {}
        }
        if plan.field.is_some() {
            carried.push((Units, &mut self.field));
        }
        carried.extend(further.iter_mut().map(|list| (Lists, list)));
        (&self.rows, carried)
    }

    fn list_filters(&mut self, plan: &LearningPlan<F>) {
        self.filters.clear();
        for secretion in &plan.secretions {
            let first = self.filters.len();
            let trace =
                |own: FilterTrace| (secretion.filters[own.filter], own.parent.map(|parent| first + parent));
            self.filters.extend(secretion.traces().into_iter().map(trace));
        }
    }

    fn list_emitters(&mut self, plan: &LearningPlan<F>, network: &CompiledNetwork<F>) {
        let (cells, kappa) = (network.size(), &network.kappa);
        self.unfiltered = plan.feedback.filter_map(|_, unit, weight| Some(weight / (F::ONE - kappa[unit])));
        let views = 1 + self.filters.len();
        let rank_of = |delay| plan.synapses.recurrent.partition_point(|delayed| delayed.delay < delay);
        // The place of a secreting cell encodes the cell and the delay.
        let emitter = |(place, gain): (u32, F), view: usize| {
            let (from, delay) = (place % cells as u32, 1 + place as usize / cells);
            Emitter { from, gain, view: (rank_of(delay) * views + view) as u32 }
        };
        let instant = |p: usize| -> Vec<_> {
            let emitters = plan.modulation.iter().flat_map(|modulation| modulation.emitters(p));
            emitters.map(|own| emitter(own, 0)).collect()
        };
        self.emitters = (0..cells).map(instant).collect();
        let mut first = 1;
        for secretion in &plan.secretions {
            for (emitters, paths) in self.emitters.iter_mut().zip(secretion.paths(cells, &plan.signalled)) {
                emitters.extend(
                    paths.into_iter().map(|(from, gain, trace)| emitter((from, gain), first + trace)),
                );
            }
            first += secretion.traces().len();
        }
    }

    fn list_edges(&self, plan: &LearningPlan<F>) -> Result<Vec<Edge<F>>> {
        let slots = plan.synapses.slots.iter().enumerate().filter(|(_, s)| s.kind != SynapseKind::Readout);
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
    pub(super) fn find_late(&mut self, plan: &LearningPlan<F>, t: usize) {
        let row = (1 + self.filters.len()) * self.rows.len();
        let arrivals = (1..).zip(&plan.synapses.recurrent[1..]);
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
            + self.rows.bytes()
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
            sums: self.rows.sums(&self.sums),
            bias: sum(&self.bias),
            plain: self.rows.sums(&self.plain),
            edge_sums: sum(&self.edge_sums),
            edges: self.edges.clone(),
        }
    }

    /// The probes of simulation and learning.
    pub fn probes(&mut self) -> [&mut Probe; 2] {
        [&mut self.state.probe, &mut self.probe]
    }

    /// Cells whose modulatory traces are followed.
    pub fn receives(&self) -> &[bool] {
        &self.receives
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
