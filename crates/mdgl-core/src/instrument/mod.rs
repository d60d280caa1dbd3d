//! What kernels and threads call to be profiled: a clock, probes, sections, a recorder of stages, tallies of work.
//!
//! Nothing of this changes a result: probes read clocks and nothing else. The profiles themselves are made in `profile`.

pub(crate) mod clock;
pub(crate) mod load;
pub(crate) mod probe;
pub(crate) mod recorder;
pub(crate) mod sample;
pub(crate) mod section;
pub(crate) mod tally;
