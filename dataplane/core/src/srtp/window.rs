//! Which packet indexes were seen, and which index a 16-bit sequence number means.
//!
//! In: indexes of authenticated packets. Out: fresh, seen or too old. It changes only through `commit`,
//! which the caller must not call before authentication (RFC 3711 section 3.3.2).

/// What a window says about an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not seen yet.
    Fresh,
    /// Seen.
    Seen,
    /// Behind the window: nothing is known any more.
    TooOld,
}

/// The newest index and a bit for each of the `64 * WORDS` indexes up to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window<const WORDS: usize> {
    newest: u64,
    bits: [u64; WORDS],
}

impl<const WORDS: usize> Window<WORDS> {
    const SIZE: u64 = 64 * WORDS as u64;

    /// A window in which `first` was seen and nothing else.
    pub fn starting_at(first: u64) -> Self {
        let mut window = Self { newest: first, bits: [0; WORDS] };
        window.set(first);
        window
    }

    /// A window in which everything up to `newest` counts as seen: all that is known of a stream whose
    /// window was given up.
    pub fn sealed_at(newest: u64) -> Self {
        Self { newest, bits: [u64::MAX; WORDS] }
    }

    /// The newest index.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// Judges an index without changing anything.
    pub fn check(&self, index: u64) -> Verdict {
        if index > self.newest {
            Verdict::Fresh
        } else if self.newest - index >= Self::SIZE {
            Verdict::TooOld
        } else if self.bits[Self::word(index)] >> (index % 64) & 1 == 1 {
            Verdict::Seen
        } else {
            Verdict::Fresh
        }
    }

    /// Marks an index as seen and moves the window if it is the newest.
    pub fn commit(&mut self, index: u64) {
        if index > self.newest {
            if index - self.newest >= Self::SIZE {
                self.bits = [0; WORDS];
            } else {
                for skipped in self.newest + 1..index {
                    self.bits[Self::word(skipped)] &= !(1 << (skipped % 64));
                }
            }
            self.newest = index;
        }
        if self.newest - index < Self::SIZE {
            self.set(index);
        }
    }

    fn set(&mut self, index: u64) {
        self.bits[Self::word(index)] |= 1 << (index % 64);
    }

    fn word(index: u64) -> usize {
        (index / 64 % WORDS as u64) as usize
    }
}

/// The 48-bit index nearest to `newest` that ends in `seq` (RFC 3711 section 3.3.1); `None` if it would
/// lie before the first index.
pub fn estimate(newest: u64, seq: u16) -> Option<u64> {
    let (roc, last) = (newest >> 16, newest as u16);
    let guess = if last < 0x8000 {
        if seq > last && seq - last > 0x8000 {
            roc.checked_sub(1)?
        } else {
            roc
        }
    } else if last - 0x8000 > seq {
        roc + 1
    } else {
        roc
    };
    Some(guess << 16 | u64::from(seq))
}
