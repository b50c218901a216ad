//! What the control plane may ask of a lane. Plain values; a command that names something unknown is
//! ignored and counted, because a removal may have crossed it on the way.

use crate::ids::{LaneId, LegId, TrackId, TransportId};
use crate::media::{Codec, Extension, MediaKind};

/// ICE credentials of our side (RFC 8445 section 5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceCredentials {
    /// ice-ufrag, 4 to 256 characters.
    pub ufrag: String,
    /// ice-pwd, 22 to 256 characters.
    pub pwd: String,
}

/// A certificate fingerprint from SDP (RFC 8122).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Hash name as in SDP, lower case: `sha-256`, `sha-384`, `sha-512`.
    pub algorithm: String,
    /// Digest bytes.
    pub digest: Vec<u8>,
}

/// Our part in the DTLS handshake (RFC 5763 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsRole {
    /// We send the ClientHello (`setup:active`).
    Client,
    /// We wait for it (`setup:passive`).
    Server,
}

/// What is known of the peer once its description arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteParameters {
    /// Peer's ufrag: the second half of USERNAME in its checks.
    pub ufrag: String,
    /// Peer's password, to ask it where it is; empty: its addresses are learnt from its checks alone.
    pub pwd: String,
    /// Accepted certificates; none means nothing can be accepted.
    pub fingerprints: Vec<Fingerprint>,
    /// Our DTLS role.
    pub role: DtlsRole,
    /// Peer's SCTP port and the largest message it takes, if an application section was negotiated.
    pub sctp: Option<(u16, u32)>,
}

/// One payload type of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecParameters {
    /// Payload type as the publisher sends it.
    pub payload_type: u8,
    /// Codec.
    pub codec: Codec,
    /// RTP clock rate, Hz.
    pub clock_rate: u32,
    /// Payload type of its retransmissions (`apt`), if any.
    pub rtx: Option<u8>,
    /// Whether generic NACK was negotiated.
    pub nack: bool,
}

/// One RTP stream of a track, from low to high.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct StreamParameters {
    /// RID, where simulcast is by RID.
    pub rid: Option<String>,
    /// SSRC, where the client signals it.
    pub ssrc: Option<u32>,
    /// SSRC of its retransmissions, where signalled.
    pub rtx_ssrc: Option<u32>,
}

/// A track that a publisher may now send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddTrack {
    /// Chosen identity.
    pub track: TrackId,
    /// Publisher's transport.
    pub transport: TransportId,
    /// Audio or video.
    pub kind: MediaKind,
    /// Section identification (RFC 8843).
    pub mid: String,
    /// Payload types of the section.
    pub codecs: Vec<CodecParameters>,
    /// RTP streams from low to high; one entry without rid for a single stream.
    pub streams: Vec<StreamParameters>,
    /// Screen share: slower key-frame cadence and longer liveness time-outs.
    pub screen: bool,
}

/// How a publisher's payload type reaches one subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadMap {
    /// Payload type at ingress.
    pub source: u8,
    /// Payload type on this leg.
    pub target: u8,
    /// RTX payload type on this leg for `target`.
    pub rtx: Option<u8>,
    /// RED towards a subscriber without it: forward the primary block only.
    pub strip_red: bool,
}

/// A subscription's egress stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddLeg {
    /// Chosen identity.
    pub leg: LegId,
    /// What it carries.
    pub track: TrackId,
    /// The lane that the track lives on.
    pub home: LaneId,
    /// Subscriber's transport.
    pub transport: TransportId,
    /// Audio or video.
    pub kind: MediaKind,
    /// Section on the subscriber's side.
    pub mid: String,
    /// Egress SSRC, unique on the transport for the life of its keys.
    pub ssrc: u32,
    /// SSRC of retransmissions.
    pub rtx_ssrc: Option<u32>,
    /// CNAME of the publisher (one per publisher: lip sync).
    pub cname: String,
    /// Payload types.
    pub payloads: Vec<PayloadMap>,
    /// Header extensions of the section on this side, with their ids.
    pub extensions: Vec<(u8, Extension)>,
}

/// What a leg should carry; set by whoever decides about bandwidth and wishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerTarget {
    /// Highest simulcast stream or SVC spatial layer wanted.
    pub spatial: u8,
    /// Highest temporal layer wanted.
    pub temporal: u8,
}

/// Commands from the control plane, routed to a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A client may now connect with these credentials.
    AddTransport {
        /// Chosen identity.
        transport: TransportId,
        /// Our ICE credentials.
        local: IceCredentials,
    },
    /// The peer's description arrived (or changed).
    SetRemote {
        /// Which.
        transport: TransportId,
        /// What is now known.
        remote: RemoteParameters,
    },
    /// New credentials; the old ones work until the first valid check with the new (make before break).
    RestartIce {
        /// Which.
        transport: TransportId,
        /// New credentials.
        local: IceCredentials,
    },
    /// Header extension ids that this transport's peer uses.
    SetExtensions {
        /// Which.
        transport: TransportId,
        /// Ids as negotiated (bundled sections share one id space).
        extensions: Vec<(u8, Extension)>,
    },
    /// Ends a transport with all of its tracks and legs.
    RemoveTransport {
        /// Which.
        transport: TransportId,
    },
    /// A publisher may send this track (also used to replace its parameters).
    AddTrack(AddTrack),
    /// The gate of a track: closed means nothing of it is forwarded (mute, policy).
    SetTrackOpen {
        /// Which.
        track: TrackId,
        /// Whether packets may pass.
        open: bool,
    },
    /// Ends a track.
    RemoveTrack {
        /// Which.
        track: TrackId,
    },
    /// Another lane has legs of this track: send packets there as well. Issued by the lane directory, not by Python.
    AddRelay {
        /// Which.
        track: TrackId,
        /// Where to.
        to: LaneId,
    },
    /// The last leg on that lane went.
    RemoveRelay {
        /// Which.
        track: TrackId,
        /// Where to.
        to: LaneId,
    },
    /// A subscriber gets this track.
    AddLeg(AddLeg),
    /// Which layer a leg should carry; `None` pauses it.
    SetLeg {
        /// Which.
        leg: LegId,
        /// The wish.
        target: Option<LayerTarget>,
    },
    /// Ends a leg.
    RemoveLeg {
        /// Which.
        leg: LegId,
    },
    /// Asks the publisher for a key frame of one stream (subject to the throttle).
    RequestKeyframe {
        /// Which.
        track: TrackId,
        /// Stream index.
        stream: u8,
    },
}

/// Parameters of a data channel (RFC 8832).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelParameters {
    /// Label.
    pub label: String,
    /// Sub-protocol.
    pub protocol: String,
    /// Whether messages keep their order.
    pub ordered: bool,
    /// Retransmission limit; `None` is reliable.
    pub max_retransmits: Option<u16>,
}

/// Commands for the associations thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelCommand {
    /// Opens a channel: in-band with DCEP, or pre-negotiated where `negotiated` is set.
    Open {
        /// Which.
        transport: TransportId,
        /// Stream id; `None` lets the association choose by its DTLS role (RFC 8832 section 6).
        stream: Option<u16>,
        /// Parameters.
        parameters: ChannelParameters,
        /// No DCEP: both sides were told by signalling.
        negotiated: bool,
    },
    /// One message to many channels.
    Send {
        /// (transport, stream) pairs.
        to: Vec<(TransportId, u16)>,
        /// Payload.
        data: Vec<u8>,
        /// Binary or text (PPID).
        binary: bool,
    },
    /// Closes a channel.
    Close {
        /// Which.
        transport: TransportId,
        /// Stream id.
        stream: u16,
    },
}
