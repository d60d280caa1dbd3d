//! Multidigraph learning (MDGL) for spiking neural networks: the engine, without Node.
//!
//! Neurons are joined by synapses and by local neuromodulatory channels between cell types; each
//! cell signals to its presynaptic neighbours, by type, its effect on the loss (Liu, Smith,
//! Mihalas, Shea-Brown, Sümbül, PNAS 118(51) e2111821118, 2021). Results are deterministic: the
//! same description, seed and rule give the same bits at every thread count, and on every
//! instruction set of the same class (fused or unfused multiply-add).
//!
//! Usage: a [`description::NetworkDescription`] becomes a [`Network`], a [`Model`] adds
//! weights, a [`EncodedBatch`] holds trials; [`evaluate`], [`gradients`] and [`train_step`] carry a batch
//! through simulation, loss, learning and optimisation; [`simulate`] records. [`observe`] and [`gradients_from_signal`] let a
//! rule be computed outside. [`Sharing`] computes a batch in several processes. A [`Stream`] runs and learns step by
//! step, without a batch and without a fixed length.

pub mod batch;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
pub mod description;
mod error;
mod instrument;
mod learn;
mod model;
pub mod network;
mod neuron;
mod numeric;
pub mod profile;
mod run;
mod simulate;
mod single;

pub use batch::encode::{InputsInTransit, StepInput};
pub use batch::loss::{self, Loss, LossTerm, Objective, Regulariser};
pub use batch::{ClassWindow, DrawKey, EncodedBatch, Event, Input, Part, RateSegment, Targets};
pub use description::list::{Array, List};
pub use description::published::RULE_NAMES;
pub use description::rule::Rule;
pub use description::{Lesion, NetworkDescription};
pub use error::{Error, Result};
pub use learn::forward::MOST_INFLUENCE_BYTES;
pub use model::Model;
pub use model::gradients::Gradients;
pub use model::optimiser::{Decay, Method, Optimiser, Rewiring};
pub use model::safetensors::precision;
pub use model::schedule::{LearningRate, Schedule};
pub use network::{CellConstants, Network};
pub use numeric::lanes::{self, Instructions};
pub use numeric::memory::{before_refusing, ensure_memory};
pub use numeric::random::CounterRng;
pub use numeric::scalar::Scalar;
pub use numeric::semaphore::{FairSemaphore, Permit};
pub use run::real::Real;
pub use run::stream::{NoiseState, Stream, StreamState, StreamTarget, StreamUpdate, Target};
pub use run::{
    Assignment, CustomLoss, CustomTerm, Evaluation, Forward, LossReport, Observation, Observed, Record,
    RecordedPart, Recording, Score, Share, SharedWork, Sharing, StepReport, ThirdFactor, Training, Turnout,
    Values, Workers, check_choices, evaluate, evaluate_custom, gradients, gradients_from_signal, observe,
    simulate, simulate_chosen, train_step, train_step_from_signal,
};
pub use single::Layout;
