//! Constants and weights of a compiled network with neurons in the lanes, for the forward pass of one trial.

use crate::numeric::lanes::{Block, LANES};
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::CompiledNetwork;
use crate::single::cells::{Cells, UsualCells};
use crate::single::outgoing::Outgoing;
use crate::single::refractory::periods;

/// Constants and weights, neurons (or readout units) in the lanes.
#[derive(Debug)]
pub(crate) struct LaneLayout<F: Scalar> {
    pub(super) cells: Cells<F>,
    /// The same neurons, where [`crate::single::usual`] may simulate them.
    usual: Option<UsualCells<F>>,
    /// Refractory period of each neuron, in steps.
    pub(super) periods: Vec<F>,
    /// What reaches neurons: of neurons, then of input units.
    pub(super) onto_cells: Outgoing<F>,
    pub(super) readout: Outgoing<F>,
    pub(super) kappa: Vec<Block<F>>,
    pub(super) bias: Vec<Block<F>>,
}

impl<F: Scalar> LaneLayout<F> {
    pub fn new(network: &CompiledNetwork<F>, inputs: usize) -> Self {
        let (n, outputs) = (network.size(), network.outputs());
        let cells = Cells::new(network);
        let onto_cells = Outgoing::new(&[(&network.undelayed().csr, n), (&network.input, inputs)], n);
        let readout = Outgoing::new(&[(&network.readout, n)], outputs);
        let has_rows = onto_cells.rows().is_some() && readout.rows().is_some();
        Self {
            usual: UsualCells::new(&cells).filter(|_| has_rows),
            cells,
            periods: periods(network),
            onto_cells,
            readout,
            kappa: blocks(&network.kappa),
            bias: blocks(&network.bias),
        }
    }

    /// The neurons, where all are usual and weights have rows.
    pub(super) fn usual(&self) -> Option<&UsualCells<F>> {
        self.usual.as_ref()
    }

    /// Blocks of neurons.
    pub(super) fn blocks(&self) -> usize {
        self.cells.count()
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
