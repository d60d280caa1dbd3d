//! Counts of what a kernel did: calls, updates, events, bytes and operations.

use serde::Serialize;

/// What a kernel did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// How often it ran: steps of blocks for most.
    pub calls: u64,
    /// Cells × steps, in each trial.
    pub neuron_updates: u64,
    /// Events times synapses of their senders, in each trial.
    pub synaptic_events: u64,
    /// Bytes read and written, by the model.
    pub bytes: u64,
    /// Floating-point operations, by the model.
    pub operations: u64,
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
