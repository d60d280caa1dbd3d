//! Profiles: where the time of a training iteration goes, and what the kernels did in it.
//!
//! Kernels carry a probe (`probe`); threads record the stages they work on (`recorder`); what kernels do is counted in an
//! iteration of its own (`work`). Nothing of this changes a result: probes read clocks and nothing else.

mod clock;
pub(crate) mod load;
mod measure;
pub(crate) mod peak;
pub(crate) mod probe;
pub(crate) mod recorder;
mod sample;
pub(crate) mod section;
pub(crate) mod work;

pub use measure::{IterationTimes, KernelProfile, Profile, ProfileOptions, SectionTime, profile};
pub use peak::{Bandwidth, Level, Peak};
pub use recorder::{Slice, Stage};
pub use section::Section;
pub use work::Tally;
