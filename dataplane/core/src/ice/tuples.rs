//! The validated addresses of one transport, and the one to send to.
//!
//! In: believed checks, authenticated media. Out: the selected address. The rules, in order:
//!
//! 1. Without a selection the first validated address is selected.
//! 2. A NOMINATION greater than the last one selects; a smaller one, or a bare flag after one, does not.
//! 3. USE-CANDIDATE selects. If the flag alternates between two addresses within three seconds, the peer
//!    nominates aggressively, and the one with the higher priority stays: no flapping. A flag on an address
//!    that carried none lately is a move and is followed at once.
//! 4. If the connection of the selected address broke, the one heard of last is selected.
//! 5. If the selected address was silent for 2.5 s while another one delivers authenticated media, or for
//!    5 s while another one is checked, that one is selected.
//! 6. The same after 100 ms if the other one was checked since the selected one fell silent: peers send media
//!    over a path before they nominate it. And after 1 s at the first check with new credentials: a peer that
//!    restarts and is silent has lost its old path.
//!
//! Rules 5 and 6 choose among addresses from which authentic checks came, and need another proof of the peer.

use std::time::Duration;

use crate::association::Path;
use crate::time::Time;

/// Addresses that are validated at once: host and reflexive ones over two networks and both families.
pub const MAX_TUPLES: usize = 8;
/// Two nominations within this time are aggressive nomination.
const AGGRESSIVE: Duration = Duration::from_secs(3);
/// Silence after which media from elsewhere moves the selection: browsers give a path up after 2.5 s.
const SILENT: Duration = Duration::from_millis(2_500);
/// Silence that is more than jitter, five audio packets: media from an address that was checked meanwhile move it.
const QUIET: Duration = Duration::from_millis(100);
/// Silence after which a check with newer credentials does: reports of who only receives come every second.
const RESTARTED: Duration = Duration::from_secs(1);
/// Silence after which any check from elsewhere does: two of the checks that browsers send on a stable pair.
const ABANDONED: Duration = Duration::from_secs(5);
/// An unselected address without a check for this long is forgotten (RFC 7675).
const AGED: Duration = Duration::from_secs(30);

/// A validated address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    /// The address.
    pub path: Path,
    /// Hash of the peer's ufrag in the check that validated it.
    pub peer: u64,
    generation: u32,
    priority: u32,
    flagged_at: Option<Time>,
    checked_at: Time,
    heard_at: Time,
}

/// What a believed check says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Check {
    pub path: Path,
    pub peer: u64,
    pub generation: u32,
    pub priority: u32,
    pub flagged: bool,
    pub nomination: Option<u32>,
}

/// The addresses; the place of each stays the same while it is validated.
#[derive(Debug, Default)]
pub(super) struct Tuples {
    places: [Option<Tuple>; MAX_TUPLES],
    selected: Option<u8>,
    nomination: Option<u32>,
}

impl Tuples {
    pub fn find(&self, path: Path) -> Option<u8> {
        let mut places = self.places.iter();
        let found = places.position(|tuple| tuple.is_some_and(|tuple| tuple.path == path));
        found.map(|place| place as u8)
    }

    pub fn selected(&self) -> Option<Path> {
        self.selected.and_then(|place| self.get(place)).map(|tuple| tuple.path)
    }

    pub fn last_heard(&self, path: Path) -> Option<Time> {
        self.find(path).and_then(|place| self.get(place)).map(|tuple| tuple.heard_at)
    }

    /// Forgets aged addresses, and if `path` is new and all places are taken, the unselected one that was
    /// checked longest ago; whether that was necessary.
    pub fn make_room(&mut self, now: Time, path: Path, removed: &mut Vec<Path>) -> bool {
        removed.extend(self.forget_aged(now));
        if self.find(path).is_some() || self.places.iter().any(Option::is_none) {
            return false;
        }
        let selected = self.selected;
        let unselected =
            self.places.iter().enumerate().filter(|(place, _)| Some(*place as u8) != selected);
        let oldest = unselected.min_by_key(|(_, tuple)| tuple.map(|tuple| tuple.checked_at));
        if let Some(tuple) =
            oldest.map(|(place, _)| place).and_then(|place| self.places[place].take())
        {
            removed.push(tuple.path);
        }
        true
    }

