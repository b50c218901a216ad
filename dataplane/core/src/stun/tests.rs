//! Published messages, truncation, and what a parser must never do with arbitrary bytes.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

/// RFC 5769 section 2: the password of all samples.
const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";
const TRANSACTION: TransactionId = *b"\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae";

/// RFC 5769 section 2.1, sample request.
const REQUEST: &[u8] =
    b"\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
\x80\x22\x00\x10STUN test client\x00\x24\x00\x04\x6e\x00\x01\xff\
\x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\x00\x06\x00\x09evtj:h6vY   \
\x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2\
\x80\x28\x00\x04\xe5\x7a\x3b\xcf";

/// RFC 5769 section 2.2, sample IPv4 response.
const RESPONSE_V4: &[u8] =
    b"\x01\x01\x00\x3c\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
\x80\x22\x00\x0btest vector \x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43\
\x00\x08\x00\x14\x2b\x91\xf5\x99\xfd\x9e\x90\xc3\x8c\x74\x89\xf9\x2a\xf9\xba\x53\xf0\x6b\xe7\xd7\
\x80\x28\x00\x04\xc0\x7d\x4c\x96";

/// RFC 5769 section 2.3, sample IPv6 response.
const RESPONSE_V6: &[u8] =
    b"\x01\x01\x00\x48\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
\x80\x22\x00\x0btest vector \x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\
\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9\
\x00\x08\x00\x14\xa3\x82\x95\x4e\x4b\xe6\x7b\xf1\x17\x84\xc9\x7c\x82\x92\xc2\x75\xbf\xe3\xed\x41\
\x80\x28\x00\x04\xc8\xfb\x0b\x4c";

fn key() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, PASSWORD)
}

#[test]
fn the_sample_request_of_rfc_5769_parses_and_verifies() {
    let message = Message::parse(REQUEST).unwrap();
    assert_eq!(message.kind, BINDING_REQUEST);
    assert_eq!(message.transaction, TRANSACTION);
    assert_eq!(&REQUEST[message.username.clone().unwrap()], b"evtj:h6vY");
    assert_eq!(message.priority, Some(0x6e00_01ff));
    assert!(message.controlled);
    assert_eq!(message.fingerprint, Fingerprint::Right);
    assert!(message.integrity_holds(REQUEST, &key()));
    let other = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"another password 12345");
    assert!(!message.integrity_holds(REQUEST, &other));
}

#[test]
fn the_sample_responses_of_rfc_5769_verify_and_their_addresses_match_ours() {
    let v4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 32853);
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0x1234, 0x5678, 0x11, 0x2233, 0x4455, 0x6677);
    for (sample, address) in [(RESPONSE_V4, v4), (RESPONSE_V6, SocketAddr::new(v6.into(), 32853))] {
        let message = Message::parse(sample).unwrap();
        assert_eq!(message.kind, BINDING_SUCCESS);
        assert_eq!(message.fingerprint, Fingerprint::Right);
        assert!(message.integrity_holds(sample, &key()));
        let (value, len) = xor_address(address, &TRANSACTION);
        assert!(sample.windows(len).any(|window| window == &value[..len]));
    }
}

#[test]
fn what_the_writer_writes_the_parser_verifies() {
    let mut buf = [0xEEu8; 128];
    let len = Writer::new(&mut buf, BINDING_REQUEST, &TRANSACTION)
        .and_then(|w| w.attribute(attribute::USERNAME, b"abc:defgh"))
        .and_then(|w| w.attribute(attribute::PRIORITY, &7u32.to_be_bytes()))
        .and_then(|w| w.attribute(attribute::NOMINATION, &9u32.to_be_bytes()))
        .and_then(|w| w.attribute(attribute::USE_CANDIDATE, &[]))
        .and_then(|w| w.integrity(&key()))
        .and_then(Writer::finish)
        .unwrap();
    let message = Message::parse(&buf[..len]).unwrap();
    assert_eq!(&buf[message.username.clone().unwrap()], b"abc:defgh");
    assert_eq!((message.priority, message.nomination), (Some(7), Some(9)));
    assert!(message.use_candidate && !message.controlled);
    assert_eq!(message.fingerprint, Fingerprint::Right);
    assert!(message.integrity_holds(&buf[..len], &key()));
}

