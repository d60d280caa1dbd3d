//! The sections of an iteration that a profile distinguishes.

use serde::Serialize;

/// A kernel, or another part of an iteration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Section {
    /// Input events drawn, or sorted into a block of trials.
    DrawingInputs,
    /// Scatter of input events to cells.
    InputScatter,
    /// Scatter of spikes to cells.
    RecurrentScatter,
    /// Membranes, thresholds, spikes, ψ and refractory periods.
    NeuronUpdate,
    /// Scatter of spikes to readout units.
    Readout,
    /// Losses and δ.
    Loss,
    /// Γ: what cells receive from secreting cells; in the online form with the traces that follow it.
    Modulation,
    /// Adjoints of the cells, from the last step to the first.
    BackwardRecursion,
    /// Eligibility traces of the online form.
    EligibilityTraces,
    /// Gradient sums over events.
    GradientGather,
    /// Sums over lanes and blocks.
    Reduction,
    /// Adam or gradient descent, signs, l1, noise.
    Optimiser,
    /// Rewiring of dead synapses.
    Rewiring,
    /// Checks, compilation of the network for the kernels, the rule's plan.
    Preparation,
    /// The rest of the passes through time: loops, cleared buffers, snapshots.
    Remainder,
    /// Threads with work but without a processor: the system ran something else, or they waited for it.
    Preempted,
    /// Threads without work.
    Waiting,
}

/// Number of sections.
pub(crate) const SECTIONS: usize = 17;

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
        Self::Preempted,
        Self::Waiting,
    ];
}
