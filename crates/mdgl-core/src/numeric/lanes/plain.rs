//! Lanes without intrinsics: the portable instruction set and the plain twin of the others.

use super::{Block, LANES, Lanes, Mask, Places, SimdKernel, bit_masks};
use crate::numeric::scalar::Scalar;

macro_rules! plain {
    ($(#[$doc:meta])* $name:ident, $inline:ident, |$x:ident, $a:ident, $b:ident| $mul_add:expr, $neg_mul_add:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name<F: Scalar>([F; LANES]);

        impl<F: Scalar> Lanes for $name<F> {
            type Scalar = F;
            const REGISTERS: usize = 16;
            const REGISTERS_PER_BLOCK: usize = LANES;
            bit_masks!();

            #[inline(always)]
            fn call<K: SimdKernel<F>>(kernel: K) -> K::Output {
                // A method of the kernel: see the macro `registers`.
                trait Enter<F, O> {
                    fn enter(self) -> O;
                }
                impl<F: Scalar, K: SimdKernel<F>> Enter<F, K::Output> for K {
                    #[inline(never)]
                    fn enter(self) -> K::Output {
                        self.run::<$name<F>>()
                    }
                }
                kernel.enter()
            }
            #[inline($inline)]
            fn splat(x: F) -> Self {
                Self([x; LANES])
            }
            #[inline($inline)]
            fn load(block: &Block<F>) -> Self {
                Self(block.0)
            }
            #[inline($inline)]
            fn store(self, block: &mut Block<F>) {
                block.0 = self.0;
            }
            #[inline($inline)]
            fn add(self, other: Self) -> Self {
                Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
            }
            #[inline($inline)]
            fn sub(self, other: Self) -> Self {
                Self(std::array::from_fn(|i| self.0[i] - other.0[i]))
            }
            #[inline($inline)]
            fn mul(self, other: Self) -> Self {
                Self(std::array::from_fn(|i| self.0[i] * other.0[i]))
            }
            #[inline($inline)]
            fn div(self, other: Self) -> Self {
                Self(std::array::from_fn(|i| self.0[i] / other.0[i]))
            }
            #[inline($inline)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                Self(std::array::from_fn(|i| {
                    let ($x, $a, $b) = (self.0[i], a.0[i], b.0[i]);
                    $mul_add
                }))
            }
            #[inline($inline)]
            fn neg_mul_add(self, a: Self, b: Self) -> Self {
                Self(std::array::from_fn(|i| {
                    let ($x, $a, $b) = (self.0[i], a.0[i], b.0[i]);
                    $neg_mul_add
                }))
            }
            #[inline($inline)]
            fn max(self, other: Self) -> Self {
                Self(std::array::from_fn(|i| {
                    if self.0[i] > other.0[i] { self.0[i] } else { other.0[i] }
                }))
            }
            #[inline($inline)]
            fn abs(self) -> Self {
                Self(self.0.map(Scalar::abs))
            }
            #[inline($inline)]
            fn gt(self, other: Self) -> Mask {
                (0..LANES).fold(0, |mask, i| mask | (Mask::from(self.0[i] > other.0[i]) << i))
            }
            #[inline($inline)]
            fn blend(self, mask: Mask, other: Self) -> Self {
                Self(std::array::from_fn(|i| {
                    if mask >> i & 1 == 1 { other.0[i] } else { self.0[i] }
                }))
            }
            #[inline($inline)]
            fn mul_add_one($x: F, $a: F, $b: F) -> F {
                $mul_add
            }
            #[inline($inline)]
            unsafe fn gather(values: &[F], places: &Places) -> Self {
                // SAFETY: the caller's promise.
                Self(places.0.map(|place| unsafe { *values.get_unchecked(place as usize) }))
            }
        }
    };
}

#[cfg(any(test, not(target_arch = "x86_64")))]
plain!(
    /// Any processor; multiply and add round separately. The portable set where the architecture has no registers of its own
    /// here, and elsewhere its plain twin.
    PlainUnfused,
    always,
    |x, a, b| x * a + b,
    b - x * a
);
#[cfg(any(test, feature = "twin"))]
plain!(
    /// The plain twin of the fused instruction sets: the same bits, slowly. Never inlined: its kernels would take most of
    /// the crate's compile time.
    PlainFused,
    never,
    |x, a, b| x.fused(a, b),
    (-x).fused(a, b)
);
