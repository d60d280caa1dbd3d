//! A batch of trials with inputs and targets, before its events are drawn.

pub(crate) mod encode;
pub mod loss;
mod windows;

use std::ops::Range;

use crate::error::{Result, invalid};
use crate::network::Network;
use crate::numeric::memory::bytes_of;
use crate::numeric::scalar::Scalar;

/// The key of the generator that draws a batch's events; with the trial it fixes every draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DrawKey {
    /// The run's seed.
    pub seed: u64,
    /// The stream of draws (training, validation, …).
    pub stream: u32,
    /// The iteration.
    pub iteration: u32,
}

/// Poisson events of constant rate in some units over some steps of one trial.
#[derive(Debug, Clone, PartialEq)]
pub struct RateSegment {
    /// The trial.
    pub trial: u32,
    /// First unit and the one past the last, in the population.
    pub units: (u32, u32),
    /// First step and the one past the last.
    pub steps: (u32, u32),
    /// Rate of each unit in Hz.
    pub rate: f64,
}

/// An event (or several at once) of one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// The trial.
    pub trial: u32,
    /// The step.
    pub step: u32,
    /// The unit, in its population.
    pub unit: u32,
    /// Number of simultaneous events.
    pub count: u32,
}

/// Input of one population.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Nothing.
    Silent,
    /// Poisson events drawn by the engine.
    Rates(Vec<RateSegment>),
    /// Given events.
    Events(Vec<Event>),
    /// Given values, `[trial][step][unit]`.
    Analogue(Vec<f64>),
}

/// A batch of trials, encoded for a network and the losses of an objective.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedBatch {
    /// Number of trials.
    pub trials: usize,
    /// Steps of the longest trial.
    pub steps: usize,
    /// Steps of each trial; `None`: all of equal length.
    pub lengths: Option<Vec<u32>>,
    /// One entry per input population, in the order of the description.
    pub inputs: Vec<Input>,
    /// One entry per loss; empty where no loss is evaluated.
    pub targets: Vec<Targets>,
    /// Key of the draws.
    pub key: DrawKey,
    /// The whole batch, where these trials are a part of it that one of several processes computes.
    pub part: Option<Part>,
}

/// The whole batch of which a process has a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Index of the part's first trial in the whole batch, a multiple of 16.
    pub first: usize,
    /// Number of trials of the whole batch.
    pub trials: usize,
    /// Number of windows of the whole batch, one entry per loss; 0 where the targets have none ([`Targets::Windows`]).
    pub windows: Vec<usize>,
}

/// A class that is right during some steps of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassWindow {
    /// The trial.
    pub trial: u32,
    /// The steps that count.
    pub steps: Range<u32>,
    /// The right class.
    pub class: u32,
}

/// Target of a readout.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// None (custom losses).
    None,
    /// A class per trial.
    Classes(Vec<u32>),
    /// Classes with windows of steps, in the order of trials and steps and without overlaps.
    Windows(Vec<ClassWindow>),
    /// Values `[trial][step][unit]`.
    Values(Vec<f64>),
}

impl Input {
    fn bytes(&self) -> usize {
        match self {
            Self::Silent => 0,
            Self::Rates(segments) => bytes_of(segments),
            Self::Events(events) => bytes_of(events),
            Self::Analogue(values) => bytes_of(values),
        }
    }
}

impl Targets {
    fn bytes(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Classes(classes) => bytes_of(classes),
            Self::Windows(windows) => bytes_of(windows),
            Self::Values(values) => bytes_of(values),
        }
    }
}

impl EncodedBatch {
    /// Bytes of memory that its inputs and targets use.
    pub fn bytes(&self) -> usize {
        let inputs = self.inputs.iter().map(Input::bytes).sum::<usize>();
        inputs + self.targets.iter().map(Targets::bytes).sum::<usize>()
    }

    /// Steps of a trial.
    pub fn length(&self, trial: usize) -> usize {
        self.lengths.as_ref().map_or(self.steps, |lengths| lengths[trial] as usize)
    }

    /// Number of trials of the whole batch, over which losses are means.
    pub(crate) fn whole_trials(&self) -> usize {
        self.part.as_ref().map_or(self.trials, |part| part.trials)
    }

    /// Index of the first trial in the whole batch.
    pub(crate) fn first_trial(&self) -> usize {
        self.part.as_ref().map_or(0, |part| part.first)
    }

    /// Whether it is a part without trials: more processes than blocks.
    pub(crate) fn is_empty_part(&self) -> bool {
        self.trials == 0 && self.part.is_some()
    }

