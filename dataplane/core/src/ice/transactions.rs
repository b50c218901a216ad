//! The transactions of the last checks: a retransmitted request is answered again and changes nothing, a
//! captured one that arrives from elsewhere is refused.

use crate::stun::TransactionId;

/// How many are remembered: at the fastest cadence of browsers, one check in 48 ms, a second and a half.
const REMEMBERED: usize = 32;

/// Where a repeated transaction came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repetition {
    SameAddress,
    OtherAddress,
}

/// A ring of transaction ids, each with a hash of the address it came from.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    ring: Vec<(TransactionId, u64)>,
    next: usize,
}

impl Transactions {
    pub fn find(&self, transaction: &TransactionId, from: u64) -> Option<Repetition> {
        let (_, earlier) = self.ring.iter().find(|(id, _)| id == transaction)?;
        Some(if *earlier == from { Repetition::SameAddress } else { Repetition::OtherAddress })
    }

    pub fn remember(&mut self, transaction: TransactionId, from: u64) {
        if self.ring.len() < REMEMBERED {
            self.ring.push((transaction, from));
        } else {
            self.ring[self.next] = (transaction, from);
            self.next = (self.next + 1) % REMEMBERED;
        }
    }
}
