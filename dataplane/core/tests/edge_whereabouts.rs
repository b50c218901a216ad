//! A peer whose address changed without its knowing is asked where its media come from, and followed there.

mod edge_support;

use conclave_core::association::ToAssociation;
use conclave_core::drop::DropReason;
use conclave_core::edge::EdgeEvent;
use conclave_core::event::Event;
use conclave_core::stun::{self, attribute, Message, Writer};
use edge_support::*;

const SSRC: u32 = 0x1234_5678;

/// A transport that media of [`SSRC`] reached from `path(1)` at 1000 ms.
fn heard() -> (Rig, Media) {
    let (mut rig, mut media) = Rig::connected();
    let first = media.rtp(SSRC, 1, b"first");
    assert!(matches!(rig.receive(1_000, path(1), &first), Got::Rtp(_)));
    rig.events();
    (rig, media)
}

/// What was asked of `path(port)` since the last look, and nothing else happened.
fn question(rig: &mut Rig, port: u16) -> Option<Vec<u8>> {
    let mut events = rig.events();
    let event = events.pop()?;
    assert_eq!(events, []);
    let EdgeEvent::Question { path: to, bytes } = event else { panic!("{event:?}") };
    assert_eq!(to, path(port));
    Some(bytes)
}

/// The answer of whoever has the password of `name`.
fn answer(question: &[u8], name: &str) -> Vec<u8> {
    let mut buf = [0u8; 128];
    let transaction = Message::parse(question).expect("a question is well formed").transaction;
    let len = Writer::new(&mut buf, stun::BINDING_SUCCESS, &transaction)
        .and_then(|w| w.attribute(attribute::XOR_MAPPED_ADDRESS, &[0, 1, 0, 0, 0, 0, 0, 0]))
        .and_then(|w| w.integrity(&key(&credentials(name))))
        .and_then(Writer::finish);
    buf[..len.expect("there is room")].to_vec()
}

#[test]
fn authentic_media_from_elsewhere_make_us_ask_there_and_follow_the_answer() {
    let (mut rig, mut media) = heard();
    let packet = media.rtp(SSRC, 2, b"moved");
    let dropped = Got::Dropped(DropReason::UnvalidatedAddress);
    assert_eq!(rig.receive(1_100, path(2), &packet), dropped);
    let question = question(&mut rig, 2).expect("it asks");
    let message = Message::parse(&question).unwrap();
    assert!(message.integrity_holds(&question, &key(&credentials(THEIRS))));
    assert!(message.controlled);
    let name = &question[message.username.clone().unwrap()];
    assert_eq!(name, format!("{THEIRS}:{}", credentials("a").ufrag).as_bytes());
    assert_eq!(rig.send(1_110), Ok(path(1)));

    assert_eq!(rig.receive(1_120, path(2), &answer(&question, THEIRS)), Got::Answered);
    assert_eq!(rig.send(1_120), Ok(path(2)));
    let moved = EdgeEvent::Event(Event::TransportMoved { transport: ID });
    let selected = ToAssociation::Selected { transport: ID, path: path(2) };
    assert_eq!(rig.events(), [moved, EdgeEvent::Association(selected)]);
    // The packet that gave the peer away was only looked at: it may come again.
    assert!(matches!(rig.receive(1_121, path(2), &packet), Got::Rtp(_)));
}

#[test]
fn reports_of_a_peer_that_only_receives_do_too() {
    let (mut rig, mut media) = Rig::connected();
    let report = media.rtcp(1);
    assert!(matches!(rig.receive(1_000, path(1), &report), Got::Rtcp(_)));
    rig.events();
    rig.receive(1_200, path(2), &media.rtcp(1));
    let question = question(&mut rig, 2).expect("it asks");
    assert_eq!(rig.receive(1_210, path(2), &answer(&question, THEIRS)), Got::Answered);
    assert_eq!(rig.send(1_210), Ok(path(2)));
}

#[test]
fn nobody_is_asked_while_the_selected_address_is_not_quiet() {
    let (mut rig, mut media) = heard();
    rig.receive(1_099, path(2), &media.rtp(SSRC, 2, b"early"));
    assert_eq!(question(&mut rig, 2), None);
}

