//! A panic means a bug; it costs one item of a batch, never the thread.

use std::panic::{catch_unwind, AssertUnwindSafe};

/// It panicked. The state that it touched is memory-safe but not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panicked;

/// Runs `item`, turning a panic into an error (the panic hook has reported it by then).
pub fn guard<T>(item: impl FnOnce() -> T) -> Result<T, Panicked> {
    // Unwind safety: the callers discard the peer whose state may be half-changed.
    catch_unwind(AssertUnwindSafe(item)).map_err(|_| Panicked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error() {
        assert_eq!(guard(|| 5), Ok(5));
        assert_eq!(guard(|| -> u8 { panic!("a bug, on purpose") }), Err(Panicked));
    }
}
