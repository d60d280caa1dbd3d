//! LIF with an adaptive threshold, `'alif'`.
//!
//! ```text
//! v_t = α v_t−1 + (1−α) I_t − thr z_t−1 ,   b_t = ρ b_t−1 + (1−ρ) z_t−1 ,   A_t = thr + β b_t
//! z_t = 1 where v_t > A_t and no spike came before within the refractory period
//! ψ_t = (γ/thr) max(0, 1 − |v_t − A_t|/thr), or another shape, and 0 while refractory
//!
//! back in time      λv_t = α λv_t+1 + ψ_t S_t ,   λa_t = ρ λa_t+1 − β ψ_t S_t
//!                   with S_t = D_t − thr λv_t+1 + (1−ρ) λa_t+1
//! forwards          εv_t = (α − thr ψ_t−1) εv_t−1 + thr β ψ_t−1 εa_t−1 + (1−α) z_q,t−1
//!                   εa_t = (1−ρ) ψ_t−1 εv_t−1 + (ρ − (1−ρ) β ψ_t−1) εa_t−1 ,   e_t = ψ_t (εv_t − β εa_t)
//! about a mean ψ    ψ̄ in place of ψ, but not of what multiplies D
//! ```
//!
//! Conventions may add 1 in place of 1−ρ and take the reset out of λ and ε. β = 0 makes it a LIF neuron. It is Bellec et
//! al.'s (2018, 2020).

use crate::neuron::constants::{Convert, lanes};
use crate::neuron::equations::{
    ADAPTATION, Described, Equations, LeakDrive, MEMBRANE, Number, Operations, Step, Stepped, Tangent,
};
use crate::neuron::filter::Filter;
use crate::neuron::lif::{self, Lif};
use crate::neuron::parameters::{Neuron, Parameters};
use crate::numeric::lanes::{Block, Lanes, RegisterMask};
use crate::numeric::scalar::Scalar;

/// Its constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Alif<T> {
    /// Those of the same neuron without adaptation.
    pub lif: Lif<T>,
    pub rho: T,
    pub beta: T,
    /// Spike increment of the adaptation: 1 − ρ, or 1.
    pub adaptation_increment: T,
}

/// The constants of a neuron; those of every model that integrates, fires and adapts.
pub(super) fn adaptive(p: &Parameters<'_>) -> (Neuron, Alif<f64>) {
    let beta = p.value("adaptationStrength", &p.population.adaptation_strength);
    let (neuron, lif) = lif::integrate_and_fire(p);
    let Neuron { rho, adaptation_increment, .. } = neuron;
    (Neuron { beta, ..neuron }, Alif { lif, rho, beta, adaptation_increment })
}

impl Alif<f64> {
    /// Its input's adjoint with a constant in place of ψ in reset and adaptation.
    pub fn linearised(&self, psi: f64) -> Filter<f64> {
        let Self { rho, beta, adaptation_increment: increment, lif: Lif { alpha, trace_reset: reset, .. } } =
            *self;
        Filter {
            ss: alpha - reset * psi,
            sr: increment * psi,
            rs: reset * beta * psi,
            rr: rho - increment * beta * psi,
            s_in: 1.0,
            r_in: -beta,
        }
    }
}

impl<T: Copy> Alif<T> {
    #[inline(always)]
    pub fn map<C: Convert<T>>(self) -> Alif<C::To> {
        Alif {
            lif: self.lif.map::<C>(),
            rho: C::convert(self.rho),
            beta: C::convert(self.beta),
            adaptation_increment: C::convert(self.adaptation_increment),
        }
    }
}

#[cfg(feature = "bench")]
impl<T> Alif<T> {
    /// A mutable reference to α.
    pub fn decay_mut(&mut self) -> &mut T {
        &mut self.lif.alpha
    }
}

