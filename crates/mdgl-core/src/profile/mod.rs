//! Profiles: time and work of a training iteration by section.
//!
//! Kernels carry a probe (`instrument/probe.rs`); threads record the stages they work on (`instrument/recorder.rs`); what
//! kernels do is counted in an iteration of its own (`learn/work.rs`).

mod measure;
mod peak;

pub use crate::instrument::recorder::{ProfileStage, Slice};
pub use crate::instrument::section::Section;
pub use crate::instrument::tally::Tally;
pub use measure::{IterationTimes, KernelProfile, Profile, ProfileOptions, SectionTime, profile};
pub use peak::{Bandwidth, Level, Peak};
