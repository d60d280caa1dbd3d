//! What the engine gives back, as JavaScript's objects.

use napi::bindgen_prelude::{Either, Float32Array, Float64Array, Uint32Array};
use napi_derive::napi;

/// How well a model does on a batch.
#[napi(object, object_from_js = false)]
pub struct Evaluation {
    /// E of the task.
    pub loss: f64,
    /// The regulariser's part.
    pub regulariser: f64,
    /// Fraction of trials that were right, where there is such a thing.
    pub accuracy: Option<f64>,
    /// Mean firing rate in Hz.
    pub rate: f64,
}

/// A training step.
#[napi(object, object_from_js = false)]
pub struct StepReport {
    /// The batch before the step.
    pub evaluation: Evaluation,
    /// Global norm of the gradient, before clipping.
    pub gradient_norm: f64,
    /// The engine's own time from the batch to the new weights in ms; of a custom loss without its forward pass.
    pub engine_ms: f64,
}

/// What a network did.
#[napi(object, object_from_js = false)]
pub struct Recording {
    /// Triples (trial, step, neuron).
    pub spikes: Uint32Array,
    /// Readouts `[trial][step][unit]`.
    pub readout: Either<Float32Array, Float64Array>,
    /// Membrane voltages `[trial][step][neuron]`.
    pub voltage: Option<Either<Float32Array, Float64Array>>,
    /// Learning signal `[trial][step][neuron]`.
    pub learning_signal: Option<Either<Float32Array, Float64Array>>,
    /// Modulatory signal `[trial][step][neuron]`.
    pub modulatory_signal: Option<Either<Float32Array, Float64Array>>,
}

/// One number a synapse of a projection.
#[napi(object, object_from_js = false)]
pub struct ProjectionValues {
    /// The projection's name.
    pub name: String,
    /// Presynaptic indices.
    pub pre: Uint32Array,
    /// Postsynaptic indices.
    pub post: Uint32Array,
    /// Number of presynaptic units.
    pub rows: f64,
    /// Number of postsynaptic units.
    pub columns: f64,
    /// The numbers.
    pub values: Either<Float32Array, Float64Array>,
}

/// One number a unit of a readout.
#[napi(object, object_from_js = false)]
pub struct ReadoutValues {
    /// The readout's name.
    pub name: String,
    /// The numbers.
    pub values: Either<Float32Array, Float64Array>,
}

/// The gradient of a batch.
#[napi(object, object_from_js = false)]
pub struct Gradients {
    /// The batch.
    pub evaluation: Evaluation,
    /// Global norm.
    pub norm: f64,
    /// ∂E/∂W of each projection.
    pub projections: Vec<ProjectionValues>,
    /// ∂E/∂bias of each readout.
    pub bias: Vec<ReadoutValues>,
}
