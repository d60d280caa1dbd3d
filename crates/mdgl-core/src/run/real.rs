//! The kernels, compiled for the two float types of the engine.

use crate::error::Result;
use crate::instrument::load::{MultiplyAdd, Triad};
use crate::learn::backward::Backward;
use crate::learn::batch_sums::BatchSums;
use crate::learn::online::{Online, OnlineStep};
use crate::numeric::lanes::{Instructions, dispatch};
use crate::numeric::scalar::Scalar;
use crate::simulate::trajectory::Simulate;
use crate::single::backward::BackwardOne;
use crate::single::simulate_one::SimulateOne;

/// `f32` or `f64`, for which the engine is compiled.
pub trait Real: Scalar {
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
    fn online(set: Instructions, kernel: Online<'_, Self>) -> Result<BatchSums>;
    #[doc(hidden)]
    fn online_step(set: Instructions, kernel: OnlineStep<'_, Self, true>);
    #[doc(hidden)]
    fn triad(set: Instructions, kernel: Triad<'_, Self>);
    #[doc(hidden)]
    fn multiply_add(set: Instructions, kernel: MultiplyAdd) -> u64;
}

macro_rules! real {
    ($name:ident) => {
        impl Real for $name {
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
            fn online(set: Instructions, kernel: Online<'_, Self>) -> Result<BatchSums> {
                dispatch::$name(set, kernel)
            }
            fn online_step(set: Instructions, kernel: OnlineStep<'_, Self, true>) {
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

real!(f32);
real!(f64);
