//! LIF and ALIF: one step and its pseudo-derivative, once for every kernel and float type.
//!
//! The membrane holds α v_t−1 − thr z_t−1 when a step begins; the synaptic input is added to it,
//! then [`step`] compares it with the threshold and decays it for the next one.

use crate::circuit::Cell;
use crate::description::Shape;
use crate::lanes::{Block, Lanes, Mask};
use crate::scalar::Scalar;

/// What one step gives.
pub(crate) struct Stepped<L> {
    /// z_t.
    pub spikes: Mask,
    /// ψ_t = (γ/thr²) max(0, thr − |v_t − A_t|) (or another [`Shape`]), 0 while blocked.
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
    pub steepness: L,
    /// The same for all neurons of a network.
    pub shape: Shape,
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
            steepness: L::splat(cell.steepness),
            shape: cell.shape,
            adaptive: cell.adaptive,
            inclusive: cell.inclusive,
        }
    }

    /// Whether spikes and ψ are those of the paper.
    #[inline(always)]
    pub fn is_usual(&self) -> bool {
        self.shape == Shape::Triangular && !self.inclusive
    }

    /// The same constants, known to be usual where the compiler looks.
    #[inline(always)]
    pub fn usual(self) -> Self {
        Self { shape: Shape::Triangular, inclusive: false, ..self }
    }
}

/// One step in all lanes; `blocked` lanes are refractory or over.
#[inline(always)]
pub(crate) fn step<L: Lanes>(cell: Constants<L>, v: L, b: L, blocked: Mask) -> Stepped<L> {
    let threshold = cell.threshold;
    let effective = if cell.adaptive { cell.beta.mul_add(b, threshold) } else { threshold };
    let above = if cell.inclusive { !effective.gt(v) } else { v.gt(effective) };
    let spikes = above & !blocked;
    let psi = pseudo_derivative(cell, v.sub(effective).abs());
    let decayed = v.mul(cell.alpha);
    Stepped {
        spikes,
        psi: psi.clear(blocked),
        membrane: decayed.blend(spikes, decayed.sub(threshold)),
        adaptation: if cell.adaptive { b.mul(cell.rho).add_where(spikes, cell.jump) } else { b },
    }
}

/// ψ at a distance from threshold.
#[inline(always)]
fn pseudo_derivative<L: Lanes>(cell: Constants<L>, distance: L) -> L {
    let one = L::splat(L::Scalar::ONE);
    match cell.shape {
        // Exactly 0 from a threshold's distance on, where most cells are most of the time.
        Shape::Triangular => cell.threshold.sub(distance).max(L::splat(L::Scalar::ZERO)).mul(cell.slope),
        Shape::Exponential => {
            let mut block = Block::ZERO;
            distance.mul(cell.steepness).store(&mut block);
            decay(&mut block);
            L::load(&block).mul(cell.slope)
        }
        Shape::FastSigmoid => {
            let root = distance.mul_add(cell.steepness, one);
            cell.slope.div(root.mul(root))
        }
        Shape::Arctangent => {
            let steep = distance.mul(cell.steepness);
            cell.slope.div(steep.mul_add(steep, one))
        }
    }
}

/// exp(−x) of each lane; 0 where decayed state would count as 0. Apart, so that no kernel holds it sixteen times.
#[inline(never)]
fn decay<F: Scalar>(block: &mut Block<F>) {
    let least = F::from_f64(1e-24);
    for x in &mut block.0 {
        let y = (-*x).exp();
        *x = if F::CLEARS_TINY && y < least { F::ZERO } else { y };
    }
}
