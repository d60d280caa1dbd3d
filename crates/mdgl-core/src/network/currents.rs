//! Currents injected into cells: an Ornstein–Uhlenbeck process per cell, and steps.
//!
//! A driven cell has an input unit of its own, behind those of the description, whose analogue value is the cell's current: the passes
//! know nothing else of it. A current-based cell filters its input, c_t = α_s c_t−1 + x_t, so that its unit sends
//! x_t = I_t − α_s I_t−1, which leaves I_t of the filter.

use std::ops::Range;

use crate::description::{NetworkDescription, NoiseCurrent, StepCurrent};
use crate::neuron::Neuron;
use crate::numeric::random::normals_at;
use crate::numeric::steps::{decay, steps_in};

/// The injected currents of a network.
#[derive(Debug, Clone, Default)]
pub(crate) struct Currents {
    sources: Vec<Source>,
}

/// The currents of a population.
#[derive(Debug, Clone)]
struct Source {
    cells: Range<usize>,
    mean: f64,
    deviation: f64,
    /// exp(−dt/τ).
    decay: f64,
    steps: Vec<(Range<usize>, f64)>,
    /// α_s of each cell.
    synaptic_decay: Vec<f64>,
}

impl Source {
    fn constant(&self, t: usize) -> f64 {
        let own = self.steps.iter().filter(|(steps, _)| steps.contains(&t));
        self.mean + own.map(|(_, amplitude)| amplitude).sum::<f64>()
    }
}

impl Currents {
    /// Of a complete description.
    pub fn new(description: &NetworkDescription, neurons: &[Neuron]) -> Self {
        let (mut sources, mut first) = (Vec::new(), 0);
        for population in &description.populations {
            let cells = first..first + population.size;
            first = cells.end;
            if population.noise.is_none() && population.currents.is_empty() {
                continue;
            }
            let steps = population.currents.iter().map(|&StepCurrent { from, to, amplitude }| {
                let [first, end] = [from, to].map(|time| steps_in(time, description.dt) as usize);
                (first..end, amplitude)
            });
            let none = NoiseCurrent { mean: 0.0, standard_deviation: 0.0, time_constant: 0.0 };
            let NoiseCurrent { mean, standard_deviation, time_constant } = population.noise.unwrap_or(none);
            sources.push(Source {
                mean,
                deviation: standard_deviation,
                decay: decay(time_constant, description.dt),
                steps: steps.collect(),
                synaptic_decay: neurons[cells.clone()].iter().map(|neuron| neuron.synaptic_decay).collect(),
                cells,
            });
        }
        Self { sources }
    }

    /// Number of driven cells, which is that of their units.
    pub fn len(&self) -> usize {
        self.sources.iter().map(|source| source.cells.len()).sum()
    }

    /// The driven cells, one per unit.
    pub fn cells(&self) -> Vec<usize> {
        self.sources.iter().flat_map(|source| source.cells.clone()).collect()
    }

    /// Whether any current is random.
    pub fn are_random(&self) -> bool {
        self.sources.iter().any(|source| source.deviation > 0.0)
    }
}

/// The currents of one trial, step after step.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrialCurrents {
    key: [u32; 2],
    /// n_t − μ of each driven cell in the last step.
    pub noise: Vec<f64>,
    /// ξ of four steps of each, from a multiple of four on.
    drawn: Vec<[f64; 4]>,
    drawn_from: Option<usize>,
}

impl TrialCurrents {
    /// Before the first step of a trial.
    pub fn begin(&mut self, currents: &Currents, key: [u32; 2]) {
        self.key = key;
        self.noise.clear();
        self.noise.resize(currents.len(), 0.0);
        self.drawn_from = None;
    }

    /// The values of all units at the next step, in their order.
    pub fn advance(&mut self, currents: &Currents, t: usize, mut put: impl FnMut(f64)) {
        self.draw(currents, t);
        let mut unit = 0;
        for source in &currents.sources {
            let (now, before) = (source.constant(t), t.checked_sub(1).map(|before| source.constant(before)));
            let scale = if t == 0 {
                source.deviation
            } else {
                source.deviation * (1.0 - source.decay * source.decay).sqrt()
            };
            for &synaptic_decay in &source.synaptic_decay {
                let last = self.noise[unit];
                if source.deviation > 0.0 {
                    self.noise[unit] = source.decay * last + scale * self.drawn[unit][t % 4];
                }
                let earlier = before.map_or(0.0, |before| before + last);
                put(now + self.noise[unit] - synaptic_decay * earlier);
                unit += 1;
            }
        }
    }

    /// ξ depends on trial, cell and step alone.
    fn draw(&mut self, currents: &Currents, t: usize) {
        if self.drawn_from == Some(t / 4) {
            return;
        }
        self.drawn_from = Some(t / 4);
        self.drawn.clear();
        let [low, high] = [t as u64 / 4, (t as u64 / 4) >> 32].map(|word| word as u32);
        for source in &currents.sources {
            let draw = |cell: usize| match source.deviation > 0.0 {
                true => normals_at(self.key, [cell as u32, low, high, 0]),
                false => [0.0; 4],
            };
            self.drawn.extend(source.cells.clone().map(draw));
        }
    }
}
