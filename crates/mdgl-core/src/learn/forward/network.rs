//! Constants, living synapses and learning weights of a network, as the forward-mode estimators read them.

use crate::learn::plan::LearningPlan;
use crate::network::SynapseKind;
use crate::neuron::Dynamics;
use crate::neuron::constants::Widen;
use crate::neuron::equations::FURTHER;
use crate::numeric::csr::Csr;
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::CompiledNetwork;

/// Constants and connections of a network with the current weights, in f64.
#[derive(Debug, Default)]
pub(crate) struct ForwardNetwork {
    pub cells: Vec<Dynamics<f64>>,
    /// Each cell's place in the lists of further state variables, and the lengths of these.
    pub places: Vec<[usize; FURTHER]>,
    pub further: [usize; FURTHER],
    pub inputs: usize,
    pub kappa: Vec<f64>,
    /// Cell → (cell, (1−α) W).
    pub recurrent: Csr<f64>,
    /// Cell → (readout unit, (1−κ) W).
    pub readout: Csr<f64>,
    /// Sender (an input unit, or a cell after them) → (cell, weight): the weights that learn, readout aside.
    pub targets: Csr<u32>,
    pub weights: Vec<Weight>,
    /// Cell → (readout unit, readout weight): the readout weights that learn.
    pub reads: Csr<u32>,
    /// Index of each readout weight among the plan's sums.
    pub read_slots: Vec<u32>,
}

/// A weight that learns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weight {
    pub sender: u32,
    pub post: u32,
    /// 1 − α of the target.
    pub scale: f64,
    /// Index among the plan's sums.
    pub slot: u32,
}

impl ForwardNetwork {
    pub fn new<F: Scalar>(network: &CompiledNetwork<F>, plan: &LearningPlan<F>, inputs: usize) -> Self {
        let mut network = Self {
            inputs,
            kappa: network.kappa.iter().map(|kappa| kappa.to_f64()).collect(),
            recurrent: widen(&network.undelayed().csr, network.size()),
            readout: widen(&network.readout, network.size()),
            ..Self::of_cells(network.cells.iter().map(|dynamics| dynamics.map::<Widen>()).collect())
        };
        network.list_weights(plan);
        network.list_reads(plan);
        network
    }

    /// Cells without connections.
    pub fn of_cells(cells: Vec<Dynamics<f64>>) -> Self {
        let mut further = [0; FURTHER];
        let place = |dynamics: &Dynamics<f64>| {
            let place = further;
            further[..dynamics.further()].iter_mut().for_each(|len| *len += 1);
            place
        };
        Self { places: cells.iter().map(place).collect(), further, cells, ..Self::default() }
    }

    /// Number of state variables of all cells.
    pub fn variables(&self) -> usize {
        self.cells.len() + self.further.iter().sum::<usize>()
    }

    /// Number of input units and cells.
    pub fn senders(&self) -> usize {
        self.inputs + self.cells.len()
    }

    fn list_weights<F: Scalar>(&mut self, plan: &LearningPlan<F>) {
        let inputs = (0..self.inputs).map(|unit| (unit, plan.synapses.input.of(unit)));
        let cells =
            (0..self.cells.len()).map(|cell| (self.inputs + cell, plan.synapses.recurrent[0].csr.of(cell)));
        let mut triples = Vec::new();
        for (sender, targets) in inputs.chain(cells) {
            for &(post, slot) in targets {
                triples.push((sender, post as usize, self.weights.len() as u32));
                let scale = plan.synapses.slots[slot as usize].scale.to_f64();
                self.weights.push(Weight { sender: sender as u32, post, scale, slot });
            }
        }
        self.targets = Csr::new(self.senders(), &triples);
    }

    fn list_reads<F: Scalar>(&mut self, plan: &LearningPlan<F>) {
        let mut triples = Vec::new();
        for cell in 0..self.cells.len() {
            for &(unit, slot) in plan.synapses.readout.of(cell) {
                debug_assert_eq!(plan.synapses.slots[slot as usize].kind, SynapseKind::Readout);
                triples.push((cell, unit as usize, self.read_slots.len() as u32));
                self.read_slots.push(slot);
            }
        }
        self.reads = Csr::new(self.cells.len(), &triples);
    }
}

fn widen<F: Scalar>(csr: &Csr<F>, units: usize) -> Csr<f64> {
    let of = |unit: usize| csr.of(unit).iter().map(move |&(to, w)| (unit, to as usize, w.to_f64()));
    let triples: Vec<_> = (0..units).flat_map(of).collect();
    Csr::new(units, &triples)
}
