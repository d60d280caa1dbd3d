//! Node bindings of `mdgl-core`: converts and checks, never computes.
//!
//! Every computation on a batch runs on a thread of its own (never on libuv's pool) and settles a promise; the single steps
//! of a stream run within the call. Nothing that goes wrong may take the process down: panics of functions and of background work become JavaScript errors.

// napi registers no function when a crate is compiled for its own tests.
#![cfg_attr(test, allow(dead_code))]

mod background;
mod batch;
mod config;
mod engine;
mod error;
mod float;
mod held;
mod instructions;
mod model;
mod network;
mod number;
mod profile;
mod random;
mod results;
mod rule;
mod semaphore;
mod session;
mod shared;
mod stream;
mod training_stream;
mod worker;
