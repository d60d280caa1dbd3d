//! Gradients: a block's sums, their fixed tree, and the result by projection.

use crate::error::{Error, Result};
use crate::learn::plan::Plan;
use crate::memory::{product, room_for};
use crate::model::Model;
use crate::network::Stage;
use crate::real::Real;

/// Gradients of all weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients<F> {
    projections: Vec<Vec<F>>,
    bias: Vec<Vec<F>>,
}

impl<F: Real> Gradients<F> {
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
        let all = self.projections.iter().chain(&self.bias).flatten();
        all.map(|x| x.to_f64() * x.to_f64()).sum::<f64>().sqrt()
    }
}

/// One block's part of the gradient, lanes summed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Partial<F> {
    /// One a slot of the plan.
    pub sums: Vec<F>,
    /// One a readout unit.
    pub bias: Vec<F>,
    /// Σ_t e_t a slot (online form with a regulariser).
    pub plain: Vec<F>,
    /// Σ_t e_t−1 ψ_j,t, or (h ∗ e)_t−1 ψ_j,t, a modulatory edge (likewise).
    pub edge_sums: Vec<F>,
    pub edges: Vec<Edge<F>>,
}

/// A modulatory edge as the trace of one slot sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edge<F> {
    pub slot: u32,
    pub from: u32,
    pub gain: F,
    /// What of the synapse's past it sees: e itself, or e through a filter (from 1 on).
    pub view: u32,
}

impl<F: Real> Partial<F> {
    /// Adds the regulariser's part: c_p Σ_t e_t + Σ_j gain c_j Σ_t e_t−1 ψ_j,t.
    pub fn regularise(&mut self, plan: &Plan<F>, constants: &[F]) {
        for ((sum, &plain), slot) in self.sums.iter_mut().zip(&self.plain).zip(&plan.slots) {
            if slot.stage != Stage::Readout {
                *sum += constants[slot.post as usize] * plain;
            }
        }
        for (edge, &sum) in self.edges.iter().zip(&self.edge_sums) {
            self.sums[edge.slot as usize] += edge.gain * constants[edge.from as usize] * sum;
        }
    }

    fn add(&mut self, other: &Self) {
        let add = |to: &mut [F], from: &[F]| to.iter_mut().zip(from).for_each(|(a, &b)| *a += b);
        add(&mut self.sums, &other.sums);
        add(&mut self.bias, &other.bias);
        add(&mut self.plain, &other.plain);
        add(&mut self.edge_sums, &other.edge_sums);
    }

    /// Adds the blocks' parts pairwise, always in the same tree.
    pub fn sum_in_tree(mut partials: Vec<Self>) -> Self {
        while partials.len() > 1 {
            let mut pairs = partials.into_iter();
            let mut sums = Vec::new();
            while let Some(mut left) = pairs.next() {
                if let Some(right) = pairs.next() {
                    left.add(&right);
                }
                sums.push(left);
            }
            partials = sums;
        }
        partials.pop().unwrap_or_default()
    }

    /// Slots to projections, readout units to readouts, scaled.
    pub fn gradients(&self, model: &Model<F>, plan: &Plan<F>) -> Result<Gradients<F>> {
        let network = model.network();
        room_for(product(&[network.synapse_count(), size_of::<F>()]), "the gradients")?;
        let zeros = network.projections.iter().map(|wires| vec![F::ZERO; wires.len()]);
        let mut projections: Vec<Vec<F>> = zeros.collect();
        for (slot, &sum) in plan.slots.iter().zip(&self.sums) {
            projections[slot.projection as usize][slot.synapse as usize] = sum;
        }
        let bias = network.readouts().iter().map(|readout| match readout.bias {
            true => self.bias[readout.units.clone()].to_vec(),
            false => Vec::new(),
        });
        let gradients = Gradients { projections, bias: bias.collect() };
        for (values, wires) in gradients.projections.iter().zip(&network.projections) {
            if values.iter().any(|x| !x.is_finite()) {
                return Err(Error::NotFinite { what: format!("the gradient of {}", wires.name()) });
            }
        }
        Ok(gradients)
    }
}
