//! What a session is to do, from JSON.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mdgl_core::{Objective, Optimiser, Rule};
use napi_derive::napi;

use crate::error::Result;
use crate::network::parse;
use crate::rule;

/// What a session is to do; JSON.
#[napi(object, object_to_js = false)]
pub struct Plan {
    /// Losses and regulariser.
    pub objective: Option<String>,
    /// The learning rule.
    pub rule: Option<String>,
    /// The optimiser.
    pub optimiser: Option<String>,
    /// Whether the session changes the model; then nobody else may.
    pub training: bool,
}

/// A plan as the engine's values.
pub struct SessionConfig {
    pub objective: Option<Objective>,
    pub rule: Option<Rule>,
    pub optimiser: Option<Optimiser>,
    pub training: bool,
    /// Set to stop the work.
    pub cancel: Arc<AtomicBool>,
}

impl SessionConfig {
    /// Reads a plan.
    pub fn new(plan: &Plan) -> Result<Self> {
        Ok(Self {
            objective: plan.objective.as_deref().map(|json| parse(json, "the objective")).transpose()?,
            rule: plan.rule.as_deref().map(rule::build).transpose()?,
            optimiser: plan.optimiser.as_deref().map(|json| parse(json, "the optimiser")).transpose()?,
            training: plan.training,
            cancel: Arc::default(),
        })
    }
}
