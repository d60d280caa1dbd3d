//! A model: a network with weights and the optimiser's state.

pub(crate) mod gradients;
pub(crate) mod optimiser;
pub(crate) mod psi_means;
pub(crate) mod safetensors;
pub(crate) mod schedule;

use std::sync::Arc;

use crate::description::Lesion;
use crate::error::{Result, invalid, not_finite};
use crate::model::psi_means::PsiMeans;
use crate::network::initialise;
use crate::network::{Network, ReadoutSlot, Synapses, check_weight};
use crate::numeric::memory::{ensure_memory, product};
use crate::numeric::random::{CounterRng, DrawStream};
use crate::numeric::scalar::{Scalar, all_finite};

/// Weights and optimiser state of a network; cloning copies them, the network is shared. Every number in it is finite: those
/// that are given or read are checked where they arrive, those of a training step by `Model::checked`.
#[derive(Debug, Clone)]
pub struct Model<F: Scalar> {
    network: Arc<Network>,
    /// θ of each projection: W = sign · max(θ, 0), or W = θ where the sender is free.
    pub(crate) theta: Vec<Vec<F>>,
    /// Bias of each readout (empty without one).
    pub(crate) bias: Vec<Vec<F>>,
    pub(crate) moments: AdamMoments<F>,
    /// The running means of ψ that kernel `'membrane'` uses.
    pub(crate) psi_means: PsiMeans,
    /// Remaining fraction of the difference between adaptive feedback and readout weights, 1 at first.
    pub(crate) feedback_share: f64,
}

impl<F: Scalar> Model<F> {
    /// A model with the synapses and initial weights that follow from the description and its seed.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] when the initial weights need more memory than there is; [`crate::Error::Invalid`] for weights
    /// that the float type cannot hold.
    pub fn new(network: Arc<Network>) -> Result<Self> {
        let network = match network.is_rewired() {
            true => Arc::new(Network::new(network.description().clone())?),
            false => network,
        };
        let mut model = Self::blank(network.clone())?;
        let seed = network.description().seed;
        for (i, synapses) in network.projections.iter().enumerate() {
            let mut rng = CounterRng::internal(seed, DrawStream::Weights, 0, i);
            let weights = initialise::weights(synapses, &mut rng)?;
            let path = || format!("projections.{}.{}", synapses.name(), synapses.initial.option());
            let to_theta = |(s, &w): (usize, &f64)| finite_as(theta_of(w, synapses.sign(s)), path);
            model.theta[i] = weights.iter().enumerate().map(to_theta).collect::<Result<_>>()?;
        }
        model.silence();
        Ok(model)
    }

    /// A model whose weights are all 0.
    ///
    /// # Errors
    /// [`crate::Error::Memory`].
    pub(crate) fn blank(network: Arc<Network>) -> Result<Self> {
        // θ and its two moments; initial weights are drawn as f64, one projection at a time.
        let bytes = product(&[network.synapse_count(), 3 * size_of::<F>() + size_of::<f64>()]);
        ensure_memory(bytes, "the weights of a network")?;
        let theta: Vec<_> =
            network.projections.iter().map(|synapses| vec![F::ZERO; synapses.len()]).collect();
        let biased = |readout: &ReadoutSlot| if readout.bias { readout.size() } else { 0 };
        let bias: Vec<_> = network.readouts().iter().map(|r| vec![F::ZERO; biased(r)]).collect();
        let moments = AdamMoments::new(&theta, &bias);
        let psi_means = PsiMeans::new(network.groups.count());
        Ok(Self { network, theta, bias, moments, psi_means, feedback_share: 1.0 })
    }

    /// The network.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// A projection's synapses.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] when there is no such projection.
    pub fn projection(&self, name: &str) -> Result<&Synapses> {
        Ok(&self.network.projections[self.network.projection_index(name)?])
    }

    /// A projection's weights, in the order of its synapses.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] when there is no such projection.
    pub fn weights(&self, name: &str) -> Result<Vec<F>> {
        let index = self.network.projection_index(name)?;
        let count = self.theta[index].len();
        ensure_memory(product(&[count, size_of::<F>()]), "the weights of a projection")?;
        Ok((0..count).map(|synapse| self.weight(index, synapse)).collect())
    }

    /// Silences synapses for good: their weights become 0, and neither the optimiser nor rewiring brings them back.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a lesion that does not fit the network; nothing is changed then.
    pub fn lesion(&mut self, lesion: Lesion) -> Result<()> {
        self.network = Arc::new(self.network.with_lesion(lesion)?);
        self.silence();
        Ok(())
    }

