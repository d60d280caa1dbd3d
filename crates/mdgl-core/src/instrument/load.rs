//! Loads that saturate a machine: memory bandwidth, and multiply-adds.

use std::hint::black_box;

use crate::numeric::lanes::{Block, Lanes, SimdKernel};
use crate::numeric::scalar::Scalar;

/// a ← b + s c.
pub struct Triad<'a, F: Scalar> {
    pub a: &'a mut [Block<F>],
    pub b: &'a [Block<F>],
    pub c: &'a [Block<F>],
    pub repeats: usize,
}

impl<F: Scalar> SimdKernel<F> for Triad<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) {
        let Self { a, b, c, repeats } = self;
        let s = L::splat(F::from_f64(0.5));
        for _ in 0..repeats {
            for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
                L::load(c).mul_add(s, L::load(b)).store(a);
            }
            black_box(a.as_ptr());
        }
    }
}

/// Multiply-adds that need no memory.
pub struct MultiplyAdd {
    pub accumulators: usize,
    pub rounds: usize,
}

impl<F: Scalar> SimdKernel<F> for MultiplyAdd {
    /// Operations done.
    type Output = u64;

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) -> u64 {
        match self.accumulators {
            2 => multiply::<L, 2>(self.rounds),
            3 => multiply::<L, 3>(self.rounds),
            4 => multiply::<L, 4>(self.rounds),
            6 => multiply::<L, 6>(self.rounds),
            _ => multiply::<L, 8>(self.rounds),
        }
    }
}

/// Multiply-adds per accumulator and round.
const CHAIN: usize = 1000;

#[inline(always)]
fn multiply<L: Lanes, const N: usize>(rounds: usize) -> u64 {
    let (x, y) = (L::splat(L::Scalar::from_f64(0.5)), L::splat(L::Scalar::ONE));
    let mut sums = [L::splat(L::Scalar::ONE); N];
    for _ in 0..rounds * CHAIN {
        for sum in &mut sums {
            *sum = sum.mul_add(x, y);
        }
    }
    let mut out = Block::ZERO;
    for sum in sums {
        sum.store(&mut out);
        black_box(&out);
    }
    (rounds * CHAIN * N * crate::numeric::lanes::LANES * 2) as u64
}
