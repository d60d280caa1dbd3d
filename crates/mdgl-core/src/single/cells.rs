//! Constants of the neurons, sixteen side by side.

use crate::neuron::Dynamics;
use crate::numeric::lanes::{Block, LANES};
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::CompiledNetwork;
use crate::single::columns::ABREAST;

/// All neurons, in blocks of sixteen; lanes without one never spike and have no ψ.
#[derive(Debug)]
pub(super) struct Cells<F: Scalar> {
    blocks: Vec<Dynamics<Block<F>>>,
    /// The same with those that go through a tile together as one model, where one has room for all.
    abreast: Vec<Dynamics<Block<F>>>,
    usual: bool,
    /// State variables beyond the first, of the model that has most.
    further: usize,
}

impl<F: Scalar> Cells<F> {
    /// Of a compiled network whose neurons stand side by side.
    pub fn new(compiled: &CompiledNetwork<F>) -> Self {
        debug_assert!(compiled.stands_side_by_side);
        let each = |cells: &[Dynamics<F>]| {
            cells.chunks(LANES).filter_map(Dynamics::side_by_side).flatten().collect()
        };
        let together = |cells: &[Dynamics<F>]| match cells.len().div_ceil(LANES) {
            ABREAST => Dynamics::side_by_side(cells).unwrap_or_else(|| each(cells)),
            // The last blocks go one by one.
            _ => each(cells),
        };
        Self {
            blocks: each(&compiled.cells),
            abreast: compiled.cells.chunks(ABREAST * LANES).flat_map(together).collect(),
            usual: compiled.cells.iter().all(Dynamics::is_usual),
            further: compiled.further,
        }
    }

    /// State variables of all blocks beyond the first of each.
    pub fn further_variables(&self) -> u64 {
        self.blocks.iter().map(|block| block.further() as u64).sum()
    }

    /// The most that any has.
    pub fn further(&self) -> usize {
        self.further
    }

    /// Whether spikes and ψ are those of the paper; the same for all neurons of a network.
    pub fn are_usual(&self) -> bool {
        self.usual
    }

    #[inline(always)]
    pub fn block(&self, block: usize) -> &Dynamics<Block<F>> {
        &self.blocks[block]
    }

    /// A block as the model of those that go through a tile together.
    #[inline(always)]
    pub fn abreast(&self, block: usize) -> &Dynamics<Block<F>> {
        &self.abreast[block]
    }
}
