//! Counts of a kernel's work: calls, updates, events, bytes and operations.

use serde::Serialize;

/// The work of a kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Number of calls: steps of blocks for most kernels.
    pub calls: u64,
    /// Cells × steps, summed over trials.
    pub neuron_updates: u64,
    /// Events × synapses of their senders, summed over trials.
    pub synaptic_events: u64,
    /// Bytes read and written, by the model.
    pub bytes: u64,
    /// Floating-point operations, by the model.
    pub operations: u64,
}

/// Steps in which a block of trials did a part of its work, and the trials that still ran in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StepCount {
    pub calls: u64,
    /// Sum over these steps.
    pub trials: u64,
}

impl StepCount {
    /// One more step, in which so many trials still run.
    #[inline(always)]
    pub fn add(&mut self, running: u64) {
        self.calls += 1;
        self.trials += running;
    }
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.neuron_updates += other.neuron_updates;
        self.synaptic_events += other.synaptic_events;
        self.bytes += other.bytes;
        self.operations += other.operations;
    }
}
