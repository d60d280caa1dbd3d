//! The engine's counter-based random numbers, for tasks.

use std::sync::{Mutex, PoisonError};

use mdgl_core::CounterRng;
use napi::bindgen_prelude::Uint32Array;
use napi_derive::napi;

use crate::error::Failure;
use crate::number::{to_u32, to_u64};

/// The most numbers that a permutation may have.
const LONGEST: u32 = 1 << 28;

/// Random numbers keyed by (seed, stream, iteration, trial).
#[napi]
pub struct Rng {
    // `catch_unwind` requires that a panic cannot leave it in an inconsistent state.
    state: Mutex<CounterRng>,
}

#[napi]
impl Rng {
    /// The generator of a key.
    #[napi(constructor, catch_unwind)]
    pub fn new(seed: f64, stream: f64, iteration: f64, trial: f64) -> napi::Result<Self> {
        let (seed, stream) = (to_u64(seed, "seed")?, to_u32(stream, "stream")?);
        let (iteration, trial) = (to_u32(iteration, "iteration")?, to_u32(trial, "trial")?);
        Ok(Self { state: Mutex::new(CounterRng::new(seed, stream, iteration, trial)) })
    }

    /// Uniform in (0, 1].
    #[napi(catch_unwind)]
    pub fn uniform(&self) -> napi::Result<f64> {
        Ok(self.draw(CounterRng::uniform))
    }

    /// Uniform in 0..n.
    #[napi(catch_unwind)]
    pub fn integer(&self, n: f64) -> napi::Result<f64> {
        let n = to_u32(n, "n")?;
        if n == 0 {
            return Err(Failure::invalid("n", n, "at least 1").into());
        }
        Ok(f64::from(self.draw(|rng| rng.below(n))))
    }

    /// Normal, mean 0 and standard deviation 1.
    #[napi(catch_unwind)]
    pub fn normal(&self) -> napi::Result<f64> {
        Ok(self.draw(CounterRng::normal))
    }

    /// The numbers 0..n in random order.
    #[napi(catch_unwind)]
    pub fn permutation(&self, n: f64) -> napi::Result<Uint32Array> {
        let n = to_u32(n, "n")?;
        if n > LONGEST {
            return Err(Failure::invalid("n", n, format!("at most {LONGEST}")).into());
        }
        Ok(self.draw(|rng| rng.permutation(n)).into())
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut CounterRng) -> T) -> T {
        draw(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
