//! Durations in whole steps: one rounding rule, shared with the library (`src/network/duration.ts`).
//!
//! A duration is rounded to whole steps, half a step up, and counts as the decimal that it is written as: 0.35 ms are four
//! steps of 0.1 ms, though 0.35 / 0.1 is 3.4999999999999996. One above 0 that rounds to no step is refused.

use std::fmt::Display;

use crate::error::{Result, invalid};
use crate::numeric::ranges::at_least_0;

/// Largest relative difference between the quotient of two numbers and that of the decimals which they stand for: each of
/// the three has an error of 2⁻⁵³ at most, and a time that was computed some more.
const NOISE: f64 = 1.0 / (1_u64 << 50) as f64;

/// A duration of at least 0 in whole steps.
pub(crate) fn steps_in(duration: f64, dt: f64) -> f64 {
    let halves = 2.0 * (duration / dt);
    let nearest = halves.round();
    let halves = if (halves - nearest).abs() <= nearest * NOISE { nearest } else { halves.floor() };
    ((halves + 1.0) / 2.0).floor()
}

/// So many steps in ms, without the noise of the product: three of 0.1 ms are 0.3 ms.
pub(crate) fn in_ms(steps: f64, dt: f64) -> f64 {
    format!("{:.14e}", steps * dt).parse().unwrap_or(f64::NAN)
}

/// Refuses a duration that is not finite or below 0, and one above 0 that rounds to no step.
pub(crate) fn lasting_or_zero(path: impl Display, duration: f64, dt: f64) -> Result<()> {
    at_least_0(&path, duration)?;
    match duration == 0.0 || steps_in(duration, dt) >= 1.0 {
        true => Ok(()),
        false => Err(invalid(path.to_string(), duration, format!("0, or {}", half_a_step(dt)))),
    }
}

/// The same, but above 0.
pub(crate) fn lasting(path: impl Display, duration: f64, dt: f64) -> Result<()> {
    at_least_0(&path, duration)?;
    match steps_in(duration, dt) >= 1.0 {
        true => Ok(()),
        false => Err(invalid(path.to_string(), duration, half_a_step(dt))),
    }
}

fn half_a_step(dt: f64) -> String {
    format!("at least half a step ({} ms)", dt / 2.0)
}

/// exp(−dt/τ), the decay of a trace per step; 0 for τ = 0, which has no memory.
pub(crate) fn decay(time_constant: f64, dt: f64) -> f64 {
    if time_constant == 0.0 { 0.0 } else { libm::exp(-dt / time_constant) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cases that the library's own test has, too: duration, step, number of steps.
    #[test]
    fn durations_count_as_the_decimals_that_they_are_written_as() {
        let cases = include_str!("../../../../__test__/fixtures/durations.json");
        let cases: Vec<(f64, f64, f64)> = serde_json::from_str(cases).unwrap();
        for (duration, dt, steps) in cases {
            assert_eq!(steps_in(duration, dt), steps, "{duration} ms in steps of {dt} ms");
        }
    }

    #[test]
    fn durations_that_vanish_are_refused() {
        for (duration, dt) in [(0.4, 1.0), (1e-9, 0.1), (5e-324, 1.0), (0.049, 0.1)] {
            assert!(lasting("d", duration, dt).is_err(), "{duration} at {dt}");
            assert!(lasting_or_zero("d", duration, dt).is_err(), "{duration} at {dt}");
        }
        for wrong in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(lasting("d", wrong, 1.0).is_err() && lasting_or_zero("d", wrong, 1.0).is_err());
        }
        assert!(lasting("d", 0.0, 1.0).is_err());
        assert!(lasting("d", 0.5, 1.0).is_ok() && lasting("d", 0.05, 0.1).is_ok());
        assert!(lasting_or_zero("d", 0.0, 1.0).is_ok() && lasting_or_zero("d", -0.0, 1.0).is_ok());
    }

    #[test]
    fn a_trace_without_a_time_constant_keeps_nothing() {
        assert_eq!((decay(0.0, 1.0), decay(-0.0, 1.0)), (0.0, 0.0));
        assert_eq!(decay(20.0, 1.0), libm::exp(-0.05));
    }
}
