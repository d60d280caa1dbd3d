//! Batches and targets: from JavaScript's objects to the engine's values.
//!
//! Everything is copied once, on JavaScript's thread and within one call: the engine runs while JavaScript may write, detach
//! or resize its arrays. Checks that only the engine can make are made on the copy.

use std::sync::Arc;

use mdgl_core::{ClassWindow, Event, RateSegment};
use napi::Env;
use napi::bindgen_prelude::{Either, Float32Array, Float64Array, ObjectFinalize, Uint32Array};
use napi_derive::napi;

use crate::error::{Failure, Result};
use crate::held::Held;
use crate::number::{to_u32, to_u64};

const SEGMENT_FIELDS: usize = 6;

/// Key of the generator that draws a batch's events.
#[napi(object, object_to_js = false)]
pub struct DrawKey {
    /// Seed of the generator.
    pub seed: f64,
    /// Stream of the generator.
    pub stream: f64,
    /// Iteration.
    pub iteration: f64,
}

/// Input of one population; nothing set: silent.
#[napi(object, object_to_js = false)]
pub struct Input {
    /// Six numbers per segment: trial, first unit, end unit, first step, end step, rate in Hz.
    pub rates: Option<Float64Array>,
    /// Triples (trial, step, unit).
    pub events: Option<Uint32Array>,
    /// Values `[trial][step][unit]`.
    pub analogue: Option<Either<Float64Array, Float32Array>>,
}

/// Targets of one loss; nothing set: none.
#[napi(object, object_to_js = false)]
pub struct Targets {
    /// A class per trial.
    pub classes: Option<Uint32Array>,
    /// Values `[trial][step][unit]`.
    pub values: Option<Either<Float64Array, Float32Array>>,
    /// Four numbers per window: trial, first step, end step, class.
    pub windows: Option<Uint32Array>,
}

/// A batch of the engine's, held by a JavaScript object, with which it shares no memory.
#[napi(custom_finalize)]
pub struct EncodedBatch {
    /// `None` once a job has taken it, so that its memory does not wait for the collector.
    encoded: Arc<Held<Arc<mdgl_core::EncodedBatch>>>,
}

impl ObjectFinalize for EncodedBatch {
    fn finalize(self, env: Env) -> napi::Result<()> {
        self.encoded.report(&env, 0);
        Ok(())
    }
}

#[napi]
impl EncodedBatch {
    /// Copies a batch: the steps of each trial, one entry of `inputs` per input population, in the order of the description,
    /// one entry of `targets` per loss.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        env: &Env,
        lengths: Uint32Array,
        inputs: Vec<Input>,
        targets: Vec<Targets>,
        key: DrawKey,
    ) -> napi::Result<Self> {
        let encoded = copy(&lengths, &inputs, &targets, &key)?;
        let bytes = encoded.bytes();
        let encoded = Held::new(Arc::new(encoded));
        encoded.report(env, bytes);
        Ok(Self { encoded })
    }
}

impl EncodedBatch {
    /// The batch, for the last job that needs it.
    pub fn take(&self, env: &Env) -> Result<Arc<mdgl_core::EncodedBatch>> {
        let encoded = self.share()?;
        self.encoded.release(env);
        Ok(encoded)
    }

    /// The batch, for a job that another may follow.
    pub fn share(&self) -> Result<Arc<mdgl_core::EncodedBatch>> {
        self.encoded.lock().clone().ok_or_else(Self::used)
    }

    fn used() -> Failure {
        Failure::bug("an encoded batch was used twice")
    }
}

