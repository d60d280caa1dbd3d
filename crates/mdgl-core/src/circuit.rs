//! A network with the weights of the moment, laid out for the kernels.

use crate::lanes::Mask;
use crate::model::Model;
use crate::network::{Network, Stage};
use crate::real::Real;

/// What each unit projects to: target and an item (a weight, a gain, an accumulator's place).
#[derive(Debug, Clone, Default)]
pub(crate) struct Fan<T> {
    /// One more than the highest target.
    targets: usize,
    start: Vec<u32>,
    items: Vec<(u32, T)>,
}

impl<T: Copy> Fan<T> {
    /// Groups (unit, target, item) triples by unit, keeping their order.
    pub fn new(units: usize, triples: &[(usize, usize, T)]) -> Self {
        let mut order: Vec<usize> = (0..triples.len()).collect();
        order.sort_by_key(|&i| triples[i].0);
        let mut start = vec![0; units + 1];
        for &(unit, ..) in triples {
            start[unit + 1] += 1;
        }
        for unit in 0..units {
            start[unit + 1] += start[unit];
        }
        let targets = triples.iter().map(|&(_, target, _)| target + 1).max().unwrap_or(0);
        let items = order.iter().map(|&i| (triples[i].1 as u32, triples[i].2)).collect();
        Self { targets, start, items }
    }

    /// Checks once that every target is a row of a buffer, so that kernels need not at each.
    #[inline(always)]
    pub fn check_targets<B>(&self, rows: &[B]) {
        assert!(self.targets <= rows.len(), "a target beyond the buffer");
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Targets of a unit.
    #[inline(always)]
    pub fn of(&self, unit: usize) -> &[(u32, T)] {
        &self.items[self.start[unit] as usize..self.start[unit + 1] as usize]
    }
}

/// Constants of one neuron as its step needs them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell<F> {
    pub alpha: F,
    pub rho: F,
    /// 1 − ρ.
    pub jump: F,
    pub threshold: F,
    pub beta: F,
    /// γ / thr: ψ at threshold.
    pub height: F,
    /// γ / thr²: how ψ falls with distance.
    pub slope: F,
    pub adaptive: bool,
}

/// Everything the passes read; rebuilt from the model before each batch.
#[derive(Debug)]
pub(crate) struct Circuit<F: Real> {
    pub cells: Vec<Cell<F>>,
    pub refractory: Vec<u32>,
    /// The distinct refractory periods above 0.
    pub periods: Vec<u32>,
    /// Input unit → (neuron, (1 − α) W).
    pub input: Fan<F>,
    /// Neuron → (neuron, (1 − α) W).
    pub recurrent: Fan<F>,
    /// Neuron → (readout unit, (1 − κ) W).
    pub readout: Fan<F>,
    pub kappa: Vec<F>,
    pub bias: Vec<F>,
}

impl<F: Real> Circuit<F> {
    pub fn new(model: &Model<F>) -> Self {
        let network = model.network();
        let refractory: Vec<u32> = network.neurons.iter().map(|n| n.refractory).collect();
        let mut periods: Vec<u32> = refractory.iter().copied().filter(|&r| r > 0).collect();
        periods.sort_unstable();
        periods.dedup();
        Self {
            cells: cells(network),
            refractory,
            periods,
            input: fan(model, Stage::Input, network.input_units(), |p| 1.0 - network.neurons[p].alpha),
            recurrent: fan(model, Stage::Recurrent, network.size(), |p| 1.0 - network.neurons[p].alpha),
            readout: fan(model, Stage::Readout, network.size(), |k| 1.0 - network.outputs[k].kappa),
            kappa: network.outputs.iter().map(|o| F::from_f64(o.kappa)).collect(),
            bias: model.output_bias(),
        }
    }

    pub fn size(&self) -> usize {
        self.cells.len()
    }

    pub fn outputs(&self) -> usize {
        self.kappa.len()
    }

    /// Steps of spikes that the refractory period looks back.
    pub fn longest_period(&self) -> usize {
        self.periods.last().map_or(1, |&period| period as usize + 1)
    }
}

fn cells<F: Real>(network: &Network) -> Vec<Cell<F>> {
    let cell = |n: &crate::network::Neuron| Cell {
        alpha: F::from_f64(n.alpha),
        rho: F::from_f64(n.rho),
        jump: F::from_f64(1.0 - n.rho),
        threshold: F::from_f64(n.threshold),
        beta: F::from_f64(n.beta),
        height: F::from_f64(n.dampening / n.threshold),
        slope: F::from_f64(n.dampening / (n.threshold * n.threshold)),
        adaptive: n.beta != 0.0,
    };
    network.neurons.iter().map(cell).collect()
}

/// The living synapses of a stage, weights times the target's scale.
fn fan<F: Real>(model: &Model<F>, stage: Stage, units: usize, scale: impl Fn(usize) -> f64) -> Fan<F> {
    let mut triples = Vec::new();
    for (index, wires) in model.network().projections.iter().enumerate() {
        if wires.stage != stage {
            continue;
        }
        for synapse in 0..wires.len() {
            let weight = model.weight(index, synapse);
            if weight != F::ZERO {
                let post = wires.post_unit(synapse);
                let scaled = F::from_f64(weight.to_f64() * scale(post));
                triples.push((wires.pre_unit(synapse), post, scaled));
            }
        }
    }
    Fan::new(units, &triples)
}

/// Lanes whose trial has ended before a step.
#[inline(always)]
pub(crate) fn ended(lengths: &[u32; crate::lanes::LANES], step: usize) -> Mask {
    let mut mask = 0;
    for (lane, &length) in lengths.iter().enumerate() {
        mask |= Mask::from(step >= length as usize) << lane;
    }
    mask
}
