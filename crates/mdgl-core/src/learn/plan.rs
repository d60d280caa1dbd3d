//! A rule prepared for a network and its current weights: cells, channels and synapses that a pass visits.

use std::sync::Arc;

use crate::description::TimeCourse;
use crate::description::rule::{Hops, LearningSignal, ReadoutFilter, Rule, Trace};
use crate::error::Result;
use crate::learn::feedback;
use crate::learn::field::FieldSources;
use crate::learn::learning_synapses::{LearningSynapses, SynapseCache, SynapseSelection};
use crate::learn::modulation::{Modulation, channel_table};
use crate::learn::secretion::Secretion;
use crate::model::Model;
use crate::network::Network;
use crate::network::channels::Table;
use crate::neuron::Dynamics;
use crate::numeric::csr::Csr;
use crate::numeric::lanes::Block;
use crate::numeric::memory::{bytes_of, ensure_memory, product, resize};
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::{self, CellRun, CompiledNetwork};

/// A rule prepared for a network and its current weights, as the passes read it.
#[derive(Debug)]
pub(crate) struct LearningPlan<F: Scalar> {
    /// Cells whose synapses may have a gradient.
    pub active: Vec<u32>,
    /// All cells, and whether their ψ is stored: that of the active ones and of the few between two of them, of all where
    /// its mean is needed.
    pub psi_runs: Vec<CellRun<F>>,
    /// The same, in runs of neighbours with the same constants.
    pub runs: Vec<ActiveRun<F>>,
    /// Cells with a learning signal of their own.
    pub signalled: Vec<u32>,
    /// Paths of errors: neuron → (readout unit, (1 − κ) B).
    pub feedback: Csr<F>,
    /// Sources of errors on the sheet, if cells learn by their field.
    pub field: Option<FieldSources<F>>,
    pub modulation: Option<Modulation<F>>,
    /// Cells secrete λ (BPTT) instead of L ψ.
    pub secretes_lambda: bool,
    /// The trace has the membrane's leak alone.
    pub leak_only_trace: bool,
    /// The constant in place of ψ where a cell passes on what it receives, if there is one.
    pub mu: Option<F>,
    /// Channels whose kernel is a filter of what a cell secretes.
    pub secretions: Vec<Secretion<F>>,
    /// Channels of kernel 'exact' with a number of hops: they carry the λ of the rule with one hop less.
    pub hop_recursions: Option<HopRecursions<F>>,
    /// The readout's filter acts on both factors of the modulatory term (On-MDGL).
    pub filters_factors_separately: bool,
    /// The synapses that learn, and their gradient sums.
    pub synapses: Arc<LearningSynapses<F>>,
}

/// The rules with fewer hops on which a rule of n hops is based: n, from e-prop on.
#[derive(Debug)]
pub(crate) struct HopRecursions<F: Scalar> {
    pub count: usize,
    pub modulation: Modulation<F>,
}

/// Active neighbours with the same constants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ActiveRun<F> {
    pub first: u32,
    pub end: u32,
    /// Whether any has a learning signal of its own; the others' is 0.
    pub signalled: bool,
    pub dynamics: Dynamics<F>,
}

impl Rule {
    /// Refuses what [`Self::validate`] refuses, and what has no equation in a network: in its conventions, with its delays, units
    /// and readouts, or with its channels where the rule takes those.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] as [`Self::validate`]; also for feedback weights of other sizes.
    pub fn validate_for(&self, network: &Network) -> Result<()> {
        self.validate()?;
        let channels = channel_table(network, self)?.map_or_else(Vec::new, |table| table.channels());
        self.validate_in(network.properties(), &channels)?;
        feedback::validate(&self.feedback, network)
    }
}

