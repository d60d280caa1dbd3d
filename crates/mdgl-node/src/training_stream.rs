//! Streams for either float type, and the objects that they take and give.

use std::collections::HashMap;
use std::sync::Arc;

use mdgl_core::{Optimiser, Rule, StepInput, Stream, Target};
use napi::bindgen_prelude::{Either, Either3, Float32Array, Float64Array, Uint32Array};
use napi_derive::napi;

use crate::error::{Failure, Result};
use crate::float::{ByFloat, Float, Floats};
use crate::number::{to_u64, to_usize};
use crate::shared::{Shared, TrainingLock};

/// Input of one population in one step: indices of units that fire, or a value per unit.
pub type Given = Either3<Uint32Array, Float64Array, Float32Array>;

/// Result of a step.
#[napi(object, object_from_js = false)]
pub struct StreamStep {
    /// Indices of the neurons that spiked, one entry per population.
    pub spikes: Vec<Uint32Array>,
    /// y of each unit, one entry per readout.
    pub outputs: Vec<Either<Float32Array, Float64Array>>,
}

/// Errors at one readout: one of `class`, `values` and `error`.
#[napi(object, object_to_js = false)]
pub struct StreamTarget {
    /// Index of the readout.
    pub readout: f64,
    /// The right class.
    pub class: Option<f64>,
    /// The right values.
    pub values: Option<Float64Array>,
    /// ∂E/∂y itself.
    pub error: Option<Float64Array>,
    /// Factor of loss and error.
    pub weight: f64,
}

/// Result of an update.
#[napi(object, object_from_js = false)]
pub struct StreamUpdate {
    /// Global norm of the gradient, before clipping.
    pub gradient_norm: f64,
    /// Number of steps with errors in the gradient.
    pub steps: f64,
}

/// A stream between two steps.
#[napi(object)]
pub struct StreamState {
    /// Steps since the start.
    pub steps: f64,
    /// α v − thr z of each neuron.
    pub membrane: Either<Float32Array, Float64Array>,
    /// b of each neuron.
    pub adaptation: Either<Float32Array, Float64Array>,
    /// State variables that only some models have, by name.
    pub variables: Option<HashMap<String, Either<Float32Array, Float64Array>>>,
    /// Steps for which each neuron is still blocked.
    pub refractory: Uint32Array,
    /// Neurons that spiked in the last step.
    pub spikes: Uint32Array,
    /// Earlier spikes that a delay has not delivered yet, in pairs: steps before the last one, neuron.
    pub in_transit: Uint32Array,
    /// Inputs that a delay has not delivered yet, where the network has such delays.
    pub inputs_in_transit: Option<InputsInTransit>,
    /// The trial's noise, where the network has any.
    pub noise: Option<NoiseState>,
    /// y without bias.
    pub readout: Either<Float32Array, Float64Array>,
    /// The traces of all learning synapses.
    pub traces: Either<Float32Array, Float64Array>,
}

/// Inputs in transit, those of the last step first.
#[napi(object)]
pub struct InputsInTransit {
    /// In threes: steps before the last one, input unit, number of events.
    pub events: Uint32Array,
    /// In pairs: steps before the last one, input unit of each value.
    pub places: Uint32Array,
    /// Analogue values.
    pub values: Either<Float32Array, Float64Array>,
}

/// The noise of a trial.
#[napi(object)]
pub struct NoiseState {
    /// The trial, counted by returns to rest.
    pub trial: u32,
    /// n − μ of every neuron with an injected current.
    pub values: Float64Array,
}

/// A stream of either float type.
pub type AnyStream = ByFloat<TrainingStream<f32>, TrainingStream<f64>>;

/// A stream and the right to change its model.
pub struct TrainingStream<F: Float> {
    shared: Arc<Shared<F>>,
    /// Held while the stream lives.
    _lock: TrainingLock<F>,
    stream: Stream<F>,
    /// Neurons of each population.
    populations: Vec<usize>,
    /// Units of each readout.
    readouts: Vec<usize>,
}

impl<F: Float> TrainingStream<F> {
    /// A stream on a model's current weights.
    pub fn new(shared: Arc<Shared<F>>, rule: &Rule, optimiser: &Optimiser, seed: u64) -> Result<Self> {
        let lock = TrainingLock::take(&shared)?;
        let model = shared.snapshot();
        let network = model.network();
        Ok(Self {
            stream: Stream::new(&model, rule, optimiser, seed)?,
            populations: network.description().populations.iter().map(|p| p.size).collect(),
            readouts: network.readouts().iter().map(|r| r.size()).collect(),
            shared,
            _lock: lock,
        })
    }

    /// Bytes of memory in use.
    pub fn bytes(&self) -> usize {
        self.stream.bytes()
    }

    pub fn step(&mut self, inputs: &[Option<Given>]) -> Result<StreamStep> {
        let widened: Vec<Vec<f64>> = inputs.iter().map(widen).collect();
        let inputs = inputs.iter().zip(&widened).map(|(input, widened)| match input {
            None => StepInput::Silent,
            Some(Either3::A(events)) => StepInput::Events(events),
            Some(Either3::B(values)) => StepInput::Analogue(values),
            Some(Either3::C(_)) => StepInput::Analogue(widened),
        });
        self.stream.step(&inputs.collect::<Vec<_>>())?;
        Ok(StreamStep { spikes: self.spikes(), outputs: self.outputs() })
    }

