//! Why a datagram, packet or message went no further. Every early return on the packet path names one;
//! the names are the same in code, on the metrics page, in the documentation and in the tests.

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// The closed list of reasons; [`DropReason::name`] is the stable public identifier.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum DropReason { $($(#[$doc])* $variant,)* }

        impl DropReason {
            /// All reasons, in counter order.
            pub const ALL: &'static [DropReason] = &[$(DropReason::$variant,)*];

            /// The stable snake_case name.
            pub const fn name(self) -> &'static str {
                match self { $(DropReason::$variant => $name,)* }
            }
        }
    };
}

drop_reasons! {
    // -- demultiplexing (RFC 7983) and the edge --
    /// Zero bytes: legal UDP, no meaning here.
    DemuxEmpty = "demux_empty",
    /// Too short for the class its first byte claims.
    DemuxShort = "demux_short",
    /// Longer than any datagram we accept (2048 bytes).
    DemuxTooLong = "demux_too_long",
    /// First byte in no assigned range.
    DemuxUnknown = "demux_unknown",
    /// ZRTP, TURN channel data or QUIC: assigned, but not spoken here.
    DemuxUnsupported = "demux_unsupported",
    /// DTLS, SRTP or SRTCP from an address that no authenticated check has validated.
    UnvalidatedAddress = "unvalidated_address",
    /// First byte of STUN without the cookie, with a wrong length, or longer than any check (1500 bytes).
    DemuxBadStun = "demux_bad_stun",
    /// First byte of DTLS without a DTLS version.
    DemuxBadDtls = "demux_bad_dtls",
    // -- connectivity checks (RFC 8445, RFC 8489) --
    /// A STUN response, an indication, or a method other than Binding.
    StunUnexpected = "stun_unexpected",
    /// FINGERPRINT missing, wrong, or not the last attribute; or attributes that overrun the message.
    StunBadFingerprint = "stun_bad_fingerprint",
    /// A check without PRIORITY.
    StunNoPriority = "stun_no_priority",
    /// USERNAME missing, malformed, or with a peer's half that is not the signalled one.
    StunBadUsername = "stun_bad_username",
    /// No transport has this ufrag.
    StunUnknownUfrag = "stun_unknown_ufrag",
    /// MESSAGE-INTEGRITY missing or wrong.
    StunBadIntegrity = "stun_bad_integrity",
    /// An attribute that a receiver must understand and we do not.
    StunUnknownAttribute = "stun_unknown_attribute",
    /// The peer claims the controlled role, which is ours.
    StunRoleConflict = "stun_role_conflict",
    /// Too many checks from one unvalidated address, or from all of them together.
    StunRate = "stun_rate",
    /// An authenticated check that came again from another address.
    StunReplay = "stun_replay",
    /// The address serves another transport that was heard of a moment ago.
    PathTaken = "path_taken",
    /// A ninth address was validated: the oldest unselected one is forgotten.
    TupleCap = "tuple_cap",
    /// Consent has expired (RFC 7675): nothing goes out or in until a restart.
    ConsentExpired = "consent_expired",
    /// The transport is closed.
    TransportClosed = "transport_closed",
    // -- SRTP (RFC 3711, RFC 7714) --
    /// Before the keys, and more or longer ago than may be held back.
    SrtpBeforeKeys = "srtp_before_keys",
    /// Too short for its header, tag and index.
    SrtpShort = "srtp_short",
    /// The tag of an SRTP packet is wrong.
    SrtpAuth = "srtp_auth",
    /// An authentic repetition: reported to feedback, never forwarded.
    SrtpDuplicate = "srtp_duplicate",
    /// A repetition beyond the budget for authenticating repetitions.
    SrtpReplay = "srtp_replay",
    /// Behind the replay window.
    SrtpTooOld = "srtp_too_old",
    /// The tag of an SRTCP packet is wrong.
    SrtcpAuth = "srtcp_auth",
    /// A repeated or too old SRTCP index.
    SrtcpReplay = "srtcp_replay",
    /// SRTCP without encryption (E bit clear).
    SrtcpPlain = "srtcp_plain",
    /// A new SSRC beyond what one transport may use.
    SsrcCap = "ssrc_cap",
    /// New SSRCs faster than 20 a second, or bound faster than a transport may.
    SsrcRate = "ssrc_rate",
    /// The packet limit of a key is reached (2^48 SRTP, 2^31 SRTCP).
    KeyLimit = "key_limit",
    /// Sealing was refused: this (SSRC, roll-over counter, sequence number) was used or may have been.
    SealReuse = "seal_reuse",
    /// Sealing was refused: not an RTP or RTCP packet, or no room for the tag behind it.
    SealInvalid = "seal_invalid",
    // -- RTP: what a publisher sent --
    /// Not RTP version 2, too short, too long, or padding that reaches into the header.
    Malformed = "malformed",
    /// The contributing sources reach beyond the packet.
    CsrcOverflow = "csrc_overflow",
    /// The header extension block or one of its elements overruns.
    ExtMalformed = "ext_malformed",
    /// The payload type is none of the track's.
    PtUnknown = "pt_unknown",
    /// Nothing ties this SSRC to a track of its transport.
    SsrcUnknown = "ssrc_unknown",
    /// No track of the transport has this MID.
    MidUnknown = "mid_unknown",
    /// The section has no such RTP stream, or has several and the packet does not tell which.
    RidUnknown = "rid_unknown",
    /// A retransmission whose media SSRC is not known yet.
    RepairPending = "repair_pending",
    /// A bandwidth probe on SSRC 0 or on a retransmission SSRC that belongs to nothing.
    ProbeOnly = "probe_only",
    /// A retransmission without an original: probing.
    RtxEmpty = "rtx_empty",
    /// A retransmission of what has arrived, or of what is too old.
    RtxRedundant = "rtx_redundant",
    /// A retransmission payload type without an original one.
    RtxNoApt = "rtx_no_apt",
    /// Older than the window of sequence numbers.
    LateIngress = "late_ingress",
    /// This sequence number has arrived before.
    Duplicate = "duplicate",
    /// Jumps in sequence: waits for its successor to prove a restart.
    JumpHeld = "jump_held",
    /// RED blocks overrun (RFC 2198).
    RedMalformed = "red_malformed",
    /// The dependency descriptor cannot be read.
    DdMalformed = "dd_malformed",
    /// The dependency descriptor refers to a template that is not known.
    DdUnknownTemplate = "dd_unknown_template",
    /// The codec's payload descriptor cannot be read.
    DescriptorMalformed = "descriptor_malformed",
    /// The gate of the track is closed (mute, policy).
    TrackClosed = "track_closed",
    // -- RTCP --
    /// Framing or body of an RTCP packet is wrong.
    RtcpMalformed = "rtcp_malformed",
    /// An RTCP packet type or feedback format that is not spoken here.
    RtcpUnknownType = "rtcp_unknown_type",
    /// A sender report older than the last one.
    SrAnachronous = "sr_anachronous",
    /// A BYE for an SSRC that belongs to no track of the transport.
    ByeIgnored = "bye_ignored",
    // -- between lanes --
    /// The ring to another lane is full.
    RelayFull = "relay_full",
    /// The relay lost a packet of this stream: what follows is useless until its next key frame.
    RelayBroken = "relay_broken",
    /// No leg on this lane, and no other lane, carries the track.
    NoLegs = "no_legs",
    // -- egress: one per (packet, leg) --
    /// The transport that a packet was meant for has no validated address or no keys yet.
    LegNotReady = "leg_not_ready",
    /// The send batch is full: the lane sheds this packet.
    SendQueueFull = "send_queue_full",
    /// The receiver's connection gave up video; until it has caught up there is no point in more.
    ReceiverBlocked = "receiver_blocked",
    /// Nobody wants the leg at present.
    LegPaused = "leg_paused",
    /// Another simulcast stream is on the wire.
    LayerNotSelected = "layer_not_selected",
    /// The leg waits for a key frame.
    NotAKeyframe = "not_a_keyframe",
    /// A switch begins with the first packet of a frame, and this is another one.
    SwitchNotStart = "switch_not_start",
    /// The stream's time stamps are not yet tied to those of the stream on the wire.
    SwitchNoSenderReport = "switch_no_sender_report",
    /// The candidate's time lies too far behind what was already sent.
    SwitchBehind = "switch_behind",
    /// Padding carries nothing for a receiver.
    PaddingOnly = "padding_only",
    /// Temporal layer above the leg's.
    TemporalDrop = "temporal_drop",
    /// Spatial layer above the leg's, or not needed for it.
    SpatialDrop = "spatial_drop",
    /// The frame refers to one that this leg did not get.
    ChainBroken = "chain_broken",
    /// Older than the first packet since the last switch.
    BeforeSwitch = "before_switch",
    /// Late, and its place was given up when it did not come.
    LateExcluded = "late_excluded",
    /// Later than the mapping or the frame decisions reach back.
    LateNoMapping = "late_no_mapping",
    /// Late, of the stream that was on the wire before the last switch.
    LateAfterSwitch = "late_after_switch",
    /// This leg has sent the packet before.
    LegDuplicate = "leg_duplicate",
    /// Its number was declared empty towards the receiver.
    HoleAlreadyClosed = "hole_already_closed",
    /// The leg's section has no payload type for this codec.
    PayloadUnmapped = "payload_unmapped",
    /// Larger than the path takes once rewritten.
    TooBig = "too_big",
    /// A redundant block that names no primary payload.
    RedWithoutPrimary = "red_without_primary",
    // -- repair --
    /// Asked again for a packet that was never sent or is no longer kept.
    NackMiss = "nack_miss",
    /// Asked again for a packet that was sent again less than a round trip ago.
    NackDedupe = "nack_dedupe",
    /// Asked again too often for one packet.
    NackTries = "nack_tries",
    /// Asked again for a packet too old to be played.
    NackLate = "nack_late",
    /// The leg's budget for retransmissions is spent.
    NackBudget = "nack_budget",
    /// Asked again for a packet that a later key frame made superfluous.
    NackSuperseded = "nack_superseded",
    /// Asked again over a leg that negotiated no retransmission stream.
    NackNoRtx = "nack_no_rtx",
    /// Padding was asked of a leg that carries no complete frame of video.
    PaddingUnfit = "padding_unfit",
    // -- feedback of subscribers --
    /// A subscriber's feedback names a stream that it does not get.
    FeedbackUnknownStream = "feedback_unknown_stream",
    /// Transport-wide feedback about numbers that were not sent or are forgotten.
    FeedbackUnknownNumber = "feedback_unknown_number",
    /// More key-frame requests than one receiver may cause.
    KeyframeFlood = "keyframe_flood",
    // -- commands --
    /// A command named something that does not exist (any more).
    CommandUnknown = "command_unknown",
    /// A command that cannot be carried out: an identity in use, ill-formed credentials or keys.
    CommandRefused = "command_refused",
    // -- sockets, rings and threads around the core --
    /// Longer than the receive slot: the kernel cut it off.
    DatagramTruncated = "datagram_truncated",
    /// The socket's send buffer stayed full for as long as a lane may wait.
    SendAgain = "send_again",
    /// The kernel refused to send (no route, forbidden, too long).
    SendError = "send_error",
    // -- TCP connections (RFC 4571, RFC 6544): refused ones, closed ones, and what their backlogs gave up --
    /// A connection beyond those that a lane takes.
    TcpFull = "tcp_full",
    /// A connection beyond those that one address may have, or may have without a believed check.
    TcpAddressLimit = "tcp_address_limit",
    /// No connection can be accepted: the process has no descriptor left, or the kernel no memory.
    TcpNoDescriptor = "tcp_no_descriptor",
    /// A connection broke before it could be accepted.
    TcpAcceptFailed = "tcp_accept_failed",
    /// Closed: what came first was no check, or no check was believed.
    TcpUnproven = "tcp_unproven",
    /// Closed: no check was believed in time.
    TcpCheckTimeout = "tcp_check_timeout",
    /// Closed: a frame began and did not end in time.
    TcpFrameTimeout = "tcp_frame_timeout",
    /// Closed: a frame claims to be longer than any datagram.
    TcpFrameTooLong = "tcp_frame_too_long",
    /// Closed: it serves no transport any more.
    TcpUnused = "tcp_unused",
    /// Closed: the peer took nothing of what waited for it for too long.
    TcpStalled = "tcp_stalled",
    /// The peer closed its connection, or the network broke it.
    TcpClosed = "tcp_closed",
    /// Meant for a connection that is gone.
    TcpGone = "tcp_gone",
    /// Video that a connection did not take in time, or that was too much.
    TcpVideoShed = "tcp_video_shed",
    /// Audio that a connection did not take in time, or that was too much.
    TcpAudioShed = "tcp_audio_shed",
    /// Nothing was left to give up for a check, a handshake or a report.
    TcpQueueFull = "tcp_queue_full",
    /// Handling it panicked: a bug; its transport was discarded.
    Panicked = "panicked",
    /// The control plane does not collect its events.
    EventQueueFull = "event_queue_full",
    /// The associations thread does not keep up.
    AssociationQueueFull = "association_queue_full",
}

/// How many reasons there are: the length of a counter array.
pub const DROP_REASONS: usize = DropReason::ALL.len();

/// A counter per reason, owned by one lane, so plain additions.
#[derive(Clone, Debug)]
pub struct DropCounters([u64; DROP_REASONS]);

impl Default for DropCounters {
    fn default() -> Self {
        Self([0; DROP_REASONS])
    }
}

impl DropCounters {
    /// Counts one drop.
    pub fn count(&mut self, reason: DropReason) {
        self.0[reason as usize] += 1;
    }

    /// Counts `times` drops at once.
    pub fn add(&mut self, reason: DropReason, times: u64) {
        self.0[reason as usize] += times;
    }

    /// Adds another set of counters to this one.
    pub fn merge(&mut self, other: &DropCounters) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// How often `reason` occurred.
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// Every reason with its count, zeroes included.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.iter().map(|&reason| (reason, self.get(reason)))
    }
}
