//! A network compiled for the kernels: constants and current weights, scaled, by sender.

use crate::error::Result;
use crate::model::Model;
use crate::network::{Network, Synapse, SynapseKind};
use crate::neuron::Dynamics;
use crate::neuron::constants::Narrow;
use crate::numeric::csr::Csr;
use crate::numeric::lanes::{LANES, Mask};
use crate::numeric::memory::{ensure_memory, product};
use crate::numeric::scalar::Scalar;
use crate::simulate::delays::Delayed;
use crate::simulate::padded_csr::{Chunk, PaddedCsr};

/// Dense weights, `[target][unit]`; −0, which changes nothing, where there is no synapse.
#[derive(Debug)]
pub(crate) struct Dense<F> {
    units: usize,
    weights: Vec<F>,
}

impl<F: Scalar> Dense<F> {
    /// `None` where most pairs have no synapse, or a pair has two.
    fn of(csr: &Csr<F>, units: usize, targets: usize) -> Option<Self> {
        if 2 * csr.len() < units * targets {
            return None;
        }
        let mut weights = vec![F::from_f64(-0.0); units * targets];
        for unit in 0..units {
            for &(target, weight) in csr.of(unit) {
                let place = &mut weights[target as usize * units + unit];
                if *place != F::ZERO {
                    return None;
                }
                *place = weight;
            }
        }
        Some(Self { units, weights })
    }

    /// Weights to a target.
    #[inline(always)]
    pub fn row(&self, target: usize) -> &[F] {
        &self.weights[target * self.units..][..self.units]
    }
}

/// Neighbours with the same constants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CellRun<F> {
    pub first: u32,
    pub end: u32,
    pub dynamics: Dynamics<F>,
    /// Whether their ψ is needed.
    pub needs_psi: bool,
}

/// Everything the passes read; rebuilt from the model before each batch.
#[derive(Debug)]
pub(crate) struct CompiledNetwork<F: Scalar> {
    pub cells: Vec<Dynamics<F>>,
    /// State variables beyond the first, of the model that has most.
    pub further: usize,
    /// Whether sixteen neighbours have one spiking model that includes them all, as single trials need it.
    pub stands_side_by_side: bool,
    /// The cells again, neighbours with the same constants together; the ψ of all is needed.
    pub runs: Vec<CellRun<F>>,
    pub refractory: Vec<u32>,
    /// The cells that send values instead of spikes.
    pub rate_units: Vec<u32>,
    /// The distinct refractory periods above 0.
    pub periods: Vec<u32>,
    /// Input unit → (neuron, g W), g = 1 − α (or as the conventions have it): the synapses of one step.
    pub input: Csr<F>,
    /// Those of longer delays.
    pub late_input: Vec<Delayed<F>>,
    /// Neuron → (neuron, g W), by delay; those of one step first, even where there are none.
    pub recurrent: Vec<Delayed<F>>,
    /// As chunks, and where dense as columns of negated weights.
    pub input_chunks: PaddedCsr<F>,
    /// Neuron → (readout unit, (1 − κ) W).
    pub readout: Csr<F>,
    /// The same by readout unit, where most neurons project to most units.
    pub dense_readout: Option<Dense<F>>,
    pub kappa: Vec<F>,
    pub bias: Vec<F>,
}

impl<F: Scalar> CompiledNetwork<F> {
    /// # Errors
    /// [`crate::Error::Memory`].
    pub fn new(model: &Model<F>) -> Result<Self> {
        let network = model.network();
        ensure_memory(Self::bytes(network), "the synapses of a network by sender")?;
        let refractory: Vec<u32> = network.neurons.iter().map(|n| n.refractory).collect();
        let mut periods: Vec<u32> = refractory.iter().copied().filter(|&r| r > 0).collect();
        periods.sort_unstable();
        periods.dedup();
        let cells: Vec<Dynamics<F>> = network.dynamics.iter().map(|own| own.map::<Narrow<F>>()).collect();
        let scale = |p: usize| network.neurons[p].input_scale;
        // x + (−0) = x for every x.
        let nothing = F::from_f64(-0.0);
        let of_kind = |kind| Delayed::all(network, kind, nothing, |synapses| csr(model, synapses, scale));
        let mut late_input = of_kind(SynapseKind::Input);
        let Delayed { csr: input, chunks: input_chunks, .. } = late_input.remove(0);
        let readouts = network.synapses(SynapseKind::Readout);
        let readout = csr(model, readouts, |k| 1.0 - network.outputs[k].kappa);
        let recurrent = of_kind(SynapseKind::Recurrent);
        let with_columns = |own: Delayed<F>| Delayed {
            chunks: own.chunks.with_columns(&own.csr, network.size(), F::ZERO, |weight| -weight),
            ..own
        };
        let recurrent = recurrent.into_iter().map(with_columns).collect();
        Ok(Self {
            runs: runs(&cells, |_| true),
            rate_units: (0..)
                .zip(&cells)
                .filter(|(_, cell)| cell.sends_values())
                .map(|(unit, _)| unit)
                .collect(),
            stands_side_by_side: cells.chunks(LANES).all(Dynamics::stand_side_by_side),
            further: cells.iter().map(Dynamics::further).max().unwrap_or(0),
            cells,
            refractory,
            periods,
            input_chunks: input_chunks.with_columns(&input, network.input_units(), F::ZERO, |weight| -weight),
            recurrent,
            input: input
                .with_last(network.currents.cells().into_iter().map(|cell| (cell, F::from_f64(scale(cell))))),
            late_input,
            dense_readout: Dense::of(&readout, network.size(), network.outputs.len()),
            readout,
            kappa: network.outputs.iter().map(|o| F::from_f64(o.kappa)).collect(),
            bias: model.output_bias(),
        })
    }