impl<F: Scalar> LearningPlan<F> {
    /// `learns` is true for each projection whose gradient is needed; `regularised` whether
    /// every cell has a learning signal.
    pub fn new(
        model: &Model<F>,
        network: &CompiledNetwork<F>,
        rule: &Rule,
        regularised: bool,
        learns: &[bool],
    ) -> Result<Self> {
        Self::cached(model, network, rule, (regularised, learns), &SynapseCache::default())
    }

    /// The same with the learning synapses of the last plan where they fit.
    pub fn cached(
        model: &Model<F>,
        network: &CompiledNetwork<F>,
        rule: &Rule,
        (regularised, learns): (bool, &[bool]),
        cache: &SynapseCache<F>,
    ) -> Result<Self> {
        Self::make((model, network), rule, (regularised, false), learns, cache)
    }

    /// The same for a stream: every cell counts as active, so that slots do not change when synapses die or are
    /// rewired.
    pub fn for_stream(
        model: &Model<F>,
        network: &CompiledNetwork<F>,
        rule: &Rule,
        learns: &[bool],
        cache: &SynapseCache<F>,
    ) -> Result<Self> {
        Self::make((model, network), rule, (false, true), learns, cache)
    }

    fn make(
        (model, network): (&Model<F>, &CompiledNetwork<F>),
        rule: &Rule,
        (regularised, all_cells): (bool, bool),
        learns: &[bool],
        cache: &SynapseCache<F>,
    ) -> Result<Self> {
        rule.validate_for(model.network())?;
        let filters_factors_separately = rule.readout_filter == ReadoutFilter::Separate;
        let diffusive = rule.learning_signal == LearningSignal::Diffusive;
        let n = network.size();
        let table = channel_table(model.network(), rule)?;
        ensure_memory(Self::bytes(model.network(), table.is_some()), "the plan of a learning rule")?;
        let feedback = feedback::csr(model, network, &rule.feedback)?;
        let reads_out: Vec<bool> = (0..n).map(|p| !feedback.of(p).is_empty()).collect();
        let signalled: Vec<bool> = reads_out.iter().map(|&r| r || regularised || diffusive).collect();
        let secretes_lambda = matches!(rule.hops, Hops::All(_));
        let hop_recursions = table.as_ref().and_then(|table| hop_recursions(model, table, rule, &signalled));
        let hops = if let Hops::Count(hops) = rule.hops { hops as usize } else { 1 };
        let secretions = table.as_ref().map(|table| Secretion::all(model, table, &signalled, hops));
        let secretions = secretions.unwrap_or_default();
        let modulation = table.and_then(|table| {
            let secretes = match (secretes_lambda, filters_factors_separately) {
                (true, _) => vec![true; n],
                (false, true) => reads_out,
                (false, false) => signalled.clone(),
            };
            let kernel = if secretes_lambda { TimeCourse::Exact } else { TimeCourse::None };
            table.has_kernel(kernel).then(|| Modulation::new(model, &table, kernel, &secretes))
        });
        let senders =
            modulation.iter().chain(hop_recursions.as_ref().map(|hop_recursions| &hop_recursions.modulation));
        let senders = senders.chain(secretions.iter().map(|secretion| &secretion.modulation));
        let is_active = active(&signalled, senders, secretes_lambda || all_cells);
        let all_psi = secretions.iter().any(Secretion::follows_psi);
        let psi_kept = without_short_gaps(&is_active);
        let selection = SynapseSelection { is_active: &is_active, learns };
        let synapses = cache.get(model.network(), selection)?;
        Ok(Self {
            active: (0..n as u32).filter(|&p| is_active[p as usize]).collect(),
            psi_runs: compiled::runs(&network.cells, |p| all_psi || psi_kept[p]),
            runs: runs(&trace_dynamics(network, rule.trace), &is_active, &signalled),
            signalled: (0..n as u32).filter(|&p| signalled[p as usize]).collect(),
            field: diffusive.then(|| FieldSources::new(model.network(), &feedback)),
            feedback,
            modulation,
            secretes_lambda,
            leak_only_trace: rule.trace == Trace::Rflo,
            mu: rule.mu().map(F::from_f64),
            secretions,
            hop_recursions,
            filters_factors_separately,
            synapses,
        })
    }