    /// Records a check and applies the rules; the place of its address. There is room for it.
    pub fn checked(&mut self, now: Time, check: &Check) -> u8 {
        let place = self.find(check.path).unwrap_or_else(|| self.free_place());
        let flagged_before = self.get(place).and_then(|tuple| tuple.flagged_at);
        self.places[usize::from(place)] = Some(Tuple {
            path: check.path,
            peer: check.peer,
            generation: check.generation,
            priority: check.priority,
            flagged_at: if check.flagged { Some(now) } else { flagged_before },
            checked_at: now,
            heard_at: now,
        });
        if self.should_select(now, place, check, flagged_before) {
            self.selected = Some(place);
        }
        place
    }

    /// Selects `path`, to which the peer moved from the selected address. There is room for it.
    pub fn moved(&mut self, now: Time, path: Path) -> Option<u8> {
        let selected = self.selected.and_then(|place| self.get(place)).copied()?;
        let place = self.find(path).unwrap_or_else(|| self.free_place());
        let tuple = Tuple { path, checked_at: now, heard_at: now, ..selected };
        self.places[usize::from(place)] = Some(tuple);
        self.selected = Some(place);
        Some(place)
    }

    /// `path` cannot be used any more. Applies rule 4; whether it was known.
    pub fn lose(&mut self, path: Path) -> bool {
        let lost = !self.retain(|tuple| tuple.path != path).is_empty();
        if self.selected.is_none() {
            let known = (0u8..).zip(&self.places).filter_map(|(at, tuple)| Some((at, (*tuple)?)));
            let last = known.max_by_key(|(_, tuple)| (tuple.generation, tuple.heard_at));
            self.selected = last.map(|(place, _)| place);
        }
        lost
    }

    /// Records authenticated media from `place`; the new selection, if rule 5 or 6 applies.
    pub fn heard(&mut self, now: Time, place: u8) -> Option<Path> {
        let tuple = self.places.get_mut(usize::from(place))?.as_mut()?;
        tuple.heard_at = now;
        let tuple = *tuple;
        if self.selected == Some(place) {
            return None;
        }
        let selected = self.selected.and_then(|place| self.get(place));
        let replaceable = selected.is_none_or(|selected| {
            let silence = now.since(selected.heard_at);
            let gone = silence >= QUIET && tuple.checked_at > selected.heard_at;
            (gone || silence >= SILENT) && tuple.generation >= selected.generation
        });
        if !replaceable || now.since(tuple.checked_at) >= AGED {
            return None;
        }
        self.selected = Some(place);
        Some(tuple.path)
    }

    /// Keeps the addresses for which `keep` holds and returns the others.
    pub fn retain(&mut self, keep: impl Fn(&Tuple) -> bool) -> Vec<Path> {
        let mut removed = Vec::new();
        for (place, slot) in self.places.iter_mut().enumerate() {
            if let Some(tuple) = slot.take_if(|tuple| !keep(tuple)) {
                removed.push(tuple.path);
                self.selected = self.selected.filter(|&selected| selected != place as u8);
            }
        }
        removed
    }

    /// New credentials count their nominations anew.
    pub fn forget_nominations(&mut self) {
        self.nomination = None;
        for tuple in self.places.iter_mut().flatten() {
            tuple.flagged_at = None;
        }
    }

    fn should_select(
        &mut self,
        now: Time,
        place: u8,
        check: &Check,
        flagged_before: Option<Time>,
    ) -> bool {
        let Some(selected) = self.selected.and_then(|selected| self.get(selected)) else {
            self.nomination = self.nomination.max(check.nomination);
            return true;
        };
        if let Some(value) = check.nomination {
            let higher = self.nomination.is_none_or(|last| value > last);
            self.nomination = self.nomination.max(Some(value));
            return higher;
        }
        if self.selected == Some(place) || check.generation < selected.generation {
            return false;
        }
        let renewed = check.generation > selected.generation;
        let limit = if renewed { RESTARTED } else { ABANDONED };
        if now.since(selected.heard_at) >= limit {
            return true;
        }
        let recent = |flag: Option<Time>| flag.is_some_and(|flag| now.since(flag) < AGGRESSIVE);
        let alternates = recent(flagged_before) && recent(selected.flagged_at);
        check.flagged
            && self.nomination.is_none()
            && (!alternates || check.priority > selected.priority)
    }

