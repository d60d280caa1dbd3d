//! The settings of a session, from JSON.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mdgl_core::{Assignment, EncodedBatch, LearningRate, Objective, Optimiser, Rule, Training};
use napi_derive::napi;

use crate::error::{Failure, Result};
use crate::network::{PlainValue, parse, text};
use crate::number::to_u64;
use crate::rule;

/// Settings of a session; JSON.
#[napi(object, object_to_js = false)]
pub struct Plan {
    /// Losses and regulariser.
    pub objective: Option<String>,
    /// The learning rule.
    pub rule: Option<String>,
    /// The optimiser.
    pub optimiser: Option<String>,
    /// Whether the session changes the model; no other session may meanwhile.
    pub training: bool,
}

/// Settings of a session as the engine's values.
pub struct SessionConfig {
    pub objective: Option<Objective>,
    pub rule: Option<Rule>,
    pub optimiser: Option<Optimiser>,
    /// Whether it changes the model.
    pub trains: bool,
    /// Set in order to stop the work.
    pub cancel: Arc<AtomicBool>,
}

impl SessionConfig {
    /// Reads a plan.
    pub fn new(plan: &Plan) -> Result<Self> {
        Ok(Self {
            objective: plan.objective.as_deref().map(|json| parse(json, "the objective")).transpose()?,
            rule: plan.rule.as_deref().map(rule::build).transpose()?,
            optimiser: plan.optimiser.as_deref().map(|json| parse(json, "the optimiser")).transpose()?,
            trains: plan.training,
            cancel: Arc::default(),
        })
    }

    /// A batch with the losses of the session.
    pub fn assignment<'a>(&'a self, batch: &'a EncodedBatch) -> Result<Assignment<'a>> {
        Ok(Assignment { batch, objective: planned(self.objective.as_ref(), "an objective")? })
    }

    /// Rule and optimiser of the session.
    pub fn training(&self) -> Result<Training<'_>> {
        Ok(Training { rule: self.rule()?, optimiser: self.optimiser()? })
    }

    pub fn rule(&self) -> Result<&Rule> {
        planned(self.rule.as_ref(), "a rule")
    }

    pub fn optimiser(&self) -> Result<&Optimiser> {
        planned(self.optimiser.as_ref(), "an optimiser")
    }
}

/// The learning rate (a number or a schedule, JSON) of an iteration, counted from 1.
#[napi(catch_unwind)]
pub fn learning_rate_at(learning_rate: String, iteration: f64) -> napi::Result<f64> {
    let rate: LearningRate = parse(&learning_rate, "the learning rate")?;
    rate.validate("learningRate").map_err(Failure::from)?;
    Ok(rate.at(to_u64(iteration, "iteration")?))
}

/// A learning rate, at a path as messages name it, checked and with every default filled in: JSON. `iterations`: those of the
/// training; `open`: they are not known yet.
#[napi(catch_unwind)]
pub fn complete_learning_rate(
    given: PlainValue,
    path: String,
    iterations: Option<u32>,
    open: bool,
) -> napi::Result<String> {
    let rate = given.read(&path, LearningRate::read)?.complete(iterations);
    if open { rate.validate_open(&path) } else { rate.validate(&path) }.map_err(Failure::from)?;
    Ok(text(&rate)?)
}

/// An optimiser, checked for a network's projections and with every default filled in: JSON.
#[napi(catch_unwind)]
pub fn complete_optimiser(
    given: PlainValue,
    names: Vec<String>,
    iterations: Option<u32>,
) -> napi::Result<String> {
    let optimiser = given.read("optimiser", Optimiser::read)?.complete(iterations);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    optimiser.validate_for(&names).map_err(Failure::from)?;
    Ok(text(&optimiser)?)
}

/// A part of the plan that this kind of work needs; the façade must have set it.
fn planned<'a, T: ?Sized>(part: Option<&'a T>, what: &str) -> Result<&'a T> {
    part.ok_or_else(|| Failure::bug(format!("the plan lacks {what}")))
}
