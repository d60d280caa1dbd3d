//! Constants of the neurons, sixteen side by side.

use crate::circuit::{Cell, Circuit};
use crate::description::Shape;
use crate::lanes::{Block, LANES, Lanes};
use crate::neuron::Constants;
use crate::scalar::Scalar;

/// Sixteen neurons' constants; in lanes without one a threshold of 1 and all else 0, so that they never spike and have
/// no ψ.
#[derive(Debug, Clone)]
struct Sixteen<F: Scalar> {
    alpha: Block<F>,
    rho: Block<F>,
    jump: Block<F>,
    threshold: Block<F>,
    reset: Block<F>,
    beta: Block<F>,
    slope: Block<F>,
    steepness: Block<F>,
    shape: Shape,
    adaptive: bool,
    inclusive: bool,
}

/// All neurons, in blocks of sixteen.
#[derive(Debug)]
pub(super) struct Cells<F: Scalar> {
    blocks: Vec<Sixteen<F>>,
    usual: bool,
}

impl<F: Scalar> Cells<F> {
    pub fn new(circuit: &Circuit<F>) -> Self {
        let usual = circuit.cells.iter().all(|cell| cell.shape == Shape::Triangular && !cell.inclusive);
        Self { blocks: circuit.cells.chunks(LANES).map(sixteen).collect(), usual }
    }

    /// Number of blocks with a cell that adapts.
    pub fn adaptive(&self) -> u64 {
        self.blocks.iter().filter(|block| block.adaptive).count() as u64
    }

    /// Whether spikes and ψ are those of the paper; the same for all neurons of a network.
    pub fn are_usual(&self) -> bool {
        self.usual
    }

    #[inline(always)]
    pub fn constants<L: Lanes<Scalar = F>>(&self, block: usize) -> Constants<L> {
        let cells = &self.blocks[block];
        Constants {
            alpha: L::load(&cells.alpha),
            rho: L::load(&cells.rho),
            jump: L::load(&cells.jump),
            threshold: L::load(&cells.threshold),
            reset: L::load(&cells.reset),
            beta: L::load(&cells.beta),
            slope: L::load(&cells.slope),
            steepness: L::load(&cells.steepness),
            shape: cells.shape,
            adaptive: cells.adaptive,
            inclusive: cells.inclusive,
        }
    }
}

fn sixteen<F: Scalar>(cells: &[Cell<F>]) -> Sixteen<F> {
    let lanes = |pick: fn(&Cell<F>) -> F| {
        let mut block = Block::ZERO;
        block.0.iter_mut().zip(cells).for_each(|(to, cell)| *to = pick(cell));
        block
    };
    let mut threshold = lanes(|c| c.threshold);
    threshold.0[cells.len()..].fill(F::ONE);
    Sixteen {
        alpha: lanes(|c| c.alpha),
        rho: lanes(|c| c.rho),
        // The adaptation of a cell without any stays 0.
        jump: lanes(|c| if c.adaptive { c.jump } else { F::ZERO }),
        threshold,
        reset: lanes(|c| c.reset),
        beta: lanes(|c| c.beta),
        slope: lanes(|c| c.slope),
        steepness: lanes(|c| c.steepness),
        shape: cells[0].shape,
        adaptive: cells.iter().any(|c| c.adaptive),
        inclusive: cells.iter().any(|c| c.inclusive),
    }
}
