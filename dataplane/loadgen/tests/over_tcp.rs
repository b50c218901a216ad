//! Connections to a running data plane: who is served on which lane, and strangers that disturb nobody.

// A test fails by panicking, outside of its own function too.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use aws_lc_rs::hmac;
use conclave_core::drop::DropReason;
use conclave_core::event::Event;
use conclave_core::framing;
use conclave_core::ids::{LaneId, TransportId};
use conclave_core::media::MediaKind;
use conclave_core::stun::{self, attribute, Message, Writer};
use conclave_io::wait::Waiter;
use conclave_loadgen::client::Client;
use conclave_loadgen::meeting::Meeting;
use conclave_loadgen::publisher::Publisher;
use conclave_loadgen::reader::Reader;
use conclave_loadgen::scenario::Scenario;

/// How long any step may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

const CALL: Scenario = Scenario {
    name: "test",
    rooms: 1,
    publishers: 1,
    subscribers: 2,
    kind: MediaKind::Video,
    burst: 4,
    interval: Duration::from_millis(20),
    packet: 1_200,
};

/// A connectivity check of `transport`, as a frame.
fn check(transport: TransportId, number: u8) -> Vec<u8> {
    let ours = Client::server_credentials(transport);
    let name = format!("{}:{}", ours.ufrag, Client::ufrag(transport));
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, ours.pwd.as_bytes());
    let mut buf = [0; 256];
    let len = Writer::new(&mut buf, stun::BINDING_REQUEST, &[number; 12])
        .and_then(|writer| writer.attribute(attribute::USERNAME, name.as_bytes()))
        .and_then(|writer| writer.attribute(attribute::PRIORITY, &[1; 4]))
        .and_then(|writer| writer.attribute(attribute::ICE_CONTROLLING, &[1; 8]))
        .and_then(|writer| writer.integrity(&key))
        .and_then(Writer::finish)
        .unwrap();
    [&framing::header(len)[..], &buf[..len]].concat()
}

/// The next frame, or `None` if the connection ended.
fn answer(connection: &mut TcpStream) -> Option<Vec<u8>> {
    connection.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut head = [0; framing::HEADER];
    connection.read_exact(&mut head).ok()?;
    let mut frame = vec![0; usize::from(u16::from_be_bytes(head))];
    connection.read_exact(&mut frame).ok()?;
    Some(frame)
}

/// Waits until the lanes' drops satisfy `done`.
fn until(meeting: &Meeting, done: impl Fn(&dyn Fn(DropReason) -> u64) -> bool) {
    let start = meeting.clock.now();
    loop {
        let lanes = meeting.plane.snapshot().lanes;
        let count = |reason| lanes.iter().map(|lane| lane.stats.drops.get(reason)).sum();
        if done(&count) {
            return;
        }
        assert!(meeting.clock.now() < start + DEADLINE, "the counts never came");
        Waiter::new(&[]).wait(Some(Duration::from_millis(50))).unwrap();
    }
}

#[test]
fn a_connection_is_served_by_the_lane_that_owns_the_transport_and_by_no_other() {
    let mut meeting = Meeting::open(&CALL, 2).unwrap();
    let newcomer = TransportId(900);
    let credentials = Client::server_credentials(newcomer);
    meeting.plane.add_transport(newcomer, LaneId(1), credentials).unwrap();
    meeting.plane.flush();
    let lanes: Vec<_> = meeting.plane.tcp_addresses().iter().map(|lane| lane[0]).collect();
    assert_ne!(lanes[0], lanes[1]);

    let mut right = TcpStream::connect(lanes[1]).unwrap();
    right.write_all(&check(newcomer, 1)).unwrap();
    let reply = Message::parse(&answer(&mut right).unwrap()).unwrap();
    assert_eq!((reply.kind, reply.transaction), (stun::BINDING_SUCCESS, [1; 12]));
    let validated = |event: &Event| matches!(event, Event::TransportValidated { transport } if *transport == newcomer);
    let start = meeting.clock.now();
    while !meeting.plane.drain(4_096).iter().any(validated) {
        assert!(meeting.clock.now() < start + DEADLINE, "it was never validated");
        Waiter::new(&[meeting.plane.fd()]).wait(Some(Duration::from_millis(50))).unwrap();
    }

    let mut wrong = TcpStream::connect(lanes[0]).unwrap();
    for number in 2..6 {
        wrong.write_all(&check(newcomer, number)).unwrap();
    }
    assert_eq!(answer(&mut wrong), None, "closed without a word");
    until(&meeting, |count| {
        count(DropReason::TcpUnproven) == 1 && count(DropReason::StunUnknownUfrag) == 4
    });
    right.write_all(&check(newcomer, 7)).unwrap();
    assert!(answer(&mut right).is_some());
}

#[test]
fn strangers_that_storm_the_port_keep_no_media_from_anybody() {
    let meeting = Meeting::open(&CALL, 1).unwrap();
    let lane = meeting.plane.tcp_addresses()[0][0];
    let reader = Reader::start(&meeting.publishers, &meeting.subscribers, meeting.clock).unwrap();
    let mut publisher = Publisher::new(&meeting.publishers[0], Meeting::track(0), &CALL).unwrap();
    let greetings: [&[u8]; 4] = [b"GET / HTTP/1.1\r\n\r\n", b"\0\x0C\x80nothing but", b"\0", b""];
    let (mut strangers, mut sent) = (Vec::new(), 0);
    for round in 0..40 {
        for greeting in greetings {
            let mut stranger = TcpStream::connect(lane).unwrap();
            let _ = stranger.write_all(greeting);
            strangers.push(stranger);
        }
        if round % 4 == 0 {
            strangers.clear();
        }
        publisher.send_frame(Duration::from_nanos(meeting.clock.now().0), true);
        sent += u64::from(CALL.burst);
        Waiter::new(&[]).wait(Some(CALL.interval)).unwrap();
    }
    let wanted = sent * u64::from(CALL.subscribers);
    let start = meeting.clock.now();
    while reader.received().media < wanted && meeting.clock.now() < start + DEADLINE {
        Waiter::new(&[]).wait(Some(CALL.interval)).unwrap();
    }
    let received = reader.received();
    assert_eq!((received.media, received.refused), (wanted, 0), "not one packet is missing");
    until(&meeting, |count| {
        count(DropReason::TcpFrameTooLong) > 20 && count(DropReason::TcpUnproven) > 20
    });
}
