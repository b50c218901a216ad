//! When each transport next needs attention, so that idle ones cost nothing.
//!
//! In: one deadline per transport. Out: the earliest, and the transports that are due, in order.

use std::collections::BTreeSet;

use crate::ids::TransportId;
use crate::time::Time;

/// Deadlines by time.
#[derive(Debug, Default)]
pub struct Deadlines {
    ordered: BTreeSet<(Time, TransportId)>,
}

impl Deadlines {
    /// Moves the deadline of `transport` from `before` to `after`.
    pub fn set(&mut self, transport: TransportId, before: Option<Time>, after: Option<Time>) {
        if let Some(before) = before {
            self.ordered.remove(&(before, transport));
        }
        if let Some(after) = after {
            self.ordered.insert((after, transport));
        }
    }

    /// The earliest deadline.
    pub fn earliest(&self) -> Option<Time> {
        self.ordered.first().map(|&(at, _)| at)
    }

    /// Takes a transport whose deadline has come.
    pub fn take_due(&mut self, now: Time) -> Option<TransportId> {
        let &(at, transport) = self.ordered.first()?;
        if at > now {
            return None;
        }
        self.ordered.pop_first();
        Some(transport)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_transports_come_in_order_and_moved_deadlines_leave_no_ghost() {
        let mut deadlines = Deadlines::default();
        let at = Time::from_millis;
        deadlines.set(TransportId(1), None, Some(at(50)));
        deadlines.set(TransportId(2), None, Some(at(20)));
        deadlines.set(TransportId(1), Some(at(50)), Some(at(10)));
        assert_eq!(deadlines.earliest(), Some(at(10)));
        assert_eq!(deadlines.take_due(at(30)), Some(TransportId(1)));
        assert_eq!(deadlines.take_due(at(30)), Some(TransportId(2)));
        assert_eq!(deadlines.take_due(at(99)), None);
    }
}