    /// Removes unselected addresses that were not checked for long, and those of former credentials as soon
    /// as the selected one has newer credentials and they have fallen silent.
    fn forget_aged(&mut self, now: Time) -> Vec<Path> {
        let selected = self.selected.and_then(|place| self.get(place)).copied();
        self.retain(|tuple| {
            let Some(selected) = selected else { return true };
            let superseded =
                tuple.generation < selected.generation && now.since(tuple.heard_at) >= ABANDONED;
            tuple.path == selected.path || (now.since(tuple.checked_at) < AGED && !superseded)
        })
    }

    fn get(&self, place: u8) -> Option<&Tuple> {
        self.places.get(usize::from(place))?.as_ref()
    }

    fn free_place(&self) -> u8 {
        let free = self.places.iter().position(Option::is_none);
        free.expect("invariant: make_room left a place free") as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: u32 = 200;
    const SLOW: u32 = 100;

    fn path(port: u16) -> Path {
        Path::udp(0, ([192, 0, 2, 1], port).into())
    }

    fn check(port: u16) -> Check {
        let priority = if port == 1 { FAST } else { SLOW };
        Check {
            path: path(port),
            peer: 0,
            generation: 0,
            priority,
            flagged: false,
            nomination: None,
        }
    }

    fn flagged(port: u16) -> Check {
        Check { flagged: true, ..check(port) }
    }

    fn nominated(port: u16, value: u32) -> Check {
        Check { nomination: Some(value), ..flagged(port) }
    }

    /// Applies a check and says which port is selected then.
    fn after(tuples: &mut Tuples, ms: u64, check: &Check) -> u16 {
        tuples.make_room(Time::from_millis(ms), check.path, &mut Vec::new());
        tuples.checked(Time::from_millis(ms), check);
        tuples.selected().unwrap().peer.port()
    }

    #[test]
    fn the_first_address_is_selected_until_one_is_nominated() {
        let mut tuples = Tuples::default();
        assert_eq!(after(&mut tuples, 0, &check(1)), 1);
        assert_eq!(after(&mut tuples, 10, &check(2)), 1);
        assert_eq!(after(&mut tuples, 20, &flagged(2)), 2);
    }

    #[test]
    fn aggressive_nomination_settles_on_the_higher_priority() {
        let mut tuples = Tuples::default();
        let mut moves = 0;
        let mut last = after(&mut tuples, 0, &flagged(1));
        for round in 1..100 {
            let port = if round % 2 == 0 { 1 } else { 2 };
            let now = after(&mut tuples, round * 50, &flagged(port));
            moves += u32::from(now != last);
            last = now;
        }
        assert_eq!(last, 1);
        assert!(moves <= 2, "{moves}");
    }

    #[test]
    fn a_flag_on_an_address_that_had_none_lately_is_followed_at_once() {
        let mut tuples = Tuples::default();
        after(&mut tuples, 0, &flagged(1));
        after(&mut tuples, 900, &flagged(1));
        assert_eq!(after(&mut tuples, 1_000, &flagged(2)), 2);
    }

    #[test]
    fn only_a_greater_nomination_moves_the_selection() {
        let mut tuples = Tuples::default();
        assert_eq!(after(&mut tuples, 0, &nominated(1, 5)), 1);
        assert_eq!(after(&mut tuples, 10, &nominated(2, 5)), 1);
        assert_eq!(after(&mut tuples, 20, &nominated(2, 4)), 1);
        assert_eq!(after(&mut tuples, 30, &flagged(3)), 1);
        assert_eq!(after(&mut tuples, 40, &nominated(2, 6)), 2);
        tuples.forget_nominations();
        assert_eq!(after(&mut tuples, 50, &nominated(1, 1)), 1);
    }

    #[test]
    fn media_moves_the_selection_only_after_the_selected_address_fell_silent() {
        let mut tuples = Tuples::default();
        after(&mut tuples, 0, &flagged(1));
        after(&mut tuples, 0, &check(2));
        assert_eq!(tuples.heard(Time::from_millis(2_499), 1), None);
        assert_eq!(tuples.heard(Time::from_millis(2_500), 1), Some(path(2)));
        assert_eq!(tuples.heard(Time::from_millis(2_501), 0), None);
    }

    #[test]
    fn media_from_an_address_that_was_checked_in_the_silence_move_the_selection_at_once() {
        let mut tuples = Tuples::default();
        after(&mut tuples, 0, &flagged(1));
        tuples.heard(Time::from_millis(1_000), 0);
        assert_eq!(after(&mut tuples, 1_050, &check(2)), 1);
        assert_eq!(tuples.heard(Time::from_millis(1_099), 1), None);
        assert_eq!(tuples.heard(Time::from_millis(1_100), 1), Some(path(2)));
        // What is late from the old address changes nothing.
        assert_eq!(tuples.heard(Time::from_millis(1_300), 0), None);
    }

    #[test]
    fn media_of_former_credentials_move_nothing_so_soon() {
        let mut tuples = Tuples::default();
        after(&mut tuples, 0, &flagged(1));
        after(&mut tuples, 10, &Check { generation: 1, ..flagged(2) });
        after(&mut tuples, 500, &check(1));
        assert_eq!(tuples.heard(Time::from_millis(600), 0), None);
    }

    #[test]
    fn a_check_with_new_credentials_moves_the_selection_from_an_address_that_is_silent() {
        let restarted = Check { generation: 1, ..check(2) };
        for (ms, selected) in [(999, 1), (1_000, 2)] {
            let mut tuples = Tuples::default();
            after(&mut tuples, 0, &flagged(1));
            assert_eq!(after(&mut tuples, ms, &restarted), selected);
        }
    }

    #[test]
    fn a_check_moves_the_selection_from_an_abandoned_address() {
        let mut tuples = Tuples::default();
        after(&mut tuples, 0, &flagged(1));
        assert_eq!(after(&mut tuples, 4_999, &check(2)), 1);
        assert_eq!(after(&mut tuples, 5_000, &check(2)), 2);
    }

    #[test]
    fn when_the_selected_connection_breaks_the_address_heard_of_last_is_selected() {
        let mut tuples = Tuples::default();
        after(&mut tuples, 0, &flagged(1));
        after(&mut tuples, 10, &check(2));
        after(&mut tuples, 20, &check(3));
        assert!(tuples.lose(path(2)));
        assert_eq!(tuples.selected(), Some(path(1)), "another one's end changes nothing");
        assert!(tuples.lose(path(1)));
        assert_eq!(tuples.selected(), Some(path(3)));
        assert!(!tuples.lose(path(1)));
        assert!(tuples.lose(path(3)));
        assert_eq!(tuples.selected(), None);
        assert_eq!(after(&mut tuples, 30, &check(4)), 4);
    }

    #[test]
    fn a_ninth_address_replaces_the_oldest_unselected_one() {
        let mut tuples = Tuples::default();
        for port in 1..=8 {
            after(&mut tuples, port.into(), &check(port));
        }
        let mut removed = Vec::new();
        assert!(tuples.make_room(Time::from_millis(9), path(9), &mut removed));
        assert_eq!(removed, [path(2)]);
        assert_eq!(tuples.selected(), Some(path(1)));
        assert_eq!(tuples.checked(Time::from_millis(9), &check(9)), 1);
    }

    #[test]
    fn an_unselected_address_ages_and_the_selected_one_does_not() {
        let mut tuples = Tuples::default();
        after(&mut tuples, 0, &flagged(1));
        after(&mut tuples, 0, &check(2));
        tuples.heard(Time::from_millis(29_000), 0);
        let mut removed = Vec::new();
        tuples.make_room(Time::from_millis(30_000), path(3), &mut removed);
        assert_eq!(removed, [path(2)]);
    }

    #[test]
    fn an_address_of_former_credentials_goes_once_it_is_superseded_and_silent() {
        let mut tuples = Tuples::default();
        after(&mut tuples, 0, &flagged(1));
        let restarted = Check { generation: 1, ..flagged(2) };
        assert_eq!(after(&mut tuples, 100, &restarted), 2);
        assert_eq!(tuples.heard(Time::from_millis(4_000), 0), None);
        let mut removed = Vec::new();
        tuples.make_room(Time::from_millis(8_000), path(2), &mut removed);
        assert!(removed.is_empty());
        tuples.make_room(Time::from_millis(9_000), path(2), &mut removed);
        assert_eq!(removed, [path(1)]);
    }
}
