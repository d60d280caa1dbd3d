//! Models: weights that are published whole.

use std::sync::Arc;

use mdgl_core::description::legal::Use;
use mdgl_core::{Model, Optimiser, Rule};
use napi::Env;
use napi::bindgen_prelude::{Buffer, Either, Float32Array, Float64Array, Object, ObjectFinalize, This};
use napi_derive::napi;

use crate::background::compute;
use crate::config::SessionConfig;
use crate::error::{Failure, Result};
use crate::float::Float;
use crate::held::{self, Held};
use crate::live::{AnyStream, Live};
use crate::network::{CopiedDescription, Description};
use crate::results::{CellConstants, ProjectionValues};
use crate::rule;
use crate::runner::{Bench, Runner};
use crate::shared::{Shared, TrainingLock, projection_values};

/// A network with weights and optimiser state.
#[napi(custom_finalize)]
pub struct NativeModel {
    inner: Arc<Held<Arc<dyn AnyModel>>>,
}

impl ObjectFinalize for NativeModel {
    fn finalize(self, env: Env) -> napi::Result<()> {
        self.inner.tell(&env, 0);
        Ok(())
    }
}

#[napi]
impl NativeModel {
    /// A model with the initial weights that the description gives; precision `f32` or `f64`.
    #[napi(factory, catch_unwind)]
    pub fn create(description: Description, precision: String) -> napi::Result<Self> {
        Ok(draw(description.copy()?, &precision)?)
    }

    /// The same on a thread of its own.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeModel>")]
    pub fn create_aside(env: &Env, description: Description, precision: String) -> napi::Result<Object<'_>> {
        let description = description.copy()?;
        compute(env, move || draw(description, &precision))
    }

    /// A model from the bytes of a safetensors file.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeModel>")]
    pub fn load<'env>(env: &'env Env, bytes: &[u8]) -> napi::Result<Object<'env>> {
        mdgl_core::ensure_memory(bytes.len(), "the bytes of a file").map_err(Failure::from)?;
        let bytes = bytes.to_vec();
        compute(env, move || read(&bytes))
    }

    /// The bytes of a safetensors file that holds description and weights of the moment, and the optimiser's state if wanted.
    #[napi(catch_unwind, ts_return_type = "Promise<Buffer>")]
    pub fn save<'env>(&self, env: &'env Env, optimiser: bool) -> napi::Result<Object<'env>> {
        let write = self.model()?.save(optimiser);
        compute(env, move || Ok(Buffer::from(write()?)))
    }

    /// An independent copy.
    #[napi(catch_unwind)]
    pub fn clone(&self) -> napi::Result<Self> {
        Ok(Self::hold(self.model()?.copy()?))
    }

    /// Tells V8 of its memory, and lets go of it where it has become garbage; to be called once.
    #[napi(catch_unwind)]
    pub fn watch(&self, env: &Env, this: This<'_>) -> napi::Result<()> {
        held::watch(env, &this.object, &self.inner, self.model()?.bytes())
    }

    /// Lets go of the model; work on it goes on.
    #[napi(catch_unwind)]
    pub fn dispose(&self, env: &Env) -> napi::Result<()> {
        self.inner.release(env);
        Ok(())
    }

    /// The description, every default filled in.
    #[napi(catch_unwind)]
    pub fn description(&self) -> napi::Result<Description> {
        Ok(self.model()?.description()?)
    }

    /// `f32` or `f64`.
    #[napi(catch_unwind, ts_return_type = "'f32' | 'f64'")]
    pub fn precision(&self) -> napi::Result<String> {
        Ok(self.model()?.precision().to_owned())
    }

    /// Synapses and weights of a projection.
    #[napi(catch_unwind)]
    pub fn projection(&self, name: String) -> napi::Result<ProjectionValues> {
        Ok(self.model()?.projection(&name)?)
    }

    /// Replaces the weights of a projection.
    #[napi(catch_unwind)]
    pub fn set_weights(&self, name: String, values: &[f64]) -> napi::Result<()> {
        Ok(self.model()?.set_weights(&name, values)?)
    }

    /// Bias of a readout.
    #[napi(catch_unwind)]
    pub fn bias(&self, readout: String) -> napi::Result<Either<Float32Array, Float64Array>> {
        Ok(self.model()?.bias(&readout)?)
    }

    /// Replaces the bias of a readout.
    #[napi(catch_unwind)]
    pub fn set_bias(&self, readout: String, values: &[f64]) -> napi::Result<()> {
        Ok(self.model()?.set_bias(&readout, values)?)
    }

    /// Refuses a rule (JSON) that has no equation in this network, or does not serve a use: `custom-loss`, `collective`,
    /// `profile`, `recorded-signals` or `session`.
    #[napi(catch_unwind)]
    pub fn check_rule(&self, rule: String, used_for: Option<String>) -> napi::Result<()> {
        let (model, rule) = (self.model()?, rule::build(&rule)?);
        model.check_rule(&rule).map_err(Failure::from)?;
        let used_for = used_for.map(|name| Use::named(&name)).transpose().map_err(Failure::from)?;
        Ok(used_for.map_or(Ok(()), |one| rule.validate_use(one)).map_err(Failure::from)?)
    }

    /// The constants of the network's equations.
    #[napi(catch_unwind)]
    pub fn cell_constants(&self) -> napi::Result<CellConstants> {
        Ok(self.model()?.cell_constants())
    }

    fn hold(model: Arc<dyn AnyModel>) -> Self {
        Self { inner: Held::new(model) }
    }

    /// The model, unless it was disposed of.
    pub fn model(&self) -> Result<Arc<dyn AnyModel>> {
        self.inner.lock().clone().ok_or_else(Failure::disposed)
    }
}

