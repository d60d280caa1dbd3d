//! A leaky unit that sends values and not spikes, `'rate'`.
//!
//! ```text
//! v_t = α v_t−1 + (1−α) I_t ,   z_t = max(0, v_t) ,   ψ_t = 1 where v_t > 0, else 0: nothing here is a surrogate
//!
//! back in time      λ_t = α λ_t+1 + ψ_t D_t
//! ```
//!
//! The unit of Liu et al. (2022). It has no forward form and no linearisation: `'backward'` alone computes its gradients.

use crate::error::Result;
use crate::lanes::{Block, Lanes, Mask};
use crate::neuron::constants::{Convert, lanes};
use crate::neuron::equations::{Equations, LeakDrive, Number, Step, Stepped};
use crate::neuron::parameters::{Neuron, Parameters};
use crate::neuron::variable::{Operations, Variable};
use crate::scalar::Scalar;

/// Its constants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate<T> {
    pub alpha: T,
}

/// Its state.
pub(super) const VARIABLES: &[Variable] = &[Variable::Membrane];
/// Operations per unit.
pub(super) const OPERATIONS: Operations = Operations { step: 7, adjoint: 5, trace: 0 };

/// Checks the parameters of a unit.
pub(super) fn neuron(p: &Parameters<'_>) -> Result<Neuron> {
    let Parameters { population, .. } = p;
    p.refuse(
        &[
            ("threshold", &population.threshold),
            ("refractoryPeriod", &population.refractory_period),
            ("dampening", &population.dampening),
            ("adaptationTimeConstant", &population.adaptation_time_constant),
            ("adaptationStrength", &population.adaptation_strength),
        ],
        "not with model 'rate'",
    )?;
    p.refuse_bellec2020("rate")?;
    let alpha = p.decay("membraneTimeConstant", &population.membrane_time_constant, 100.0)?;
    Ok(Neuron {
        model: population.model,
        alpha,
        rho: 0.0,
        synaptic_decay: 0.0,
        threshold: 1.0,
        beta: 0.0,
        dampening: 1.0,
        refractory: 0,
        input_scale: 1.0 - alpha,
        adaptation_increment: 0.0,
        trace_reset: 0.0,
        steepness: 0.0,
    })
}

impl Rate<f64> {
    pub fn of(neuron: &Neuron) -> Self {
        Self { alpha: neuron.alpha }
    }
}

impl<T: Copy> Rate<T> {
    #[inline(always)]
    pub fn map<C: Convert<T>>(self) -> Rate<C::To> {
        Rate { alpha: C::convert(self.alpha) }
    }
}

#[cfg(feature = "bench")]
impl<T> Rate<T> {
    /// α, to be changed.
    pub fn decay_mut(&mut self) -> &mut T {
        &mut self.alpha
    }
}

impl<F: Scalar> Rate<F> {
    /// Of units side by side.
    pub fn side_by_side(each: &[Self]) -> Rate<Block<F>> {
        Rate { alpha: lanes(each, |own| own.alpha) }
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
    const SENDS_VALUES: bool = true;

    #[inline(always)]
    fn voltage(&self, [v]: [L; 1]) -> L {
        v
    }

    #[inline(always)]
    fn step(&self, [v]: [L; 1], blocked: Mask) -> Stepped<L, [L; 1]> {
        let zero = L::zero();
        let active = v.gt(zero) & !blocked;
        Stepped {
            spikes: 0,
            value: zero.blend(active, v),
            psi: zero.blend(active, L::splat(L::Scalar::ONE)),
            state: [v.mul(self.alpha)],
        }
    }

    #[inline(always)]
    fn is_usual(&self) -> bool {
        true
    }

    #[inline(always)]
    fn usual(self) -> Self {
        self
    }
}
