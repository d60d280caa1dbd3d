//! The two float types as JavaScript sees them.

use mdgl_core::Real;
use napi::bindgen_prelude::{Either, Float32Array, Float64Array};

/// A float type with its typed array.
pub trait Float: Real {
    /// Hands numbers over to JavaScript without a copy.
    fn array(values: Vec<Self>) -> Either<Float32Array, Float64Array>;
    /// Copies numbers of this type; none of another.
    fn values(given: &Either<Float32Array, Float64Array>) -> Option<Vec<Self>>;
}

impl Float for f32 {
    fn array(values: Vec<Self>) -> Either<Float32Array, Float64Array> {
        Either::A(values.into())
    }

    fn values(given: &Either<Float32Array, Float64Array>) -> Option<Vec<Self>> {
        match given {
            Either::A(values) => Some(values.to_vec()),
            Either::B(_) => None,
        }
    }
}

impl Float for f64 {
    fn array(values: Vec<Self>) -> Either<Float32Array, Float64Array> {
        Either::B(values.into())
    }

    fn values(given: &Either<Float32Array, Float64Array>) -> Option<Vec<Self>> {
        match given {
            Either::A(_) => None,
            Either::B(values) => Some(values.to_vec()),
        }
    }
}
