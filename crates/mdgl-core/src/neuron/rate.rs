//! A leaky unit that sends values instead of spikes, `'rate'`.
//!
//! ```text
//! v_t = α v_t−1 + (1−α) I_t ,   z_t = max(0, v_t) ,   ψ_t = 1 where v_t > 0, else 0: no surrogate derivative
//!
//! back in time      λ_t = α λ_t+1 + ψ_t D_t
//! ```
//!
//! The unit of Liu et al. (2022). It has no forward form and no linearisation: `'backward'` alone computes its gradients.

use crate::neuron::constants::{Convert, lanes};
use crate::neuron::equations::{
    Described, Equations, LeakDrive, MEMBRANE, Number, Operations, Step, Stepped,
};
use crate::neuron::parameters::{Neuron, Parameters};
use crate::numeric::lanes::{Block, Lanes, RegisterMask};
use crate::numeric::scalar::Scalar;

/// Its constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Rate<T> {
    pub alpha: T,
}

/// The constants of a unit.
pub(super) fn neuron(p: &Parameters<'_>) -> (Neuron, Rate<f64>) {
    let alpha = p.decay("membraneTimeConstant", &p.population.membrane_time_constant);
    let neuron =
        Neuron { alpha, threshold: 1.0, dampening: 1.0, input_scale: 1.0 - alpha, ..Neuron::default() };
    (neuron, Rate { alpha })
}

impl<T: Copy> Rate<T> {
    #[inline(always)]
    pub fn map<C: Convert<T>>(self) -> Rate<C::To> {
        Rate { alpha: C::convert(self.alpha) }
    }
}

#[cfg(feature = "bench")]
impl<T> Rate<T> {
    /// A mutable reference to α.
    pub fn decay_mut(&mut self) -> &mut T {
        &mut self.alpha
    }
}

impl<F: Scalar> Rate<F> {
    /// Constants of units side by side.
    pub fn side_by_side(each: &[Self]) -> Rate<Block<F>> {
        Rate { alpha: lanes(each, |own| own.alpha) }
    }
}

impl<T: Copy> Described for Rate<T> {
    const VARIABLES: &'static [&'static str] = &[MEMBRANE];
    const OPERATIONS: Operations = Operations { step: 7, adjoint: 5, trace: 0 };
    const SENDS_VALUES: bool = true;

    #[inline(always)]
    fn is_usual(&self) -> bool {
        true
    }
}

impl<N: Number> Equations<N> for Rate<N> {
    type Variables = [N; 1];

    #[inline(always)]
    fn adjoint(&self, psi: N, drive: N, [v]: [N; 1]) -> [N; 1] {
        [v.mul_add(self.alpha, psi.mul(drive))]
    }

    #[inline(always)]
    fn leak_only_adjoint(&self, drive: LeakDrive<N>, [v]: [N; 1]) -> [N; 1] {
        [drive.added_to(v.mul(self.alpha))]
    }
}

impl<L: Lanes> Step<L> for Rate<L> {
    #[inline(always)]
    fn voltage(&self, [v]: [L; 1]) -> L {
        v
    }

    #[inline(always)]
    fn effective_threshold(&self, _: [L; 1]) -> L {
        L::zero()
    }

    #[inline(always)]
    fn step(&self, [v]: [L; 1], blocked: L::Mask) -> Stepped<L, [L; 1]> {
        let zero = L::zero();
        let active = v.above(zero).without(blocked);
        Stepped {
            spikes: L::Mask::from_bits(0),
            value: zero.select(active, v),
            psi: zero.select(active, L::splat(L::Scalar::ONE)),
            state: [v.mul(self.alpha)],
        }
    }

    #[inline(always)]
    fn usual(self) -> Self {
        self
    }
}
