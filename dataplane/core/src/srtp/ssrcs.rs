//! The SSRCs that have a replay window, and the newest index of those that had one.
//!
//! In: SSRCs of authenticated (or own) packets. Out: their windows. The number of windows and of residues
//! is bounded; a window is given up for a new SSRC by least recent use, unless it is pinned, and leaves its
//! newest index behind for the life of the keys, so that no index is accepted or sealed again.

use std::collections::HashMap;

use super::window::Window;
use crate::drop::DropReason;
use crate::hash::Keyed;

/// What is known of an SSRC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It has a window, at this place.
    Active(usize),
    /// It had one, which ended with this index.
    Retired(u64),
    /// Nothing.
    Unknown,
}

/// How many SSRCs may be remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caps {
    /// With a window.
    pub active: usize,
    /// With their newest index only.
    pub retired: usize,
}

pub(super) struct Ssrcs<const WORDS: usize> {
    places: HashMap<u32, u32, Keyed>,
    entries: Vec<Entry<WORDS>>,
    retired: HashMap<u32, u64, Keyed>,
    caps: Caps,
    pinned: usize,
    uses: u64,
}

struct Entry<const WORDS: usize> {
    ssrc: u32,
    pinned: bool,
    last_use: u64,
    window: Window<WORDS>,
}

impl<const WORDS: usize> Ssrcs<WORDS> {
    pub fn new(caps: Caps, keyed: Keyed) -> Self {
        Self {
            places: HashMap::with_hasher(keyed),
            entries: Vec::new(),
            retired: HashMap::with_hasher(keyed),
            caps,
            pinned: 0,
            uses: 0,
        }
    }

    /// What is known of `ssrc`; changes nothing.
    pub fn find(&self, ssrc: u32) -> Known {
        if let Some(&place) = self.places.get(&ssrc) {
            Known::Active(place as usize)
        } else if let Some(&newest) = self.retired.get(&ssrc) {
            Known::Retired(newest)
        } else {
            Known::Unknown
        }
    }

    pub fn window(&self, place: usize) -> &Window<WORDS> {
        &self.entries[place].window
    }

    /// Marks an index of an active SSRC as seen.
    pub fn commit(&mut self, place: usize, index: u64) {
        self.uses += 1;
        let entry = &mut self.entries[place];
        entry.last_use = self.uses;
        entry.window.commit(index);
    }

    /// Whether one more SSRC can get a window.
    pub fn has_room(&self) -> bool {
        self.entries.len() < self.caps.active
            || (self.pinned < self.entries.len() && self.retired.len() < self.caps.retired)
    }

    /// Gives `ssrc`, which has none, a window.
    pub fn admit(&mut self, ssrc: u32, window: Window<WORDS>) -> Result<(), DropReason> {
        if !self.has_room() {
            return Err(DropReason::SsrcCap);
        }
        self.uses += 1;
        let entry = Entry { ssrc, pinned: false, last_use: self.uses, window };
        let place = if self.entries.len() < self.caps.active {
            self.entries.push(entry);
            self.entries.len() - 1
        } else {
            let place = self.oldest();
            let old = std::mem::replace(&mut self.entries[place], entry);
            self.places.remove(&old.ssrc);
            self.retired.insert(old.ssrc, old.window.newest());
            place
        };
        self.retired.remove(&ssrc);
        self.places.insert(ssrc, place as u32);
        Ok(())
    }

    /// Keeps the window of `ssrc` whatever comes; `false` if it has none.
    pub fn pin(&mut self, ssrc: u32) -> bool {
        let Some(&place) = self.places.get(&ssrc) else { return false };
        let entry = &mut self.entries[place as usize];
        self.pinned += usize::from(!entry.pinned);
        entry.pinned = true;
        true
    }

    /// How many SSRCs have a window.
    pub fn active(&self) -> usize {
        self.entries.len()
    }

    fn oldest(&self) -> usize {
        let unpinned = self.entries.iter().enumerate().filter(|(_, entry)| !entry.pinned);
        let oldest = unpinned.min_by_key(|(_, entry)| entry.last_use);
        oldest.expect("invariant: has_room found an unpinned entry").0
    }
}