/// A model with the initial weights of a description.
fn draw(description: CopiedDescription, precision: &str) -> Result<NativeModel> {
    let network = Arc::new(description.network()?);
    Ok(NativeModel::hold(match precision {
        "f32" => Shared::new(Model::<f32>::new(network)?),
        "f64" => Shared::new(Model::<f64>::new(network)?),
        other => return Err(Failure::invalid("precision", other, "f32 or f64")),
    }))
}

/// A model from the bytes of a safetensors file.
fn read(bytes: &[u8]) -> Result<NativeModel> {
    Ok(NativeModel::hold(match mdgl_core::precision(bytes)? {
        "f32" => Shared::new(Model::<f32>::from_safetensors(bytes)?),
        _ => Shared::new(Model::<f64>::from_safetensors(bytes)?),
    }))
}

/// What makes the bytes of a file.
pub type Write = Box<dyn FnOnce() -> Result<Vec<u8>> + Send>;

/// A model of either float type.
pub trait AnyModel: Send + Sync {
    /// Bytes of memory that it holds.
    fn bytes(&self) -> usize;
    fn precision(&self) -> &'static str;
    fn cell_constants(&self) -> CellConstants;
    fn description(&self) -> Result<Description>;
    /// Refuses a rule that has no equation in the network.
    fn check_rule(&self, rule: &Rule) -> mdgl_core::Result<()>;
    fn projection(&self, name: &str) -> Result<ProjectionValues>;
    fn set_weights(&self, name: &str, values: &[f64]) -> Result<()>;
    fn bias(&self, readout: &str) -> Result<Either<Float32Array, Float64Array>>;
    fn set_bias(&self, readout: &str, values: &[f64]) -> Result<()>;
    /// Writes the model of the moment, whenever and wherever it is called.
    fn save(&self, optimiser: bool) -> Write;
    fn copy(&self) -> Result<Arc<dyn AnyModel>>;
    /// What a session's thread works with; takes the training lock where the orders are to train.
    fn runner(self: Arc<Self>, config: SessionConfig, threads: usize) -> Result<Box<dyn Runner>>;
    /// A stream on the model; it holds the training lock.
    fn stream(self: Arc<Self>, rule: &Rule, optimiser: &Optimiser, seed: u64) -> Result<Box<dyn AnyStream>>;
}

impl<F: Float> AnyModel for Shared<F> {
    fn bytes(&self) -> usize {
        self.snapshot().bytes()
    }

    fn precision(&self) -> &'static str {
        F::NAME
    }

    fn cell_constants(&self) -> CellConstants {
        self.snapshot().network().cell_constants().into()
    }

    fn description(&self) -> Result<Description> {
        Description::of(self.snapshot().network().description())
    }

    fn check_rule(&self, rule: &Rule) -> mdgl_core::Result<()> {
        rule.validate_for(self.snapshot().network())
    }

    fn projection(&self, name: &str) -> Result<ProjectionValues> {
        let model = self.snapshot();
        Ok(projection_values(&model, name, model.weights(name)?)?)
    }

    fn set_weights(&self, name: &str, values: &[f64]) -> Result<()> {
        self.edit(|model| model.set_weights(name, values))
    }

    fn bias(&self, readout: &str) -> Result<Either<Float32Array, Float64Array>> {
        Ok(F::array(self.snapshot().bias(readout)?))
    }

    fn set_bias(&self, readout: &str, values: &[f64]) -> Result<()> {
        self.edit(|model| model.set_bias(readout, values))
    }

    fn save(&self, optimiser: bool) -> Write {
        let model = self.snapshot();
        Box::new(move || Ok(if optimiser { model.to_checkpoint()? } else { model.to_safetensors()? }))
    }

    fn copy(&self) -> Result<Arc<dyn AnyModel>> {
        Ok(Self::new(self.snapshot().try_clone()?))
    }

    fn runner(self: Arc<Self>, config: SessionConfig, threads: usize) -> Result<Box<dyn Runner>> {
        let lock = if config.training { Some(TrainingLock::take(&self)?) } else { None };
        Ok(Box::new(Bench::new(self, lock, config, threads)?))
    }

    fn stream(self: Arc<Self>, rule: &Rule, optimiser: &Optimiser, seed: u64) -> Result<Box<dyn AnyStream>> {
        Ok(Box::new(Live::new(self, rule, optimiser, seed)?))
    }
}
