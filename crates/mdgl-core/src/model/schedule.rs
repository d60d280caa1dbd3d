//! Learning rates that change with the iteration.

use serde::Serialize;

use crate::description::given::{Given, deserialise_by_reading};
use crate::error::{Result, invalid};
use crate::numeric::ranges::{at_least_0, fraction, whole, whole_numbers};

/// Most iterations of a training.
pub(crate) const MOST_ITERATIONS: u64 = u32::MAX as u64;
/// Most schedules within each other.
const MOST_NESTED: usize = 8;

/// A learning rate: one number, or a function of the iteration.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum LearningRate {
    /// The same at every iteration.
    Constant(f64),
    /// One per iteration.
    Schedule(Schedule),
}

/// A learning rate as a function of the number n of iterations before the current one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
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
        to: f64,
        /// Their number; `None`: those of the training, see [`LearningRate::complete`].
        #[serde(skip_serializing_if = "Option::is_none")]
        iterations: Option<u32>,
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

deserialise_by_reading!(LearningRate, "learningRate");

impl LearningRate {
    /// Reads a number or a schedule.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for another shape, and a number that is not above 0.
    pub fn read(given: &Given<'_>) -> Result<Self> {
        Self::nested(given, "a number above 0, a schedule or a function of the iteration", 0)
    }

    fn nested(given: &Given<'_>, allowed: &str, depth: usize) -> Result<Self> {
        if given.is_number() {
            let rate = given.number();
            return if rate > 0.0 {
                Ok(Self::Constant(rate))
            } else {
                Err(given.refused("a finite number above 0"))
            };
        }
        if !given.is_object() {
            return Err(given.refused(allowed));
        }
        if depth > MOST_NESTED {
            return Err(given.refused("a number: schedules are nested too deeply"));
        }
        Schedule::read(given, depth).map(Self::Schedule)
    }

    /// The same with the number of the training's iterations where a schedule has none of its own; a warm-up leaves the rest of them.
    pub fn complete(self, iterations: Option<u32>) -> Self {
        match self {
            Self::Schedule(Schedule::Cosine { from, to, iterations: own }) => {
                Self::Schedule(Schedule::Cosine { from, to, iterations: own.or(iterations) })
            }
            Self::Schedule(Schedule::WarmUp { iterations: rise, into }) => {
                let rest = iterations.map(|all| all.saturating_sub(rise).max(1));
                Self::Schedule(Schedule::WarmUp { iterations: rise, into: Box::new(into.complete(rest)) })
            }
            other => other,
        }
    }

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
    /// [`crate::Error::Invalid`] with the path of a value that is out of range, or of a number of iterations that is missing.
    pub fn validate(&self, path: &str) -> Result<()> {
        self.check(path, false)
    }

    /// Checks the values of one whose number of iterations may follow from the training.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] with the path of a value that is out of range.
    pub fn validate_open(&self, path: &str) -> Result<()> {
        self.check(path, true)
    }

    fn check(&self, path: &str, open: bool) -> Result<()> {
        match self {
            Self::Constant(rate) => at_least_0(path, *rate),
            Self::Schedule(schedule) => schedule.check(path, open),
        }
    }
}

/// Kinds of schedules.
#[derive(Clone, Copy)]
enum ScheduleKind {
    Step,
    Cosine,
    WarmUp,
    Table,
}

impl Schedule {
    fn read(given: &Given<'_>, depth: usize) -> Result<Self> {
        let kinds = [
            ("step", ScheduleKind::Step),
            ("cosine", ScheduleKind::Cosine),
            ("warm-up", ScheduleKind::WarmUp),
            ("table", ScheduleKind::Table),
        ];
        Ok(match given.part("kind").word(&kinds)? {
            ScheduleKind::Step => {
                let [_, from, factor, every] = given.parts(["kind", "from", "factor", "every"])?;
                Self::Step {
                    from: from.number(),
                    factor: factor.number(),
                    every: every.whole(1, MOST_ITERATIONS)?,
                }
            }
            ScheduleKind::Cosine => {
                let [_, from, to, iterations] = given.parts(["kind", "from", "to", "iterations"])?;
                let iterations = iterations.or(None, |given| given.whole(1, MOST_ITERATIONS).map(Some))?;
                Self::Cosine { from: from.number(), to: to.number_or(0.0), iterations }
            }
            ScheduleKind::WarmUp => {
                let [_, iterations, into] = given.parts(["kind", "iterations", "into"])?;
                let into = LearningRate::nested(&into, "a number above 0 or a schedule", depth + 1)?;
                Self::WarmUp { iterations: iterations.whole(1, MOST_ITERATIONS)?, into: Box::new(into) }
            }
            ScheduleKind::Table => {
                let [_, rates] = given.parts(["kind", "rates"])?;
                Self::Table { rates: rates.floats()?.numbers(|| rates.path().into())?.to_vec() }
            }
        })
    }

