//! Checked conversion of JavaScript numbers to whole numbers: N-API's own wraps −1 and truncates 1.5.

use crate::error::{Failure, Result};

const SAFE: f64 = 9_007_199_254_740_991.0;

/// A whole number of at most `most`.
fn whole(value: f64, path: &str, most: f64) -> Result<f64> {
    if value.fract() != 0.0 || !(0.0..=most).contains(&value) {
        return Err(Failure::invalid(path, value, format!("a whole number from 0 to {most}")));
    }
    Ok(value)
}

/// A `u32`.
pub fn to_u32(value: f64, path: &str) -> Result<u32> {
    Ok(whole(value, path, f64::from(u32::MAX))? as u32)
}

/// A `u64` that JavaScript can hold.
pub fn to_u64(value: f64, path: &str) -> Result<u64> {
    Ok(whole(value, path, SAFE)? as u64)
}

/// A `usize` that JavaScript can hold.
pub fn to_usize(value: f64, path: &str) -> Result<usize> {
    Ok(whole(value, path, SAFE)? as usize)
}
