//! The parts of an iteration that a profile tells apart.

use serde::Serialize;

/// A kernel, or another part of an iteration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Section {
    /// Input events drawn or sorted into a block of trials.
    DrawingInputs,
    /// Input events onto cells.
    InputScatter,
    /// Spikes onto cells.
    RecurrentScatter,
    /// Membranes, thresholds, spikes, ψ and the upkeep of the refractory period.
    NeuronUpdate,
    /// Spikes onto readout units.
    Readout,
    /// Losses and δ.
    Loss,
    /// Γ: what cells receive of what others secrete; in the online form with the traces that follow it.
    Modulation,
    /// the adjoints of the cells, from the last step to the first.
    BackwardRecursion,
    /// Eligibility traces of the online form.
    EligibilityTraces,
    /// Gradient sums over events.
    GradientGather,
    /// Sums over lanes and blocks.
    Reduction,
    /// Adam or gradient descent, signs, l1, noise.
    Optimiser,
    /// Dead synapses brought back.
    Rewiring,
    /// Checks, weights laid out for the kernels, the rule made ready.
    Preparation,
    /// Of the passes through time, what no section above holds: loops, cleared buffers, snapshots, and interruptions
    /// by other processes.
    Remainder,
    /// A thread without work.
    Waiting,
}

/// Number of sections.
pub(crate) const SECTIONS: usize = 16;

impl Section {
    /// All of them, in the order of an iteration.
    pub const ALL: [Self; SECTIONS] = [
        Self::DrawingInputs,
        Self::InputScatter,
        Self::RecurrentScatter,
        Self::NeuronUpdate,
        Self::Readout,
        Self::Loss,
        Self::Modulation,
        Self::BackwardRecursion,
        Self::EligibilityTraces,
        Self::GradientGather,
        Self::Reduction,
        Self::Optimiser,
        Self::Rewiring,
        Self::Preparation,
        Self::Remainder,
        Self::Waiting,
    ];
}
