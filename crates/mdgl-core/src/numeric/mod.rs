//! Numeric foundations: lanes of an instruction set, float types, random numbers, memory, sparse rows.

pub(crate) mod cancel;
pub(crate) mod csr;
pub(crate) mod float_bytes;
pub mod lanes;
pub(crate) mod memory;
pub(crate) mod random;
pub(crate) mod ranges;
pub(crate) mod scalar;
pub(crate) mod semaphore;
pub(crate) mod steps;
