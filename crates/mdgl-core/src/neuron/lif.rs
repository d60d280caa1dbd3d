//! Leaky integrate-and-fire, `'lif'`.
//!
//! ```text
//! v_t = α v_t−1 + (1−α) I_t − thr z_t−1 ,   z_t = 1 where v_t > thr and no spike came before within the refractory period
//! ψ_t = (γ/thr) max(0, 1 − |v_t − thr|/thr), or another shape, and 0 while refractory
//!
//! back in time      λ_t = α λ_t+1 + ψ_t (D_t − thr λ_t+1)
//! forwards          ε_t = (α − thr ψ_t−1) ε_t−1 + (1−α) z_q,t−1 ,   e_t = ψ_t ε_t
//! about a mean ψ    ψ̄ in place of ψ
//! ```
//!
//! The membrane holds α v_t−1 − thr z_t−1 when a step begins; the input, whose weights are scaled beforehand, joins it.
//! Conventions may take the reset out of λ and ε. It is Bellec et al.'s (2018, 2020) neuron.

use crate::description::Conventions;
use crate::neuron::constants::{Convert, lanes};
use crate::neuron::equations::{
    Described, Equations, LeakDrive, MEMBRANE, Number, Operations, Step, Stepped, Tangent,
};
use crate::neuron::filter::Filter;
use crate::neuron::parameters::{Neuron, Parameters};
use crate::neuron::threshold::Threshold;
use crate::numeric::lanes::{Block, Lanes, RegisterMask};
use crate::numeric::scalar::Scalar;

/// Its constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Lif<T> {
    pub alpha: T,
    /// thr in the eligibility trace; 0 where that has no reset.
    pub trace_reset: T,
    pub threshold: Threshold<T>,
}

/// The constants of a neuron; those of every model that integrates and fires, without adaptation.
pub(super) fn integrate_and_fire(p: &Parameters<'_>) -> (Neuron, Lif<f64>) {
    let refractory = p.refractory();
    let alpha = p.decay("membraneTimeConstant", &p.population.membrane_time_constant);
    let rho = p.decay("adaptationTimeConstant", &p.population.adaptation_time_constant);
    let threshold = p.value("threshold", &p.population.threshold);
    let dampening = p.value("dampening", &p.population.dampening);
    let usual = Neuron {
        alpha,
        rho,
        threshold,
        dampening,
        refractory,
        input_scale: p.input_scale(1.0 - alpha),
        adaptation_increment: 1.0 - rho,
        trace_reset: threshold,
        steepness: p.steepness(),
        ..Neuron::default()
    };
    let neuron = match p.description.conventions {
        Conventions::Mdgl2021 => usual,
        Conventions::Bellec2020 => Neuron {
            refractory: usual.refractory.saturating_sub(1),
            adaptation_increment: 1.0,
            trace_reset: 0.0,
            ..usual
        },
    };
    let threshold = Threshold::of(&neuron, p.description);
    (neuron, Lif { alpha, trace_reset: neuron.trace_reset, threshold })
}

impl Lif<f64> {
    /// Its input's adjoint with a constant in place of ψ in the reset.
    pub fn linearised(&self, psi: f64) -> Filter<f64> {
        let ss = self.alpha - self.trace_reset * psi;
        Filter { ss, sr: 0.0, rs: 0.0, rr: 0.0, s_in: 1.0, r_in: 0.0 }
    }
}

impl<T: Copy> Lif<T> {
    #[inline(always)]
    pub fn map<C: Convert<T>>(self) -> Lif<C::To> {
        Lif {
            alpha: C::convert(self.alpha),
            trace_reset: C::convert(self.trace_reset),
            threshold: self.threshold.map::<C>(),
        }
    }
}

#[cfg(feature = "bench")]
impl<T> Lif<T> {
    /// A mutable reference to α.
    pub fn decay_mut(&mut self) -> &mut T {
        &mut self.alpha
    }
}

impl<F: Scalar> Lif<F> {
    /// Constants of neurons side by side.
    pub fn side_by_side(each: &[Self]) -> Lif<Block<F>> {
        Lif {
            alpha: lanes(each, |own| own.alpha),
            trace_reset: lanes(each, |own| own.trace_reset),
            threshold: Threshold::side_by_side(&each.iter().map(|own| own.threshold).collect::<Vec<_>>()),
        }
    }

    /// The leak alone in trace and adjoint.
    pub fn leak_only(self) -> Self {
        Self { trace_reset: F::ZERO, ..self }
    }
}

impl<T: Copy> Described for Lif<T> {
    const VARIABLES: &'static [&'static str] = &[MEMBRANE];
    const OPERATIONS: Operations = Operations { step: 7, adjoint: 5, trace: 9 };

    #[inline(always)]
    fn is_usual(&self) -> bool {
        self.threshold.is_usual()
    }
}

impl<N: Number> Equations<N> for Lif<N> {
    type Variables = [N; 1];

    #[inline(always)]
    fn adjoint(&self, psi: N, drive: N, [v]: [N; 1]) -> [N; 1] {
        let through = psi.mul(v.neg_mul_add(self.trace_reset, drive));
        [v.mul_add(self.alpha, through)]
    }

    #[inline(always)]
    fn leak_only_adjoint(&self, drive: LeakDrive<N>, [v]: [N; 1]) -> [N; 1] {
        [drive.added_to(v.mul(self.alpha))]
    }
}

impl<N: Number> Tangent<N> for Lif<N> {
    #[inline(always)]
    fn before_input(&self, [v]: [N; 1], dz: N) -> [N; 1] {
        [dz.neg_mul_add(self.trace_reset, v.mul(self.alpha))]
    }

    #[inline(always)]
    fn spike(&self, psi: N, [v]: [N; 1]) -> N {
        psi.mul(v)
    }

    #[inline(always)]
    fn after_spike(&self, tangent: [N; 1], _: N) -> [N; 1] {
        tangent
    }

    #[inline(always)]
    fn response(&self, psi: N, input: N) -> ([N; 1], N) {
        ([input], psi.mul(input))
    }
}

impl<L: Lanes> Step<L> for Lif<L> {
    #[inline(always)]
    fn voltage(&self, [v]: [L; 1]) -> L {
        v
    }

    #[inline(always)]
    fn effective_threshold(&self, _: [L; 1]) -> L {
        self.threshold.threshold
    }

    #[inline(always)]
    fn step(&self, [v]: [L; 1], blocked: L::Mask) -> Stepped<L, [L; 1]> {
        let threshold = self.threshold.threshold;
        let spikes = self.threshold.reached(v, threshold).without(blocked);
        let psi = self.threshold.pseudo_derivative(v.sub(threshold).abs()).masked_out(blocked);
        let decayed = v.mul(self.alpha);
        let membrane = decayed.sub_in(spikes, threshold);
        Stepped { spikes, value: L::zero(), psi, state: [membrane] }
    }

    #[inline(always)]
    fn usual(self) -> Self {
        Self { threshold: self.threshold.usual(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::Shape;

    #[test]
    fn without_feedback_it_is_its_leak() {
        let threshold = Threshold {
            threshold: 0.01,
            slope: 3e3,
            steepness: 0.0,
            shape: Shape::Triangular,
            spikes_at_equality: false,
        };
        let filter = Lif { alpha: 0.95, trace_reset: 0.01, threshold }.linearised(0.0);
        let mut held = (1.0, 0.0);
        for k in 0..100 {
            assert!((held.0 - 0.95f64.powi(k)).abs() < 1e-12);
            held = filter.step(held, 0.0);
        }
    }
}
