//! Profiles: where the time of a training iteration goes, and what the kernels did in it.
//!
//! Kernels carry a probe (`probe`); threads record the stages they work on (`recorder`); what kernels do is counted in an
//! iteration of its own (`work`). Nothing of this changes a result: probes read clocks and nothing else.

mod measure;
mod peak;

pub use crate::instrument::recorder::{Slice, Stage};
pub use crate::instrument::section::Section;
pub use crate::instrument::tally::Tally;
pub use measure::{IterationTimes, KernelProfile, Profile, ProfileOptions, SectionTime, profile};
pub use peak::{Bandwidth, Level, Peak};
