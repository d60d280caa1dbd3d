//! Learning: from δ at the readout to the gradient of every weight.
//!
//! A [`Rule`](crate::Rule) is a plain value. A `plan::LearningPlan` is that rule for a network and the current
//! weights: which cells have a learning signal, which modulation they receive, which synapses
//! accumulate. `backward` and `online` are the two passes that compute any plan; `forward` holds
//! other estimators of the whole gradient, for comparison.

pub(crate) mod backward;
pub(crate) mod batch_sums;
pub(crate) mod block_gradient;
mod diffusion;
pub(crate) mod evaluate_loss;
mod feedback;
pub(crate) mod field;
pub(crate) mod forward;
mod gather;
pub(crate) mod learning_synapses;
pub(crate) mod low_pass;
pub(crate) mod modulation;
pub(crate) mod online;
pub(crate) mod plan;
pub(crate) mod rates;
pub(crate) mod secretion;
pub(crate) mod traces;
pub(crate) mod work;
