//! SnAp-1: the influence of a weight on its own target neuron, and on nothing else of the recurrent state.
//!
//! J. Menick, E. Elsen, U. Evci, S. Osindero, K. Simonyan and A. Graves, *A practical sparse approximation for real
//! time recurrent learning* (2020): J_t ≈ M ⊙ (D_t J_t−1 + I_t), where M keeps the entries that a weight can reach
//! within one step, that is, where I_t may differ from 0; only the block of D_t that leads from a neuron to itself is left.
//!
//! Here a step ends after the spike, so W[q→p] reaches v_p,t, z_p,t and b_p,t+1 (and through z_p,t the readout) within
//! the step, and the block is leak, reset and adaptation of one neuron: its model's tangent (see [`crate::neuron`]).
//!
//! These are e-prop's eligibility traces (dv = εv, db = εa, dz = e): **on these networks SnAp-1 is e-prop** with
//! symmetric feedback. (If the step ended before the spike, b would be reached in the second step only, and the
//! trace of an adaptive neuron would lack εa; without adaptation both are the same.)

use crate::error::Result;
use crate::learn::forward::Influence;
use crate::learn::forward::network::ForwardNetwork;
use crate::learn::forward::trial_step::TrialStep;
use crate::neuron::equations::{FURTHER, Tangent, Variables};
use crate::neuron::for_tangent;
use crate::numeric::memory::{product, resize};

/// The kept entries of J, one column per weight.
#[derive(Debug, Default)]
pub(crate) struct Snap1 {
    integrator: Vec<f64>,
    spike: Vec<f64>,
    /// Lists that no model of the network uses are empty.
    further: [Vec<f64>; FURTHER],
    /// `[weight][unit]`; only units that the target projects to.
    readout: Vec<f64>,
}

impl Snap1 {
    pub fn new(network: &ForwardNetwork) -> Result<Self> {
        let mut new = Self::default();
        let weights = network.weights.len();
        for (buffer, height) in
            [(&mut new.integrator, 1), (&mut new.spike, 1), (&mut new.readout, network.kappa.len())]
                .into_iter()
                .chain(new.further.iter_mut().zip(Self::further(network)))
        {
            resize(buffer, product(&[weights, height]), 0.0, "the influence of the weights")?;
        }
        Ok(new)
    }

    /// Numbers per column.
    pub fn height(network: &ForwardNetwork) -> usize {
        2 + Self::further(network).iter().sum::<usize>() + network.kappa.len()
    }

    /// Which lists of further state variables there are: 1 each, 0 where no model has it.
    fn further(network: &ForwardNetwork) -> [usize; FURTHER] {
        network.further.map(|cells| usize::from(cells > 0))
    }
}

impl Influence for Snap1 {
    fn step(&mut self, network: &ForwardNetwork, trial_step: &TrialStep<'_>, sums: &mut [f64]) {
        let mut further = self.further.each_mut().map(Vec::as_mut_slice);
        for (w, weight) in network.weights.iter().enumerate() {
            let (integrator, dz) = (&mut self.integrator[w], self.spike[w]);
            for_tangent!(&network.cells[weight.post as usize], model => {
                let tangent = model.before_input(Variables::load(*integrator, &further, w), dz);
                *integrator = tangent.integrator();
                tangent.store(&mut further, w);
            }, else {});
        }
        for &(sender, value) in &trial_step.active {
            for &(_, w) in network.targets.of(sender as usize) {
                self.integrator[w as usize] += network.weights[w as usize].scale * value;
            }
        }
        let units = network.kappa.len();
        for (w, weight) in network.weights.iter().enumerate() {
            let p = weight.post as usize;
            let spike = for_tangent!(&network.cells[p], model => {
                let tangent = Variables::load(self.integrator[w], &further, w);
                let spike = model.spike(trial_step.psi[p], tangent);
                model.after_spike(tangent, spike).store(&mut further, w);
                spike
            }, else 0.0);
            self.spike[w] = spike;
            for &(k, read) in network.readout.of(p) {
                let k = k as usize;
                let readout = &mut self.readout[w * units + k];
                *readout = network.kappa[k] * *readout + read * spike;
                sums[w] += trial_step.delta.get(k).map_or(0.0, |delta| delta * *readout);
            }
            sums[w] += trial_step.constants.get(p).map_or(0.0, |constant| constant * spike);
        }
    }
}
