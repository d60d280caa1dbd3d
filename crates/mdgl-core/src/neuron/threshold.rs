//! Threshold of spiking neurons: the comparison and the pseudo-derivative, shared by the models.

use crate::description::{Conventions, NetworkDescription, Shape};
use crate::neuron::constants::{Convert, lanes};
use crate::neuron::parameters::Neuron;
use crate::numeric::lanes::{Block, Lanes, Mask, RegisterMask};
use crate::numeric::scalar::Scalar;

/// Constants of the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Threshold<T> {
    /// thr.
    pub threshold: T,
    /// γ/thr², how ψ falls with distance; γ/thr for other shapes than the triangle.
    pub slope: T,
    /// k/thr (for the arctangent πk/2thr); 0 for the triangle.
    pub steepness: T,
    /// The same for all neurons of a network.
    pub shape: Shape,
    /// Whether v = A is a spike; the same for all neurons of a network.
    pub spikes_at_equality: bool,
}

impl Threshold<f64> {
    pub fn of(neuron: &Neuron, description: &NetworkDescription) -> Self {
        let Neuron { threshold, dampening, steepness, .. } = *neuron;
        let shape = description.pseudo_derivative.shape;
        Self {
            threshold,
            slope: match shape {
                Shape::Triangular => dampening / (threshold * threshold),
                _ => dampening / threshold,
            },
            steepness: match shape {
                Shape::Arctangent => std::f64::consts::FRAC_PI_2 * steepness / threshold,
                _ => steepness / threshold,
            },
            shape,
            spikes_at_equality: description.conventions == Conventions::Bellec2020,
        }
    }
}

impl<T: Copy> Threshold<T> {
    #[inline(always)]
    pub fn map<C: Convert<T>>(self) -> Threshold<C::To> {
        let Self { threshold, slope, steepness, shape, spikes_at_equality } = self;
        Threshold {
            threshold: C::convert(threshold),
            slope: C::convert(slope),
            steepness: C::convert(steepness),
            shape,
            spikes_at_equality,
        }
    }

    /// Whether spikes and ψ are those of the paper.
    #[inline(always)]
    pub fn is_usual(&self) -> bool {
        self.shape == Shape::Triangular && !self.spikes_at_equality
    }

    /// The same constants, with default choices as compile-time constants.
    #[inline(always)]
    pub fn usual(self) -> Self {
        Self { shape: Shape::Triangular, spikes_at_equality: false, ..self }
    }
}

impl<F: Scalar> Threshold<F> {
    /// Constants of neurons side by side; the threshold is 1 in lanes without one.
    pub fn side_by_side(each: &[Self]) -> Threshold<Block<F>> {
        let mut threshold = lanes(each, |own| own.threshold);
        threshold.0[each.len()..].fill(F::ONE);
        Threshold {
            threshold,
            slope: lanes(each, |own| own.slope),
            steepness: lanes(each, |own| own.steepness),
            shape: each[0].shape,
            spikes_at_equality: each.iter().any(|own| own.spikes_at_equality),
        }
    }
}

impl<L: Lanes> Threshold<L> {
    /// Lanes that reach the current threshold A.
    #[inline(always)]
    pub fn reached(&self, v: L, effective: L) -> L::Mask {
        match self.spikes_at_equality {
            true => L::Mask::from_bits(Mask::MAX).without(effective.above(v)),
            false => v.above(effective),
        }
    }

    /// ψ at a distance from the threshold: (γ/thr²) max(0, thr − |v − A|), or another [`Shape`].
    #[inline(always)]
    pub fn pseudo_derivative(&self, distance: L) -> L {
        let one = L::splat(L::Scalar::ONE);
        match self.shape {
            // Exactly 0 at the distance of a threshold and beyond, where most cells are most of the time.
            Shape::Triangular => self.threshold.sub(distance).max(L::splat(L::Scalar::ZERO)).mul(self.slope),
            Shape::Exponential => {
                let mut block = Block::ZERO;
                distance.mul(self.steepness).store(&mut block);
                decay(&mut block);
                L::load(&block).mul(self.slope)
            }
            Shape::FastSigmoid => {
                let root = distance.mul_add(self.steepness, one);
                self.slope.div(root.mul(root))
            }
            Shape::Arctangent => {
                let steep = distance.mul(self.steepness);
                self.slope.div(steep.mul_add(steep, one))
            }
        }
    }
}

/// exp(−x) of each lane; 0 where decayed state would count as 0. A function of its own, so that kernels do not inline
/// it sixteen times.
#[inline(never)]
fn decay<F: Scalar>(block: &mut Block<F>) {
    let least = F::from_f64(1e-24);
    for x in &mut block.0 {
        let y = (-*x).exp();
        *x = if F::CLEARS_TINY && y < least { F::ZERO } else { y };
    }
}