fn copy(
    lengths: &[u32],
    inputs: &[Input],
    targets: &[Targets],
    key: &DrawKey,
) -> Result<mdgl_core::EncodedBatch> {
    let numbers: usize = inputs.iter().map(Input::len).sum();
    mdgl_core::ensure_memory(numbers.saturating_mul(size_of::<f64>()), "the inputs of a batch")?;
    let steps = lengths.iter().copied().max().unwrap_or(0);
    Ok(mdgl_core::EncodedBatch {
        trials: lengths.len(),
        steps: steps as usize,
        lengths: lengths.iter().any(|&length| length != steps).then(|| lengths.to_vec()),
        inputs: inputs.iter().map(Input::copy).collect::<Result<_>>()?,
        targets: targets.iter().map(Targets::copy).collect::<Result<_>>()?,
        key: mdgl_core::DrawKey {
            seed: to_u64(key.seed, "seed")?,
            stream: to_u32(key.stream, "stream")?,
            iteration: to_u32(key.iteration, "iteration")?,
        },
        part: None,
    })
}

impl Input {
    fn len(&self) -> usize {
        let analogue = self.analogue.as_ref().map_or(0, count);
        let rates = self.rates.as_ref().map_or(0, |rates| rates.len());
        analogue + rates + self.events.as_ref().map_or(0, |events| events.len())
    }

    fn copy(&self) -> Result<mdgl_core::Input> {
        Ok(match self {
            Self { rates: Some(rates), .. } => mdgl_core::Input::Rates(segments(rates)?),
            Self { events: Some(events), .. } => mdgl_core::Input::Events(triples(events)?),
            Self { analogue: Some(values), .. } => mdgl_core::Input::Analogue(doubles(values)),
            _ => mdgl_core::Input::Silent,
        })
    }
}

impl Targets {
    fn copy(&self) -> Result<mdgl_core::Targets> {
        Ok(match self {
            Self { classes: Some(classes), .. } => mdgl_core::Targets::Classes(classes.to_vec()),
            Self { values: Some(values), .. } => {
                mdgl_core::ensure_memory(
                    count(values).saturating_mul(size_of::<f64>()),
                    "the targets of a batch",
                )?;
                mdgl_core::Targets::Values(doubles(values))
            }
            Self { windows: Some(packed), .. } => mdgl_core::Targets::Windows(windows(packed)?),
            _ => mdgl_core::Targets::None,
        })
    }
}

fn count(values: &Either<Float64Array, Float32Array>) -> usize {
    match values {
        Either::A(values) => values.len(),
        Either::B(values) => values.len(),
    }
}

fn doubles(values: &Either<Float64Array, Float32Array>) -> Vec<f64> {
    match values {
        Either::A(values) => values.to_vec(),
        Either::B(values) => values.iter().copied().map(f64::from).collect(),
    }
}

fn segments(packed: &[f64]) -> Result<Vec<RateSegment>> {
    let (rows, []) = packed.as_chunks::<SEGMENT_FIELDS>() else {
        return Err(Failure::invalid(
            "rates",
            format!("{} numbers", packed.len()),
            "six numbers per segment",
        ));
    };
    rows.iter().map(segment).collect()
}

fn segment(&[trial, unit, units_end, step, steps_end, rate]: &[f64; SEGMENT_FIELDS]) -> Result<RateSegment> {
    Ok(RateSegment {
        trial: to_u32(trial, "rates.trial")?,
        units: (to_u32(unit, "rates.units")?, to_u32(units_end, "rates.units")?),
        steps: (to_u32(step, "rates.from")?, to_u32(steps_end, "rates.to")?),
        rate,
    })
}

fn windows(packed: &[u32]) -> Result<Vec<ClassWindow>> {
    let (rows, []) = packed.as_chunks::<4>() else {
        let value = format!("{} numbers", packed.len());
        return Err(Failure::invalid("targets", value, "four numbers per window"));
    };
    Ok(rows.iter().map(|&[trial, from, to, class]| ClassWindow { trial, steps: from..to, class }).collect())
}

fn triples(packed: &[u32]) -> Result<Vec<Event>> {
    let (rows, []) = packed.as_chunks::<3>() else {
        return Err(Failure::invalid(
            "events",
            format!("{} numbers", packed.len()),
            "triples (trial, step, unit)",
        ));
    };
    Ok(rows.iter().map(|&[trial, step, unit]| Event { trial, step, unit, count: 1 }).collect())
}