    /// Most bytes of a plan's own lists, which is about their size: gains by receiver as a rule's channels have them, and the
    /// cells' constants. The learning synapses come on top.
    pub fn bytes(network: &Network, modulated: bool) -> usize {
        let sorted = size_of::<(usize, usize, F)>() + size_of::<usize>();
        let gains = match modulated {
            true => 2 * (sorted + 4 * size_of::<(u32, F)>()),
            false => 0,
        };
        product(&[network.synapse_count(), gains])
            .saturating_add(product(&[network.unit_count(), 4 * size_of::<Dynamics<F>>()]))
    }

    /// Whether cells secrete L ψ.
    pub fn secretes(&self) -> bool {
        self.modulation.is_some() && !self.secretes_lambda || !self.secretions.is_empty()
    }

    /// Whether only blocks of trials implement it.
    pub fn in_blocks(&self) -> bool {
        self.field.is_some()
            || self.leak_only_trace
            || self.modulations().any(|modulation| modulation.diffusive.is_some())
    }

    /// Whether a spike takes more than one step anywhere.
    pub fn delayed(&self) -> bool {
        self.synapses.recurrent.len() > 1
    }

    /// Longest delay, in steps.
    pub fn longest_delay(&self) -> usize {
        self.synapses.recurrent.last().map_or(1, |last| last.delay)
    }

    /// Number of filtered traces per synapse that the online form has: of all kernels, one per filter with one hop.
    pub fn filter_traces(&self) -> usize {
        self.secretions.iter().fold(0, |sum, secretion| sum.saturating_add(secretion.trace_count()))
    }

    /// Hops of all kernels with memory: each has a state per secreting cell.
    pub fn filtered_hops(&self) -> usize {
        self.secretions.iter().map(|secretion| secretion.hops).sum()
    }

    /// Past values per trace that the online form stores for delays of more than one step: e and each h ∗ e of as many
    /// steps as the longest has.
    pub fn past_rows(&self) -> usize {
        match self.delayed() && self.receives() {
            true => product(&[self.longest_delay(), 1 + self.filter_traces()]),
            false => 0,
        }
    }

    /// Whether Γ has a part besides that of the rules with fewer hops.
    pub fn receives_directly(&self) -> bool {
        self.modulation.is_some() || !self.secretions.is_empty()
    }

    /// Whether cells receive anything.
    pub fn receives(&self) -> bool {
        self.receives_directly() || self.hop_recursions.is_some()
    }

    /// Whether the mean of ψ of all cells is needed.
    pub fn follows_psi(&self) -> bool {
        self.secretions.iter().any(Secretion::follows_psi)
    }

    /// Whether it is needed before the pass back in time.
    pub fn needs_batch_means(&self) -> bool {
        self.secretions.iter().any(Secretion::needs_batch_mean)
    }

    /// Sets the mean ψ of the current batch, one per group of neurons.
    pub fn take_means(&mut self, network: &Network, means: &[f64]) {
        self.secretions.iter_mut().for_each(|secretion| secretion.take_means(network, means));
    }

    /// The channels by their kernels: instantaneous, filtered, and those of rules with fewer hops.
    pub fn modulations(&self) -> impl Iterator<Item = &Modulation<F>> {
        let filtered = self.secretions.iter().map(|secretion| &secretion.modulation);
        let hop_recursions = self.hop_recursions.iter().map(|hop_recursions| &hop_recursions.modulation);
        self.modulation.iter().chain(filtered).chain(hop_recursions)
    }
}

/// The neurons' constants for the eligibility trace.
pub(crate) fn trace_dynamics<F: Scalar>(network: &CompiledNetwork<F>, trace: Trace) -> Vec<Dynamics<F>> {
    match trace {
        Trace::Mdgl2021 => network.cells.clone(),
        Trace::Rflo => network.cells.iter().map(|dynamics| dynamics.leak_only()).collect(),
    }
}

