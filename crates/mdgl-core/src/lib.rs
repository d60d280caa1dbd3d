//! Multidigraph learning for spiking neural networks, without Node.
//!
//! Neurons are joined by synapses and by local neuromodulatory channels between cell types; each
//! cell tells its presynaptic neighbours, by type, how much it matters to the outcome (Liu, Smith,
//! Mihalas, Shea-Brown, Sümbül, PNAS 118(51) e2111821118, 2021). Results are deterministic: the
//! same description, seed and rule give the same bits at every thread count, and on every
//! instruction set of the same class (fused or unfused multiply-add).
//!
//! The way through: a [`description::NetworkDescription`] becomes a [`Network`], a [`Model`] adds
//! weights, a [`Batch`] holds trials; [`evaluate`], [`gradients`] and [`train_step`] carry a batch
//! through simulation, loss, learning and optimisation; [`simulate`] records. [`observe`] and [`gradients_from_signal`] let a
//! rule be computed outside. [`Sharing`] computes a batch in several processes. A [`Stream`] runs and learns step by step, without a batch and without an end.

pub mod batch;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod cancel;
mod channels;
mod chunks;
mod circuit;
mod delays;
pub mod description;
mod diffusion;
mod encode;
mod error;
mod fan;
mod initialise;
mod judge;
pub mod lanes;
pub mod learn;
mod list;
pub mod loss;
mod memory;
mod model;
mod modulation;
pub mod network;
mod neuron;
mod optimise;
mod packed;
mod persist;
pub mod profile;
mod psi_means;
mod random;
mod real;
mod run;
mod scalar;
mod scatter;
mod sheet;
mod simulate;
mod single;
mod steps;
mod stream;
mod trajectory;
mod turns;
mod windows;

pub use batch::{Batch, ClassWindow, DrawKey, Event, Input, RateSegment, Targets};
pub use description::NetworkDescription;
pub use encode::StepInput;
pub use error::{Error, Result};
pub use lanes::Instructions;
pub use learn::forward::MOST_INFLUENCE_BYTES;
pub use learn::partial::Gradients;
pub use learn::published::RULE_NAMES;
pub use learn::rule::Rule;
pub use list::{Array, List};
pub use loss::{Loss, LossTerm, Objective, Regulariser};
pub use memory::{before_refusing, room_for};
pub use model::Model;
pub use network::{CellConstants, Network};
pub use optimise::{Decay, Method, Optimiser};
pub use persist::precision;
pub use random::CounterRng;
pub use real::Real;
pub use run::{
    Assignment, CustomLoss, Evaluation, Forward, Observation, Observed, Record, Recording, Score, Share,
    SharedWork, Sharing, StepReport, Turnout, Workers, evaluate, gradients, gradients_from_signal, observe,
    simulate, train_step, train_step_from_signal,
};
pub use scalar::Scalar;
pub use single::Layout;
pub use stream::{Applied, Lesson, Stream, StreamState, Wanted};
pub use turns::{Turn, Turns};
