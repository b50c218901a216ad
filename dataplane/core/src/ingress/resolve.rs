//! Which stream an SSRC that is not bound yet belongs to (RFC 8843 section 9.2, RFC 8851 to 8853).
//!
//! In: the evidence in one packet and the tracks of its own transport, never of another. Out: a [`Place`], or
//! the reason why there is none. The order of the questions is the order of the functions.

use super::table::{Place, Role};
use super::track::{Payload, Track};
use crate::drop::DropReason;

/// What a packet says about where it belongs; empty means absent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence<'a> {
    pub ssrc: u32,
    pub payload_type: u8,
    pub mid: &'a [u8],
    pub rid: &'a [u8],
    pub repaired_rid: &'a [u8],
}

/// Finds the place of a packet.
pub(super) fn resolve(tracks: &[Track], evidence: &Evidence<'_>) -> Result<Place, DropReason> {
    if !evidence.mid.is_empty() {
        let track = tracks
            .iter()
            .position(|track| track.mid.as_bytes() == evidence.mid)
            .ok_or(DropReason::MidUnknown)?;
        return in_section(&tracks[track], track, evidence);
    }
    by_rid(tracks, evidence)
        .or_else(|| by_signalled_ssrc(tracks, evidence.ssrc))
        .or_else(|| by_payload_type(tracks, evidence))
        .ok_or_else(|| unknown(tracks, evidence))
}

/// The MID named the track: RID, repaired RID or payload type tell the stream.
fn in_section(track: &Track, index: usize, evidence: &Evidence<'_>) -> Result<Place, DropReason> {
    let place = |stream, role| Place { track: index, stream, role };
    let role = match track.payload(evidence.payload_type) {
        Payload::Media(_) => Role::Media,
        Payload::Repair(_) => Role::Repair,
        Payload::Unknown => return Err(DropReason::PtUnknown),
    };
    if !evidence.rid.is_empty() {
        let stream = stream_by_rid(track, evidence.rid).ok_or(DropReason::RidUnknown)?;
        return Ok(place(stream, role));
    }
    if !evidence.repaired_rid.is_empty() {
        let stream = stream_by_rid(track, evidence.repaired_rid).ok_or(DropReason::RidUnknown)?;
        return Ok(place(stream, Role::Repair));
    }
    if let Some((stream, role)) = signalled(track, evidence.ssrc) {
        return Ok(place(stream, role));
    }
    match track.streams.len() {
        1 => Ok(place(0, role)),
        _ => Err(DropReason::RidUnknown),
    }
}

/// A RID without MID counts where only one track of the transport has it.
fn by_rid(tracks: &[Track], evidence: &Evidence<'_>) -> Option<Place> {
    let (rid, repaired) = match (evidence.rid.is_empty(), evidence.repaired_rid.is_empty()) {
        (false, _) => (evidence.rid, false),
        (true, false) => (evidence.repaired_rid, true),
        (true, true) => return None,
    };
    let mut found = tracks
        .iter()
        .enumerate()
        .filter_map(|(index, track)| Some((index, stream_by_rid(track, rid)?)));
    let (track, stream) = found.next().filter(|_| found.next().is_none())?;
    let role = match tracks[track].payload(evidence.payload_type) {
        Payload::Unknown => return None,
        Payload::Repair(_) => Role::Repair,
        Payload::Media(_) if repaired => Role::Repair,
        Payload::Media(_) => Role::Media,
    };
    Some(Place { track, stream, role })
}

fn by_signalled_ssrc(tracks: &[Track], ssrc: u32) -> Option<Place> {
    tracks.iter().enumerate().find_map(|(track, candidate)| {
        let (stream, role) = signalled(candidate, ssrc)?;
        Some(Place { track, stream, role })
    })
}

/// A payload type that only one section uses, if that has only one stream to choose from.
fn by_payload_type(tracks: &[Track], evidence: &Evidence<'_>) -> Option<Place> {
    let mut users = tracks
        .iter()
        .enumerate()
        .filter(|(_, track)| track.payload(evidence.payload_type) != Payload::Unknown);
    let (index, track) = users.next().filter(|_| users.next().is_none())?;
    let role = match track.payload(evidence.payload_type) {
        Payload::Repair(_) => Role::Repair,
        _ => Role::Media,
    };
    // An SSRC that was signalled for the stream contradicts the guess.
    let described = &track.streams.first()?.parameters;
    let promised = match role {
        Role::Media => described.ssrc,
        Role::Repair => described.rtx_ssrc,
    };
    let agrees = promised.is_none_or(|ssrc| ssrc == evidence.ssrc);
    (track.streams.len() == 1 && agrees).then_some(Place { track: index, stream: 0, role })
}

/// Senders probe for bandwidth on SSRC 0, or by retransmissions that belong to nothing.
fn unknown(tracks: &[Track], evidence: &Evidence<'_>) -> DropReason {
    let is_repair =
        |track: &Track| matches!(track.payload(evidence.payload_type), Payload::Repair(_));
    if evidence.ssrc == 0 || tracks.iter().any(is_repair) {
        DropReason::ProbeOnly
    } else {
        DropReason::SsrcUnknown
    }
}

fn stream_by_rid(track: &Track, rid: &[u8]) -> Option<u8> {
    let matches =
        |wanted: &Option<String>| wanted.as_ref().is_some_and(|wanted| wanted.as_bytes() == rid);
    let index = track.streams.iter().position(|stream| matches(&stream.parameters.rid))?;
    Some(index as u8)
}

fn signalled(track: &Track, ssrc: u32) -> Option<(u8, Role)> {
    track.streams.iter().enumerate().find_map(|(index, stream)| {
        if stream.parameters.ssrc == Some(ssrc) {
            Some((index as u8, Role::Media))
        } else if stream.parameters.rtx_ssrc == Some(ssrc) {
            Some((index as u8, Role::Repair))
        } else {
            None
        }
    })
}
