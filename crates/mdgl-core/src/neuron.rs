//! LIF and ALIF: one step and its pseudo-derivative, once for every kernel and float type.
//!
//! The membrane holds α v_t−1 − thr z_t−1 when a step begins; the synaptic input is added to it,
//! then [`step`] compares it with the threshold and decays it for the next one.

use crate::circuit::Cell;
use crate::lanes::{Lanes, Mask};
use crate::real::Real;

/// What one step gives.
pub(crate) struct Stepped<L> {
    /// z_t.
    pub spikes: Mask,
    /// ψ_t = (γ/thr²) max(0, thr − |v_t − A_t|), 0 while blocked.
    pub psi: L,
    /// α v_t − thr z_t.
    pub membrane: L,
    /// b_t+1 = ρ b_t + (1 − ρ) z_t, or + z_t (unchanged for LIF).
    pub adaptation: L,
}

/// A neuron's constants in all lanes: one neuron's in trials side by side, or of neurons side by side.
#[derive(Clone, Copy)]
pub(crate) struct Constants<L> {
    pub alpha: L,
    pub rho: L,
    pub jump: L,
    pub threshold: L,
    /// thr in the eligibility trace; 0 where that has no reset.
    pub reset: L,
    pub beta: L,
    pub slope: L,
    /// Whether any lane adapts.
    pub adaptive: bool,
    /// Whether v = A is a spike; the same for all neurons of a network.
    pub inclusive: bool,
}

impl<L: Lanes> Constants<L> {
    /// The same neuron in every lane.
    #[inline(always)]
    pub fn of(cell: &Cell<L::Scalar>) -> Self {
        Self {
            alpha: L::splat(cell.alpha),
            rho: L::splat(cell.rho),
            jump: L::splat(cell.jump),
            threshold: L::splat(cell.threshold),
            reset: L::splat(cell.reset),
            beta: L::splat(cell.beta),
            slope: L::splat(cell.slope),
            adaptive: cell.adaptive,
            inclusive: cell.inclusive,
        }
    }
}

/// One step in all lanes; `blocked` lanes are refractory or over.
#[inline(always)]
pub(crate) fn step<L: Lanes>(cell: Constants<L>, v: L, b: L, blocked: Mask) -> Stepped<L> {
    let threshold = cell.threshold;
    let effective = if cell.adaptive { cell.beta.mul_add(b, threshold) } else { threshold };
    let above = if cell.inclusive { !effective.gt(v) } else { v.gt(effective) };
    let spikes = above & !blocked;
    let near = threshold.sub(v.sub(effective).abs()).max(L::splat(L::Scalar::ZERO));
    let decayed = v.mul(cell.alpha);
    Stepped {
        spikes,
        psi: near.mul(cell.slope).clear(blocked),
        membrane: decayed.blend(spikes, decayed.sub(threshold)),
        adaptation: if cell.adaptive { b.mul(cell.rho).add_where(spikes, cell.jump) } else { b },
    }
}
