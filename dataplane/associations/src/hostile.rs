//! Tests with an SCTP peer that may send anything: malformed DCEP, wrong streams, wrong payloads.

use conclave_core::command::DtlsRole;
use conclave_core::event::Event;
use conclave_core::ids::TransportId;
use conclave_core::time::Time;
use dcsctp::api::{
    DcSctpSocket, Message, Options, PpId, SendOptions, SocketEvent, SocketTime, StreamId,
};
use proptest::prelude::*;

use crate::config::{Limits, MAX_CHANNELS, MAX_MESSAGE_BYTES};
use crate::dcep::{Dcep, Open, Reliability};
use crate::messages;
use crate::outputs::Outputs;
use crate::refusal::Refusal;
use crate::sctp::Sctp;

/// Our side and a bare SCTP socket, joined without loss or delay.
struct Rig {
    now: Time,
    ours: Sctp,
    peer: Box<dyn DcSctpSocket>,
    outputs: Outputs,
    events: Vec<Event>,
    /// What the peer received: stream, PPID, payload.
    received: Vec<(u16, u32, Vec<u8>)>,
    /// Streams that we reset, as the peer saw it.
    resets: Vec<u16>,
}

impl Rig {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let options = Options {
            max_message_size: 4 * MAX_MESSAGE_BYTES,
            max_send_buffer_size: 64 << 20,
            per_stream_send_queue_limit: 64 << 20,
            ..Options::default()
        };
        let now = Time::from_millis(100);
        let mut rig = Self {
            now,
            ours: Sctp::new(now, TransportId(1), DtlsRole::Server, (5_000, 0), &limits),
            peer: dcsctp::new_socket("", &options),
            outputs: Outputs::new(&limits),
            events: vec![],
            received: vec![],
            resets: vec![],
        };
        rig.peer.connect();
        rig.run(500);
        rig
    }

    fn send(&mut self, stream: u16, ppid: u32, payload: &[u8]) {
        let message = Message::new(StreamId(stream), PpId(ppid), payload.to_vec());
        self.peer.send(message, &SendOptions::default()).expect("room");
    }

    /// Lets milliseconds pass; packets take one.
    fn run(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds {
            self.now = Time(self.now.0 + 1_000_000);
            self.peer.advance_time(SocketTime::zero() + self.now.since(Time::default()));
            while let Some(event) = self.peer.poll_event() {
                match event {
                    SocketEvent::SendPacket(packet) => self.ours.handle_packet(self.now, &packet),
                    SocketEvent::OnIncomingStreamReset(streams) => {
                        self.resets.extend(streams.iter().map(|stream| stream.0));
                        drop(self.peer.reset_streams(&streams));
                    }
                    _ => {}
                }
            }
            self.ours.handle_timeout(self.now);
            let mut packets = vec![];
            self.ours
                .pump(self.now, &mut self.outputs, &mut |packet| packets.push(packet.to_vec()));
            for packet in packets {
                self.peer.handle_input(&packet);
            }
            while let Some(message) = self.peer.get_next_message() {
                self.received.push((message.stream_id.0, message.ppid.0, message.payload));
            }
            self.events.extend(std::iter::from_fn(|| self.outputs.poll_event()));
        }
    }

    fn refused(&self, reason: Refusal) -> u64 {
        self.outputs.refusals.get(reason)
    }

    fn open(&mut self, stream: u16) {
        self.send(stream, messages::DCEP, &open_bytes(""));
    }

    /// Whether an honest channel still works.
    fn is_alive(&mut self) -> bool {
        self.events.clear();
        self.open(1_000);
        self.send(1_000, 53, b"hello");
        self.run(200);
        self.events.iter().any(
            |event| matches!(event, Event::Message { stream: 1_000, data, .. } if data == b"hello"),
        )
    }
}

fn open_bytes(label: &str) -> Vec<u8> {
    let (label, protocol) = (label.to_string(), "protocol".to_string());
    let reliability = Reliability::Retransmits(3);
    Dcep::Open(Open { label, protocol, ordered: false, reliability }).build()
}

