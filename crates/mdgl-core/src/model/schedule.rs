//! Learning rates that change with the iteration.

use serde::{Deserialize, Serialize};

use crate::error::{Result, invalid};

/// A learning rate: one number, or a function of the iteration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LearningRate {
    /// The same at every iteration.
    Constant(f64),
    /// One per iteration.
    Schedule(Schedule),
}

/// A learning rate as a function of the number n of iterations before the current one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// from · factor^⌊n/every⌋.
    Step {
        /// The first rate.
        from: f64,
        /// What every period multiplies it with, above 0 and at most 1.
        factor: f64,
        /// Length of a period in iterations.
        every: u32,
    },
    /// to + (from − to) (1 + cos(π min(n/iterations, 1)))/2.
    Cosine {
        /// The first rate.
        from: f64,
        /// The rate after so many iterations.
        #[serde(default)]
        to: f64,
        /// Their number.
        iterations: u32,
    },
    /// A linear rise to the first rate of `into`, (n + 1)/iterations of it; after so many iterations `into`, from its start.
    WarmUp {
        /// Length of the rise in iterations.
        iterations: u32,
        /// What follows.
        into: Box<LearningRate>,
    },
    /// A rate for each iteration; after the last one that.
    Table {
        /// The rates.
        rates: Vec<f64>,
    },
}

impl From<f64> for LearningRate {
    fn from(rate: f64) -> Self {
        Self::Constant(rate)
    }
}

impl LearningRate {
    /// The rate of an iteration, counted from 1.
    pub fn at(&self, iteration: u64) -> f64 {
        match self {
            Self::Constant(rate) => *rate,
            Self::Schedule(schedule) => schedule.after(iteration.saturating_sub(1)),
        }
    }

    /// Whether it changes with the iteration.
    pub fn is_schedule(&self) -> bool {
        matches!(self, Self::Schedule(_))
    }

    /// Checks the values; `path` is where the learning rate stands.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] with the path of a value that is out of range.
    pub fn validate(&self, path: &str) -> Result<()> {
        match self {
            Self::Constant(rate) => at_least_0(path.to_owned(), *rate),
            Self::Schedule(schedule) => schedule.validate(path),
        }
    }
}

impl Schedule {
    fn after(&self, n: u64) -> f64 {
        match *self {
            Self::Step { from, factor, every } => from * libm::pow(factor, (n / u64::from(every)) as f64),
            Self::Cosine { from, to, iterations } => {
                let part = (n as f64 / f64::from(iterations)).min(1.0);
                to + (from - to) * (1.0 + libm::cos(std::f64::consts::PI * part)) / 2.0
            }
            Self::WarmUp { iterations, ref into } => {
                let length = u64::from(iterations);
                match n < length {
                    true => into.at(1) * ((n + 1) as f64 / length as f64),
                    false => into.at(n - length + 1),
                }
            }
            Self::Table { ref rates } => rates[(n as usize).min(rates.len() - 1)],
        }
    }

    fn validate(&self, path: &str) -> Result<()> {
        let rate = |name: &str, x: f64| at_least_0(format!("{path}.{name}"), x);
        let iterations = |name: &str, x: u32| match x {
            0 => Err(invalid(format!("{path}.{name}"), 0, "at least 1 iteration")),
            _ => Ok(()),
        };
        match self {
            Self::Step { from, factor, every } => {
                rate("from", *from)?;
                iterations("every", *every)?;
                match *factor > 0.0 && *factor <= 1.0 {
                    true => Ok(()),
                    false => Err(invalid(format!("{path}.factor"), factor, "a number above 0 and at most 1")),
                }
            }
            Self::Cosine { from, to, iterations: length } => {
                rate("from", *from)?;
                rate("to", *to)?;
                iterations("iterations", *length)
            }
            Self::WarmUp { iterations: length, into } => {
                iterations("iterations", *length)?;
                into.validate(&format!("{path}.into"))
            }
            Self::Table { rates } => {
                if rates.is_empty() {
                    return Err(invalid(format!("{path}.rates"), "empty", "at least one rate"));
                }
                rates.iter().enumerate().try_for_each(|(i, x)| rate(&format!("rates[{i}]"), *x))
            }
        }
    }
}

fn at_least_0(path: String, x: f64) -> Result<()> {
    match x.is_finite() && x >= 0.0 {
        true => Ok(()),
        false => Err(invalid(path, x, "a finite number ≥ 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> LearningRate {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn each_schedule_has_the_rates_of_its_equation() {
        let step = read(r#"{"kind": "step", "from": 0.8, "factor": 0.5, "every": 3}"#);
        assert_eq!([1, 3, 4, 7].map(|i| step.at(i)), [0.8, 0.8, 0.4, 0.2]);
        let cosine = read(r#"{"kind": "cosine", "from": 1, "to": 0.5, "iterations": 4}"#);
        let quarter = 0.5 + 0.25 * (1.0 + std::f64::consts::FRAC_1_SQRT_2);
        assert_eq!([1, 3, 5, 99].map(|i| cosine.at(i)), [1.0, 0.75, 0.5, 0.5]);
        assert!((cosine.at(2) - quarter).abs() < 1e-15);
        let rise = read(
            r#"{"kind": "warm-up", "iterations": 4, "into": {"kind": "step", "from": 2, "factor": 0.5, "every": 1}}"#,
        );
        assert_eq!([1, 2, 4, 5, 6].map(|i| rise.at(i)), [0.5, 1.0, 2.0, 2.0, 1.0]);
        let table = read(r#"{"kind": "table", "rates": [3, 2, 1]}"#);
        assert_eq!([1, 3, 4].map(|i| table.at(i)), [3.0, 1.0, 1.0]);
        assert_eq!(read("0.25").at(7), 0.25);
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_its_place() {
        for (json, place) in [
            ("-1", "r"),
            (r#"{"kind": "step", "from": 1, "factor": 2, "every": 3}"#, "r.factor"),
            (r#"{"kind": "step", "from": 1, "factor": 1, "every": 0}"#, "r.every"),
            (r#"{"kind": "cosine", "from": 1, "to": -1, "iterations": 3}"#, "r.to"),
            (r#"{"kind": "cosine", "from": 1, "iterations": 0}"#, "r.iterations"),
            (
                r#"{"kind": "warm-up", "iterations": 2, "into": {"kind": "table", "rates": [1, -1]}}"#,
                "r.into.rates[1]",
            ),
            (r#"{"kind": "table", "rates": []}"#, "r.rates"),
        ] {
            let error = read(json).validate("r").unwrap_err();
            assert!(matches!(&error, crate::Error::Invalid { path, .. } if path == place), "{json}: {error}");
        }
    }
}
