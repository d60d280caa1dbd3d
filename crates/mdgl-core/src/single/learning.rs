//! Feedback, returns and sums of a plan with neurons in the lanes, for the backward pass of one trial.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::learn::learning_synapses::LearningSynapses;
use crate::learn::plan::LearningPlan;
use crate::learn::secretion::Secretion;
use crate::neuron::constants::Load;
use crate::neuron::filter::Filter;
use crate::numeric::csr::Csr;
use crate::numeric::lanes::{Block, LANES, Lanes};
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::CompiledNetwork;
use crate::single::returns::Returns;
use crate::single::sums::Sums;

/// Feedback weights, returns and sums, neurons (or readout units) in the lanes.
#[derive(Debug)]
pub(crate) struct Learning<F: Scalar> {
    /// B (1 − κ), through which errors become learning signals.
    pub(super) feedback: FeedbackWeights<F>,
    /// B alone, which carries the unfiltered error of On-MDGL to the cells.
    pub(super) unfiltered: FeedbackWeights<F>,
    /// BPTT's Γ.
    pub(super) returns: Option<Returns<F>>,
    /// The secreting cells' memory, one per kernel.
    pub(super) memories: Vec<Memories<F>>,
    /// Whether any cell of a block secretes (rules other than BPTT).
    pub(super) secretes: Vec<bool>,
    pub(super) sums: Arc<TrialSums>,
}

/// Where the gradient sums of a plan's synapses are in one trial. They follow from the learning synapses alone.
#[derive(Debug)]
pub(crate) struct TrialSums {
    /// Of what reaches cells: from cells, then from input units.
    pub(super) onto_cells: Sums,
    pub(super) readout: Sums,
}

impl TrialSums {
    /// Of so many cells, input and readout units.
    pub fn new<F: Scalar>(
        synapses: &LearningSynapses<F>,
        (cells, inputs, outputs): (usize, usize, usize),
    ) -> Self {
        let LearningSynapses {
            input,
            // Delays need blocks of trials, as chunks do.
            late_input: _,
            recurrent,
            readout,
            input_chunks: _,
            readout_chunks: _,
            slots: _,
        } = synapses;
        Self {
            onto_cells: Sums::new(&[(&recurrent[0].csr, cells), (input, inputs)], cells),
            readout: Sums::new(&[(readout, cells)], outputs),
        }
    }

    /// Bytes of memory in use.
    pub fn bytes(&self) -> usize {
        self.onto_cells.bytes() + self.readout.bytes()
    }
}

impl<F: Scalar> Learning<F> {
    pub fn new(network: &CompiledNetwork<F>, plan: &LearningPlan<F>, sums: Arc<TrialSums>) -> Self {
        // Every field by name: a new one must be handled in both layouts.
        let LearningPlan {
            active: _,
            psi_runs: _,
            runs: _,
            signalled,
            feedback,
            // Where anything diffuses, trials are computed in blocks.
            field: _,
            modulation,
            secretes_lambda,
            // And where the trace is not the neurons' own.
            leak_only_trace: _,
            mu: _,
            secretions,
            hop_recursions: _,
            filters_factors_separately,
            // Their sums are given.
            synapses: _,
        } = plan;
        let (n, outputs) = (network.size(), network.outputs());
        let mut secretes = vec![false; n.div_ceil(LANES)];
        signalled.iter().for_each(|&p| secretes[p as usize / LANES] = true);
        if plan.filtered_hops() > secretions.len() {
            // Any cell may pass on what it receives.
            secretes.fill(true);
        }
        let secretes_lambda = modulation.as_ref().filter(|_| *secretes_lambda);
        let unfiltered = |k: usize, weight: F| weight / (F::ONE - network.kappa[k]);
        Self {
            feedback: FeedbackWeights::new(feedback, (n, outputs), |_, weight| weight),
            unfiltered: match filters_factors_separately {
                true => FeedbackWeights::new(feedback, (n, outputs), unfiltered),
                false => FeedbackWeights::default(),
            },
            returns: secretes_lambda.map(|modulation| Returns::new(&modulation.synaptic, n)),
            memories: secretions.iter().map(|secretion| Memories::new(secretion, n)).collect(),
            secretes,
            sums,
        }
    }

    /// Writes a trial's sums by slot.
    pub(super) fn scatter_slots(&self, sums: &[Vec<Block<F>>; 2], mut set: impl FnMut(usize, F)) {
        for (places, sums) in [&self.sums.onto_cells, &self.sums.readout].into_iter().zip(sums) {
            places.each(sums).for_each(|(slot, sum)| set(slot, sum));
        }
    }
}

