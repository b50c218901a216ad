//! The sending end of a bounded ring between two threads: never blocks, keeps order, wakes once per batch.
//!
//! What must not be lost waits in a bounded backlog while the ring is full; what may be lost (a datagram, a
//! report that the next one replaces) is handed back to the caller, who counts it.

use std::collections::VecDeque;
use std::sync::Arc;

use rtrb::{Consumer, Producer, PushError, RingBuffer};

use crate::doorbell::Doorbell;

/// Whether an item may be dropped when the other side does not keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// Kept in the backlog while the ring is full.
    Keep,
    /// Refused while the ring is full.
    Shed,
}

/// Producer, backlog and the consumer's bell.
#[derive(Debug)]
pub struct Outlet<T> {
    ring: Producer<T>,
    backlog: VecDeque<T>,
    backlog_limit: usize,
    bell: Arc<Doorbell>,
    pushed: bool,
}

impl<T> Outlet<T> {
    /// A ring of `capacity` items whose consumer sleeps beside `bell`, with room for `backlog_limit` more.
    pub fn new(capacity: usize, backlog_limit: usize, bell: Arc<Doorbell>) -> (Self, Consumer<T>) {
        let (ring, consumer) = RingBuffer::new(capacity);
        let backlog = VecDeque::new();
        (Self { ring, backlog, backlog_limit, bell, pushed: false }, consumer)
    }

    /// Queues an item; gives it back if there is no room for its worth.
    pub fn push(&mut self, item: T, worth: Worth) -> Result<(), T> {
        let item = if self.backlog.is_empty() {
            match self.ring.push(item) {
                Ok(()) => {
                    self.pushed = true;
                    return Ok(());
                }
                Err(PushError::Full(item)) => item,
            }
        } else {
            item
        };
        if worth == Worth::Shed || self.is_congested() {
            return Err(item);
        }
        self.backlog.push_back(item);
        Ok(())
    }

    /// Puts an item into the backlog, to leave with the next flush. It takes what follows from one decision
    /// whole, so the caller asks [`Outlet::is_congested`] before it decides.
    pub fn stage(&mut self, item: T) {
        self.backlog.push_back(item);
    }

    /// Whether the backlog has reached its limit.
    pub fn is_congested(&self) -> bool {
        self.backlog.len() >= self.backlog_limit
    }

    /// Whether an item would find room in the ring now.
    pub fn has_room(&self) -> bool {
        self.backlog.is_empty() && !self.ring.is_full()
    }

    /// Moves what waits into the ring, as far as there is room, and wakes the consumer if anything is new.
    /// Call it once per batch.
    pub fn flush(&mut self) {
        while let Some(item) = self.backlog.pop_front() {
            if let Err(PushError::Full(item)) = self.ring.push(item) {
                self.backlog.push_front(item);
                break;
            }
            self.pushed = true;
        }
        if std::mem::take(&mut self.pushed) {
            self.bell.ring();
        }
    }

    /// Items that the consumer has not taken yet.
    pub fn depth(&self) -> usize {
        self.ring.buffer().capacity() - self.ring.slots() + self.backlog.len()
    }

    /// Whether items wait for room in the ring: flush again soon.
    pub fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outlet(capacity: usize, backlog: usize) -> (Outlet<u32>, Consumer<u32>) {
        Outlet::new(capacity, backlog, Arc::new(Doorbell::new().unwrap()))
    }

    #[test]
    fn a_full_ring_keeps_what_must_not_be_lost_and_refuses_the_rest() {
        let (mut outlet, mut ring) = outlet(2, 1);
        assert_eq!(outlet.push(1, Worth::Shed), Ok(()));
        assert_eq!(outlet.push(2, Worth::Shed), Ok(()));
        assert_eq!(outlet.push(3, Worth::Shed), Err(3));
        assert_eq!(outlet.push(4, Worth::Keep), Ok(()));
        assert_eq!(outlet.push(5, Worth::Keep), Err(5), "the backlog is bounded");
        assert_eq!(outlet.depth(), 3);
        assert_eq!(ring.pop(), Ok(1));
        assert_eq!(outlet.push(6, Worth::Shed), Err(6), "nothing overtakes the backlog");
        outlet.flush();
        assert!(!outlet.has_backlog());
        assert_eq!((ring.pop(), ring.pop()), (Ok(2), Ok(4)));
    }

    #[test]
    fn what_is_staged_leaves_with_the_flush() {
        let (mut outlet, mut ring) = outlet(2, 2);
        outlet.stage(1);
        assert!(ring.pop().is_err());
        assert!(!outlet.has_room());
        assert!(!outlet.is_congested());
        outlet.stage(2);
        assert!(outlet.is_congested());
        outlet.flush();
        assert_eq!((ring.pop(), ring.pop()), (Ok(1), Ok(2)));
        assert!(outlet.has_room());
    }

    proptest! {
        #[test]
        fn kept_items_arrive_in_order_whatever_the_consumer_does(
            steps in prop::collection::vec((0_u8..3, 0_usize..5), 0..200)
        ) {
            let (mut outlet, mut ring) = outlet(4, 1_000);
            let (mut sent, mut got) = (0_u32, 0_u32);
            for (action, count) in steps {
                match action {
                    0 => for _ in 0..count {
                        outlet.push(sent, Worth::Keep).unwrap();
                        sent += 1;
                    },
                    1 => outlet.flush(),
                    _ => for _ in 0..count {
                        if let Ok(item) = ring.pop() {
                            prop_assert_eq!(item, got);
                            got += 1;
                        }
                    },
                }
            }
            while got < sent {
                outlet.flush();
                prop_assert_eq!(ring.pop(), Ok(got));
                got += 1;
            }
        }
    }
}
