//! The neurons of a network; which of them share type and constants.

use std::collections::HashMap;

use crate::description::NetworkDescription;
use crate::error::Result;
use crate::neuron::{Neuron, Parameters};

/// Neurons that share their type and all constants: what one mean of ψ speaks for.
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
    pub(super) fn new(neurons: &[Neuron], type_of: &[usize]) -> Self {
        let (mut of, mut first, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
        let mut known = HashMap::new();
        for (p, (neuron, &own)) in neurons.iter().zip(type_of).enumerate() {
            let group = *known.entry((own, neuron.sends_values(), neuron.bits())).or_insert_with(|| {
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

pub(super) fn neurons(description: &NetworkDescription) -> Result<Vec<Neuron>> {
    let mut all = Vec::with_capacity(description.populations.iter().map(|p| p.size).sum());
    for population in &description.populations {
        for unit in 0..population.size {
            all.push(Neuron::new(&Parameters { description, population, unit })?);
        }
    }
    Ok(all)
}
