//! A compiled network with neurons side by side: what the forward pass of a single trial reads beside the network itself.

use crate::numeric::lanes::{Block, LANES, Places};
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::CompiledNetwork;
use crate::single::cells::Cells;
use crate::single::outgoing::Outgoing;
use crate::single::refractory::Periods;

/// Constants and weights, neurons (or readout units) in the lanes.
#[derive(Debug)]
pub(crate) struct Wiring<F: Scalar> {
    pub(super) cells: Cells<F>,
    pub(super) periods: Periods,
    /// The numbers of the neurons, by block.
    pub(super) numbers: Vec<Places>,
    pub(super) input: Outgoing<F>,
    pub(super) recurrent: Outgoing<F>,
    pub(super) readout: Outgoing<F>,
    pub(super) kappa: Vec<Block<F>>,
    pub(super) bias: Vec<Block<F>>,
}

impl<F: Scalar> Wiring<F> {
    pub fn new(compiled: &CompiledNetwork<F>, inputs: usize) -> Self {
        let (n, outputs) = (compiled.size(), compiled.outputs());
        let first = |block: usize| Places(std::array::from_fn(|lane| (LANES * block + lane) as u32));
        Self {
            cells: Cells::new(compiled),
            periods: Periods::new(compiled),
            numbers: (0..n.div_ceil(LANES)).map(first).collect(),
            input: Outgoing::new(&compiled.input, inputs, n),
            recurrent: Outgoing::new(&compiled.undelayed().csr, n, n),
            readout: Outgoing::new(&compiled.readout, n, outputs),
            kappa: blocks(&compiled.kappa),
            bias: blocks(&compiled.bias),
        }
    }

    /// Blocks of neurons.
    pub(super) fn blocks(&self) -> usize {
        self.numbers.len()
    }

    /// Blocks of readout units.
    pub(super) fn outputs(&self) -> usize {
        self.kappa.len()
    }
}

/// Values side by side; 0 beyond the last.
pub(super) fn blocks<F: Scalar>(values: &[F]) -> Vec<Block<F>> {
    let block = |values: &[F]| {
        let mut block = Block::ZERO;
        block.0[..values.len()].copy_from_slice(values);
        block
    };
    values.chunks(LANES).map(block).collect()
}