    /// Checks the batch against a network that runs in a float type.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for sizes, indices or values outside the batch, the network or the float type.
    pub fn validate<F: Scalar>(&self, network: &Network) -> Result<()> {
        if self.trials == 0 || self.trials > 1 << 20 {
            return Err(invalid("batch.trials", self.trials, "1 to 1048576"));
        }
        if self.steps == 0 || self.steps > 1 << 28 {
            return Err(invalid("batch.length", self.steps, "1 to 268435456 steps"));
        }
        self.validate_lengths()?;
        let populations = &network.description().inputs;
        if self.inputs.len() != populations.len() {
            return Err(invalid(
                "batch.inputs",
                format!("{} populations", self.inputs.len()),
                format!("{} populations", populations.len()),
            ));
        }
        for (input, population) in self.inputs.iter().zip(populations) {
            let path = format!("batch.inputs.{}", population.name);
            self.validate_input::<F>(&path, input, population.size, network.dt())?;
        }
        Ok(())
    }

    fn validate_lengths(&self) -> Result<()> {
        let Some(lengths) = &self.lengths else {
            return Ok(());
        };
        if lengths.len() != self.trials {
            return Err(invalid(
                "batch.length",
                format!("{} values", lengths.len()),
                format!("one value per trial ({})", self.trials),
            ));
        }
        match lengths.iter().position(|&n| n == 0 || n as usize > self.steps) {
            Some(trial) => Err(invalid(
                format!("batch.length[{trial}]"),
                lengths[trial],
                format!("1 to {} steps", self.steps),
            )),
            None => Ok(()),
        }
    }

    fn validate_input<F: Scalar>(&self, path: &str, input: &Input, units: usize, dt: f64) -> Result<()> {
        match input {
            Input::Silent => Ok(()),
            Input::Rates(segments) => segments
                .iter()
                .enumerate()
                .try_for_each(|(i, s)| self.validate_segment(&format!("{path}[{i}]"), s, units, dt)),
            Input::Events(events) => self.validate_events(path, events, units),
            Input::Analogue(values) => self.validate_analogue::<F>(path, values, units),
        }
    }

    /// There may be millions: one branch-free sweep where all trials are alike, and messages only for what it finds.
    fn validate_events(&self, path: &str, events: &[Event], units: usize) -> Result<()> {
        let bad = match &self.lengths {
            None => {
                let [trials, steps] = [self.trials, self.steps].map(|most| most as u32);
                let fits = |e: &Event| (e.trial < trials) & (e.step < steps) & ((e.unit as usize) < units);
                if events.iter().fold(true, |fit, e| fit & fits(e)) {
                    return Ok(());
                }
                events.iter().position(|e| !fits(e))
            }
            Some(lengths) => events.iter().position(|e| {
                let length = lengths.get(e.trial as usize).copied().unwrap_or(0);
                e.step >= length || e.unit as usize >= units
            }),
        };
        bad.map_or(Ok(()), |i| self.validate_event(&format!("{path}[{i}]"), &events[i], units))
    }

    fn validate_trial(&self, path: &str, trial: u32) -> Result<()> {
        if trial as usize >= self.trials {
            let allowed = format!("0 to {}", self.trials - 1);
            return Err(invalid(format!("{path}.trial"), trial, allowed));
        }
        Ok(())
    }

    fn validate_segment(&self, path: &str, s: &RateSegment, units: usize, dt: f64) -> Result<()> {
        self.validate_trial(path, s.trial)?;
        if s.units.0 > s.units.1 || s.units.1 as usize > units {
            let value = format!("{} to {}", s.units.0, s.units.1);
            let allowed = format!("an ascending range within 0 to {units}");
            return Err(invalid(format!("{path}.units"), value, allowed));
        }
        let steps = self.length(s.trial as usize);
        if s.steps.0 > s.steps.1 || s.steps.1 as usize > steps {
            let value = format!("{} to {}", s.steps.0, s.steps.1);
            let allowed = format!("an ascending range within 0 to {steps} steps");
            return Err(invalid(format!("{path}.steps"), value, allowed));
        }
        // 100 events per step are far beyond any neuron, and bound the work.
        let highest = 100_000.0 / dt;
        if !(0.0..=highest).contains(&s.rate) {
            let allowed = format!("0 to {highest} Hz");
            return Err(invalid(format!("{path}.rate"), s.rate, allowed));
        }
        Ok(())
    }

    fn validate_event(&self, path: &str, event: &Event, units: usize) -> Result<()> {
        self.validate_trial(path, event.trial)?;
        let steps = self.length(event.trial as usize);
        if event.step as usize >= steps {
            let allowed = format!("0 to {} (the trial has {steps} steps)", steps - 1);
            return Err(invalid(format!("{path}.step"), event.step, allowed));
        }
        if event.unit as usize >= units {
            let allowed = format!("an index below {units}");
            return Err(invalid(format!("{path}.unit"), event.unit, allowed));
        }
        Ok(())
    }

    fn validate_analogue<F: Scalar>(&self, path: &str, values: &[f64], units: usize) -> Result<()> {
        let expected = self.trials * self.steps * units;
        if values.len() != expected {
            return Err(invalid(
                path,
                format!("{} values", values.len()),
                format!("{expected} values [trial][step][unit]"),
            ));
        }
        match values.iter().position(|&value| !F::from_f64(value).is_finite()) {
            Some(i) => Err(invalid(format!("{path}[{i}]"), values[i], format!("a finite {}", F::NAME))),
            None => Ok(()),
        }
    }
}
