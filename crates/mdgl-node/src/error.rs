//! Conversion of errors to JavaScript: a JSON report in the message, which the façade turns into its own class.

use std::any::Any;

use napi::Status;
use serde::Serialize;

/// An error as the façade reads it.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed: Option<String>,
}

/// The binding's result type.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), path: None, value: None, allowed: None }
    }

    /// An argument that is not allowed.
    pub fn invalid(path: impl Into<String>, value: impl ToString, allowed: impl Into<String>) -> Self {
        let (path, value, allowed) = (path.into(), value.to_string(), allowed.into());
        Self {
            code: "invalid",
            message: format!("{path} is {value}; allowed: {allowed}"),
            path: Some(path),
            value: Some(value),
            allowed: Some(allowed),
        }
    }

    /// The model is in use by a training run.
    pub fn busy() -> Self {
        Self::new(
            "busy",
            "the model is being trained, or a session is open on it; it can be trained or changed again when that has ended",
        )
    }

    /// The model was disposed of.
    pub fn disposed() -> Self {
        Self::new("disposed", "the model was disposed of and cannot be used any more")
    }

    /// The stream was disposed of.
    pub fn closed() -> Self {
        Self::new("disposed", "the session was disposed of and cannot be used any more")
    }

    /// The session was stopped or closed.
    pub fn cancelled() -> Self {
        mdgl_core::Error::Cancelled.into()
    }

    /// The façade and the bindings do not fit together, or the engine panicked.
    pub fn bug(what: impl AsRef<str>) -> Self {
        let message = format!(
            "mdgl's engine failed: {}. This is a bug in mdgl; please report it with the steps that led to it",
            what.as_ref()
        );
        Self::new("internal", message)
    }

    /// The system cannot start a thread: no memory for its stack, or too many threads.
    pub fn no_thread(error: std::io::Error) -> Self {
        Self::new("memory", format!("no thread could be started ({error})"))
    }

    /// A caught panic.
    pub fn panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        Self::bug(text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default())
    }
}

impl From<mdgl_core::Error> for Failure {
    fn from(error: mdgl_core::Error) -> Self {
        use mdgl_core::Error;
        let message = error.to_string();
        match error {
            Error::Invalid { path, value, allowed } => Self {
                code: "invalid",
                message,
                path: Some(path),
                value: Some(value),
                allowed: Some(allowed),
            },
            Error::Cancelled => Self::new("cancelled", message),
            Error::NotFinite { .. } => Self::new("not-finite", message),
            Error::Memory { .. } => Self::new("memory", message),
            Error::File { .. } => Self::new("file", message),
            _ => Self::bug(message),
        }
    }
}

impl From<Failure> for napi::Error {
    fn from(failure: Failure) -> Self {
        let report = serde_json::to_string(&failure).unwrap_or(failure.message);
        Self::new(Status::GenericFailure, report)
    }
}
