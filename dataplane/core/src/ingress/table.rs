//! Which SSRC of one transport belongs to which stream (bounded, and only ever asked with its transport).
//!
//! In: bindings that [`super::resolve`] justified. Out: the binding of an SSRC. Bindings are not dropped for
//! silence: a client that paused comes back without MID, and could not be found again.

use std::time::Duration;

use crate::drop::DropReason;
use crate::rate::{Bucket, Limit};
use crate::time::Time;

/// SSRCs bound at once on one transport.
pub const MAX_BINDINGS: usize = 128;

/// How many may come at once: a full set of tracks that joins.
const BINDING_BURST: u64 = 64;

/// New bindings per second.
const BINDINGS: Limit = Limit::new(20, BINDING_BURST);

/// A binding this silent may make room for a new one.
const REPLACEABLE_AFTER: Duration = Duration::from_secs(30);

/// How long packets of an SSRC that was just replaced are taken for late ones.
pub const RETIREMENT: Duration = Duration::from_secs(5);

/// What an SSRC carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The stream itself.
    Media,
    /// Its retransmissions.
    Repair,
}

/// Where an SSRC belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index of the track on its transport.
    pub track: usize,
    /// Index of the stream in the track.
    pub stream: u8,
    /// Media or repair.
    pub role: Role,
}

#[derive(Clone, Copy, Debug)]
struct Binding {
    place: Place,
    last_seen: Time,
    /// Another SSRC took the place.
    retired: Option<Time>,
}

/// What the table knows about an SSRC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Bound.
    Bound(Place),
    /// Replaced a moment ago.
    Retired,
    /// Not bound, or replaced long ago.
    Unknown,
}

/// The bound SSRCs of one transport.
#[derive(Clone, Debug, Default)]
pub struct SsrcTable {
    /// Parallel to `bindings`; a scan of at most 128 words beats a hash that an attacker may choose.
    keys: Vec<u32>,
    bindings: Vec<Binding>,
    budget: Bucket,
}

impl SsrcTable {
    /// Looks up `ssrc` and remembers that it was heard of.
    pub fn find(&mut self, now: Time, ssrc: u32) -> Known {
        let Some(index) = self.keys.iter().position(|&key| key == ssrc) else {
            return Known::Unknown;
        };
        let binding = &mut self.bindings[index];
        binding.last_seen = now;
        match binding.retired {
            None => Known::Bound(binding.place),
            Some(at) if now.since(at) < RETIREMENT => Known::Retired,
            Some(_) => Known::Unknown,
        }
    }

    /// Binds `ssrc`; whoever had the place is retired.
    pub fn bind(&mut self, now: Time, ssrc: u32, place: Place) -> Result<(), DropReason> {
        let known = self.keys.iter().position(|&key| key == ssrc);
        if known.is_none() && !self.budget.take(now, BINDINGS) {
            return Err(DropReason::SsrcRate);
        }
        let index = match known {
            Some(index) => index,
            None if self.keys.len() < MAX_BINDINGS => self.keys.len(),
            None => self.replaceable(now).ok_or(DropReason::SsrcCap)?,
        };
        for binding in self.bindings.iter_mut().filter(|binding| binding.place == place) {
            binding.retired.get_or_insert(now);
        }
        let binding = Binding { place, last_seen: now, retired: None };
        if index == self.keys.len() {
            self.keys.push(ssrc);
            self.bindings.push(binding);
        } else {
            self.keys[index] = ssrc;
            self.bindings[index] = binding;
        }
        Ok(())
    }

    /// Forgets what was bound to a track.
    pub fn forget_track(&mut self, track: usize) {
        let kept = |binding: &Binding| binding.place.track != track;
        let mut keep = self.bindings.iter().map(kept);
        self.keys.retain(|_| keep.next().unwrap_or(false));
        self.bindings.retain(kept);
    }

    /// Forgets a track; the tracks behind it move up by one.
    pub fn remove_track(&mut self, track: usize) {
        self.forget_track(track);
        for binding in self.bindings.iter_mut().filter(|binding| binding.place.track > track) {
            binding.place.track -= 1;
        }
    }

    /// The longest silent binding, if it is silent enough.
    fn replaceable(&self, now: Time) -> Option<usize> {
        let oldest =
            self.bindings.iter().enumerate().min_by_key(|(_, binding)| binding.last_seen)?;
        (now.since(oldest.1.last_seen) >= REPLACEABLE_AFTER).then_some(oldest.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(track: usize) -> Place {
        Place { track, stream: 0, role: Role::Media }
    }

    #[test]
    fn a_replaced_ssrc_is_late_for_a_while_and_then_unknown() {
        let mut table = SsrcTable::default();
        let at = Time::from_millis;
        table.bind(at(0), 1, place(0)).unwrap();
        table.bind(at(10), 2, place(0)).unwrap();
        assert_eq!(table.find(at(11), 1), Known::Retired);
        assert_eq!(table.find(at(11), 2), Known::Bound(place(0)));
        assert_eq!(table.find(at(5_010), 1), Known::Unknown);
        table.bind(at(5_010), 1, place(0)).unwrap();
        assert_eq!(table.find(at(5_011), 1), Known::Bound(place(0)));
        assert_eq!(table.find(at(5_011), 2), Known::Retired);
    }

    #[test]
    fn too_many_new_ssrcs_at_once_are_refused_by_rate() {
        let mut table = SsrcTable::default();
        let results: Vec<_> = (0..100)
            .map(|ssrc| table.bind(Time::from_millis(5_000), ssrc, place(ssrc as usize)))
            .collect();
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), BINDING_BURST as usize);
        assert_eq!(results[99], Err(DropReason::SsrcRate));
        assert!(table.bind(Time::from_millis(5_050), 99, place(99)).is_ok(), "refilled by one");
    }

    #[test]
    fn the_table_is_capped_and_only_the_long_silent_make_room() {
        let mut table = SsrcTable::default();
        for ssrc in 0..MAX_BINDINGS as u32 {
            let now = Time::from_millis(u64::from(ssrc) * 100);
            table.bind(now, ssrc, place(ssrc as usize)).unwrap();
        }
        let now = Time::from_millis(MAX_BINDINGS as u64 * 100);
        assert_eq!(table.bind(now, 999, place(999)), Err(DropReason::SsrcCap));
        let later = now + REPLACEABLE_AFTER;
        table.find(later, 0);
        table.bind(later, 999, place(999)).unwrap();
        assert_eq!(table.find(later, 1), Known::Unknown, "the longest silent one went");
        assert_eq!(table.find(later, 0), Known::Bound(place(0)));
    }

    #[test]
    fn removing_a_track_moves_the_others_up() {
        let mut table = SsrcTable::default();
        for ssrc in 0..3 {
            table.bind(Time(0), ssrc, place(ssrc as usize)).unwrap();
        }
        table.remove_track(1);
        assert_eq!(table.find(Time(0), 0), Known::Bound(place(0)));
        assert_eq!(table.find(Time(0), 1), Known::Unknown);
        assert_eq!(table.find(Time(0), 2), Known::Bound(place(1)));
    }
}
