//! The engine's error type and its variants.

use thiserror::Error;

/// Every way in which the engine refuses or fails.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum Error {
    /// An option has a value that is not allowed.
    #[error("{path} is {value}; allowed: {allowed}")]
    Invalid {
        /// Path of the value, for instance
        path: String,
        /// The value given.
        value: String,
        /// The values that are allowed.
        allowed: String,
    },
    /// The caller asked the computation to stop.
    #[error("the computation was cancelled")]
    Cancelled,
    /// A quantity became infinite or not a number; nothing was changed.
    #[error("{what} is not a finite number; the weights were left as they were")]
    NotFinite {
        /// The quantity, for instance `the gradient of cues->cells`.
        what: String,
    },
    /// A buffer whose size comes from the caller could not be reserved.
    #[error("{what} needs {bytes} bytes of memory, which cannot be reserved")]
    Memory {
        /// The buffer's purpose.
        what: String,
        /// The requested size.
        bytes: u64,
    },
    /// A file of weights cannot be read.
    #[error("the weights file cannot be read: {reason}")]
    File {
        /// Description of the fault.
        reason: String,
    },
}

/// The engine's result type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An [`Error::Invalid`].
pub(crate) fn invalid(path: impl Into<String>, value: impl ToString, allowed: impl Into<String>) -> Error {
    Error::Invalid { path: path.into(), value: value.to_string(), allowed: allowed.into() }
}

/// An [`Error::NotFinite`].
pub(crate) fn not_finite(what: impl Into<String>) -> Error {
    Error::NotFinite { what: what.into() }
}

/// An [`Error::Invalid`] for a name that is none of these.
pub(crate) fn unknown<'a>(path: &str, name: &str, names: impl Iterator<Item = &'a str>) -> Error {
    let names: Vec<_> = names.collect();
    invalid(path, format!("'{name}'"), words(&names))
}

/// The words of a list: `'a', 'b' or 'c'`.
pub(crate) fn words(words: &[&str]) -> String {
    match words {
        [] => "nothing (none is defined)".into(),
        [one] => format!("'{one}'"),
        [first @ .., last] => format!("'{}' or '{last}'", first.join("', '")),
    }
}
