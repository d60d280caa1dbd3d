//! Simulation: a network compiled for the current weights, one step of it, and a block of trials through time.

pub(crate) mod compiled;
pub(crate) mod delays;
pub(crate) mod packed;
pub(crate) mod padded_csr;
pub(crate) mod scatter;
pub(crate) mod step;
pub(crate) mod trajectory;
