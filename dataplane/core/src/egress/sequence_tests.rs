//! The mapping against the rules one by one, and against a slow reference that remembers everything.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const A: Source = Source { stream: 0, generation: 0 };
const B: Source = Source { stream: 1, generation: 0 };
const NOW: Time = Time(1);

fn started(input: u64, output: u64) -> Sequence {
    let mut sequence = Sequence::new(output);
    assert_eq!(sequence.switch(NOW, A, input, true).n, output);
    sequence
}

fn forward(sequence: &mut Sequence, input: u64) -> Result<u64, DropReason> {
    let place = sequence.locate(NOW, A, input)?;
    Ok(sequence.accept(place, input).n)
}

fn drop_it(sequence: &mut Sequence, input: u64) -> Result<(), DropReason> {
    let place = sequence.locate(NOW, A, input)?;
    sequence.exclude(place, input, false);
    Ok(())
}

#[test]
fn the_worked_example_of_a_leg_with_offset_forty() {
    let mut sequence = started(100, 60);
    assert_eq!(forward(&mut sequence, 101), Ok(61));
    drop_it(&mut sequence, 102).unwrap();
    assert_eq!(forward(&mut sequence, 104), Ok(63));
    assert_eq!(forward(&mut sequence, 103), Ok(62));
    assert_eq!(sequence.pad(), 64);
    assert_eq!(forward(&mut sequence, 105), Ok(65));
    assert_eq!(forward(&mut sequence, 102), Err(DropReason::LateExcluded));
    assert_eq!(sequence.switch(NOW, B, 7_000, true).n, 66);
    assert_eq!(sequence.locate(NOW, A, 106), Err(DropReason::LateAfterSwitch));
    let later = NOW + DRAIN;
    assert_eq!(sequence.locate(later, A, 106), Err(DropReason::LayerNotSelected));
}

#[test]
fn a_late_packet_that_is_not_wanted_gives_its_hole_up() {
    let mut sequence = started(100, 60);
    forward(&mut sequence, 102).unwrap();
    drop_it(&mut sequence, 101).unwrap();
    assert_eq!(sequence.state(61), NumberState::GivenUp);
    assert_eq!(forward(&mut sequence, 101), Err(DropReason::LateExcluded));
    sequence.close(61);
    assert_eq!(forward(&mut sequence, 101), Err(DropReason::HoleAlreadyClosed));
}

#[test]
fn a_packet_that_was_sent_is_a_duplicate() {
    let mut sequence = started(100, 60);
    forward(&mut sequence, 101).unwrap();
    assert_eq!(forward(&mut sequence, 101), Err(DropReason::LegDuplicate));
    assert_eq!(forward(&mut sequence, 99), Err(DropReason::BeforeSwitch));
}

#[test]
fn an_unfinished_frame_burns_one_number_at_a_switch() {
    let mut sequence = started(100, 60);
    assert_eq!(sequence.switch(NOW, B, 500, false).n, 62);
    assert_eq!(sequence.state(61), NumberState::GivenUp);
}

#[test]
fn the_old_source_may_fill_its_own_holes_while_it_drains() {
    let mut sequence = started(100, 60);
    forward(&mut sequence, 102).unwrap();
    sequence.switch(NOW, B, 500, true);
    let place = sequence.locate(NOW, A, 101).unwrap();
    assert_eq!(place, Place::Hole { n: 61, draining: true });
    assert_eq!(sequence.accept(place, 101), Given { n: 61, newest: false, jumped: false });
    assert_eq!(sequence.locate(NOW + DRAIN, A, 101), Err(DropReason::LayerNotSelected));
}

#[test]
fn a_gap_too_long_to_repair_is_not_reserved_but_leaves_one_number_free() {
    let mut sequence = started(100, 60);
    let given = {
        let place = sequence.locate(NOW, A, 100 + MAX_GAP + 2).unwrap();
        sequence.accept(place, 100 + MAX_GAP + 2)
    };
    assert_eq!(given, Given { n: 62, newest: true, jumped: true });
    assert_eq!(forward(&mut sequence, 150), Err(DropReason::BeforeSwitch));
}

#[test]
fn missing_packets_of_an_unwanted_frame_keep_no_numbers() {
    let mut sequence = started(100, 60);
    drop_it(&mut sequence, 101).unwrap();
    let place = sequence.locate(NOW, A, 104).unwrap();
    sequence.exclude(place, 104, true);
    assert_eq!(forward(&mut sequence, 105), Ok(61));
    assert_eq!(forward(&mut sequence, 103), Err(DropReason::LateExcluded));
}

#[test]
fn a_late_packet_before_an_excluded_newest_one_takes_a_number_beyond_the_last() {
    let mut sequence = started(100, 60);
    drop_it(&mut sequence, 102).unwrap();
    let place = sequence.locate(NOW, A, 101).unwrap();
    assert_eq!(sequence.accept(place, 101), Given { n: 61, newest: true, jumped: false });
    assert_eq!(forward(&mut sequence, 103), Ok(62));
}

