//! Memory of an estimator, and its limit.

use crate::description::rule::Estimator;
use crate::error::{Result, invalid};
use crate::learn::forward::network::ForwardNetwork;
use crate::learn::forward::snap1::Snap1;
use crate::learn::forward::tangents::Tangents;

/// Most bytes that the forward-mode estimators hold at once: 1 GiB. A trial that needs more is refused; with less, as
/// many trials as fit go in parallel.
pub const MOST_INFLUENCE_BYTES: u64 = 1 << 30;

/// Bytes of influence in one trial.
///
/// # Errors
/// [`crate::Error::Invalid`] for more than [`MOST_INFLUENCE_BYTES`].
pub(crate) fn check(estimator: Estimator, network: &ForwardNetwork) -> Result<u64> {
    let (columns, height, each) = match estimator {
        Estimator::Uoro => {
            (1, Tangents::height(network) + network.weights.len(), "one state and one weight vector")
        }
        Estimator::KfRtrl => (network.cells.len(), Tangents::height(network), "the state by each neuron"),
        Estimator::Snap1 => {
            (network.weights.len(), Snap1::height(network), "a neuron's state by each weight")
        }
        _ => (network.weights.len(), Tangents::height(network), "the whole state by each weight"),
    };
    let bytes = (columns as u64).saturating_mul(height as u64).saturating_mul(size_of::<f64>() as u64);
    if bytes <= MOST_INFLUENCE_BYTES {
        return Ok(bytes.max(1));
    }
    let value = format!(
        "'{}', which keeps {each}: {bytes} bytes per trial ({} neurons, {} learning synapses to them)",
        estimator.name(),
        network.cells.len(),
        network.weights.len()
    );
    let allowed = format!("at most {MOST_INFLUENCE_BYTES} bytes per trial; or 'backward'");
    Err(invalid("rule.estimator", value, allowed))
}
