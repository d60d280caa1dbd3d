//! Trials one by one, neurons in the lanes: for blocks of a batch that hold few trials.
//!
//! A block of trials computes sixteen lanes whether or not there are sixteen trials. Here sixteen neurons of one
//! trial stand side by side instead. Every sum keeps its order and every operation its rounding, so that both layouts
//! give the same bits and either may be chosen.

pub(crate) mod backward;
mod cells;
mod columns;
mod layout;
pub(crate) mod learning;
mod outgoing;
mod refractory;
mod returns;
mod spikes;
mod sums;
pub(crate) mod tally;
pub(crate) mod trial;
mod wiring;

pub use layout::Layout;
pub(crate) use learning::Learning;

pub(crate) use trial::On;
pub(crate) use wiring::Wiring;
