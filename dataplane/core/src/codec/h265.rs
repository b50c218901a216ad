//! H.265 payloads (RFC 7798): key frames by NAL unit type, temporal layers by the NAL unit header.
//!
//! In: a payload. Out: [`UnitFacts`]. Only NAL unit headers are read, never slices.

use super::h264::UnitFacts;
use crate::wire::{u16_at, u8_at};

/// Intra random access pictures are types 16 to 21 (H.265 table 7-1).
const IRAP: std::ops::RangeInclusive<u8> = 16..=21;
/// VPS, SPS, PPS.
const PARAMETER_SETS: std::ops::RangeInclusive<u8> = 32..=34;
const DELIMITER: u8 = 35;
const AGGREGATE: u8 = 48;
const FRAGMENT: u8 = 49;

/// Reads the NAL unit headers of `payload`; `None` if they overrun.
pub fn parse(payload: &[u8]) -> Option<UnitFacts> {
    let header = u16_at(payload, 0)?;
    match kind(header) {
        AGGREGATE => aggregate(&payload[2..]),
        FRAGMENT => {
            let fragment = u8_at(payload, 2)?;
            let begins = fragment & 0x80 != 0;
            let unit = facts_of(fragment & 0x3F, header);
            Some(UnitFacts {
                keyframe: begins && unit.keyframe,
                opens: begins && unit.opens,
                whole: begins,
                ..unit
            })
        }
        kind => Some(facts_of(kind, header)),
    }
}

fn kind(header: u16) -> u8 {
    (header >> 9) as u8 & 0x3F
}

fn facts_of(kind: u8, header: u16) -> UnitFacts {
    UnitFacts {
        keyframe: IRAP.contains(&kind) || PARAMETER_SETS.contains(&kind),
        opens: PARAMETER_SETS.contains(&kind) || kind == DELIMITER,
        whole: true,
        // Sub-layer non-reference pictures are the even types below 15.
        discardable: kind < 15 && kind % 2 == 0,
        temporal: (header as u8 & 0x07).saturating_sub(1),
    }
}

/// Every unit of an aggregation packet.
fn aggregate(mut rest: &[u8]) -> Option<UnitFacts> {
    let mut found: Option<UnitFacts> = None;
    while !rest.is_empty() {
        let end = 2 + usize::from(u16_at(rest, 0)?);
        let header = u16_at(rest.get(2..end)?, 0)?;
        let unit = facts_of(kind(header), header);
        found = Some(match found {
            None => unit,
            Some(before) => UnitFacts {
                keyframe: before.keyframe || unit.keyframe,
                discardable: before.discardable && unit.discardable,
                temporal: before.temporal.max(unit.temporal),
                ..before
            },
        });
        rest = &rest[end..];
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(kind: u8, temporal: u8) -> [u8; 2] {
        [kind << 1, temporal + 1]
    }

    #[test]
    fn random_access_pictures_and_parameter_sets_are_key_frames() {
        for kind in 0..=40 {
            let expected = (16..=21).contains(&kind) || (32..=34).contains(&kind);
            assert_eq!(parse(&header(kind, 0)).unwrap().keyframe, expected, "type {kind}");
        }
    }

    #[test]
    fn the_temporal_id_is_read_and_non_reference_pictures_are_discardable() {
        let found = parse(&header(0, 2)).unwrap();
        assert_eq!((found.temporal, found.discardable), (2, true));
        assert!(!parse(&header(1, 0)).unwrap().discardable);
    }

    #[test]
    fn aggregates_and_first_fragments_tell_what_they_carry() {
        let vps = header(32, 0);
        let idr = header(19, 0);
        let aggregate = [0x60, 1, 0, 2, vps[0], vps[1], 0, 2, idr[0], idr[1]];
        let found = parse(&aggregate).unwrap();
        assert!(found.keyframe && found.opens);
        assert!(parse(&[0x62, 1, 0x93]).unwrap().keyframe);
        assert!(!parse(&[0x62, 1, 19]).unwrap().keyframe);
    }

    #[test]
    fn truncation_at_every_length_is_refused_where_a_header_is_cut() {
        let vps = header(32, 0);
        let aggregate = [0x60, 1, 0, 2, vps[0], vps[1]];
        for length in 0..aggregate.len() {
            assert_eq!(parse(&aggregate[..length]), None);
        }
        assert_eq!(parse(&[0x62, 1]), None);
    }

    proptest! {
        #[test]
        fn arbitrary_payloads_never_panic(payload in proptest::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(parse(&payload).is_some() || payload.len() < 2 || payload[0] >> 1 >= AGGREGATE
                || payload[0] >= 0x80);
        }
    }
}
