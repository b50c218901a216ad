//! AV1 aggregation header (AV1 RTP specification section 4.4), for senders without dependency descriptor.
//!
//! In: a payload. Out: [`Aggregation`]. Open bitstream units are not read: layers need the descriptor.

use crate::wire::u8_at;

/// What the first payload byte says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aggregation {
    /// Z: the first unit continues one of the packet before.
    pub continues: bool,
    /// N: first packet of a coded video sequence.
    pub keyframe: bool,
}

/// Reads the aggregation header; `None` if there is no unit behind it.
pub fn parse(payload: &[u8]) -> Option<Aggregation> {
    let first = u8_at(payload, 0)?;
    u8_at(payload, 1)?;
    let (continues, keyframe) = (first & 0x80 != 0, first & 0x08 != 0);
    // A new sequence cannot begin in the middle of a unit.
    (!(continues && keyframe)).then_some(Aggregation { continues, keyframe })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_sequence_is_a_key_frame_and_a_continuation_is_not() {
        assert_eq!(parse(&[0x18, 0]), Some(Aggregation { continues: false, keyframe: true }));
        assert_eq!(parse(&[0x90, 0]), Some(Aggregation { continues: true, keyframe: false }));
    }

    #[test]
    fn contradictions_and_truncation_are_refused() {
        assert_eq!(parse(&[0x88, 0]), None);
        assert_eq!(parse(&[0x18]), None);
        assert_eq!(parse(&[]), None);
    }
}
