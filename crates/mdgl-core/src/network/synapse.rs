//! One synapse of a network: its kind and its place.

/// Direction of a projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SynapseKind {
    Input,
    Recurrent,
    Readout,
}

/// One synapse: its projection, and its index in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Synapse {
    pub projection: u32,
    pub index: u32,
}
