//! The two float types as JavaScript sees them, and values that exist for either.

use mdgl_core::Real;
use napi::bindgen_prelude::{Either, Float32Array, Float64Array};

/// Floats of a model's precision.
pub type Floats = Either<Float32Array, Float64Array>;

/// A float type with its typed array.
pub trait Float: Real {
    /// Moves numbers to JavaScript without a copy.
    fn array(values: Vec<Self>) -> Floats;
    /// Copies numbers of this type; `None` for another type.
    fn values(given: &Floats) -> Option<Vec<Self>>;
}

impl Float for f32 {
    fn array(values: Vec<Self>) -> Floats {
        Either::A(values.into())
    }

    fn values(given: &Floats) -> Option<Vec<Self>> {
        match given {
            Either::A(values) => Some(values.to_vec()),
            Either::B(_) => None,
        }
    }
}

impl Float for f64 {
    fn array(values: Vec<Self>) -> Floats {
        Either::B(values.into())
    }

    fn values(given: &Floats) -> Option<Vec<Self>> {
        match given {
            Either::A(_) => None,
            Either::B(values) => Some(values.to_vec()),
        }
    }
}

/// A value of the engine for one of the two float types, known at run time alone.
#[derive(Clone)]
pub enum ByFloat<S, D> {
    F32(S),
    F64(D),
}

/// One expression for either float type of a [`ByFloat`].
macro_rules! for_float {
    ($value:expr, $inner:ident => $body:expr) => {
        match $value {
            $crate::float::ByFloat::F32($inner) => $body,
            $crate::float::ByFloat::F64($inner) => $body,
        }
    };
}
pub(crate) use for_float;

/// The same where the result is of the same float type: another [`ByFloat`].
macro_rules! map_float {
    ($value:expr, $inner:ident => $body:expr) => {
        match $value {
            $crate::float::ByFloat::F32($inner) => $crate::float::ByFloat::F32($body),
            $crate::float::ByFloat::F64($inner) => $crate::float::ByFloat::F64($body),
        }
    };
}
pub(crate) use map_float;