    /// The number of weights other than 0 of each projection.
    pub fn living(&self) -> Vec<usize> {
        let living = |i: usize| (0..self.theta[i].len()).filter(|&s| self.weight(i, s) != F::ZERO).count();
        (0..self.theta.len()).map(living).collect()
    }

    /// Whether a synapse is alive: that of a free sender always, unless a lesion keeps it silent.
    pub(crate) fn lives(&self, projection: usize, synapse: usize) -> bool {
        let synapses = &self.network.projections[projection];
        match synapses.sign(synapse) {
            0 => !synapses.is_silent(synapse),
            _ => self.theta[projection][synapse] > F::ZERO,
        }
    }

    /// Goes on with other synapses, of which it has the weights and moments already.
    pub(crate) fn set_network(&mut self, network: Network) {
        self.network = Arc::new(network);
    }

    /// Removes weights and moments of the synapses that lesions keep silent.
    pub(crate) fn silence(&mut self) {
        for (i, synapses) in self.network.projections.iter().enumerate() {
            for &synapse in synapses.silent.iter() {
                self.theta[i][synapse as usize] = F::ZERO;
                self.moments.theta[i][synapse as usize] = AdamMoment { first: F::ZERO, second: F::ZERO };
            }
        }
    }

    /// A copy.
    ///
    /// # Errors
    /// [`crate::Error::Memory`], where cloning would end the process.
    pub fn try_clone(&self) -> Result<Self> {
        ensure_memory(product(&[self.parameters(), 3 * size_of::<F>()]), "a copy of the weights")?;
        Ok(self.clone())
    }

    /// Bytes of memory in use, its network included.
    pub fn bytes(&self) -> usize {
        let numbers = product(&[self.parameters(), size_of::<F>() + size_of::<AdamMoment<F>>()]);
        numbers.saturating_add(self.network.bytes())
    }

    /// The model that a training step is about to publish.
    ///
    /// # Errors
    /// [`crate::Error::NotFinite`] when any number in it is not finite.
    pub(crate) fn checked(self) -> Result<Self> {
        let lists = |lists: &[Vec<F>]| lists.iter().position(|list| !all_finite(list));
        let finite = |list: &Vec<AdamMoment<F>>| {
            list.iter().fold(true, |finite, m| finite & m.first.is_finite() & m.second.is_finite())
        };
        let moments = |lists: &[Vec<AdamMoment<F>>]| lists.iter().position(|list| !finite(list));
        let projection = |i: usize| self.network.projections[i].name();
        let readout = |i: usize| self.network.readouts()[i].name();
        let problems = [
            lists(&self.theta).map(|i| format!("a weight of {}", projection(i))),
            lists(&self.bias).map(|i| format!("the bias of {}", readout(i))),
            moments(&self.moments.theta).map(|i| format!("a moment of the optimiser for {}", projection(i))),
            moments(&self.moments.bias).map(|i| format!("a moment of the optimiser for {}.bias", readout(i))),
            (!self.psi_means.is_finite()).then(|| "a mean pseudo-derivative".to_owned()),
            (!self.feedback_share.is_finite())
                .then(|| "the difference between feedback and readout".to_owned()),
        ];
        match problems.into_iter().flatten().next() {
            None => Ok(self),
            Some(what) => Err(not_finite(what)),
        }
    }

    /// Number of weights and biases.
    pub(crate) fn parameters(&self) -> usize {
        self.theta.iter().chain(&self.bias).map(Vec::len).sum()
    }

    pub(crate) fn weight(&self, projection: usize, synapse: usize) -> F {
        let theta = self.theta[projection][synapse];
        match self.network.projections[projection].sign(synapse) {
            0 => theta,
            _ if theta <= F::ZERO => F::ZERO,
            1 => theta,
            _ => -theta,
        }
    }

    /// Replaces a projection's weights; the optimiser's moments stay.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for an unknown projection, a wrong number of values, or a value
    /// that is not finite, against its sender's sign or of a lesioned synapse and not 0; nothing is changed then.
    pub fn set_weights(&mut self, name: &str, values: &[f64]) -> Result<()> {
        let index = self.network.projection_index(name)?;
        let synapses = &self.network.projections[index];
        let path = format!("weights.{name}");
        if values.len() != synapses.len() {
            let value = format!("{} values", values.len());
            return Err(invalid(path, value, format!("{} values", synapses.len())));
        }
        ensure_memory(size_of_val(values), "the weights of a projection")?;
        let mut theta = Vec::with_capacity(values.len());
        for (synapse, &value) in values.iter().enumerate() {
            let at = || format!("{path}[{synapse}]");
            check_weight(value, synapses.sign(synapse), at)?;
            if value != 0.0 && synapses.is_silent(synapse) {
                return Err(invalid(at(), value, "0: a lesion keeps this synapse silent"));
            }
            theta.push(finite_as(theta_of(value, synapses.sign(synapse)), at)?);
        }
        self.theta[index] = theta;
        Ok(())
    }

