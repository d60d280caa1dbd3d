//! Feedback weights, through which errors reach the cells.

use crate::description::rule::{Feedback, RandomFeedback};
use crate::error::{Result, invalid};
use crate::model::Model;
use crate::network::Network;
use crate::numeric::csr::Csr;
use crate::numeric::random::{CounterRng, DrawStream};
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::CompiledNetwork;

/// Neuron → (readout unit, (1 − κ) B).
pub(crate) fn csr<F: Scalar>(
    model: &Model<F>,
    network: &CompiledNetwork<F>,
    feedback: &Feedback,
) -> Result<Csr<F>> {
    match feedback {
        Feedback::Preset(_) => Ok(network.readout.clone()),
        Feedback::Fixed { random } => draw(model, random, 1.0, Vec::new()),
        Feedback::Adaptive { adaptive } => {
            draw(model, &adaptive.difference(), model.feedback_share, of_readout(network))
        }
        Feedback::Given { weights } => Ok(given(model.network(), weights)),
    }
}

/// Refuses given weights that are not one number per neuron and readout unit.
pub(crate) fn validate(feedback: &Feedback, network: &Network) -> Result<()> {
    let Feedback::Given { weights } = feedback else { return Ok(()) };
    const PATH: &str = "rule.feedback.weights";
    let (neurons, outputs) = (network.size(), network.outputs.len());
    if weights.len() != neurons {
        return Err(invalid(PATH, format!("{} rows", weights.len()), format!("{neurons}, one per neuron")));
    }
    for (p, row) in weights.iter().enumerate() {
        if row.len() != outputs {
            let allowed = format!("{outputs}, one per readout unit");
            return Err(invalid(format!("{PATH}[{p}]"), format!("{} weights", row.len()), allowed));
        }
    }
    Ok(())
}

/// The weights that are not 0; they have been validated.
fn given<F: Scalar>(network: &Network, weights: &[Vec<f64>]) -> Csr<F> {
    let mut triples = Vec::new();
    for (p, row) in weights.iter().enumerate() {
        for (k, (&weight, output)) in row.iter().zip(&network.outputs).enumerate() {
            if weight != 0.0 {
                triples.push((p, k, F::from_f64(weight * (1.0 - output.kappa))));
            }
        }
    }
    Csr::new(network.size(), &triples)
}

/// (neuron, unit, (1 − κ) W) of every readout weight.
fn of_readout<F: Scalar>(network: &CompiledNetwork<F>) -> Vec<(usize, usize, F)> {
    let own = |p: usize| network.readout.of(p).iter().map(move |&(k, weight)| (p, k as usize, weight));
    (0..network.size()).flat_map(own).collect()
}

/// Drawn weights times a factor, added to others: for a seed the same whatever the model's weights, one draw per pair,
/// cell after cell.
fn draw<F: Scalar>(
    model: &Model<F>,
    random: &RandomFeedback,
    factor: f64,
    mut triples: Vec<(usize, usize, F)>,
) -> Result<Csr<F>> {
    let network = model.network();
    let mut rng = CounterRng::internal(random.seed, DrawStream::Feedback, 0, 0);
    for p in 0..network.size() {
        for (k, output) in network.outputs.iter().enumerate() {
            let (present, weight) = (rng.uniform() < random.density, rng.normal());
            if present {
                let scaled = factor * random.standard_deviation * weight * (1.0 - output.kappa);
                triples.push((p, k, F::from_f64(scaled)));
            }
        }
    }
    Ok(Csr::new(network.size(), &triples))
}
