//! The float types `f32` and `f64` behind one trait.
//!
//! Apart from the kernels that are compiled for them (`run/real.rs`), so that code that needs numbers alone does not import kernels.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// `f32` or `f64`.
pub trait Scalar:
    Copy
    + Default
    + PartialOrd
    + Debug
    + Display
    + Send
    + Sync
    + 'static
    + Sum
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + bytemuck::Pod
    + Serialize
    + DeserializeOwned
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Whether decayed state is cleared before it becomes subnormal.
    const CLEARS_TINY: bool;
    /// The type's name, as in files and options.
    const NAME: &'static str;

    /// Rounds.
    fn from_f64(x: f64) -> Self;
    /// Widens.
    fn to_f64(self) -> f64;
    /// Absolute value.
    fn abs(self) -> Self;
    /// Whether it is neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// `self * a + b`, rounded once.
    fn fused(self, a: Self, b: Self) -> Self;
    /// Correctly rounded square root.
    fn sqrt(self) -> Self;
    /// eˣ, the same on every machine.
    fn exp(self) -> Self;
}

/// Whether every number is finite. Branch-free, so that it vectorises.
pub(crate) fn all_finite<F: Scalar>(values: &[F]) -> bool {
    values.iter().fold(true, |finite, value| finite & value.is_finite())
}

macro_rules! scalar {
    ($name:ident, $exp:ident, $clears:literal) => {
        impl Scalar for $name {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const CLEARS_TINY: bool = $clears;
            const NAME: &'static str = stringify!($name);

            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as Self
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                self.abs()
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                self.is_finite()
            }
            #[inline(always)]
            fn fused(self, a: Self, b: Self) -> Self {
                self.mul_add(a, b)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            #[inline(always)]
            fn exp(self) -> Self {
                libm::$exp(self)
            }
        }
    };
}

scalar!(f32, expf, true);
scalar!(f64, exp, false);
