//! Invariant: no datagram brings the STUN reader out of its bounds; every attribute that it names lies inside
//! the datagram, and integrity never holds under a key that the sender did not have.
#![no_main]

use std::sync::OnceLock;

use aws_lc_rs::hmac;
use conclave_core::stun::Message;
use libfuzzer_sys::fuzz_target;

static KEY: OnceLock<hmac::Key> = OnceLock::new();

fuzz_target!(|datagram: &[u8]| {
    let Some(message) = Message::parse(datagram) else { return };
    assert!(message.unknown().len() * 4 <= datagram.len());
    if let Some(username) = &message.username {
        assert!(username.start <= username.end && username.end <= datagram.len());
    }
    assert!(message.integrity.is_none_or(|at| at + 24 <= datagram.len()));
    let key =
        KEY.get_or_init(|| hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"a key of ours"));
    assert!(!message.integrity_holds(datagram, key));
});
