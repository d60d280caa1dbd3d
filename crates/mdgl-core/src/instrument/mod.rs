//! Profiling primitives that kernels and threads call: a clock, probes, sections, a recorder of stages, tallies of
//! work.
//!
//! No result depends on them: probes read clocks and nothing else. The profiles themselves are made in `profile`.

pub(crate) mod clock;
pub(crate) mod load;
pub(crate) mod probe;
pub(crate) mod recorder;
pub(crate) mod sample;
pub(crate) mod section;
pub(crate) mod tally;
