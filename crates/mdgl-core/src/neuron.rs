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
    /// ψ_t = (γ/thr) max(0, 1 − |v_t − A_t| / thr), 0 while blocked.
    pub psi: L,
    /// α v_t − thr z_t.
    pub membrane: L,
    /// b_t+1 = ρ b_t + (1 − ρ) z_t (unchanged for LIF).
    pub adaptation: L,
}

/// One step of one neuron in all lanes; `blocked` lanes are refractory or over.
#[inline(always)]
pub(crate) fn step<L: Lanes>(cell: &Cell<L::Scalar>, v: L, b: L, blocked: Mask) -> Stepped<L> {
    let threshold = L::splat(cell.threshold);
    let effective = if cell.adaptive { L::splat(cell.beta).mul_add(b, threshold) } else { threshold };
    let spikes = v.gt(effective) & !blocked;
    let distance = v.sub(effective).abs();
    let psi = distance.neg_mul_add(L::splat(cell.slope), L::splat(cell.height));
    let decayed = v.mul(L::splat(cell.alpha));
    Stepped {
        spikes,
        psi: psi.max(L::splat(L::Scalar::ZERO)).clear(blocked),
        membrane: decayed.blend(spikes, decayed.sub(threshold)),
        adaptation: if cell.adaptive {
            b.mul(L::splat(cell.rho)).add_where(spikes, L::splat(cell.jump))
        } else {
            b
        },
    }
}
