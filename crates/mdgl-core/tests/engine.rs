//! Test program of the engine's public interface: one binary, since each would compile the engine's generic parts anew.

mod common;
mod current_based;
mod delays;
mod diffusion;
mod durations;
mod eprop2020;
mod finite;
mod fixtures;
mod forward;
mod forward_draws;
mod hops_and_feedback;
mod hostile;
mod kernels;
mod laws;
mod legal;
mod listed;
mod losses;
mod modprop;
mod pseudo_derivatives;
mod rate_units;
mod shared;
mod single;
mod stream;
mod third_factor;
mod training;
mod windows;
