//! Arguments of Python calls, checked once and turned into the values of commands.

use conclave_core::command::{
    CodecParameters, DtlsRole, Fingerprint, IceCredentials, PayloadMap, RemoteParameters,
    StreamParameters,
};
use conclave_core::media::{Codec, Extension, MediaKind};

use crate::error::{refuse, BindingError};

/// RTP streams of one track: three simulcast layers (and counters per stream are arrays of three).
const MAX_STREAMS: usize = 3;

/// Payload types are seven bits (RFC 3550 section 5.1).
const MAX_PAYLOAD_TYPE: u8 = 127;

/// (payload type, codec, clock rate, RTX payload type, NACK).
pub type CodecTuple = (u8, String, u32, Option<u8>, bool);

/// (rid, SSRC, RTX SSRC).
pub type StreamTuple = (Option<String>, Option<u32>, Option<u32>);

/// (source payload type, target payload type, RTX payload type, strip RED).
pub type PayloadTuple = (u8, u8, Option<u8>, bool);

/// Lengths as in RFC 8839 section 5.4.
pub fn credentials(ufrag: String, pwd: String) -> Result<IceCredentials, BindingError> {
    if !(4..=256).contains(&ufrag.len()) {
        return refuse(format!("ufrag must have 4 to 256 characters, not {}", ufrag.len()));
    }
    if !(22..=256).contains(&pwd.len()) {
        return refuse(format!("pwd must have 22 to 256 characters, not {}", pwd.len()));
    }
    Ok(IceCredentials { ufrag, pwd })
}

/// The peer's description.
pub fn remote(
    (ufrag, pwd): (String, String),
    fingerprints: Vec<(String, Vec<u8>)>,
    dtls_client: bool,
    sctp: Option<(u16, u32)>,
) -> Result<RemoteParameters, BindingError> {
    let fingerprints = fingerprints.into_iter().map(fingerprint).collect::<Result<_, _>>()?;
    let role = if dtls_client { DtlsRole::Client } else { DtlsRole::Server };
    Ok(RemoteParameters { ufrag, pwd, fingerprints, role, sctp })
}

fn fingerprint((algorithm, digest): (String, Vec<u8>)) -> Result<Fingerprint, BindingError> {
    let wanted = match algorithm.as_str() {
        "sha-256" => 32,
        "sha-384" => 48,
        "sha-512" => 64,
        _ => return refuse(format!("unknown fingerprint algorithm {algorithm:?}")),
    };
    if digest.len() != wanted {
        let given = digest.len();
        return refuse(format!("a {algorithm} fingerprint has {wanted} bytes, not {given}"));
    }
    Ok(Fingerprint { algorithm, digest })
}

/// `audio` or `video`.
pub fn kind(name: &str) -> Result<MediaKind, BindingError> {
    match name {
        "audio" => Ok(MediaKind::Audio),
        "video" => Ok(MediaKind::Video),
        _ => refuse(format!("unknown kind {name:?}")),
    }
}

/// The payload types of a track.
pub fn codecs(tuples: Vec<CodecTuple>) -> Result<Vec<CodecParameters>, BindingError> {
    tuples
        .into_iter()
        .map(|(payload_type, name, clock_rate, rtx, nack)| {
            let codec = codec(&name)?;
            let payload_type = self::payload_type(payload_type)?;
            if clock_rate == 0 {
                return refuse("a clock rate of zero");
            }
            let rtx = rtx.map(self::payload_type).transpose()?;
            Ok(CodecParameters { payload_type, codec, clock_rate, rtx, nack })
        })
        .collect()
}

/// The RTP streams of a track.
pub fn streams(tuples: Vec<StreamTuple>) -> Result<Vec<StreamParameters>, BindingError> {
    if !(1..=MAX_STREAMS).contains(&tuples.len()) {
        return refuse(format!("a track has 1 to {MAX_STREAMS} streams, not {}", tuples.len()));
    }
    let stream = |(rid, ssrc, rtx_ssrc)| StreamParameters { rid, ssrc, rtx_ssrc };
    Ok(tuples.into_iter().map(stream).collect())
}

/// The payload types of a leg.
pub fn payloads(tuples: Vec<PayloadTuple>) -> Result<Vec<PayloadMap>, BindingError> {
    tuples
        .into_iter()
        .map(|(source, target, rtx, strip_red)| {
            Ok(PayloadMap {
                source: payload_type(source)?,
                target: payload_type(target)?,
                rtx: rtx.map(payload_type).transpose()?,
                strip_red,
            })
        })
        .collect()
}

fn payload_type(number: u8) -> Result<u8, BindingError> {
    if number > MAX_PAYLOAD_TYPE {
        return refuse(format!("payload type {number} is beyond {MAX_PAYLOAD_TYPE}"));
    }
    Ok(number)
}

/// Header extension ids; URIs that are not understood are left out.
pub fn extensions(tuples: Vec<(u8, String)>) -> Result<Vec<(u8, Extension)>, BindingError> {
    let mut known = Vec::new();
    for (id, uri) in tuples {
        // RFC 8285: 0 is padding, 15 ends one-byte headers and cannot be negotiated there.
        if id == 0 || id == 15 {
            return refuse(format!("header extension id {id} is reserved"));
        }
        known.extend(extension(&uri).map(|extension| (id, extension)));
    }
    Ok(known)
}

fn extension(uri: &str) -> Option<Extension> {
    Some(match uri {
        "urn:ietf:params:rtp-hdrext:sdes:mid" => Extension::Mid,
        "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id" => Extension::Rid,
        "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id" => Extension::RepairedRid,
        "urn:ietf:params:rtp-hdrext:ssrc-audio-level" => Extension::AudioLevel,
        "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time" => Extension::AbsSendTime,
        "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01" => {
            Extension::TransportWideCc
        }
        "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension" => {
            Extension::DependencyDescriptor
        }
        "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time" => {
            Extension::AbsCaptureTime
        }
        "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay" => Extension::PlayoutDelay,
        "urn:3gpp:video-orientation" => Extension::VideoOrientation,
        "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type" => {
            Extension::VideoContentType
        }
        "http://www.webrtc.org/experiments/rtp-hdrext/color-space" => Extension::ColorSpace,
        "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00" => {
            Extension::VideoLayersAllocation
        }
        _ => return None,
    })
}

const CODECS: [(Codec, &str); 9] = [
    (Codec::Opus, "opus"),
    (Codec::Red, "red"),
    (Codec::Pcmu, "pcmu"),
    (Codec::Pcma, "pcma"),
    (Codec::Vp8, "vp8"),
    (Codec::Vp9, "vp9"),
    (Codec::H264, "h264"),
    (Codec::H265, "h265"),
    (Codec::Av1, "av1"),
];

fn codec(name: &str) -> Result<Codec, BindingError> {
    let known = CODECS.iter().find(|(_, known)| *known == name);
    known.map_or_else(|| refuse(format!("unknown codec {name:?}")), |&(codec, _)| Ok(codec))
}

/// The name of a codec in the contract.
pub fn codec_name(codec: Codec) -> &'static str {
    let known = CODECS.iter().find(|(known, _)| *known == codec);
    known.map(|&(_, name)| name).expect("invariant: every codec has a name")
}