impl<F: Scalar> Alif<F> {
    /// Constants of neurons side by side.
    pub fn side_by_side(each: &[Self]) -> Alif<Block<F>> {
        Alif {
            lif: Lif::side_by_side(&each.iter().map(|own| own.lif).collect::<Vec<_>>()),
            rho: lanes(each, |own| own.rho),
            beta: lanes(each, |own| own.beta),
            adaptation_increment: lanes(each, |own| own.adaptation_increment),
        }
    }

    /// One whose adaptation stays 0.
    pub fn without_adaptation(lif: Lif<F>) -> Self {
        Self { lif, rho: F::ZERO, beta: F::ZERO, adaptation_increment: F::ZERO }
    }
}

impl<T: Copy> Described for Alif<T> {
    const VARIABLES: &'static [&'static str] = &[MEMBRANE, ADAPTATION];
    const OPERATIONS: Operations = Operations { step: 11, adjoint: 10, trace: 12 };

    #[inline(always)]
    fn is_usual(&self) -> bool {
        self.lif.is_usual()
    }
}

impl<N: Number> Equations<N> for Alif<N> {
    type Variables = [N; 2];

    #[inline(always)]
    fn adjoint(&self, psi: N, drive: N, [v, a]: [N; 2]) -> [N; 2] {
        let drive = v.neg_mul_add(self.lif.trace_reset, drive);
        let through = psi.mul(a.mul_add(self.adaptation_increment, drive));
        [v.mul_add(self.lif.alpha, through), through.neg_mul_add(self.beta, a.mul(self.rho))]
    }

    #[inline(always)]
    fn leak_only_adjoint(&self, drive: LeakDrive<N>, [v, a]: [N; 2]) -> [N; 2] {
        let [v] = self.lif.leak_only_adjoint(drive, [v]);
        [v, a]
    }
}

impl<N: Number> Tangent<N> for Alif<N> {
    #[inline(always)]
    fn before_input(&self, [v, a]: [N; 2], dz: N) -> [N; 2] {
        let [v] = self.lif.before_input([v], dz);
        [v, a]
    }

    #[inline(always)]
    fn spike(&self, psi: N, [v, a]: [N; 2]) -> N {
        psi.mul(a.neg_mul_add(self.beta, v))
    }

    #[inline(always)]
    fn after_spike(&self, [v, a]: [N; 2], dz: N) -> [N; 2] {
        [v, dz.mul_add(self.adaptation_increment, a.mul(self.rho))]
    }

    #[inline(always)]
    fn response(&self, psi: N, input: N) -> ([N; 2], N) {
        let dz = psi.mul(input);
        ([input, self.adaptation_increment.mul(dz)], dz)
    }
}

impl<L: Lanes> Step<L> for Alif<L> {
    #[inline(always)]
    fn voltage(&self, [v, _]: [L; 2]) -> L {
        v
    }

    #[inline(always)]
    fn effective_threshold(&self, [_, b]: [L; 2]) -> L {
        self.beta.mul_add(b, self.lif.threshold.threshold)
    }

    #[inline(always)]
    fn step(&self, [v, b]: [L; 2], blocked: L::Mask) -> Stepped<L, [L; 2]> {
        let Lif { alpha, threshold, .. } = self.lif;
        let effective = self.beta.mul_add(b, threshold.threshold);
        let spikes = threshold.reached(v, effective).without(blocked);
        let psi = threshold.pseudo_derivative(v.sub(effective).abs()).masked_out(blocked);
        let decayed = v.mul(alpha);
        let membrane = decayed.sub_in(spikes, threshold.threshold);
        // Never −0: it begins with 0 and grows by what is positive.
        let adaptation = b.mul(self.rho).add_in(spikes, self.adaptation_increment);
        Stepped { spikes, value: L::zero(), psi, state: [membrane, adaptation] }
    }

    #[inline(always)]
    fn usual(self) -> Self {
        Self { lif: self.lif.usual(), ..self }
    }
}
