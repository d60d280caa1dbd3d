//! One time step of one trial, with all values that a forward-mode estimator reads.

use crate::batch::encode::BlockInput;
use crate::learn::forward::network::ForwardNetwork;
use crate::learn::plan::Delta;
use crate::numeric::scalar::Scalar;
use crate::simulate::trajectory::Trajectory;

/// One simulated trial with its δ: a lane of its block.
pub(crate) struct ForwardTrial<'a, F: Scalar> {
    pub input: &'a BlockInput<F>,
    /// Its ψ in one segment.
    pub trajectory: &'a Trajectory<F>,
    pub delta: &'a Delta<F>,
    pub lane: usize,
}

/// Values of a step.
#[derive(Debug, Default)]
pub(crate) struct TrialStep<'a> {
    /// Sent values by unit: inputs x_t, cells z_t−1.
    pub active: Vec<(u32, f64)>,
    /// ψ_t of each cell.
    pub psi: Vec<f64>,
    /// δ_k,t = ∂E/∂y of each readout unit; empty where all are 0.
    pub delta: Vec<f64>,
    /// The regulariser's part of ∂E/∂z, one per cell; empty without one.
    pub constants: &'a [f64],
    /// Cells that spike in this step.
    pub spikes: Vec<u32>,
}

impl TrialStep<'_> {
    /// Reads the next step of a trial.
    pub fn read<F: Scalar>(&mut self, network: &ForwardNetwork, trial: &ForwardTrial<'_, F>, t: usize) {
        let lane = trial.lane;
        self.active.clear();
        for entry in trial.input.events.at(t).iter().filter(|entry| entry.mask >> lane & 1 == 1) {
            self.active.push((entry.unit, f64::from(entry.count)));
        }
        let units = &trial.input.analogue_units;
        let values = &trial.input.analogue[t * units.len()..(t + 1) * units.len()];
        // Injected currents have no synapse.
        for (&unit, value) in units.iter().zip(values).filter(|(unit, _)| **unit < network.inputs as u32) {
            self.active.push((unit, value.0[lane].to_f64()));
        }
        let inputs = network.inputs as u32;
        self.active.extend(self.spikes.iter().map(|&cell| (inputs + cell, 1.0)));
        self.spikes.clear();
        let spikes = trial.trajectory.state.spikes.at(t).iter();
        self.spikes.extend(spikes.filter(|entry| entry.mask >> lane & 1 == 1).map(|entry| entry.unit));
        self.psi.clear();
        let psi = trial.trajectory.psi(t);
        self.psi.extend(psi.lane(lane).map(Scalar::to_f64));
        self.delta.clear();
        let delta = trial.delta.at(t, network.kappa.len());
        self.delta.extend(delta.iter().map(|delta| delta.0[lane].to_f64()));
    }

    /// Whether the step adds nothing to the gradient.
    pub fn is_silent(&self) -> bool {
        self.constants.is_empty() && self.delta.iter().all(|&delta| delta == 0.0)
    }
}
