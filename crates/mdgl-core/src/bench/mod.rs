//! Fixed work on which `cargo bench` times one kernel at a time. Behind the feature `bench`; not part of the interface.
//!
//! Everything here is generic over the float type, so that it is compiled where it is used: in the benchmarks.

mod block;
mod kernels;
mod workload;

pub use block::{STEPS, TrialBlock, optimise, rewire};
pub use workload::Workload;

use crate::numeric::lanes::{Instructions, SimdKernel, dispatch};
use crate::run::real::Real;

/// A float type whose kernels can be called individually.
pub trait Dispatch: Real {
    /// Runs a kernel in the lanes of an instruction set.
    fn dispatch<K: SimdKernel<Self>>(set: Instructions, kernel: K) -> K::Output;
}

impl Dispatch for f32 {
    fn dispatch<K: SimdKernel<Self>>(set: Instructions, kernel: K) -> K::Output {
        dispatch::f32(set, kernel)
    }
}

impl Dispatch for f64 {
    fn dispatch<K: SimdKernel<Self>>(set: Instructions, kernel: K) -> K::Output {
        dispatch::f64(set, kernel)
    }
}
