//! Trials one by one, neurons in the lanes: for few trials, and for networks in which a spike reaches many neurons.
//!
//! A block of trials computes sixteen lanes whether or not there are sixteen trials, and each synapse of a spike for all of
//! them. Here sixteen neurons of one trial stand side by side instead. Every sum keeps its order and every operation its rounding, so that both layouts
//! give the same bits and either may be chosen.

pub(crate) mod backward;
mod cells;
mod columns;
pub(crate) mod events;
mod lane_layout;
mod layout;
pub(crate) mod learning;
mod outgoing;
mod refractory;
mod returns;
mod rows;
pub(crate) mod simulate_one;
mod sums;
pub(crate) mod tally;
mod tile_recursion;
pub(crate) mod trial;
mod usual;
mod usual_block;

pub(crate) use cells::are_usual;
pub use layout::Layout;
pub(crate) use layout::{Purpose, Size};
pub(crate) use learning::{Learning, TrialSums};
pub(crate) use outgoing::has_rows;
pub(crate) use refractory::fit_periods;

pub(crate) use lane_layout::LaneLayout;
pub(crate) use trial::TrialContext;
