//! H.264 payloads (RFC 6184): key frames by NAL unit type; no layers without a dependency descriptor.
//!
//! In: a payload. Out: [`UnitFacts`]. Only NAL unit headers are read, never slices.

use crate::wire::{u16_at, u8_at};

/// What the NAL units of one packet say; H.265 shares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct UnitFacts {
    /// Carries or starts a parameter set or an intra picture at which decoding can start.
    pub keyframe: bool,
    /// Begins with a NAL unit that can only stand at the start of an access unit.
    pub opens: bool,
    /// Does not begin in the middle of a NAL unit.
    pub whole: bool,
    /// No NAL unit in it is referred to.
    pub discardable: bool,
    /// Temporal id, where the codec tells.
    pub temporal: u8,
}

const IDR: u8 = 5;
const SPS: u8 = 7;
const DELIMITER: u8 = 9;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// Reads the NAL unit headers of `payload`; `None` if they overrun.
pub fn parse(payload: &[u8]) -> Option<UnitFacts> {
    let first = u8_at(payload, 0)?;
    match first & 0x1F {
        STAP_A => aggregate(&payload[1..]),
        FU_A => {
            let fragment = u8_at(payload, 1)?;
            let begins = fragment & 0x80 != 0;
            let unit = facts_of((first & 0x60) | (fragment & 0x1F));
            // Only the first fragment tells where the picture begins; the rest are tied to it by time.
            Some(UnitFacts {
                keyframe: begins && unit.keyframe,
                opens: begins && unit.opens,
                whole: begins,
                ..unit
            })
        }
        _ => Some(facts_of(first)),
    }
}

fn facts_of(header: u8) -> UnitFacts {
    let kind = header & 0x1F;
    UnitFacts {
        keyframe: matches!(kind, IDR | SPS),
        opens: matches!(kind, SPS | DELIMITER),
        whole: true,
        discardable: header & 0x60 == 0 && kind < IDR,
        temporal: 0,
    }
}

/// Every unit of a STAP-A.
fn aggregate(mut rest: &[u8]) -> Option<UnitFacts> {
    let mut found: Option<UnitFacts> = None;
    while !rest.is_empty() {
        let end = 2 + usize::from(u16_at(rest, 0)?);
        let unit = facts_of(*rest.get(2..end)?.first()?);
        found = Some(match found {
            None => unit,
            Some(before) => UnitFacts {
                keyframe: before.keyframe || unit.keyframe,
                discardable: before.discardable && unit.discardable,
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

    #[test]
    fn single_units_are_told_by_type() {
        assert!(parse(&[0x65, 0x88]).unwrap().keyframe);
        assert!(parse(&[0x67, 0x42]).unwrap().opens);
        assert!(!parse(&[0x68, 0xCE]).unwrap().keyframe, "a lone PPS");
        assert!(parse(&[0x01, 0x9A]).unwrap().discardable);
        assert!(!parse(&[0x41, 0x9A]).unwrap().discardable);
    }

    #[test]
    fn an_aggregate_of_parameter_sets_without_the_picture_opens_the_key_frame() {
        let stap = [0x78, 0, 2, 0x67, 0x42, 0, 1, 0x68];
        let found = parse(&stap).unwrap();
        assert!(found.keyframe && found.opens && found.whole);
    }

    #[test]
    fn an_aggregate_with_the_picture_behind_other_units_is_a_key_frame() {
        assert!(parse(&[0x78, 0, 1, 0x68, 0, 1, 0x65]).unwrap().keyframe);
        assert!(!parse(&[0x78, 0, 1, 0x61, 0, 1, 0x41]).unwrap().keyframe);
    }

    #[test]
    fn only_the_first_fragment_of_a_picture_tells() {
        assert!(parse(&[0x7C, 0x85, 0]).unwrap().keyframe);
        let middle = parse(&[0x7C, 0x05, 0]).unwrap();
        assert!(!middle.keyframe && !middle.whole);
        assert!(!parse(&[0x7C, 0x81, 0]).unwrap().keyframe);
    }

    #[test]
    fn truncation_at_every_length_is_refused_where_a_header_is_cut() {
        let stap = [0x78, 0, 2, 0x67, 0x42, 0, 1, 0x68];
        let whole = [5, 8];
        for length in 0..=stap.len() {
            assert_eq!(parse(&stap[..length]).is_some(), whole.contains(&length), "{length}");
        }
        assert_eq!(parse(&[0x7C]), None);
    }

    proptest! {
        #[test]
        fn arbitrary_payloads_never_panic(payload in proptest::collection::vec(any::<u8>(), 0..60)) {
            let found = parse(&payload);
            prop_assert!(found.is_some() || payload.is_empty() || payload[0] & 0x1F >= STAP_A);
        }
    }
}
