//! Results of the engine as JavaScript's objects.

use napi::bindgen_prelude::{Either, Either3, Float32Array, Float64Array, Null, Uint8Array, Uint32Array};
use napi_derive::napi;

/// Loss, accuracy and firing rate of a batch.
#[napi(object, object_from_js = false)]
pub struct Evaluation {
    /// Weighted sum of the task's losses.
    pub loss: f64,
    /// Loss of the firing-rate regulariser.
    pub regulariser: f64,
    /// Fraction of answers that are right; `null` without classes.
    pub accuracy: Either<f64, Null>,
    /// Mean firing rate in Hz.
    pub rate: f64,
    /// Each loss by itself.
    pub losses: Vec<LossReport>,
}

/// One loss of a batch.
#[napi(object, object_from_js = false)]
pub struct LossReport {
    /// Its readout.
    pub readout: String,
    /// The loss before its weight.
    pub loss: f64,
    /// Fraction of answers that are right; `null` where the loss has none.
    pub accuracy: Either<f64, Null>,
}

/// A training step.
#[napi(object, object_from_js = false)]
pub struct StepReport {
    /// Evaluation of the batch before the step.
    pub evaluation: Evaluation,
    /// Norm of the whole gradient, before clipping.
    pub gradient_norm: f64,
    /// Weights other than 0 of each projection, after the step.
    pub living: Uint32Array,
    /// The engine's own time from the batch to the new weights in ms; of a custom loss without its forward pass.
    pub engine_ms: f64,
}

/// A recorded simulation.
#[napi(object, object_from_js = false)]
pub struct Recording {
    /// Triples (trial, step, neuron).
    pub spikes: Uint32Array,
    /// Triples (trial, step, input unit).
    pub inputs: Option<Uint32Array>,
    /// Readouts `[trial][step][unit]`.
    pub readout: Either<Float32Array, Float64Array>,
    /// Membrane voltages `[trial][step][neuron]`.
    pub voltage: Option<Either<Float32Array, Float64Array>>,
    /// Learning signal `[trial][step][neuron]`.
    pub learning_signal: Option<Either<Float32Array, Float64Array>>,
    /// Modulatory signal `[trial][step][neuron]`.
    pub modulatory_signal: Option<Either<Float32Array, Float64Array>>,
}

/// Chosen variables of a population or readout in a simulation.
#[napi(object, object_from_js = false)]
pub struct RecordedPart {
    /// Its name.
    pub name: String,
    /// Indices of the recorded units within it.
    pub units: Uint32Array,
    /// Their variables.
    pub variables: Vec<RecordedValues>,
}

/// A recorded variable, in the order that was asked for.
#[napi(object, object_from_js = false)]
pub struct RecordedValues {
    /// The variable.
    pub name: String,
    /// Its values; of spikes 0 or 1.
    pub values: Either3<Uint8Array, Float32Array, Float64Array>,
}

/// Observation of a batch for a rule of JavaScript's.
#[napi(object, object_from_js = false)]
pub struct Observation {
    /// Triples (trial, step, neuron).
    pub spikes: Uint32Array,
    /// Membrane voltages `[trial][step][neuron]`.
    pub voltage: Either<Float32Array, Float64Array>,
    /// Pseudo-derivatives `[trial][step][neuron]`.
    pub psi: Either<Float32Array, Float64Array>,
    /// Readouts `[trial][step][unit]`.
    pub readout: Either<Float32Array, Float64Array>,
    /// ∂E/∂y `[trial][step][unit]`.
    pub error: Either<Float32Array, Float64Array>,
    /// Learning signal `[trial][step][neuron]`.
    pub learning_signal: Either<Float32Array, Float64Array>,
    /// The weights of each projection that the batch was run with.
    pub projections: Vec<ProjectionValues>,
    /// The constants of the equations.
    pub constants: CellConstants,
}

/// Constants of a network's equations: one value per neuron, `kappa` one per readout unit.
#[napi(object, object_from_js = false)]
pub struct CellConstants {
    /// exp(−dt/τ_m).
    pub alpha: Float64Array,
    /// exp(−dt/τ_a).
    pub rho: Float64Array,
    /// exp(−dt/τ_s) of the synaptic current.
    pub synaptic_decay: Float64Array,
    /// thr.
    pub threshold: Float64Array,
    /// β.
    pub beta: Float64Array,
    /// γ.
    pub dampening: Float64Array,
    /// Steps without a spike after one.
    pub refractory: Uint32Array,
    /// Scale of the input.
    pub input_gain: Float64Array,
    /// Spike increment of the adaptation.
    pub jump: Float64Array,
    /// Factor of the reset in the eligibility trace.
    pub reset: Float64Array,
    /// exp(−dt/τ_out).
    pub kappa: Float64Array,
}

impl From<mdgl_core::CellConstants> for CellConstants {
    fn from(constants: mdgl_core::CellConstants) -> Self {
        Self {
            alpha: constants.alpha.into(),
            rho: constants.rho.into(),
            synaptic_decay: constants.synaptic_decay.into(),
            threshold: constants.threshold.into(),
            beta: constants.beta.into(),
            dampening: constants.dampening.into(),
            refractory: constants.refractory.into(),
            input_gain: constants.input_gain.into(),
            jump: constants.jump.into(),
            reset: constants.reset.into(),
            kappa: constants.kappa.into(),
        }
    }
}

/// One number per synapse of a projection.
#[napi(object, object_from_js = false)]
pub struct ProjectionValues {
    /// The projection's name.
    pub name: String,
    /// Presynaptic indices.
    pub pre: Uint32Array,
    /// Postsynaptic indices.
    pub post: Uint32Array,
    /// Steps from a spike to its effect, of all synapses or of each.
    pub delays: Uint32Array,
    /// Number of presynaptic units.
    pub rows: f64,
    /// Number of postsynaptic units.
    pub columns: f64,
    /// The numbers.
    pub values: Either<Float32Array, Float64Array>,
}

/// One number per unit of a readout.
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
    /// Evaluation of the batch.
    pub evaluation: Evaluation,
    /// Norm of the whole gradient.
    pub norm: f64,
    /// ∂E/∂W of each projection.
    pub projections: Vec<ProjectionValues>,
    /// ∂E/∂bias of each readout.
    pub bias: Vec<ReadoutValues>,
}
