//! Retransmissions become the packets that they repeat (RFC 4588 section 4).
//!
//! In: an RTX packet, decrypted. Out: the original in the same buffer. Nothing is known here about what was
//! missing.

use crate::drop::DropReason;
use crate::rtp::{ExtensionForm, Header};
use crate::wire::{put, u16_at};

/// Bytes of the original sequence number in front of the payload.
const OSN: usize = 2;

/// What the original packet is to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Original {
    /// Its payload type.
    pub payload_type: u8,
    /// SSRC of the media stream.
    pub ssrc: u32,
    /// Ids of repaired-rtp-stream-id and rtp-stream-id, where both are negotiated: the first becomes the
    /// second.
    pub stream_ids: Option<(u8, u8)>,
}

/// The sequence number that an RTX packet repeats; `rtx_empty` if it carries no original (probing).
pub fn original_sequence(header: &Header, packet: &[u8]) -> Result<u16, DropReason> {
    let payload = header.payload.of(packet);
    if payload.len() <= OSN {
        return Err(DropReason::RtxEmpty);
    }
    u16_at(payload, 0).ok_or(DropReason::RtxEmpty)
}

/// Rewrites `packet` to the original and returns its header. Padding is removed; the packet ends where the
/// payload ends.
pub fn decapsulate(
    header: &Header,
    packet: &mut [u8],
    original: Original,
) -> Result<Header, DropReason> {
    let sequence = original_sequence(header, packet)?;
    let (start, end) = (usize::from(header.payload.start), usize::from(header.payload.end));
    packet.copy_within(start + OSN..end, start);
    let marker = u8::from(header.marker) << 7;
    packet[0] &= !0x20;
    packet[1] = marker | (original.payload_type & 0x7F);
    put(packet, 2, &sequence.to_be_bytes()).ok_or(DropReason::RtxEmpty)?;
    put(packet, 8, &original.ssrc.to_be_bytes()).ok_or(DropReason::RtxEmpty)?;
    if let Some((from, to)) = original.stream_ids {
        rename(header, packet, from, to);
    }
    let mut restored = *header;
    restored.payload_type = original.payload_type;
    restored.sequence = sequence;
    restored.ssrc = original.ssrc;
    restored.padding = 0;
    restored.payload.end -= OSN as u16;
    Ok(restored)
}

/// Gives the extension element `from` the id `to`.
fn rename(header: &Header, packet: &mut [u8], from: u8, to: u8) {
    let found = header.elements(packet).flatten().find(|element| element.id == from);
    let Some(data) = found.map(|element| usize::from(element.data.start)) else { return };
    match header.form {
        ExtensionForm::OneByte => packet[data - 1] = to << 4 | packet[data - 1] & 0x0F,
        ExtensionForm::TwoByte => packet[data - 2] = to,
        ExtensionForm::None => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rtp::write::{Fields, HeaderWriter};

    fn build(fields: &Fields, elements: &[(u8, Vec<u8>)], payload: &[u8]) -> Vec<u8> {
        let mut out = [0; 512];
        let form = if elements.is_empty() { ExtensionForm::None } else { ExtensionForm::OneByte };
        let mut writer = HeaderWriter::new(&mut out, fields, form).unwrap();
        for (id, data) in elements {
            writer.element(*id, data).unwrap();
        }
        let start = writer.finish().unwrap();
        out[start..start + payload.len()].copy_from_slice(payload);
        out[..start + payload.len()].to_vec()
    }

    proptest! {
        #[test]
        fn decapsulation_undoes_encapsulation(
            (marker, payload_type) in (any::<bool>(), 0u8..128),
            (sequence, timestamp, ssrc) in any::<(u16, u32, u32)>(),
            payload in proptest::collection::vec(any::<u8>(), 1..200),
            (with_rid, padding) in (any::<bool>(), 0u8..9),
        ) {
            let fields = Fields { marker, payload_type, sequence, timestamp, ssrc };
            let elements = |id: u8| {
                let all = vec![(4, vec![9]), (id, b"hi".to_vec())];
                if with_rid { all } else { vec![] }
            };
            let original = build(&fields, &elements(10), &payload);
            let rtx = Fields { payload_type: 97, sequence: 7, ssrc: 0xBEEF, ..fields };
            let mut encapsulated = sequence.to_be_bytes().to_vec();
            encapsulated.extend(&payload);
            let mut packet = build(&rtx, &elements(11), &encapsulated);
            if padding > 0 {
                packet[0] |= 0x20;
                packet.extend(std::iter::repeat_n(0, usize::from(padding) - 1));
                packet.push(padding);
            }
            let header = Header::parse(&packet).unwrap();
            let target = Original { payload_type, ssrc, stream_ids: Some((11, 10)) };
            let restored = decapsulate(&header, &mut packet, target).unwrap();
            let end = usize::from(restored.payload.end);
            prop_assert_eq!(&packet[..end], original.as_slice());
            prop_assert_eq!(Header::parse(&packet[..end]).unwrap(), restored);
        }
    }

    #[test]
    fn probes_without_an_original_are_rtx_empty() {
        let fields = Fields { marker: false, payload_type: 97, sequence: 1, timestamp: 2, ssrc: 3 };
        for payload in [[].as_slice(), &[1], &[1, 2]] {
            let packet = build(&fields, &[], payload);
            let header = Header::parse(&packet).unwrap();
            assert_eq!(original_sequence(&header, &packet), Err(DropReason::RtxEmpty));
        }
    }
}
