//! Gradient sums of a block, and their reduction over blocks in one fixed tree.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::learn::plan::LearningPlan;
use crate::model::Model;
use crate::model::gradients::Gradients;
use crate::network::SynapseKind;
use crate::numeric::float_bytes;
use crate::numeric::memory::{ensure_memory, product};
use crate::numeric::scalar::Scalar;

/// One block's part of the gradient, lanes summed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(bound = "F: Scalar")]
pub(crate) struct BlockGradient<F> {
    /// One per slot of the plan.
    #[serde(with = "float_bytes")]
    pub sums: Vec<F>,
    /// One per readout unit.
    #[serde(with = "float_bytes")]
    pub bias: Vec<F>,
    /// Σ_t e_t per slot (online form with a regulariser).
    #[serde(with = "float_bytes")]
    pub plain: Vec<F>,
    /// Σ_t e_t−1 ψ_j,t, or (h ∗ e)_t−1 ψ_j,t, per modulatory edge (likewise).
    #[serde(with = "float_bytes")]
    pub edge_sums: Vec<F>,
    pub edges: Vec<Edge<F>>,
}

/// A modulatory edge as the trace of one slot sees it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Edge<F> {
    pub slot: u32,
    pub from: u32,
    pub gain: F,
    /// The trace of the synapse that it uses: e itself, or e through a filter (from 1 on).
    pub view: u32,
}

/// The sum of one subtree of a batch's blocks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "F: Scalar")]
pub(crate) struct Subtree<F> {
    pub blocks: Range<usize>,
    pub block_gradient: BlockGradient<F>,
}

impl<F: Scalar> Subtree<F> {
    /// Blocks in order, from the first on.
    pub fn of_blocks(first: usize, block_gradients: Vec<BlockGradient<F>>) -> Vec<Self> {
        let subtree = |(block, block_gradient)| Self { blocks: block..block + 1, block_gradient };
        (first..).zip(block_gradients).map(subtree).collect()
    }

    /// Adds neighbours as far as the tree of so many blocks has both below one node: the result depends on the blocks alone.
    pub fn combine(subtrees: Vec<Self>, blocks: usize) -> Vec<Self> {
        let parts = subtrees.into_iter().map(|subtree| (subtree.blocks, subtree.block_gradient));
        let sums = in_tree(parts, blocks, BlockGradient::add);
        sums.into_iter().map(|(blocks, block_gradient)| Self { blocks, block_gradient }).collect()
    }
}

/// The subtrees of a tree of so many blocks that make up a range of it.
pub(crate) fn subtrees_of(range: Range<usize>, blocks: usize) -> Vec<Range<usize>> {
    let parts = range.map(|block| (block..block + 1, ()));
    in_tree(parts, blocks, |(), ()| ()).into_iter().map(|(range, ())| range).collect()
}

/// The tree of all sums over blocks: pairs, pairs of pairs, and so on; what has no right neighbour waits for the next level.
fn in_tree<T>(
    parts: impl Iterator<Item = (Range<usize>, T)>,
    blocks: usize,
    add: impl Fn(&mut T, &T),
) -> Vec<(Range<usize>, T)> {
    let siblings = |left: &Range<usize>, right: &Range<usize>| {
        let (width, parent) = (left.len(), 2 * left.len());
        width.is_power_of_two()
            && left.start.is_multiple_of(parent)
            && left.end == right.start
            && right.end == (left.start + parent).min(blocks)
    };
    let mut sums: Vec<(Range<usize>, T)> = Vec::new();
    for (mut range, mut part) in parts {
        while let Some((left, mut sum)) = sums.pop_if(|(left, _)| siblings(left, &range)) {
            add(&mut sum, &part);
            (range, part) = (left.start..range.end, sum);
        }
        sums.push((range, part));
    }
    sums
}

impl<F: Scalar> BlockGradient<F> {
    /// Adds the regulariser's part: c_p Σ_t e_t + Σ_j gain c_j Σ_t e_t−1 ψ_j,t.
    pub fn regularise(&mut self, plan: &LearningPlan<F>, constants: &[F]) {
        for ((sum, &plain), slot) in self.sums.iter_mut().zip(&self.plain).zip(&plan.synapses.slots) {
            if slot.kind != SynapseKind::Readout {
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

    /// Adds the parts of all blocks in their tree; empty without blocks.
    pub fn tree_reduce(subtrees: Vec<Subtree<F>>) -> Self {
        let blocks = subtrees.last().map_or(0, |subtree| subtree.blocks.end);
        Subtree::combine(subtrees, blocks).pop().map(|subtree| subtree.block_gradient).unwrap_or_default()
    }

    /// Maps slots to projections and readout units to readouts, scaled; lesioned synapses have no gradient.
    ///
    /// # Errors
    /// [`crate::Error::Memory`]; [`crate::Error::NotFinite`] when a gradient is not finite.
    pub fn gradients(&self, model: &Model<F>, plan: &LearningPlan<F>) -> Result<Gradients<F>> {
        let network = model.network();
        ensure_memory(product(&[network.synapse_count(), size_of::<F>()]), "the gradients")?;
        let zeros = network.projections.iter().map(|synapses| vec![F::ZERO; synapses.len()]);
        let mut projections: Vec<Vec<F>> = zeros.collect();
        for (slot, &sum) in plan.synapses.slots.iter().zip(&self.sums) {
            projections[slot.projection as usize][slot.synapse as usize] = sum;
        }
        for (synapses, gradients) in network.projections.iter().zip(&mut projections) {
            synapses.silent.iter().for_each(|&synapse| gradients[synapse as usize] = F::ZERO);
        }
        let bias = network.readouts().iter().map(|readout| match readout.bias {
            true => self.bias[readout.units.clone()].to_vec(),
            false => Vec::new(),
        });
        Gradients::new(network, projections, bias.collect())
    }
}
