//! The constants of neuron models, generic over their kind: of one neuron, equal in all lanes, or of neurons side by
//! side.

use std::marker::PhantomData;

use crate::numeric::lanes::{Block, Lanes};
use crate::numeric::scalar::Scalar;

/// Converts each constant into another kind of number.
pub(crate) trait Convert<T> {
    type To: Copy;
    fn convert(x: T) -> Self::To;
}

/// The same in every lane.
pub(crate) struct Splat<L>(PhantomData<L>);

impl<L: Lanes> Convert<L::Scalar> for Splat<L> {
    type To = L;
    #[inline(always)]
    fn convert(x: L::Scalar) -> L {
        L::splat(x)
    }
}

/// The constants of neurons side by side.
pub(crate) struct Load<L>(PhantomData<L>);

impl<L: Lanes> Convert<Block<L::Scalar>> for Load<L> {
    type To = L;
    #[inline(always)]
    fn convert(x: Block<L::Scalar>) -> L {
        L::load(&x)
    }
}

/// Rounded to the engine's type.
pub(crate) struct Narrow<F>(PhantomData<F>);

impl<F: Scalar> Convert<f64> for Narrow<F> {
    type To = F;
    fn convert(x: f64) -> F {
        F::from_f64(x)
    }
}

/// As its bits, which can be compared.
pub(crate) struct Bits;

impl Convert<f64> for Bits {
    type To = u64;
    fn convert(x: f64) -> u64 {
        x.to_bits()
    }
}

/// Widened to f64.
pub(crate) struct Widen;

impl<F: Scalar> Convert<F> for Widen {
    type To = f64;
    fn convert(x: F) -> f64 {
        x.to_f64()
    }
}

/// One constant of neurons side by side; 0 in lanes without one.
pub(crate) fn lanes<M, F: Scalar>(each: &[M], pick: impl Fn(&M) -> F) -> Block<F> {
    let mut block = Block::ZERO;
    block.0.iter_mut().zip(each).for_each(|(to, own)| *to = pick(own));
    block
}
