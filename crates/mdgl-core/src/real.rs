//! The two float types the engine runs in.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Result;
use crate::judge::Verdict;
use crate::lanes::{Instructions, dispatch};
use crate::learn::backward::Backward;
use crate::learn::online::{Moment, Online};
use crate::profile::peak::{MultiplyAdd, Triad};
use crate::single::{BackwardOne, SimulateOne};
use crate::trajectory::Simulate;

/// `f32` or `f64`.
pub trait Real:
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
    /// Whether neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// `self * a + b`, rounded once.
    fn fused(self, a: Self, b: Self) -> Self;
    /// Correctly rounded square root.
    fn sqrt(self) -> Self;
    /// eˣ, the same on every machine.
    fn exp(self) -> Self;

    // The kernels in the lanes of an instruction set: not generic, so that they are compiled once, in this crate.
    #[doc(hidden)]
    fn simulate(set: Instructions, kernel: Simulate<'_, Self>) -> Result<()>;
    #[doc(hidden)]
    fn backward(set: Instructions, kernel: Backward<'_, Self>) -> Result<()>;
    #[doc(hidden)]
    fn simulate_one(set: Instructions, kernel: SimulateOne<'_, Self>) -> Result<()>;
    #[doc(hidden)]
    fn backward_one(set: Instructions, kernel: BackwardOne<'_, Self>) -> Result<()>;
    #[doc(hidden)]
    fn online(set: Instructions, kernel: Online<'_, Self>) -> Result<Verdict>;
    #[doc(hidden)]
    fn moment(set: Instructions, kernel: Moment<'_, Self>);
    #[doc(hidden)]
    fn triad(set: Instructions, kernel: Triad<'_, Self>);
    #[doc(hidden)]
    fn multiply_add(set: Instructions, kernel: MultiplyAdd) -> u64;
}

macro_rules! real {
    ($name:ident, $exp:ident, $clears:literal) => {
        impl Real for $name {
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

            fn simulate(set: Instructions, kernel: Simulate<'_, Self>) -> Result<()> {
                dispatch::$name(set, kernel)
            }
            fn backward(set: Instructions, kernel: Backward<'_, Self>) -> Result<()> {
                dispatch::$name(set, kernel)
            }
            fn simulate_one(set: Instructions, kernel: SimulateOne<'_, Self>) -> Result<()> {
                dispatch::$name(set, kernel)
            }
            fn backward_one(set: Instructions, kernel: BackwardOne<'_, Self>) -> Result<()> {
                dispatch::$name(set, kernel)
            }
            fn online(set: Instructions, kernel: Online<'_, Self>) -> Result<Verdict> {
                dispatch::$name(set, kernel)
            }
            fn moment(set: Instructions, kernel: Moment<'_, Self>) {
                dispatch::$name(set, kernel)
            }
            fn triad(set: Instructions, kernel: Triad<'_, Self>) {
                dispatch::$name(set, kernel)
            }
            fn multiply_add(set: Instructions, kernel: MultiplyAdd) -> u64 {
                dispatch::$name(set, kernel)
            }
        }
    };
}

real!(f32, expf, true);
real!(f64, exp, false);
