//! Reading and checking of currents that are injected into a population.

use crate::description::given::Given;
use crate::description::{NoiseCurrent, StepCurrent};
use crate::error::{Result, invalid};
use crate::numeric::ranges::at_least_0;
use crate::numeric::steps::{in_ms, lasting_or_zero, steps_in};

/// The latest time of a step, in ms.
const LATEST: f64 = 1e15;

impl NoiseCurrent {
    pub(super) fn read(given: &Given<'_>) -> Result<Self> {
        let [mean, standard_deviation, time_constant] =
            given.parts(["mean", "standardDeviation", "timeConstant"])?;
        Ok(Self {
            mean: mean.number_or(0.0),
            standard_deviation: standard_deviation.number(),
            time_constant: time_constant.number(),
        })
    }

    pub(super) fn validate(&self, path: &str, dt: f64) -> Result<()> {
        finite(format!("{path}.mean"), self.mean)?;
        at_least_0(format_args!("{path}.standardDeviation"), self.standard_deviation)?;
        finite(format!("{path}.standardDeviation"), self.standard_deviation)?;
        lasting_or_zero(format_args!("{path}.timeConstant"), self.time_constant, dt)
    }
}

impl StepCurrent {
    pub(super) fn read(given: &Given<'_>) -> Result<Self> {
        let [from, to, amplitude] = given.parts(["from", "to", "amplitude"])?;
        Ok(Self { from: from.number(), to: to.number(), amplitude: amplitude.number() })
    }

    /// Its times as whole steps.
    pub(super) fn complete(self, path: &str, dt: f64) -> Result<Self> {
        let Self { from, to, amplitude } = self;
        for (field, value) in [("from", from), ("to", to)] {
            if !(0.0..=LATEST).contains(&value) {
                return Err(invalid(format!("{path}.{field}"), value, "a time in ms of at least 0"));
            }
        }
        if from > to {
            return Err(invalid(format!("{path}.from"), from, format!("at most its end, {to} ms")));
        }
        let [first, end] = [from, to].map(|time| steps_in(time, dt));
        if from < to && first >= end {
            let allowed = format!("a time that rounds to a later step of {dt} ms than its start, {from} ms");
            return Err(invalid(format!("{path}.to"), to, allowed));
        }
        finite(format!("{path}.amplitude"), amplitude)?;
        Ok(Self { from: in_ms(first, dt), to: in_ms(end, dt), amplitude })
    }
}

/// Currents are computed in either precision.
fn finite(path: String, value: f64) -> Result<()> {
    match (value as f32).is_finite() {
        true => Ok(()),
        false => Err(invalid(path, value, "a finite 32-bit float")),
    }
}