    /// A readout's bias; empty without one.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] when there is no such readout.
    pub fn bias(&self, readout: &str) -> Result<Vec<F>> {
        Ok(self.bias[self.network.readout_index(readout)?].clone())
    }

    /// Replaces a readout's bias.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for an unknown readout or wrong values; nothing is changed then.
    pub fn set_bias(&mut self, readout: &str, values: &[f64]) -> Result<()> {
        let index = self.network.readout_index(readout)?;
        let path = format!("bias.{readout}");
        if values.len() != self.bias[index].len() {
            let value = format!("{} values", values.len());
            let allowed = format!("{} values", self.bias[index].len());
            return Err(invalid(path, value, allowed));
        }
        let converted = values.iter().enumerate().map(|(i, &x)| finite_as(x, || format!("{path}[{i}]")));
        self.bias[index] = converted.collect::<Result<_>>()?;
        Ok(())
    }

    /// Bias of every readout unit, 0 without one.
    pub(crate) fn output_bias(&self) -> Vec<F> {
        let mut all = vec![F::ZERO; self.network.output_units()];
        for (slot, bias) in self.network.readouts().iter().zip(&self.bias) {
            all[slot.units.clone()][..bias.len()].copy_from_slice(bias);
        }
        all
    }
}

/// θ of a weight: its magnitude in the direction of the sender's sign.
fn theta_of(weight: f64, sign: i8) -> f64 {
    if sign == 0 { weight } else { weight * f64::from(sign) }
}

fn finite_as<F: Scalar>(value: f64, path: impl Fn() -> String) -> Result<F> {
    let converted = F::from_f64(value);
    if converted.is_finite() {
        return Ok(converted);
    }
    Err(invalid(path(), value, format!("a finite {}", F::NAME)))
}

/// Adam's moments and the number of steps taken.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AdamMoments<F> {
    pub steps: u64,
    pub theta: Vec<Vec<AdamMoment<F>>>,
    pub bias: Vec<Vec<AdamMoment<F>>>,
}

/// First and second moment of one parameter.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct AdamMoment<F> {
    pub first: F,
    pub second: F,
}

impl<F: Scalar> AdamMoments<F> {
    pub fn new(theta: &[Vec<F>], bias: &[Vec<F>]) -> Self {
        let zeros = |lists: &[Vec<F>]| {
            let zero = AdamMoment { first: F::ZERO, second: F::ZERO };
            lists.iter().map(|list| vec![zero; list.len()]).collect()
        };
        Self { steps: 0, theta: zeros(theta), bias: zeros(bias) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::Error;

    fn model() -> Model<f32> {
        let description = json!({
            "schema": "mdgl-network/1",
            "inputs": [],
            "populations": [{"name": "a", "size": 20, "model": "lif"}],
            "readouts": [{"name": "out", "size": 3, "bias": true}],
            "projections": [{"from": "a", "to": "out", "density": 1}]
        });
        Model::new(Arc::new(Network::new(serde_json::from_value(description).unwrap()).unwrap())).unwrap()
    }

    type Spoil = fn(&mut Model<f32>);

    #[test]
    fn no_number_of_a_published_model_is_infinite() {
        model().checked().unwrap();
        let parts: [(Spoil, &str); 8] = [
            (|m| m.theta[0][59] = f32::NEG_INFINITY, "a weight of a->out"),
            (|m| m.bias[0][2] = f32::NAN, "the bias of out"),
            (|m| m.moments.theta[0][1].first = f32::INFINITY, "a moment of the optimiser for a->out"),
            (|m| m.moments.theta[0][59].second = f32::INFINITY, "a moment of the optimiser for a->out"),
            (|m| m.moments.bias[0][0].first = f32::NAN, "a moment of the optimiser for out.bias"),
            (|m| m.moments.bias[0][2].second = f32::INFINITY, "a moment of the optimiser for out.bias"),
            (|m| m.psi_means.follow(&[f64::INFINITY]), "a mean pseudo-derivative"),
            (|m| m.feedback_share = f64::NAN, "the difference between feedback and readout"),
        ];
        for (part, expected) in parts {
            let mut model = model();
            part(&mut model);
            match model.checked().map(drop) {
                Err(Error::NotFinite { what }) => assert_eq!(what, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }
}
