//! Profiles of training iterations.

use std::sync::atomic::AtomicBool;

use mdgl_core::profile::ProfileOptions;
use mdgl_core::{Assignment, Model, Training, Workers};
use napi_derive::napi;

use crate::error::{Failure, Result};
use crate::float::Float;
use crate::number::{to_u32, to_usize};

/// Settings of a profile.
#[napi(object, object_to_js = false)]
pub struct ProfilePlan {
    /// Number of profiled iterations.
    pub iterations: f64,
    /// Number of steps of which one is timed.
    pub every: f64,
    /// Whether to measure the machine's peaks.
    pub peaks: bool,
}

impl ProfilePlan {
    /// The engine's options.
    pub fn options(&self) -> Result<ProfileOptions> {
        Ok(ProfileOptions {
            iterations: to_usize(self.iterations, "options.iterations")?,
            every: to_u32(self.every, "options.every")?,
            peaks: self.peaks,
        })
    }
}

/// A profile as JSON.
pub fn profile<F: Float>(
    model: &Model<F>,
    assignment: Assignment<'_>,
    training: Training<'_>,
    options: ProfileOptions,
    workers: &mut Workers<F>,
    cancel: &AtomicBool,
) -> Result<String> {
    let profile = mdgl_core::profile::profile(model, assignment, training, options, workers, cancel)?;
    serde_json::to_string(&profile).map_err(|error| Failure::bug(format!("a profile is no JSON ({error})")))
}
