//! Tells the control plane that a ring has room again for the commands that it could not take.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use crate::doorbell::Doorbell;

/// A flag that the control plane raises and the ring's consumer lowers, ringing the control plane's bell.
#[derive(Clone, Debug)]
pub struct Starved {
    raised: Arc<AtomicBool>,
    bell: Arc<Doorbell>,
}

impl Starved {
    /// Nobody waits yet; `bell` is the control plane's.
    pub fn new(bell: Arc<Doorbell>) -> Self {
        Self { raised: Arc::default(), bell }
    }

    /// Commands wait for room. Try to push once more after this, or the consumer may have passed already.
    pub fn raise(&self) {
        self.raised.store(true, Ordering::SeqCst);
    }

    /// The consumer made room.
    pub fn feed(&self) {
        if self.raised.load(Ordering::SeqCst) && self.raised.swap(false, Ordering::SeqCst) {
            self.bell.ring();
        }
    }
}
