//! The two float types as JavaScript sees them.

use mdgl_core::Real;
use napi::bindgen_prelude::{Either, Float32Array, Float64Array};

/// A float type with its typed array.
pub trait Float: Real {
    /// Hands numbers over to JavaScript without a copy.
    fn array(values: Vec<Self>) -> Either<Float32Array, Float64Array>;
}

impl Float for f32 {
    fn array(values: Vec<Self>) -> Either<Float32Array, Float64Array> {
        Either::A(values.into())
    }
}

impl Float for f64 {
    fn array(values: Vec<Self>) -> Either<Float32Array, Float64Array> {
        Either::B(values.into())
    }
}