    fn after(&self, n: u64) -> f64 {
        match *self {
            Self::Step { from, factor, every } => from * libm::pow(factor, (n / u64::from(every)) as f64),
            Self::Cosine { from, to, iterations } => {
                let part = (n as f64 / f64::from(iterations.unwrap_or(1))).min(1.0);
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

    fn check(&self, path: &str, open: bool) -> Result<()> {
        let rate = |name: &str, x: f64| at_least_0(format_args!("{path}.{name}"), x);
        let iterations =
            |name: &str, x: u32| whole(format_args!("{path}.{name}"), x.into(), 1, MOST_ITERATIONS);
        match self {
            Self::Step { from, factor, every } => {
                rate("from", *from)?;
                iterations("every", *every)?;
                fraction(format_args!("{path}.factor"), *factor)
            }
            Self::Cosine { from, to, iterations: length } => {
                rate("from", *from)?;
                rate("to", *to)?;
                match *length {
                    Some(length) => iterations("iterations", length),
                    None if open => Ok(()),
                    None => {
                        let allowed = whole_numbers(1, MOST_ITERATIONS);
                        Err(invalid(format!("{path}.iterations"), "undefined", allowed))
                    }
                }
            }
            Self::WarmUp { iterations: length, into } => {
                iterations("iterations", *length)?;
                into.check(&format!("{path}.into"), open)
            }
            Self::Table { rates } => {
                if rates.is_empty() {
                    return Err(invalid(format!("{path}.rates"), "an array of 0", "at least one rate"));
                }
                rates.iter().enumerate().try_for_each(|(i, x)| rate(&format!("rates[{i}]"), *x))
            }
        }
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
            (r#"{"kind": "step", "from": 1, "factor": 2, "every": 3}"#, "r.factor"),
            (r#"{"kind": "step", "from": 1, "factor": 1, "every": 0}"#, "r.every"),
            (r#"{"kind": "cosine", "from": 1, "to": -1, "iterations": 3}"#, "r.to"),
            (r#"{"kind": "cosine", "from": 1, "iterations": 0}"#, "r.iterations"),
            (
                r#"{"kind": "warm-up", "iterations": 2, "into": {"kind": "table", "rates": [1, -1]}}"#,
                "r.into.rates[1]",
            ),
            (r#"{"kind": "table", "rates": []}"#, "r.rates"),
            (r#"{"kind": "table", "rates": 1}"#, "r.rates"),
            (r#"{"kind": "cosine", "from": 1}"#, "r.iterations"),
            (r#"{"kind": "cosine", "from": 1, "until": 3}"#, "r.until"),
            (r#"{"kind": "sine", "from": 1}"#, "r.kind"),
            (r#"{"kind": "warm-up", "iterations": 2, "into": 0}"#, "r.into"),
            ("0", "r"),
            ("null", "r"),
        ] {
            let value = serde_json::from_str(json).unwrap();
            let read = LearningRate::read(&Given::new(&value, "r", &[]));
            let error = read.and_then(|rate| rate.validate("r")).unwrap_err();
            assert!(matches!(&error, crate::Error::Invalid { path, .. } if path == place), "{json}: {error}");
        }
    }

    #[test]
    fn a_cosine_without_a_length_has_that_of_the_training_from_the_end_of_a_warm_up_on() {
        let open = read(r#"{"kind": "warm-up", "iterations": 4, "into": {"kind": "cosine", "from": 1}}"#);
        open.validate_open("r").unwrap();
        let whole =
            r#"{"kind": "warm-up", "iterations": 4, "into": {"kind": "cosine", "from": 1, "iterations": 6}}"#;
        assert_eq!(open.clone().complete(Some(10)), read(whole));
        assert_eq!(open.complete(Some(3)).at(5), 1.0);
    }
}
