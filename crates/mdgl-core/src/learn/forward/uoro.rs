//! UORO: the influence as one random product of a state vector and a weight vector.
//!
//! C. Tallec and Y. Ollivier, *Unbiased online recurrent optimization* (2017): J_t ≈ x̃_t θ̃_tᵀ with
//!
//! ```text
//! x̃_t = ρ₀ D_t x̃_t−1 + ρ₁ B_t ν ,   θ̃_t = θ̃_t−1 / ρ₀ + νᵀ I'_t / ρ₁
//! ρ₀ = √(‖θ̃_t−1‖ / ‖D_t x̃_t−1‖) ,   ρ₁ = √(‖νᵀ I'_t‖ / ‖B_t ν‖)
//! ```
//!
//! and ν a random sign for each neuron and step. E[ν νᵀ] = 1 makes the mean of the product J; ρ₀ and ρ₁ only balance
//! its two factors, for a smaller variance. I' is the part of I_t at the membranes, the only one that weights reach
//! directly, and B_t what follows from it within the step (I_t = B_t I'_t): the paper gives signs to the whole state.
//! Where a norm is 0 its ρ is 1; the paper adds 1e−7 to both.

use crate::error::Result;
use crate::learn::forward::Influence;
use crate::learn::forward::network::ForwardNetwork;
use crate::learn::forward::signs::SignSource;
use crate::learn::forward::tangents::{Tangents, response, squares};
use crate::learn::forward::trial_step::TrialStep;
use crate::numeric::memory::resize;

/// x̃ and θ̃.
#[derive(Debug)]
pub(crate) struct Uoro<S> {
    state: Tangents,
    weights: Vec<f64>,
    signs: S,
    /// ν of the step.
    drawn: Vec<f64>,
}

impl<S: SignSource> Uoro<S> {
    pub fn new(network: &ForwardNetwork, signs: S) -> Result<Self> {
        let mut weights = Vec::new();
        resize(&mut weights, network.weights.len(), 0.0, "the influence of the weights")?;
        Ok(Self { state: Tangents::new(network, 1)?, weights, signs, drawn: vec![0.0; network.cells.len()] })
    }

    fn rescale(&mut self) {
        let rho = balance(squares(&self.weights).sqrt(), self.state.norm());
        self.state.scale(rho);
        let inverse = 1.0 / rho;
        self.weights.iter_mut().for_each(|x| *x *= inverse);
    }

    fn inject(&mut self, network: &ForwardNetwork, trial_step: &TrialStep<'_>) {
        let immediate = immediate_norm(network, trial_step);
        if immediate == 0.0 {
            return;
        }
        let rho = balance(immediate, self.response_norm(network, &trial_step.psi));
        for (p, &sign) in self.drawn.iter().enumerate() {
            self.state.inject(network, &trial_step.psi, p, 0, rho * sign);
        }
        for &(sender, value) in &trial_step.active {
            for &(post, weight) in network.targets.of(sender as usize) {
                let immediate = network.weights[weight as usize].scale * value;
                self.weights[weight as usize] += self.drawn[post as usize] * immediate / rho;
            }
        }
    }

    /// ‖B ν‖: the signs at the membranes, and what follows from them.
    fn response_norm(&self, network: &ForwardNetwork, psi: &[f64]) -> f64 {
        let mut readout = vec![0.0; network.kappa.len()];
        let mut sum = 0.0;
        for (p, (dynamics, &sign)) in network.cells.iter().zip(&self.drawn).enumerate() {
            let (squares, dz) = response(dynamics, psi[p], sign);
            sum += squares;
            network.readout.of(p).iter().for_each(|&(k, weight)| readout[k as usize] += weight * dz);
        }
        (sum + squares(&readout)).sqrt()
    }
}

impl<S: SignSource> Influence for Uoro<S> {
    fn step(&mut self, network: &ForwardNetwork, trial_step: &TrialStep<'_>, sums: &mut [f64]) {
        self.state.propagate(network, &trial_step.psi);
        self.rescale();
        self.drawn.iter_mut().for_each(|sign| *sign = self.signs.next());
        self.inject(network, trial_step);
        if trial_step.is_silent() {
            return;
        }
        let mut error = [0.0];
        self.state.add_errors(trial_step, &mut error);
        sums.iter_mut().zip(&self.weights).for_each(|(sum, weight)| *sum += error[0] * weight);
    }
}

/// ‖νᵀ I'‖: each weight has one target, so the signs do not matter.
fn immediate_norm(network: &ForwardNetwork, trial_step: &TrialStep<'_>) -> f64 {
    let square = |&(sender, value): &(u32, f64)| {
        let targets = network.targets.of(sender as usize).iter();
        let scales = targets.map(|&(_, weight)| network.weights[weight as usize].scale);
        scales.map(|scale| scale * scale * value * value).sum::<f64>()
    };
    trial_step.active.iter().map(square).sum::<f64>().sqrt()
}

/// √(a / b), 1 where either is 0.
pub(crate) fn balance(a: f64, b: f64) -> f64 {
    if a == 0.0 || b == 0.0 { 1.0 } else { (a / b).sqrt() }
}
