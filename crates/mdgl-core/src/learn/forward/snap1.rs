//! SnAp-1: the influence of a weight on its own target neuron, and on nothing else of the recurrent state.
//!
//! J. Menick, E. Elsen, U. Evci, S. Osindero, K. Simonyan and A. Graves, *A practical sparse approximation for real
//! time recurrent learning* (2020): J_t ≈ M ⊙ (D_t J_t−1 + I_t), where M keeps the entries that a weight can reach
//! within one step, that is, where I_t may differ from 0; only the block of D_t that leads from a neuron to itself is left.
//!
//! Here a step ends after the spike, so W[q→p] reaches v_p,t, z_p,t and b_p,t+1 (and through z_p,t the readout) within
//! the step, and the block is leak, reset and adaptation of one neuron:
//!
//! ```text
//! dv_p = α dv_p − thr dz_p + (1−α) a_q ,  dz_p = ψ_p (dv_p − β db_p) ,  db_p = ρ db_p + (1−ρ) dz_p
//! ```
//!
//! These are e-prop's eligibility traces (dv = εv, db = εa, dz = e): **on these networks SnAp-1 is e-prop** with
//! symmetric feedback. (Had one ended the step before the spike, b would be reached in the second step only, and the
//! trace of an adaptive neuron would lack εa; without adaptation both are the same.)

use crate::error::Result;
use crate::learn::forward::Influence;
use crate::learn::forward::moment::Moment;
use crate::learn::forward::wiring::Wiring;
use crate::memory::{product, resize};

/// The kept entries of J, one column a weight.
#[derive(Debug, Default)]
pub(crate) struct Snap1 {
    membrane: Vec<f64>,
    spike: Vec<f64>,
    adaptation: Vec<f64>,
    /// `[weight][unit]`; only units that the target projects to.
    readout: Vec<f64>,
}

impl Snap1 {
    pub fn new(wiring: &Wiring) -> Result<Self> {
        let mut new = Self::default();
        let weights = wiring.weights.len();
        for (buffer, height) in [
            (&mut new.membrane, 1),
            (&mut new.spike, 1),
            (&mut new.adaptation, 1),
            (&mut new.readout, wiring.kappa.len()),
        ] {
            resize(buffer, product(&[weights, height]), 0.0, "the influence of the weights")?;
        }
        Ok(new)
    }

    /// Numbers of a column.
    pub fn height(wiring: &Wiring) -> usize {
        3 + wiring.kappa.len()
    }
}

impl Influence for Snap1 {
    fn step(&mut self, wiring: &Wiring, moment: &Moment<'_>, sums: &mut [f64]) {
        for (w, weight) in wiring.weights.iter().enumerate() {
            let cell = &wiring.cells[weight.post as usize];
            self.membrane[w] = cell.alpha * self.membrane[w] - cell.threshold * self.spike[w];
        }
        for &(sender, value) in &moment.active {
            for &(_, w) in wiring.targets.of(sender as usize) {
                self.membrane[w as usize] += wiring.weights[w as usize].scale * value;
            }
        }
        let units = wiring.kappa.len();
        for (w, weight) in wiring.weights.iter().enumerate() {
            let p = weight.post as usize;
            let cell = &wiring.cells[p];
            let spike = moment.psi[p] * (self.membrane[w] - cell.beta * self.adaptation[w]);
            self.spike[w] = spike;
            self.adaptation[w] = cell.rho * self.adaptation[w] + cell.jump * spike;
            for &(k, read) in wiring.readout.of(p) {
                let k = k as usize;
                let readout = &mut self.readout[w * units + k];
                *readout = wiring.kappa[k] * *readout + read * spike;
                sums[w] += moment.delta.get(k).map_or(0.0, |delta| delta * *readout);
            }
            sums[w] += moment.constants.get(p).map_or(0.0, |constant| constant * spike);
        }
    }
}