#[test]
fn media_that_are_forged_repeated_or_of_an_unknown_sender_make_nobody_ask() {
    let (mut rig, mut media) = heard();
    let repeated = media.rtp(SSRC, 2, b"second");
    rig.receive(1_010, path(1), &repeated);
    rig.events();
    let mut forged = media.rtp(SSRC, 3, b"forged");
    *forged.last_mut().unwrap() ^= 1;
    let unknown = media.rtp(SSRC + 1, 1, b"unknown");
    for (number, packet) in [repeated, forged, unknown].iter().enumerate() {
        rig.receive(1_200 + 100 * number as u64, path(2), packet);
        assert_eq!(question(&mut rig, 2), None);
    }
    let packet = media.rtp(SSRC, 4, b"cut short");
    for len in 0..packet.len() {
        rig.receive(2_000 + 60 * len as u64, path(2), &packet[..len]);
        assert_eq!(question(&mut rig, 2), None, "{len}");
    }
}

#[test]
fn an_answer_that_is_forged_late_repeated_or_from_elsewhere_moves_nothing() {
    let (mut rig, mut media) = heard();
    rig.receive(1_200, path(2), &media.rtp(SSRC, 2, b"moved"));
    let question = question(&mut rig, 2).expect("it asks");
    let right = answer(&question, THEIRS);
    let refused = |rig: &mut Rig, ms, port, bytes: &[u8], reason| {
        assert_eq!(rig.receive(ms, path(port), bytes), Got::Dropped(reason));
        assert_eq!(rig.send(ms), Ok(path(1)));
        assert_eq!(rig.events(), []);
    };
    let forged = answer(&question, "a");
    refused(&mut rig, 1_210, 2, &forged, DropReason::StunBadIntegrity);
    refused(&mut rig, 1_210, 3, &right, DropReason::StunUnexpected);
    let mut other = question.clone();
    other[15] ^= 1;
    refused(&mut rig, 1_210, 2, &answer(&other, THEIRS), DropReason::StunUnexpected);
    for at in 0..right.len() {
        let mut changed = right.clone();
        changed[at] ^= 1;
        assert_ne!(rig.receive(1_210, path(2), &changed), Got::Answered, "{at}");
        assert_ne!(rig.receive(1_210, path(2), &right[..at]), Got::Answered, "{at}");
    }
    refused(&mut rig, 2_200, 2, &right, DropReason::StunUnexpected);
}

#[test]
fn an_answer_counts_once() {
    let (mut rig, mut media) = heard();
    rig.receive(1_200, path(2), &media.rtp(SSRC, 2, b"moved"));
    let right = answer(&question(&mut rig, 2).expect("it asks"), THEIRS);
    assert_eq!(rig.receive(1_210, path(2), &right), Got::Answered);
    let again = rig.receive(1_211, path(2), &right);
    assert_eq!(again, Got::Dropped(DropReason::StunUnexpected));
}

#[test]
fn a_question_is_repeated_with_the_same_transaction_until_it_is_answered() {
    let (mut rig, mut media) = heard();
    let mut questions = Vec::new();
    for ms in (1_200..1_300).step_by(10) {
        rig.receive(ms, path(2), &media.rtp(SSRC, ms as u16, b"moved"));
        questions.extend(question(&mut rig, 2));
    }
    assert_eq!(questions.len(), 2);
    assert_eq!(questions[0], questions[1]);
}

#[test]
fn an_answer_is_consent_and_a_quiet_peer_is_alive_again() {
    let (mut rig, mut media) = heard();
    rig.pass_time(20_000);
    rig.events();
    rig.receive(20_000, path(2), &media.rtp(SSRC, 2, b"moved"));
    let right = answer(&question(&mut rig, 2).expect("it asks"), THEIRS);
    assert_eq!(rig.receive(20_010, path(2), &right), Got::Answered);
    let alive = EdgeEvent::Event(Event::TransportAlive { transport: ID });
    assert_eq!(rig.events()[0], alive);
    assert_eq!(rig.send(50_009), Ok(path(2)));
    assert_eq!(rig.send(50_010), Err(DropReason::ConsentExpired));
}

#[test]
fn a_peer_whose_password_was_not_told_is_not_asked() {
    let (mut rig, mut media) = heard();
    let mut silent = remote(THEIRS);
    silent.pwd.clear();
    rig.edge.set_remote(ID, &silent).unwrap();
    rig.receive(1_200, path(2), &media.rtp(SSRC, 2, b"moved"));
    assert_eq!(question(&mut rig, 2), None);
}

#[test]
fn a_flood_of_strays_is_looked_at_two_hundred_times_a_second() {
    let (mut rig, mut media) = heard();
    let mut questions = 0;
    for port in 2..1_000 {
        rig.receive(1_200, path(port), &media.rtp(SSRC, port, b"moved"));
        questions += rig.events().len();
    }
    assert_eq!(questions, 200);
}
