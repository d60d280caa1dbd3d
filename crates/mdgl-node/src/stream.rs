//! Streams: a model that runs and learns step by step, on JavaScript's own thread and within each call.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{ObjectFinalize, This};
use napi_derive::napi;

use crate::error::{Failure, Result};
use crate::float::for_float;
use crate::held::{self, Held};
use crate::model::NativeModel;
use crate::network::parse;
use crate::number::to_u64;
use crate::rule;
use crate::training_stream::{AnyStream, Given, StreamState, StreamStep, StreamTarget, StreamUpdate};

/// A model that runs and learns step by step; it cannot be trained or changed otherwise meanwhile.
#[napi(custom_finalize)]
pub struct NativeStream {
    stream: Arc<Held<AnyStream>>,
}

impl ObjectFinalize for NativeStream {
    fn finalize(self, env: Env) -> napi::Result<()> {
        self.stream.report(&env, 0);
        Ok(())
    }
}

#[napi]
impl NativeStream {
    /// A stream at rest; rule and optimiser are JSON, the seed is that of noise and rewiring.
    #[napi(constructor, catch_unwind)]
    pub fn new(model: &NativeModel, rule: String, optimiser: String, seed: f64) -> napi::Result<Self> {
        let (rule, optimiser) = (rule::build(&rule)?, parse(&optimiser, "the optimiser")?);
        let stream = model.model()?.stream(&rule, &optimiser, to_u64(seed, "seed")?)?;
        Ok(Self { stream: Held::new(stream) })
    }

    /// Reports its memory to V8, and releases it once it is garbage; to be called once.
    #[napi(catch_unwind)]
    pub fn watch(&self, env: &Env, this: This<'_>) -> napi::Result<()> {
        let bytes = self.with(|stream| Ok(for_float!(stream, s => s.bytes())))?;
        held::watch(env, &this.object, &self.stream, bytes)
    }

    /// One step, with one entry per input population; nothing: silent.
    #[napi(
        catch_unwind,
        ts_args_type = "inputs: Array<Uint32Array | Float64Array | Float32Array | undefined>"
    )]
    pub fn step(&self, inputs: Vec<Option<Given>>) -> napi::Result<StreamStep> {
        Ok(self.with(|stream| for_float!(stream, s => s.step(&inputs)))?)
    }

    /// Adds errors to the last step; returns their loss.
    #[napi(catch_unwind)]
    pub fn add_loss(&self, targets: Vec<StreamTarget>) -> napi::Result<f64> {
        Ok(self.with(|stream| for_float!(stream, s => s.add_loss(&targets)))?)
    }

    /// Updates the model.
    #[napi(catch_unwind)]
    pub fn update(&self) -> napi::Result<StreamUpdate> {
        Ok(self.with(|stream| for_float!(stream, s => s.update()))?)
    }

    /// The state between this step and the next.
    #[napi(catch_unwind)]
    pub fn state(&self) -> napi::Result<StreamState> {
        Ok(self.with(|stream| for_float!(stream, s => s.state()))?)
    }

    /// Restores a state.
    #[napi(catch_unwind)]
    pub fn restore(&self, state: StreamState) -> napi::Result<()> {
        Ok(self.with(|stream| for_float!(stream, s => s.restore(&state)))?)
    }

    /// Returns to rest.
    #[napi(catch_unwind)]
    pub fn reset(&self) -> napi::Result<()> {
        Ok(self.with(|stream| for_float!(stream, s => s.reset()))?)
    }

    /// Frees memory and releases the model.
    #[napi(catch_unwind)]
    pub fn dispose(&self, env: &Env) -> napi::Result<()> {
        self.stream.release(env);
        Ok(())
    }

    fn with<T>(&self, job: impl FnOnce(&mut AnyStream) -> Result<T>) -> Result<T> {
        match self.stream.lock().as_mut() {
            Some(stream) => job(stream),
            None => Err(Failure::closed()),
        }
    }
}