#[test]
fn an_open_is_acknowledged_and_an_open_cut_at_any_length_is_refused_with_a_reset() {
    let mut rig = Rig::new();
    let bytes = open_bytes("label");
    for length in 1..bytes.len() {
        let stream = 2 * length as u16;
        rig.send(stream, messages::DCEP, &bytes[..length]);
        rig.run(250);
        assert_eq!(rig.refused(Refusal::DcepMalformed), length as u64);
        assert_eq!(rig.resets.last(), Some(&stream));
    }
    assert_eq!((rig.ours.channels.len(), rig.received.len()), (0, 0));
    rig.send(2, messages::DCEP, &bytes);
    rig.run(100);
    assert_eq!(rig.received, [(2, messages::DCEP, vec![2])]);
    assert_eq!(rig.ours.open_channels(), 1);
}

#[test]
fn a_channel_too_many_is_refused_with_a_reset_and_a_stream_in_use_is_not_disturbed() {
    let mut rig = Rig::new();
    for stream in 0..MAX_CHANNELS as u16 + 2 {
        rig.open(stream);
    }
    rig.run(500);
    assert_eq!(rig.ours.open_channels(), MAX_CHANNELS);
    assert_eq!(rig.refused(Refusal::ChannelLimit), 2);
    assert_eq!(rig.resets, [64, 65]);
    rig.open(0);
    rig.run(100);
    assert_eq!(rig.refused(Refusal::DcepStreamInUse), 1);
    assert_eq!(rig.ours.open_channels(), MAX_CHANNELS);
}

#[test]
fn the_reserved_stream_carries_no_channel() {
    let mut rig = Rig::new();
    rig.open(65_535);
    rig.run(300);
    assert_eq!(rig.refused(Refusal::DcepMalformed), 1);
    assert!(rig.events.is_empty() && rig.is_alive());
}

#[test]
fn every_payload_that_means_nothing_has_a_name() {
    let mut rig = Rig::new();
    rig.open(0);
    rig.run(100);
    rig.events.clear();
    rig.send(0, messages::DCEP, &[2]);
    rig.send(2, 53, b"no channel here");
    for ppid in [0, 46, 49, 52, 54, 55, 58, u32::MAX] {
        rig.send(0, ppid, b"what?");
    }
    rig.send(0, 51, b"\xff not text");
    rig.send(0, 53, &vec![1; MAX_MESSAGE_BYTES + 1]);
    rig.run(2_000);
    assert!(rig.events.is_empty());
    assert_eq!(rig.refused(Refusal::DcepUnexpectedAck), 1);
    assert_eq!(rig.refused(Refusal::ChannelUnknown), 1);
    assert_eq!(rig.refused(Refusal::PayloadUnknown), 8);
    assert_eq!(rig.refused(Refusal::MessageNotText), 1);
    assert_eq!(rig.refused(Refusal::MessageTooLarge), 1);
    rig.send(0, 53, &vec![1; MAX_MESSAGE_BYTES]);
    rig.run(2_000);
    assert_eq!(rig.events.len(), 1);
    assert!(rig.is_alive());
}

#[test]
fn the_four_payload_types_become_messages() {
    let mut rig = Rig::new();
    rig.open(0);
    rig.run(100);
    rig.events.clear();
    for (ppid, payload) in [(51, &b"text"[..]), (53, b"\xff\x00"), (56, b"\x00"), (57, b"\x00")] {
        rig.send(0, ppid, payload);
    }
    rig.run(100);
    let (transport, stream) = (TransportId(1), 0);
    let message =
        |data: &[u8], binary| Event::Message { transport, stream, data: data.to_vec(), binary };
    let expected = [
        message(b"text", false),
        message(b"\xff\x00", true),
        message(b"", false),
        message(b"", true),
    ];
    assert_eq!(rig.events, expected);
}

