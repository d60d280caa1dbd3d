//! The forward-mode family: estimators that carry the influence of the weights along with the state.
//!
//! The state of a network after step t is x_t = (v_t, b_t+1, y_t), the spikes z_t with it; a weight w = W[q→p] reaches
//! the membrane of p alone, through the activity of q. Its influence J_t = ∂x_t/∂w follows
//!
//! ```text
//! J_t = D_t J_t−1 + I_t ,   ∂E/∂w = Σ_t (∂E/∂x_t) J_t
//! D_t:  the model's tangent with the input (1−α) Σ_q W dz_q ;  dy = κ dy + (1−κ) Σ_p W_out dz_p
//! I_t:  the model's response to the input (1−α_p) a_q , a_q = z_q,t−1 or x_q,t, and what follows from it within the step
//! ```
//!
//! (see [`crate::neuron`]; for ALIF neurons dv = α dv − thr dz + input, dz = ψ (dv − β db), db = ρ db + (1−ρ) dz).
//!
//! | estimator | keeps | source |
//! |---|---|---|
//! | [`rtrl`] | J whole: the gradient, exactly | Williams and Zipser 1989 |
//! | [`snap1`] | J on the target neuron of each weight | Menick et al. 2020 |
//! | [`uoro`] | a random rank-one J, right on average | Tallec and Ollivier 2017 |
//! | [`kf_rtrl`] | a random Kronecker product, right on average | Mujika, Meier and Steger 2018 |
//!
//! They are there for comparison, on small networks: plain code in f64 (whatever the model's type), a trial at a time.
//! Spikes and ψ are the engine's own, simulated beforehand; so the firing-rate regulariser, whose constant the whole
//! batch must be known for, is a further part of ∂E/∂z and costs nothing. Readout weights and biases get their exact
//! gradient.

mod kf_rtrl;
mod network;
mod rtrl;
mod signs;
mod size;
mod snap1;
mod tangents;
#[cfg(test)]
mod tests;
mod trial;
mod trial_step;
mod uoro;

use crate::description::rule::Estimator;
use crate::error::Result;

pub(crate) use network::ForwardNetwork;
pub use size::MOST_INFLUENCE_BYTES;
pub(crate) use trial::{check_size, estimate};
pub(crate) use trial_step::ForwardTrial;

use kf_rtrl::KfRtrl;
use rtrl::Rtrl;
use signs::{SignKey, Signs};
use snap1::Snap1;
use trial_step::TrialStep;
use uoro::Uoro;

/// State of an estimator: the influence of the weights in one trial.
trait Influence {
    /// Carries the influence over one step and adds the step's share of the gradient, one sum per weight.
    fn step(&mut self, network: &ForwardNetwork, trial_step: &TrialStep<'_>, sums: &mut [f64]);
}

/// The estimator's influence before the first step: 0.
fn influence(estimator: Estimator, network: &ForwardNetwork, key: SignKey) -> Result<Box<dyn Influence>> {
    Ok(match estimator {
        Estimator::Snap1 => Box::new(Snap1::new(network)?),
        Estimator::Uoro => Box::new(Uoro::new(network, Signs::uoro(key))?),
        Estimator::KfRtrl => Box::new(KfRtrl::new(network, Signs::kronecker(key))?),
        _ => Box::new(Rtrl::new(network)?),
    })
}
