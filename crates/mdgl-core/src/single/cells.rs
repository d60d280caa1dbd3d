//! Constants of the neurons, sixteen side by side.

use std::mem::discriminant;
use std::ops::Range;

use crate::neuron::Dynamics;
use crate::neuron::alif::Alif;
use crate::numeric::lanes::{Block, LANES};
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::CompiledNetwork;

/// All neurons, in blocks of sixteen; lanes without one never spike and have no ψ.
#[derive(Debug)]
pub(super) struct Cells<F: Scalar> {
    blocks: Vec<Dynamics<Block<F>>>,
    /// Neighbouring blocks of one model.
    runs: Vec<Range<usize>>,
    usual: bool,
    /// State variables beyond the first, of the model that has most.
    further: usize,
}

impl<F: Scalar> Cells<F> {
    /// Of a compiled network whose neurons stand side by side.
    pub fn new(network: &CompiledNetwork<F>) -> Self {
        debug_assert!(network.stands_side_by_side);
        let each = |cells: &[Dynamics<F>]| {
            cells.chunks(LANES).filter_map(Dynamics::side_by_side).flatten().collect()
        };
        let blocks: Vec<_> = each(&network.cells);
        Self {
            runs: runs(&blocks),
            blocks,
            usual: network.cells.iter().all(Dynamics::is_usual),
            further: network.further,
        }
    }

    /// Number of blocks.
    pub fn count(&self) -> usize {
        self.blocks.len()
    }

    /// Some blocks.
    #[inline(always)]
    pub fn blocks(&self, blocks: Range<usize>) -> &[Dynamics<Block<F>>] {
        &self.blocks[blocks]
    }

    /// Neighbouring blocks of one model.
    #[inline(always)]
    pub fn runs(&self) -> &[Range<usize>] {
        &self.runs
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
}

fn runs<F: Scalar>(blocks: &[Dynamics<Block<F>>]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (i, block) in blocks.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if discriminant(&blocks[run.start]) == discriminant(block) => run.end = i + 1,
            _ => runs.push(i..i + 1),
        }
    }
    runs
}

/// Neurons whose spikes and ψ are those of the paper: blocks of LIF neurons, then blocks of those that adapt.
#[derive(Debug)]
pub(super) struct UsualCells<F: Scalar> {
    /// All blocks; those of LIF neurons adapt by 0.
    pub cells: Vec<Alif<Block<F>>>,
    /// Number of blocks of LIF neurons before the first one that adapts.
    pub lif: usize,
}

impl<F: Scalar> UsualCells<F> {
    /// The same neurons; `None` where there are others.
    pub fn new(cells: &Cells<F>) -> Option<Self> {
        let mut usual = Self { cells: Vec::new(), lif: 0 };
        for block in cells.blocks.iter().filter(|_| cells.usual) {
            match *block {
                Dynamics::Lif(lif) => usual.cells.push(Alif {
                    lif,
                    rho: Block::ZERO,
                    beta: Block::ZERO,
                    adaptation_increment: Block::ZERO,
                }),
                Dynamics::Alif(alif) => usual.cells.push(alif),
                _ => return None,
            }
        }
        usual.lif = cells.blocks.iter().take_while(|block| matches!(block, Dynamics::Lif(_))).count();
        (usual.cells.len() == cells.count()).then_some(usual)
    }
}

/// Whether neurons may be [`UsualCells`].
pub(crate) fn are_usual<F: Scalar>(cells: &[Dynamics<F>]) -> bool {
    cells.iter().all(|own| own.is_usual() && matches!(own, Dynamics::Lif(_) | Dynamics::Alif(_)))
}
