//! Models: weights that are published whole.

use std::sync::Arc;

use mdgl_core::description::given::Given;
use mdgl_core::description::legal::Use;
use mdgl_core::description::recording::Choices;
use mdgl_core::{Lesion, Model, Network, Objective, Optimiser, Rule, Scalar};
use napi::Env;
use napi::bindgen_prelude::{Buffer, Either, Float32Array, Float64Array, Object, ObjectFinalize, This};
use napi_derive::napi;

use crate::background::compute;
use crate::config::SessionConfig;
use crate::engine::{AnyEngine, Engine};
use crate::error::{Failure, Result};
use crate::float::{ByFloat, Float, for_float, map_float};
use crate::held::{self, Held};
use crate::network::{CopiedDescription, PlainValue, text};
use crate::results::{CellConstants, ProjectionValues};
use crate::rule;
use crate::shared::{Shared, projection_values};
use crate::training_stream::{AnyStream, TrainingStream};

/// A network with weights and optimiser state.
#[napi(custom_finalize)]
pub struct NativeModel {
    inner: Arc<Held<AnyModel>>,
}

impl ObjectFinalize for NativeModel {
    fn finalize(self, env: Env) -> napi::Result<()> {
        self.inner.report(&env, 0);
        Ok(())
    }
}

#[napi]
impl NativeModel {
    /// A model with the initial weights that the description gives; precision `f32` or `f64`.
    #[napi(factory, catch_unwind)]
    pub fn create(description: PlainValue, precision: String) -> napi::Result<Self> {
        Ok(draw(description.copy()?, &precision)?)
    }

    /// The same on a thread of its own.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeModel>")]
    pub fn create_aside(env: &Env, description: PlainValue, precision: String) -> napi::Result<Object<'_>> {
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

