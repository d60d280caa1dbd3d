//! A network with the weights of the moment, laid out for the kernels.

use crate::chunks::Chunks;
use crate::description::{Conventions, Shape};
use crate::lanes::Mask;
use crate::model::Model;
use crate::network::{Network, Stage};
use crate::real::Real;

/// What each unit projects to: target and an item (a weight, a gain, an accumulator's place).
#[derive(Debug, Clone, Default)]
pub(crate) struct Fan<T> {
    start: Vec<u32>,
    items: Vec<(u32, T)>,
}

impl<T: Copy> Fan<T> {
    /// Groups (unit, target, item) triples by unit, keeping their order.
    pub fn new(units: usize, triples: &[(usize, usize, T)]) -> Self {
        let mut start = vec![0; units + 1];
        for &(unit, ..) in triples {
            start[unit + 1] += 1;
        }
        for unit in 0..units {
            start[unit + 1] += start[unit];
        }
        // Each unit's in the order given.
        let (mut end, mut order) = (start.clone(), vec![0; triples.len()]);
        for (i, &(unit, ..)) in triples.iter().enumerate() {
            order[end[unit] as usize] = i;
            end[unit] += 1;
        }
        let items = order.iter().map(|&i| (triples[i].1 as u32, triples[i].2)).collect();
        Self { start, items }
    }

    /// All items, unit after unit.
    pub fn items(&self) -> impl Iterator<Item = T> + '_ {
        self.items.iter().map(|&(_, item)| item)
    }

    /// The same targets, with the items' numbers from `first` on in their place.
    pub fn numbered(&self, first: u32) -> Fan<u32> {
        let items = (first..).zip(&self.items).map(|(number, &(target, _))| (target, number));
        Fan { start: self.start.clone(), items: items.collect() }
    }

    /// Targets of a unit.
    #[inline(always)]
    pub fn of(&self, unit: usize) -> &[(u32, T)] {
        &self.items[self.start[unit] as usize..self.start[unit + 1] as usize]
    }
}

/// The weights of a fan, `[target][unit]`; −0, which changes nothing, where there is no synapse.
#[derive(Debug)]
pub(crate) struct Dense<F> {
    units: usize,
    weights: Vec<F>,
}

impl<F: Real> Dense<F> {
    /// `None` where most pairs have no synapse, or a pair has two.
    fn of(fan: &Fan<F>, units: usize, targets: usize) -> Option<Self> {
        if 2 * fan.items.len() < units * targets {
            return None;
        }
        let mut weights = vec![F::from_f64(-0.0); units * targets];
        for unit in 0..units {
            for &(target, weight) in fan.of(unit) {
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

/// Constants of one neuron as its step needs them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cell<F> {
    pub alpha: F,
    pub rho: F,
    /// 1 − ρ, or 1.
    pub jump: F,
    pub threshold: F,
    /// thr in the eligibility trace; 0 where that has no reset.
    pub reset: F,
    pub beta: F,
    /// γ/thr², how ψ falls with distance; γ/thr for other shapes than the triangle.
    pub slope: F,
    /// k/thr (for the arctangent πk/2thr); 0 for the triangle.
    pub steepness: F,
    pub shape: Shape,
    pub adaptive: bool,
    /// Whether v = A is a spike.
    pub inclusive: bool,
}

/// Neighbours with the same constants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run<F> {
    pub first: u32,
    pub end: u32,
    pub cell: Cell<F>,
}

/// Everything the passes read; rebuilt from the model before each batch.
#[derive(Debug)]
pub(crate) struct Circuit<F: Real> {
    pub cells: Vec<Cell<F>>,
    /// The cells again, neighbours with the same constants together.
    pub runs: Vec<Run<F>>,
    /// A full mask a cell.
    pub everything: Vec<Mask>,
    pub refractory: Vec<u32>,
    /// The distinct refractory periods above 0.
    pub periods: Vec<u32>,
    /// Input unit → (neuron, g W), g = 1 − α (or what the conventions say).
    pub input: Fan<F>,
    /// Neuron → (neuron, g W).
    pub recurrent: Fan<F>,
    pub input_chunks: Chunks<F>,
    pub recurrent_chunks: Chunks<F>,
    /// Neuron → (readout unit, (1 − κ) W).
    pub readout: Fan<F>,
    /// The same by readout unit, where most neurons project to most units.
    pub dense_readout: Option<Dense<F>>,
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
        let cells = cells(network);
        let input = fan(model, Stage::Input, network.input_units(), |p| network.neurons[p].gain);
        let recurrent = fan(model, Stage::Recurrent, network.size(), |p| network.neurons[p].gain);
        let readout = fan(model, Stage::Readout, network.size(), |k| 1.0 - network.outputs[k].kappa);
        // x + (−0) = x for every x.
        let nothing = F::from_f64(-0.0);
        Self {
            runs: runs(&cells),
            everything: vec![Mask::MAX; cells.len()],
            cells,
            refractory,
            periods,
            input_chunks: Chunks::new(&input, network.input_units(), nothing),
            recurrent_chunks: Chunks::new(&recurrent, network.size(), nothing),
            input,
            recurrent,
            dense_readout: Dense::of(&readout, network.size(), network.outputs.len()),
            readout,
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

fn slope(neuron: &crate::network::Neuron, shape: Shape) -> f64 {
    match shape {
        Shape::Triangular => neuron.dampening / (neuron.threshold * neuron.threshold),
        _ => neuron.dampening / neuron.threshold,
    }
}

fn cells<F: Real>(network: &Network) -> Vec<Cell<F>> {
    let shape = network.pseudo_derivative();
    let inclusive = network.conventions() == Conventions::Bellec2020;
    let cell = |n: &crate::network::Neuron| Cell {
        alpha: F::from_f64(n.alpha),
        rho: F::from_f64(n.rho),
        jump: F::from_f64(n.jump),
        threshold: F::from_f64(n.threshold),
        reset: F::from_f64(n.reset),
        beta: F::from_f64(n.beta),
        slope: F::from_f64(slope(n, shape)),
        steepness: F::from_f64(match shape {
            Shape::Arctangent => std::f64::consts::FRAC_PI_2 * n.steepness / n.threshold,
            _ => n.steepness / n.threshold,
        }),
        shape,
        adaptive: n.beta != 0.0,
        inclusive,
    };
    network.neurons.iter().map(cell).collect()
}

fn runs<F: Real>(cells: &[Cell<F>]) -> Vec<Run<F>> {
    let mut runs: Vec<Run<F>> = Vec::new();
    for (unit, &cell) in (0..).zip(cells) {
        match runs.last_mut() {
            Some(run) if run.cell == cell => run.end += 1,
            _ => runs.push(Run { first: unit, end: unit + 1, cell }),
        }
    }
    runs
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