    pub fn add_loss(&mut self, targets: &[StreamTarget]) -> Result<f64> {
        let targets = targets.iter().map(StreamTarget::read).collect::<Result<Vec<_>>>()?;
        Ok(self.stream.add_loss(&targets)?)
    }

    pub fn update(&mut self) -> Result<StreamUpdate> {
        let (next, updated) = self.stream.update(&self.shared.snapshot())?;
        self.shared.publish(next);
        Ok(StreamUpdate { gradient_norm: updated.gradient_norm, steps: updated.steps as f64 })
    }

    pub fn state(&self) -> Result<StreamState> {
        let state = self.stream.state()?;
        let named = |(name, values): (String, Vec<F>)| (name, F::array(values));
        let variables: HashMap<_, _> = state.variables.into_iter().map(named).collect();
        Ok(StreamState {
            steps: state.steps as f64,
            membrane: F::array(state.membrane),
            adaptation: F::array(state.adaptation),
            variables: (!variables.is_empty()).then_some(variables),
            refractory: state.refractory.into(),
            spikes: state.spikes.into(),
            in_transit: state.in_transit.concat().into(),
            inputs_in_transit: self.stream.has_input_delays().then(|| {
                let inputs = state.inputs_in_transit;
                InputsInTransit {
                    events: inputs.events.concat().into(),
                    places: inputs.places.concat().into(),
                    values: F::array(inputs.values),
                }
            }),
            noise: state.noise.map(|noise| NoiseState { trial: noise.trial, values: noise.values.into() }),
            readout: F::array(state.readout),
            traces: F::array(state.traces),
        })
    }

    pub fn restore(&mut self, state: &StreamState) -> Result<()> {
        let named = |(name, values): (&String, &Floats)| {
            Ok((name.clone(), floats(values, &format!("state.variables.{name}"))?))
        };
        let variables = state.variables.iter().flatten().map(named).collect::<Result<_>>()?;
        let state = mdgl_core::StreamState {
            steps: to_u64(state.steps, "state.steps")?,
            membrane: floats(&state.membrane, "state.membrane")?,
            adaptation: floats(&state.adaptation, "state.adaptation")?,
            variables,
            refractory: state.refractory.to_vec(),
            spikes: state.spikes.to_vec(),
            in_transit: groups(&state.in_transit, "state.inTransit")?,
            inputs_in_transit: match &state.inputs_in_transit {
                None => mdgl_core::InputsInTransit::default(),
                Some(InputsInTransit { events, places, values }) => mdgl_core::InputsInTransit {
                    events: groups(events, "state.inputsInTransit.events")?,
                    places: groups(places, "state.inputsInTransit.places")?,
                    values: floats(values, "state.inputsInTransit.values")?,
                },
            },
            noise: state
                .noise
                .as_ref()
                .map(|noise| mdgl_core::NoiseState { trial: noise.trial, values: noise.values.to_vec() }),
            readout: floats(&state.readout, "state.readout")?,
            traces: floats(&state.traces, "state.traces")?,
        };
        Ok(self.stream.restore(&state)?)
    }

    pub fn reset(&mut self) -> Result<()> {
        Ok(self.stream.reset()?)
    }

    /// The last step's spikes, by population.
    fn spikes(&self) -> Vec<Uint32Array> {
        let mut spikes = self.stream.spikes().peekable();
        let mut end = 0;
        let each = self.populations.iter().map(|&size| {
            let first = end;
            end += size as u32;
            let own = std::iter::from_fn(|| spikes.next_if(|&unit| unit < end));
            own.map(|unit| unit - first).collect::<Vec<_>>().into()
        });
        each.collect()
    }

    fn outputs(&self) -> Vec<Floats> {
        let mut readout = self.stream.readout();
        let each = self.readouts.iter().map(|&size| F::array(readout.by_ref().take(size).collect()));
        each.collect()
    }
}

/// A flat list in groups of so many numbers.
fn groups<const N: usize>(flat: &[u32], path: &str) -> Result<Vec<[u32; N]>> {
    let (groups, rest) = flat.as_chunks();
    match rest {
        [] => Ok(groups.to_vec()),
        _ => {
            Err(Failure::invalid(path, format!("{} values", flat.len()), format!("a multiple of {N} values")))
        }
    }
}

impl StreamTarget {
    fn read(&self) -> Result<mdgl_core::StreamTarget<'_>> {
        let target = match self {
            Self { class: Some(class), .. } => Target::Class(to_usize(*class, "targets.target")?),
            Self { values: Some(values), .. } => Target::Values(values),
            Self { error: Some(error), .. } => Target::Error(error),
            _ => return Err(Failure::bug("a target has neither class, values nor error")),
        };
        Ok(mdgl_core::StreamTarget {
            readout: to_usize(self.readout, "targets.readout")?,
            target,
            weight: self.weight,
        })
    }
}

/// Floats as doubles; `None` for other input, which needs no copy.
fn widen(input: &Option<Given>) -> Vec<f64> {
    match input {
        Some(Either3::C(values)) => values.iter().copied().map(f64::from).collect(),
        _ => Vec::new(),
    }
}

fn floats<F: Float>(given: &Floats, path: &str) -> Result<Vec<F>> {
    F::values(given).ok_or_else(|| {
        Failure::invalid(
            path,
            "of another precision",
            format!("floats of the model's precision, {}", F::NAME),
        )
    })
}
