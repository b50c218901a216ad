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

/// Handles something that one peer caused; a panic discards the peer. Returns how many panics there were.
pub fn contain<T>(
    target: &mut T,
    handle: impl FnOnce(&mut T),
    discard: impl FnOnce(&mut T),
) -> u64 {
    if guard(|| handle(target)).is_ok() {
        return 0;
    }
    1 + u64::from(guard(|| discard(target)).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_discards_the_peer_and_is_counted_even_if_discarding_panics() {
        let mut peers = vec!["guilty"];
        assert_eq!(contain(&mut peers, |peers| peers.push("innocent"), Vec::clear), 0);
        let bug = |_: &mut Vec<_>| panic!("a bug, on purpose");
        assert_eq!(contain(&mut peers, bug, |peers| peers.retain(|&peer| peer != "guilty")), 1);
        assert_eq!(peers, ["innocent"]);
        assert_eq!(contain(&mut peers, bug, bug), 2);
        assert_eq!(peers, ["innocent"]);
    }

    #[test]
    fn a_panic_becomes_an_error() {
        assert_eq!(guard(|| 5), Ok(5));
        assert_eq!(guard(|| -> u8 { panic!("a bug, on purpose") }), Err(Panicked));
    }
}