#[test]
fn the_writer_stops_at_the_end_of_its_buffer_at_every_length() {
    let write = |buf: &mut [u8]| {
        Writer::new(buf, BINDING_SUCCESS, &TRANSACTION)?
            .attribute(attribute::ERROR_CODE, &[0, 0, 4, 1])?
            .integrity(&key())?
            .finish()
    };
    let needed = 20 + 8 + 24 + 8;
    for len in 0..needed {
        assert_eq!(write(&mut vec![0; len]), None);
    }
    assert_eq!(write(&mut vec![0; needed]), Some(needed));
}

#[test]
fn unknown_required_attributes_are_listed_and_optional_ones_are_not() {
    let mut buf = [0u8; 256];
    let mut writer = Writer::new(&mut buf, BINDING_REQUEST, &TRANSACTION).unwrap();
    for kind in 0x7000..0x700A {
        writer = writer.attribute(kind, &[1]).unwrap();
    }
    let len = writer.attribute(0xC057, &[1, 2, 3]).and_then(Writer::finish).unwrap();
    let message = Message::parse(&buf[..len]).unwrap();
    assert_eq!(message.unknown(), (0x7000..0x7008).collect::<Vec<u16>>());
}

#[test]
fn nothing_behind_message_integrity_is_believed() {
    let mut buf = [0u8; 128];
    let len = Writer::new(&mut buf, BINDING_REQUEST, &TRANSACTION)
        .and_then(|w| w.integrity(&key()))
        .and_then(|w| w.attribute(attribute::USE_CANDIDATE, &[]))
        .and_then(|w| w.attribute(0x7777, &[]))
        .and_then(Writer::finish)
        .unwrap();
    let message = Message::parse(&buf[..len]).unwrap();
    assert!(!message.use_candidate);
    assert!(message.unknown().is_empty());
}

#[test]
fn the_first_of_two_equal_attributes_counts() {
    let mut buf = [0u8; 128];
    let len = Writer::new(&mut buf, BINDING_REQUEST, &TRANSACTION)
        .and_then(|w| w.attribute(attribute::PRIORITY, &1u32.to_be_bytes()))
        .and_then(|w| w.attribute(attribute::PRIORITY, &2u32.to_be_bytes()))
        .and_then(Writer::finish)
        .unwrap();
    assert_eq!(Message::parse(&buf[..len]).unwrap().priority, Some(1));
}

#[test]
fn a_fingerprint_that_is_not_last_is_wrong() {
    let mut message = REQUEST.to_vec();
    message.extend_from_slice(&[0x80, 0x22, 0, 0]);
    let length = (message.len() - STUN_HEADER) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
    assert_eq!(Message::parse(&message).unwrap().fingerprint, Fingerprint::Wrong);
}

#[test]
fn a_message_cut_anywhere_is_refused_or_loses_its_fingerprint() {
    for len in 0..REQUEST.len() {
        let whole = Message::parse(&REQUEST[..len])
            .is_some_and(|message| message.fingerprint == Fingerprint::Right);
        assert!(!whole, "cut at {len}");
    }
}

proptest! {
    #[test]
    fn parsing_arbitrary_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Some(message) = Message::parse(&bytes) {
            message.integrity_holds(&bytes, &key());
        }
    }

    #[test]
    fn parsing_a_damaged_sample_never_panics(at in 20..REQUEST.len(), value: u8) {
        let mut bytes = REQUEST.to_vec();
        bytes[at] = value;
        if let Some(message) = Message::parse(&bytes) {
            message.integrity_holds(&bytes, &key());
        }
    }
}