#[test]
fn a_skipped_packet_looks_lost_to_the_receiver() {
    let mut sequence = started(100, 60);
    let place = sequence.locate(NOW, A, 101).unwrap();
    sequence.skip(place, 101);
    assert_eq!(forward(&mut sequence, 102), Ok(62));
    assert_eq!(sequence.state(61), NumberState::Reserved);
}

#[test]
fn mapping_reaches_back_only_as_far_as_spans_are_kept() {
    let mut sequence = started(100, 60);
    forward(&mut sequence, 103).unwrap();
    for step in 0..MAX_SPANS as u64 {
        drop_it(&mut sequence, 104 + 2 * step).unwrap();
        forward(&mut sequence, 105 + 2 * step).unwrap();
    }
    assert_eq!(forward(&mut sequence, 101), Err(DropReason::LateNoMapping));
}

/// The specification executed naively: one decision per input, numbers counted from the start.
#[derive(Default)]
struct Reference {
    /// Inputs that were decided, with the decision to forward.
    decided: BTreeMap<u64, bool>,
    newest: u64,
    /// Inputs that took no number: dropped while they were the newest.
    excluded: BTreeSet<u64>,
    first: (u64, u64),
}

impl Reference {
    /// The number of `input`: every earlier input that is not excluded takes one.
    fn number(&self, input: u64) -> u64 {
        let gone = self.excluded.range(..input).count() as u64;
        self.first.1 + (input - self.first.0) - gone
    }

    fn handle(&mut self, input: u64, wanted: bool) -> Option<u64> {
        if input < self.first.0 || self.decided.contains_key(&input) {
            return None;
        }
        self.decided.insert(input, wanted);
        if input > self.newest {
            self.newest = input;
            if !wanted {
                self.excluded.insert(input);
            }
        }
        wanted.then(|| self.number(input))
    }
}

/// Inputs in a disturbed order: some lost, some late by up to `depth`, some twice.
fn disturbed() -> impl Strategy<Value = Vec<(u64, bool)>> {
    let packet = (0u64..20, prop::bool::weighted(0.6), prop::bool::weighted(0.1), 0u8..20);
    prop::collection::vec(packet, 1..400).prop_map(|packets| {
        let mut arrivals: Vec<(u64, u64, bool)> = Vec::new();
        for (index, (delay, wanted, lost, twice)) in packets.into_iter().enumerate() {
            let input = 65_500 + index as u64;
            if index > 0 && lost {
                continue;
            }
            let at = index as u64 + if index == 0 || delay > 5 { 0 } else { delay };
            arrivals.push((at, input, wanted || index == 0));
            if twice == 0 {
                arrivals.push((at + 3, input, wanted || index == 0));
            }
        }
        arrivals.sort_by_key(|&(at, ..)| at);
        arrivals.into_iter().map(|(_, input, wanted)| (input, wanted)).collect()
    })
}

proptest! {
    #[test]
    fn every_number_equals_the_one_of_the_slow_reference(arrivals in disturbed()) {
        let (first, _) = arrivals[0];
        let mut sequence = started(first, 65_530);
        let mut reference =
            Reference { newest: first, first: (first, 65_530), ..Reference::default() };
        reference.decided.insert(first, true);
        let mut sent = BTreeMap::from([(65_530, first)]);
        for &(input, wanted) in &arrivals[1..] {
            let expected = reference.handle(input, wanted);
            let given = match sequence.locate(NOW, A, input) {
                Err(_) => None,
                Ok(place) if wanted => Some(sequence.accept(place, input).n),
                Ok(place) => {
                    sequence.exclude(place, input, false);
                    None
                }
            };
            prop_assert_eq!(given, expected, "input {}", input);
            if let Some(n) = given {
                prop_assert_eq!(sent.insert(n, input), None, "number {} twice", n);
            }
        }
        prop_assert!(sent.values().collect::<Vec<_>>().windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn no_number_is_used_twice_whatever_happens(
        steps in prop::collection::vec((0u8..12, 0u64..400, any::<bool>()), 1..600),
    ) {
        let mut sequence = Sequence::new(30_000);
        let mut given = BTreeSet::new();
        let (mut now, mut heads) = (Time(0), [1_000u64, 2_000]);
        for (action, amount, flag) in steps {
            now = now + Duration::from_millis(amount / 4);
            let source = if flag { A } else { B };
            let head = &mut heads[usize::from(source.stream)];
            let input = if action < 6 { *head + 1 } else { (*head + 4).saturating_sub(amount) };
            *head = (*head).max(input);
            let n = match action {
                10 => Some(sequence.pad()),
                11 => Some(sequence.switch(now, source, *head, amount % 2 == 0).n),
                _ => match sequence.locate(now, source, input) {
                    Ok(place) if action % 3 != 0 => Some(sequence.accept(place, input).n),
                    Ok(place) => {
                        sequence.exclude(place, input, amount % 2 == 0);
                        None
                    }
                    Err(_) => None,
                },
            };
            if let Some(n) = n {
                prop_assert!(given.insert(n), "number {} twice", n);
            }
        }
    }
}
