//! The Python module `sfu._dataplane`: converts values between Python and the data plane, decides nothing.
//!
//! The contract is `sfu/_dataplane.pyi`. No packet passes here. The GIL is released before any lock, so that
//! neither side ever waits for the other while holding both.

mod arguments;
mod counters;
mod error;
mod events;
mod plane;
mod snapshot;

use conclave_core::drop::DropReason;
use pyo3::prelude::*;

/// Commands down, events up, in batches.
#[pymodule(gil_used = false)]
fn _dataplane(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    let reasons: Vec<&str> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
    module.add("drop_reasons", reasons)?;
    module.add_class::<plane::DataPlane>()
}
