//! Ranges of numbers that options take, each with the words of its refusal.

use std::fmt::Display;

use crate::error::{Result, invalid};

/// The largest whole number that JavaScript holds with all below it.
pub(crate) const SAFE: u64 = (1 << 53) - 1;

/// Any finite number.
pub(crate) fn finite(path: impl Display, x: f64) -> Result<()> {
    allow(x.is_finite(), path, x, "a finite number")
}

/// A finite number above 0.
pub(crate) fn positive(path: impl Display, x: f64) -> Result<()> {
    allow(x.is_finite() && x > 0.0, path, x, "a finite number above 0")
}

/// A finite number of at least 0.
pub(crate) fn at_least_0(path: impl Display, x: f64) -> Result<()> {
    allow(x.is_finite() && x >= 0.0, path, x, "a finite number of at least 0")
}

/// A number from 0 to below 1.
pub(crate) fn below_1(path: impl Display, x: f64) -> Result<()> {
    allow((0.0..1.0).contains(&x), path, x, "a number from 0 to below 1")
}

/// A fraction above 0.
pub(crate) fn fraction(path: impl Display, x: f64) -> Result<()> {
    allow(x > 0.0 && x <= 1.0, path, x, "a number above 0 and at most 1")
}

/// A text that is not empty.
pub(crate) fn named(path: impl Display, text: &str) -> Result<()> {
    match text.is_empty() {
        false => Ok(()),
        true => Err(invalid(path.to_string(), "''", "a non-empty string")),
    }
}

/// A whole number of a range.
pub(crate) fn whole(path: impl Display, x: u64, least: u64, most: u64) -> Result<()> {
    match (least..=most).contains(&x) {
        true => Ok(()),
        false => Err(invalid(path.to_string(), x, whole_numbers(least, most))),
    }
}

/// The words for whole numbers of a range.
pub(crate) fn whole_numbers(least: u64, most: u64) -> String {
    if most == SAFE {
        return format!("a whole number of at least {least}");
    }
    format!("a whole number from {least} to {most}")
}

fn allow(holds: bool, path: impl Display, x: f64, allowed: &str) -> Result<()> {
    match holds {
        true => Ok(()),
        false => Err(invalid(path.to_string(), x, allowed)),
    }
}
