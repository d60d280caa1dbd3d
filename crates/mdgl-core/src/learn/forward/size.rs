//! How much an estimator keeps, and the most it may.

use crate::description::rule::Estimator;
use crate::error::{Result, invalid};
use crate::learn::forward::snap1::Snap1;
use crate::learn::forward::tangents::Tangents;
use crate::learn::forward::wiring::Wiring;

/// Most bytes that the forward-mode estimators keep at once: 1 GiB. A trial that needs more is refused; with less, as
/// many trials as fit go in parallel.
pub const MOST_INFLUENCE_BYTES: u64 = 1 << 30;

/// Bytes of influence in one trial.
///
/// # Errors
/// [`crate::Error::Invalid`] for more than [`MOST_INFLUENCE_BYTES`].
pub(crate) fn check(estimator: Estimator, wiring: &Wiring) -> Result<u64> {
    let (columns, height, each) = match estimator {
        Estimator::Uoro => {
            (1, Tangents::height(wiring) + wiring.weights.len(), "one state and one weight vector")
        }
        Estimator::KfRtrl => (wiring.cells.len(), Tangents::height(wiring), "the state by each neuron"),
        Estimator::Snap1 => (wiring.weights.len(), Snap1::height(wiring), "a neuron's state by each weight"),
        _ => (wiring.weights.len(), Tangents::height(wiring), "the whole state by each weight"),
    };
    let bytes = (columns as u64).saturating_mul(height as u64).saturating_mul(size_of::<f64>() as u64);
    if bytes <= MOST_INFLUENCE_BYTES {
        return Ok(bytes.max(1));
    }
    let value = format!(
        "'{}', which keeps {each}: {bytes} bytes a trial ({} neurons, {} learning synapses to them)",
        estimator.name(),
        wiring.cells.len(),
        wiring.weights.len()
    );
    let allowed = format!("at most {MOST_INFLUENCE_BYTES} bytes a trial; or 'backward'");
    Err(invalid("rule.estimator", value, allowed))
}
