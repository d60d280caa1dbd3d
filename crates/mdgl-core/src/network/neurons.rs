//! The constants of a network's neurons, and groups of neurons that share type and constants.

use std::collections::HashMap;

use crate::description::NetworkDescription;
use crate::neuron::constants::Bits;
use crate::neuron::{self, Dynamics, Neuron, Parameters};

/// Neurons that share their type and all constants: they share one mean of ψ.
#[derive(Debug, Clone)]
pub(crate) struct Groups {
    /// Group of each neuron, numbered as they first appear.
    pub of: Vec<u32>,
    /// The first neuron of each.
    pub first: Vec<u32>,
    /// Number of neurons of each.
    pub sizes: Vec<usize>,
}

impl Groups {
    pub(super) fn new(neurons: &[Neuron], dynamics: &[Dynamics<f64>], type_of: &[usize]) -> Self {
        let (mut of, mut first, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
        let mut known = HashMap::new();
        for (p, ((neuron, dynamics), &own)) in neurons.iter().zip(dynamics).zip(type_of).enumerate() {
            let key = (own, neuron.bits(), dynamics.map::<Bits>());
            let group = *known.entry(key).or_insert_with(|| {
                first.push(p as u32);
                sizes.push(0);
                sizes.len() - 1
            });
            sizes[group] += 1;
            of.push(group as u32);
        }
        Self { of, first, sizes }
    }

    pub fn count(&self) -> usize {
        self.sizes.len()
    }
}

/// The constants of all neurons: those in the description's terms, and those of their equations.
pub(super) fn neurons(description: &NetworkDescription) -> (Vec<Neuron>, Vec<Dynamics<f64>>) {
    let populations = description.populations.iter();
    let parameters = populations.flat_map(|population| {
        (0..population.size).map(move |unit| Parameters { description, population, unit })
    });
    parameters.map(|own| neuron::neuron(&own)).unzip()
}