    /// The bytes of a safetensors file that holds description and current weights, and optionally the optimiser's state.
    #[napi(catch_unwind, ts_return_type = "Promise<Buffer>")]
    pub fn save<'env>(&self, env: &'env Env, optimiser: bool) -> napi::Result<Object<'env>> {
        for_float!(self.model()?, model => {
            let model = model.snapshot();
            compute(env, move || {
                Ok(Buffer::from(if optimiser { model.to_checkpoint()? } else { model.to_safetensors()? }))
            })
        })
    }

    /// An independent copy.
    #[napi(catch_unwind)]
    pub fn clone(&self) -> napi::Result<Self> {
        let copy = map_float!(self.model()?, model => model.try_clone()?);
        Ok(Self::hold(copy))
    }

    /// Takes the weights and the optimiser's state of a copy of this model.
    #[napi(catch_unwind)]
    pub fn restore(&self, copy: &NativeModel) -> napi::Result<()> {
        match (self.model()?, copy.model()?) {
            (ByFloat::F32(model), ByFloat::F32(copy)) => model.restore(&copy)?,
            (ByFloat::F64(model), ByFloat::F64(copy)) => model.restore(&copy)?,
            _ => return Err(Failure::bug("a copy of another precision").into()),
        }
        Ok(())
    }

    /// Reports its memory to V8, and releases it once it is garbage; to be called once.
    #[napi(catch_unwind)]
    pub fn watch(&self, env: &Env, this: This<'_>) -> napi::Result<()> {
        let bytes = for_float!(self.model()?, model => model.snapshot().bytes());
        held::watch(env, &this.object, &self.inner, bytes)
    }

    /// Releases the model; running work on it continues.
    #[napi(catch_unwind)]
    pub fn dispose(&self, env: &Env) -> napi::Result<()> {
        self.inner.release(env);
        Ok(())
    }

    /// The description, every default filled in.
    #[napi(catch_unwind)]
    pub fn description(&self) -> napi::Result<PlainValue> {
        let of = |network: &Network| PlainValue::of(network.description(), &[]);
        Ok(for_float!(self.model()?, model => of(model.snapshot().network()))?)
    }

    /// `f32` or `f64`.
    #[napi(catch_unwind, ts_return_type = "'f32' | 'f64'")]
    pub fn precision(&self) -> napi::Result<String> {
        Ok(match self.model()? {
            ByFloat::F32(_) => f32::NAME,
            ByFloat::F64(_) => f64::NAME,
        }
        .to_owned())
    }

    /// Synapses and weights of a projection.
    #[napi(catch_unwind)]
    pub fn projection(&self, name: String) -> napi::Result<ProjectionValues> {
        for_float!(self.model()?, model => {
            let model = model.snapshot();
            let weights = model.weights(&name).map_err(Failure::from)?;
            Ok(projection_values(&model, &name, weights).map_err(Failure::from)?)
        })
    }

    /// Replaces the weights of a projection.
    #[napi(catch_unwind)]
    pub fn set_weights(&self, name: String, values: &[f64]) -> napi::Result<()> {
        Ok(for_float!(self.model()?, model => model.edit(|model| model.set_weights(&name, values)))?)
    }

    /// Silences synapses for good.
    #[napi(catch_unwind)]
    pub fn lesion(&self, lesion: PlainValue) -> napi::Result<()> {
        let lesion = lesion.read("lesion", Lesion::read)?;
        Ok(for_float!(self.model()?, model => model.edit(|model| model.lesion(lesion.clone())))?)
    }

    /// Bias of a readout.
    #[napi(catch_unwind)]
    pub fn bias(&self, readout: String) -> napi::Result<Either<Float32Array, Float64Array>> {
        for_float!(self.model()?, model => {
            Ok(Float::array(model.snapshot().bias(&readout).map_err(Failure::from)?))
        })
    }

    /// Replaces the bias of a readout.
    #[napi(catch_unwind)]
    pub fn set_bias(&self, readout: String, values: &[f64]) -> napi::Result<()> {
        Ok(for_float!(self.model()?, model => model.edit(|model| model.set_bias(&readout, values)))?)
    }

    /// Refuses a rule (JSON) that has no equation in this network, or does not serve a use: `custom-loss`, `collective`,
    /// `profile`, `recorded-signals` or `session`.
    #[napi(catch_unwind)]
    pub fn check_rule(&self, rule: String, used_for: Option<String>) -> napi::Result<()> {
        let (model, rule) = (self.model()?, rule::build(&rule)?);
        for_float!(model, model => rule.validate_for(model.snapshot().network())).map_err(Failure::from)?;
        let used_for = used_for.map(|name| Use::named(&name)).transpose().map_err(Failure::from)?;
        Ok(used_for.map_or(Ok(()), |one| rule.validate_use(one)).map_err(Failure::from)?)
    }

    /// Refuses a recording (`record` and `layout` of options) of what the network does not have; signals only with a rule.
    #[napi(catch_unwind)]
    pub fn check_recording(&self, options: PlainValue, has_rule: bool) -> napi::Result<()> {
        let choices = options.read("options", Choices::read)?;
        Ok(for_float!(self.model()?, model => {
            mdgl_core::check_choices(model.snapshot().network(), &choices, has_rule)
        })
        .map_err(Failure::from)?)
    }

    /// An objective (`loss` and `regulariser` of options), checked against the network and with every default filled in: JSON.
    #[napi(catch_unwind)]
    pub fn complete_objective(&self, given: PlainValue) -> napi::Result<String> {
        let model = self.model()?;
        let read = |given: &Given<'_>| for_float!(model, model => Objective::read_for(given, model.snapshot().network()));
        Ok(text(&given.read("", read)?)?)
    }

    /// Refuses a network that cannot be run step by step.
    #[napi(catch_unwind)]
    pub fn check_session(&self) -> napi::Result<()> {
        Ok(for_float!(self.model()?, model => model.snapshot().network().validate_session())
            .map_err(Failure::from)?)
    }

    /// The constants of the network's equations.
    #[napi(catch_unwind)]
    pub fn cell_constants(&self) -> napi::Result<CellConstants> {
        Ok(for_float!(self.model()?, model => model.snapshot().network().cell_constants()).into())
    }

    fn hold(model: AnyModel) -> Self {
        Self { inner: Held::new(model) }
    }

    /// The model, unless it was disposed of.
    pub fn model(&self) -> Result<AnyModel> {
        self.inner.lock().clone().ok_or_else(Failure::disposed)
    }
}

/// A model with the initial weights of a description.
fn draw(description: CopiedDescription, precision: &str) -> Result<NativeModel> {
    let network = Arc::new(description.network()?);
    Ok(NativeModel::hold(match precision {
        "f32" => ByFloat::F32(Shared::new(Model::new(network)?)),
        "f64" => ByFloat::F64(Shared::new(Model::new(network)?)),
        other => return Err(Failure::invalid("precision", other, "f32 or f64")),
    }))
}

/// A model from the bytes of a safetensors file.
fn read(bytes: &[u8]) -> Result<NativeModel> {
    Ok(NativeModel::hold(match mdgl_core::precision(bytes)? {
        "f32" => ByFloat::F32(Shared::new(Model::from_safetensors(bytes)?)),
        _ => ByFloat::F64(Shared::new(Model::from_safetensors(bytes)?)),
    }))
}

/// A model of either float type.
pub type AnyModel = ByFloat<Arc<Shared<f32>>, Arc<Shared<f64>>>;

impl AnyModel {
    /// What a session's thread works with; takes the training lock where the session is to train.
    pub fn engine(self, config: SessionConfig, threads: usize) -> Result<AnyEngine> {
        Ok(map_float!(self, model => Engine::new(model, config, threads)?))
    }

    /// A stream on the model; it holds the training lock.
    pub fn stream(self, rule: &Rule, optimiser: &Optimiser, seed: u64) -> Result<AnyStream> {
        Ok(map_float!(self, model => TrainingStream::new(model, rule, optimiser, seed)?))
    }
}