fn runs<F: Scalar>(cells: &[Dynamics<F>], is_active: &[bool], signalled: &[bool]) -> Vec<ActiveRun<F>> {
    let mut runs: Vec<ActiveRun<F>> = Vec::new();
    for (p, &dynamics) in cells.iter().enumerate().filter(|&(p, _)| is_active[p]) {
        let first = p as u32;
        match runs.last_mut() {
            Some(run) if run.end == first && run.dynamics == dynamics => {
                run.end += 1;
                run.signalled |= signalled[p];
            }
            _ => runs.push(ActiveRun { first, end: first + 1, signalled: signalled[p], dynamics }),
        }
    }
    runs
}

/// `None` without channels of kernel 'exact', and for BPTT, whose cells secrete their own λ.
fn hop_recursions<F: Scalar>(
    model: &Model<F>,
    table: &Table,
    rule: &Rule,
    signalled: &[bool],
) -> Option<HopRecursions<F>> {
    let Hops::Count(hops) = rule.hops else { return None };
    if !table.has_kernel(TimeCourse::Exact) {
        return None;
    }
    // With one hop only cells with a learning signal have a λ to secrete.
    let secretes = if hops == 1 { signalled.to_vec() } else { vec![true; signalled.len()] };
    Some(HopRecursions {
        count: hops as usize,
        modulation: Modulation::new(model, table, TimeCourse::Exact, &secretes),
    })
}

/// Cells that are not needed between two needed ones become needed, too: starting and ending a run costs more than
/// their ψ.
const SHORT_GAP: usize = 3;

/// The cells that are needed, and those in short gaps between them.
fn without_short_gaps(needed: &[bool]) -> Vec<bool> {
    let mut filled = needed.to_vec();
    let places: Vec<usize> = (0..needed.len()).filter(|&p| needed[p]).collect();
    for pair in places.windows(2) {
        if pair[1] - pair[0] <= SHORT_GAP + 1 {
            filled[pair[0]..pair[1]].fill(true);
        }
    }
    filled
}

fn active<'a, F: Scalar>(
    signalled: &[bool],
    senders: impl Iterator<Item = &'a Modulation<F>>,
    all_cells: bool,
) -> Vec<bool> {
    let mut active = if all_cells { vec![true; signalled.len()] } else { signalled.to_vec() };
    for &p in senders.flat_map(|modulation| &modulation.receivers) {
        active[p as usize] = true;
    }
    active
}

/// δ = ∂E/∂y of one block of trials, from the first step at which any may differ from 0.
#[derive(Debug, Default)]
pub(crate) struct Delta<F: Scalar> {
    pub first: usize,
    pub steps: usize,
    /// `[step − first][unit]`.
    pub blocks: Vec<Block<F>>,
}

impl<F: Scalar> Delta<F> {
    /// Bytes of memory in use.
    pub fn bytes(&self) -> usize {
        bytes_of(&self.blocks)
    }

    /// All zero.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] when so many steps cannot be allocated.
    pub fn reset(&mut self, first: usize, steps: usize, outputs: usize) -> Result<()> {
        self.first = first;
        self.steps = steps;
        self.blocks.clear();
        let len = product(&[steps - first, outputs]);
        resize(&mut self.blocks, len, Block::ZERO, "the errors of a block of trials")
    }

    pub fn set(&mut self, step: usize, unit: usize, outputs: usize, lane: usize, value: F) {
        self.blocks[(step - self.first) * outputs + unit].0[lane] = value;
    }

    /// δ of a step; empty where all are 0.
    #[inline(always)]
    pub fn at(&self, step: usize, outputs: usize) -> &[Block<F>] {
        match step.checked_sub(self.first) {
            Some(row) => &self.blocks[row * outputs..(row + 1) * outputs],
            None => &[],
        }
    }
}
