//! Errors of the data plane as Python exceptions; the only place that chooses one.

use conclave_io::error::PlaneError;
use pyo3::exceptions::{PyBlockingIOError, PyOSError, PyRuntimeError, PyValueError};
use pyo3::PyErr;

/// Why a call was refused.
#[derive(Debug)]
pub enum BindingError {
    /// `close` has been called.
    Closed,
    /// An argument that cannot be right.
    Argument(String),
    /// The data plane's own word.
    Plane(PlaneError),
}

impl From<PlaneError> for BindingError {
    fn from(error: PlaneError) -> Self {
        Self::Plane(error)
    }
}

impl From<BindingError> for PyErr {
    fn from(error: BindingError) -> Self {
        let error = match error {
            BindingError::Closed => return PyRuntimeError::new_err("the data plane is closed"),
            BindingError::Argument(message) => return PyValueError::new_err(message),
            BindingError::Plane(error) => error,
        };
        let message = error.to_string();
        match error {
            PlaneError::Config(_) => PyValueError::new_err(message),
            PlaneError::QueueFull => PyBlockingIOError::new_err(message),
            PlaneError::Bind { source, .. }
            | PlaneError::Listen { source, .. }
            | PlaneError::System(source) => {
                // With an errno Python picks the subclass (PermissionError and so on).
                match source.raw_os_error() {
                    Some(errno) => PyOSError::new_err((errno, message)),
                    None => PyOSError::new_err(message),
                }
            }
            _ => PyRuntimeError::new_err(message),
        }
    }
}

/// An argument that cannot be right.
pub fn refuse<T>(message: impl Into<String>) -> Result<T, BindingError> {
    Err(BindingError::Argument(message.into()))
}