/// The filters of one kernel and the mean ψ of several hops, of sixteen neurons side by side; 0 where one does not secrete.
#[derive(Debug)]
pub(super) struct Memories<F: Scalar> {
    filters: Vec<Filter<Block<F>>>,
    means: Vec<Block<F>>,
}

impl<F: Scalar> Memories<F> {
    fn new(secretion: &Secretion<F>, cells: usize) -> Self {
        let mut filters = vec![Filter::SILENT; cells.div_ceil(LANES)];
        let mut means = vec![Block::ZERO; cells.div_ceil(LANES)];
        for &(j, filter) in &secretion.emitters {
            let (block, lane) = (j as usize / LANES, j as usize % LANES);
            filters[block].set(lane, &secretion.filters[filter as usize]);
            means[block].0[lane] = secretion.means[filter as usize];
        }
        Self { filters, means }
    }

    #[inline(always)]
    pub fn mean<L: Lanes<Scalar = F>>(&self, block: usize) -> L {
        L::load(&self.means[block])
    }

    #[inline(always)]
    pub fn lanes<L: Lanes<Scalar = F>>(&self, block: usize) -> Filter<L> {
        self.filters[block].map::<Load<L>>()
    }
}

/// Weights from readout units to cells: for each block of cells the units that project to it, in an order of each cell's own.
#[derive(Debug, Default)]
pub(super) struct FeedbackWeights<F: Scalar> {
    /// Where each block's terms begin, and the end.
    start: Vec<usize>,
    terms: Vec<(u32, Block<F>)>,
    /// The same for all blocks together, where most units project to most blocks.
    layers: Option<FeedbackLayers<F>>,
}

/// Weights from readout units to all cells, layer by layer.
#[derive(Debug)]
pub(super) struct FeedbackLayers<F: Scalar> {
    /// The unit of each layer.
    pub units: Vec<u32>,
    /// `[layer][block]`; 0 where the unit does not project to the cell.
    pub weights: Vec<Block<F>>,
    /// Blocks of cells.
    pub blocks: usize,
}

impl<F: Scalar> FeedbackWeights<F> {
    fn new(csr: &Csr<F>, (cells, units): (usize, usize), weigh: impl Fn(usize, F) -> F) -> Self {
        let mut feedback = Self { start: vec![0], terms: Vec::new(), layers: None };
        let mut by_layer: BTreeMap<usize, Vec<Block<F>>> = BTreeMap::new();
        let blocks = cells.div_ceil(LANES);
        let mut layers: Vec<Option<Block<F>>> = Vec::new();
        for first in (0..cells).step_by(LANES) {
            layers.clear();
            for p in first..(first + LANES).min(cells) {
                // A cell's terms in their order; where that falls back, a further round over the units begins.
                let (mut round, mut last) = (0, None);
                for &(k, weight) in csr.of(p) {
                    round += usize::from(last.is_some_and(|last| k <= last));
                    last = Some(k);
                    let layer = round * units + k as usize;
                    layers.resize(layers.len().max(layer + 1), None);
                    let layer = layers[layer].get_or_insert(Block::ZERO);
                    layer.0[p - first] = weigh(k as usize, weight);
                }
            }
            for (i, block) in layers.iter().enumerate().filter_map(|(i, layer)| Some((i, (*layer)?))) {
                by_layer.entry(i).or_insert_with(|| vec![Block::ZERO; blocks])[first / LANES] = block;
            }
            let terms = layers.iter().enumerate();
            feedback
                .terms
                .extend(terms.filter_map(|(i, layer)| layer.map(|block| ((i % units) as u32, block))));
            feedback.start.push(feedback.terms.len());
        }
        if by_layer.len() * blocks <= 2 * feedback.terms.len() + blocks {
            let units = by_layer.keys().map(|i| (i % units) as u32).collect();
            let weights = by_layer.into_values().flatten().collect();
            feedback.layers = Some(FeedbackLayers { units, weights, blocks });
        }
        feedback
    }

    /// The weights by layer, where they are.
    #[inline(always)]
    pub fn layers(&self) -> Option<&FeedbackLayers<F>> {
        self.layers.as_ref()
    }

    /// Weights of all blocks, those that are 0 among them.
    pub fn terms(&self) -> usize {
        self.terms.len() * LANES
    }

    /// (unit, weights) of a block of cells.
    #[inline(always)]
    pub fn of(&self, block: usize) -> &[(u32, Block<F>)] {
        &self.terms[self.start[block]..self.start[block + 1]]
    }
}
