//! The instruction set in use.

use mdgl_core::lanes::Instructions;
use napi_derive::napi;

use crate::error::Failure;

/// The class of the instruction set in use: results are the same bits within a class.
#[napi(catch_unwind)]
pub fn instruction_set_class() -> napi::Result<String> {
    Ok(Instructions::choose().map_err(Failure::from)?.class().to_owned())
}

/// The instruction sets that `MDGL_SIMD` can name, from best to least, whatever this processor has.
#[napi(catch_unwind)]
pub fn instruction_sets() -> Vec<String> {
    Instructions::ALL.iter().map(|set| set.name().to_owned()).collect()
}

/// The instruction set in use, as `MDGL_SIMD` names it.
#[napi(catch_unwind)]
pub fn instruction_set() -> napi::Result<String> {
    Ok(Instructions::choose().map_err(Failure::from)?.name().to_owned())
}