    /// Most bytes of all lists, with the network's own by sender.
    pub fn bytes(network: &Network) -> usize {
        let item = size_of::<(u32, F)>();
        let chunk = size_of::<Chunk<F>>();
        let by_sender = size_of::<(u32, u64)>();
        // The padded chunks take no more than a list's items, but for one more per unit and delay; tables of dense ones at most
        // twice a number per synapse.
        let delays = network.delays().len().max(network.delays_of(SynapseKind::Input).len());
        let lists = if network.has_delays() { 2 } else { 1 };
        let synapse = lists * by_sender + 2 * item + 4 * size_of::<F>();
        let unit = delays * (chunk + size_of::<u64>()) + size_of::<Dynamics<F>>() * 4;
        product(&[network.synapse_count(), synapse]).saturating_add(product(&[network.unit_count(), unit]))
    }

    pub fn size(&self) -> usize {
        self.cells.len()
    }

    pub fn outputs(&self) -> usize {
        self.kappa.len()
    }

    /// The recurrent synapses of one step: all of them where the network has no delays.
    pub fn undelayed(&self) -> &Delayed<F> {
        &self.recurrent[0]
    }

    /// Steps of past inputs that a step reads besides its own.
    pub fn input_reach(&self) -> usize {
        self.late_input.last().map_or(0, Delayed::input_lag)
    }

    /// Longest delay between neurons, in steps.
    pub fn longest_delay(&self) -> usize {
        self.recurrent.last().map_or(1, |last| last.delay)
    }

    /// Steps of past spikes that the next step reads.
    pub fn looks_back(&self) -> usize {
        self.longest_period().max(self.longest_delay())
    }

    /// Steps of past spikes that the refractory period reads.
    pub fn longest_period(&self) -> usize {
        self.periods.last().map_or(1, |&period| period as usize + 1)
    }
}

/// The cells by runs, where the ψ of only some is needed.
pub(crate) fn runs<F: Scalar>(cells: &[Dynamics<F>], needs_psi: impl Fn(usize) -> bool) -> Vec<CellRun<F>> {
    let mut runs: Vec<CellRun<F>> = Vec::new();
    for (unit, &dynamics) in cells.iter().enumerate() {
        let (first, needs_psi) = (unit as u32, needs_psi(unit));
        match runs.last_mut() {
            Some(run) if run.dynamics == dynamics && run.needs_psi == needs_psi => run.end += 1,
            _ => runs.push(CellRun { first, end: first + 1, dynamics, needs_psi }),
        }
    }
    runs
}

/// The living ones of some synapses, weights times the target's scale.
fn csr<F: Scalar>(model: &Model<F>, synapses: &Csr<Synapse>, scale: impl Fn(usize) -> f64) -> Csr<F> {
    synapses.filter_map(|_, post, synapse| {
        let weight = model.weight(synapse.projection as usize, synapse.index as usize);
        (weight != F::ZERO).then(|| F::from_f64(weight.to_f64() * scale(post)))
    })
}

/// Lanes whose trial has ended before a step.
#[inline(always)]
pub(crate) fn ended(lengths: &[u32; LANES], step: usize) -> Mask {
    let mut mask = 0;
    for (lane, &length) in lengths.iter().enumerate() {
        mask |= Mask::from(step >= length as usize) << lane;
    }
    mask
}
