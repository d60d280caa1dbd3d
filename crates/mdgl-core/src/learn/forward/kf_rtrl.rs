//! KF-RTRL: the influence as one random Kronecker product of a sender vector and a matrix between neurons.
//!
//! A. Mujika, F. Meier and A. Steger, *Approximating real-time recurrent learning with random Kronecker factors* (2018).
//! I_t is such a product: a weight W[q→p] gets (1−α_p) a_q, so I_t = a_tᵀ ⊗ B_t with a column of B_t for each target.
//! J_t ≈ u_t ⊗ A_t with
//!
//! ```text
//! u_t = c₁ p₁ u_t−1 + c₂ p₂ a_t ,   A_t = (c₁/p₁) D_t A_t−1 + (c₂/p₂) B_t
//! p₁ = √(‖D_t A_t−1‖ / ‖u_t−1‖) ,   p₂ = √(‖B_t‖ / ‖a_t‖)
//! ```
//!
//! and c₁, c₂ random signs of the step: E[c₁ c₂] = 0 makes the mean J. ∂E/∂W[q→p] gains u_q (∂E/∂x_t A_t)_p. B_t is
//! (1−α_p) at the membrane of p, with all that follows from it within the step. Where a norm is 0 its p is 1. Absent
//! synapses have a place in the product too; nothing is read from it.

use crate::error::Result;
use crate::learn::forward::Influence;
use crate::learn::forward::network::ForwardNetwork;
use crate::learn::forward::signs::SignSource;
use crate::learn::forward::tangents::{Tangents, response, squares};
use crate::learn::forward::trial_step::TrialStep;
use crate::learn::forward::uoro::balance;
use crate::numeric::memory::resize;

/// u and A.
#[derive(Debug)]
pub(crate) struct KfRtrl<S> {
    senders: Vec<f64>,
    /// A column per target neuron.
    state: Tangents,
    /// 1 − α of each neuron that has a weight to learn; 0 for the others.
    scales: Vec<f64>,
    signs: S,
}

impl<S: SignSource> KfRtrl<S> {
    pub fn new(network: &ForwardNetwork, signs: S) -> Result<Self> {
        let cells = network.cells.len();
        let mut senders = Vec::new();
        resize(&mut senders, network.senders(), 0.0, "the influence of the weights")?;
        let mut scales = vec![0.0; cells];
        network.weights.iter().for_each(|weight| scales[weight.post as usize] = weight.scale);
        Ok(Self { senders, state: Tangents::new(network, cells)?, scales, signs })
    }

    fn rescale(&mut self, sign: f64) {
        let by = balance(self.state.norm(), squares(&self.senders).sqrt());
        self.state.scale(sign / by);
        self.senders.iter_mut().for_each(|u| *u *= sign * by);
    }

    fn inject(&mut self, network: &ForwardNetwork, trial_step: &TrialStep<'_>, sign: f64) {
        let active = trial_step.active.iter().map(|&(_, value)| value * value).sum::<f64>().sqrt();
        if active == 0.0 {
            return;
        }
        let by = balance(self.response_norm(network, &trial_step.psi), active);
        for &(sender, value) in &trial_step.active {
            self.senders[sender as usize] += sign * by * value;
        }
        for (p, &scale) in self.scales.iter().enumerate() {
            self.state.inject(network, &trial_step.psi, p, p, sign / by * scale);
        }
    }

    /// ‖B‖.
    fn response_norm(&self, network: &ForwardNetwork, psi: &[f64]) -> f64 {
        let square = |(p, &scale): (usize, &f64)| {
            let (squares, dz) = response(&network.cells[p], psi[p], 1.0);
            let readout = network.readout.of(p).iter().map(|&(_, weight)| weight * dz * weight * dz);
            scale * scale * (squares + readout.sum::<f64>())
        };
        self.scales.iter().enumerate().map(square).sum::<f64>().sqrt()
    }
}

impl<S: SignSource> Influence for KfRtrl<S> {
    fn step(&mut self, network: &ForwardNetwork, trial_step: &TrialStep<'_>, sums: &mut [f64]) {
        let signs = (self.signs.next(), self.signs.next());
        self.state.propagate(network, &trial_step.psi);
        self.rescale(signs.0);
        self.inject(network, trial_step, signs.1);
        if trial_step.is_silent() {
            return;
        }
        let mut errors = vec![0.0; network.cells.len()];
        self.state.add_errors(trial_step, &mut errors);
        for (sum, weight) in sums.iter_mut().zip(&network.weights) {
            *sum += self.senders[weight.sender as usize] * errors[weight.post as usize];
        }
    }
}
