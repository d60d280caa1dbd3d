//! Gradients of all weights, per projection and readout.

use crate::error::{Result, not_finite};
use crate::network::Network;
use crate::numeric::scalar::{Scalar, all_finite};

/// Gradients of all weights, every number finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients<F> {
    projections: Vec<Vec<F>>,
    bias: Vec<Vec<F>>,
    norm: f64,
}

impl<F: Scalar> Gradients<F> {
    /// Gradients of a network.
    ///
    /// # Errors
    /// [`crate::Error::NotFinite`] when one is not finite, or their norm is not.
    pub(crate) fn new(network: &Network, projections: Vec<Vec<F>>, bias: Vec<Vec<F>>) -> Result<Self> {
        if let Some(i) = projections.iter().position(|values| !all_finite(values)) {
            return Err(not_finite(format!("the gradient of {}", network.projections[i].name())));
        }
        if let Some(i) = bias.iter().position(|values| !all_finite(values)) {
            return Err(not_finite(format!("the gradient of the bias of {}", network.readouts()[i].name())));
        }
        let norm = norm_of(&projections, &bias);
        match norm.is_finite() {
            true => Ok(Self { projections, bias, norm }),
            false => Err(not_finite("the norm of the gradient")),
        }
    }

    /// The same with gradients of 0 in place of those of some readouts' biases.
    pub(crate) fn without_biases(mut self, readouts: &[usize]) -> Self {
        if !readouts.is_empty() {
            readouts.iter().for_each(|&readout| self.bias[readout].fill(F::ZERO));
            self.norm = norm_of(&self.projections, &self.bias);
        }
        self
    }

    /// ∂E/∂W of a projection, in the order of its synapses.
    pub fn projection(&self, index: usize) -> &[F] {
        &self.projections[index]
    }
    /// ∂E/∂bias of a readout.
    pub fn bias(&self, readout: usize) -> &[F] {
        &self.bias[readout]
    }
    /// The norm of all together.
    pub fn norm(&self) -> f64 {
        self.norm
    }
}

fn norm_of<F: Scalar>(projections: &[Vec<F>], bias: &[Vec<F>]) -> f64 {
    let all = projections.iter().chain(bias).flatten();
    all.map(|x| x.to_f64() * x.to_f64()).sum::<f64>().sqrt()
}