#[test]
fn a_message_on_a_channel_that_waits_for_its_ack_stands_for_the_ack() {
    let mut rig = Rig::new();
    let Ok(Dcep::Open(open)) = Dcep::parse(&open_bytes("ours")) else { panic!("an open") };
    rig.ours.open(rig.now, None, (open, false), &mut rig.outputs);
    rig.run(100);
    assert_eq!(rig.received, [(1, messages::DCEP, open_bytes("ours"))]);
    assert!(rig.events.is_empty(), "not open before the peer says so");
    rig.send(1, 53, b"data first");
    rig.send(1, messages::DCEP, &[2]);
    rig.run(100);
    assert!(matches!(rig.events[0], Event::ChannelOpened { stream: 1, .. }));
    assert!(matches!(rig.events[1], Event::Message { stream: 1, .. }));
    assert_eq!(rig.events.len(), 2);
}

#[test]
fn a_reset_waits_for_the_messages_before_it() {
    let mut rig = Rig::with(Limits { inbound_messages_per_second: 10, ..Limits::default() });
    rig.open(0);
    rig.run(100);
    rig.events.clear();
    for number in 0..40 {
        rig.send(0, 53, &[number]);
    }
    rig.peer.reset_streams(&[StreamId(0)]).expect("connected");
    rig.run(1_000);
    assert!(rig.events.len() < 25, "the allowance holds messages back");
    rig.run(9_000);
    let messages = rig.events.iter().filter(|event| matches!(event, Event::Message { .. }));
    assert_eq!(messages.count(), 40);
    assert!(matches!(rig.events.last(), Some(Event::ChannelClosed { stream: 0, .. })));
    assert_eq!(rig.refused(Refusal::ChannelUnknown), 0);
}

#[test]
fn a_peer_that_aborts_sctp_ends_every_channel_and_may_begin_anew() {
    let mut rig = Rig::new();
    rig.open(0);
    rig.open(2);
    rig.run(100);
    rig.events.clear();
    rig.peer.close();
    rig.run(100);
    assert_eq!(rig.ours.channels.len(), 0);
    assert_eq!(rig.events.len(), 2);
    rig.peer.connect();
    rig.run(500);
    assert!(rig.is_alive());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever a peer says on whatever streams: nothing panics, channels stay within their bound, no byte
    /// of an unopened stream becomes an event, and an honest channel still works.
    #[test]
    fn any_conversation_leaves_an_honest_channel_working(
        messages in prop::collection::vec(
            (
                0u16..6,
                prop::sample::select(vec![50, 50, 50, 51, 53, 56, 57, 99]),
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 1..40),
                    Just(open_bytes("x")),
                    Just(vec![2]),
                    (any::<u8>(), any::<u8>()).prop_map(|(at, to)| {
                        let mut bytes = open_bytes("mutated");
                        let index = usize::from(at) % bytes.len();
                        bytes[index] = to;
                        bytes
                    }),
                ],
                prop::option::weighted(0.1, 0u16..6),
            ),
            0..40,
        ),
    ) {
        let mut rig = Rig::new();
        for (stream, ppid, payload, reset) in messages {
            rig.send(stream, ppid, &payload);
            if let Some(reset) = reset {
                drop(rig.peer.reset_streams(&[StreamId(reset)]));
            }
            rig.run(3);
            prop_assert!(rig.ours.channels.len() <= MAX_CHANNELS);
        }
        rig.run(2_000);
        let mut open = std::collections::HashSet::new();
        for event in &rig.events {
            match event {
                Event::ChannelOpened { stream, .. } => prop_assert!(open.insert(*stream)),
                Event::ChannelClosed { stream, .. } => prop_assert!(open.remove(stream)),
                Event::Message { stream, .. } => prop_assert!(open.contains(stream)),
                _ => prop_assert!(false, "an event of another kind"),
            }
        }
        prop_assert!(rig.is_alive());
    }

    /// Packets that are no SCTP at all do not panic and change nothing.
    #[test]
    fn any_packet_leaves_an_honest_channel_working(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..40),
    ) {
        let mut rig = Rig::new();
        for packet in packets {
            rig.ours.handle_packet(rig.now, &packet);
            rig.run(1);
        }
        prop_assert!(rig.is_alive());
    }
}
