//! What reaches the DTLS library of a datagram. In: whole datagrams from a validated path. Out: the records
//! that may be the peer's; everything else has a name and a count. It decrypts nothing.
//!
//! Before the keys change, nothing authenticates a record, and one well-formed forgery would end or stall a
//! handshake. Therefore of epoch 0 only change-of-cipher and the handshake messages that this side may
//! receive at their place in the sequence go through, each record with a fresh sequence number of ours (the
//! replay window would otherwise obey a forged one; the number protects nothing without a key). Alerts in
//! plain text are never believed. After the handshake epoch 0 is over.

use conclave_core::command::DtlsRole;

use crate::refusal::{Refusal, Refusals};

/// Type, version, epoch, sequence number, length (RFC 6347 section 4.1).
const RECORD_HEADER: usize = 13;
/// Type, length, sequence, fragment offset, fragment length (RFC 6347 section 4.2.2).
const MESSAGE_HEADER: usize = 12;
/// The version's first byte; the second is the library's affair (a first ClientHello says DTLS 1.0).
const VERSION_MAJOR: u8 = 0xfe;
/// A handshake message's length: a certificate chain far beyond any that WebRTC uses. The library sets
/// memory aside for a message when it sees its first fragment.
const MAX_MESSAGE: usize = 16_384;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const HELLO_VERIFY_REQUEST: u8 = 3;
const CERTIFICATE: u8 = 11;
const SERVER_KEY_EXCHANGE: u8 = 12;
const CERTIFICATE_REQUEST: u8 = 13;
const SERVER_HELLO_DONE: u8 = 14;
const CERTIFICATE_VERIFY: u8 = 15;
const CLIENT_KEY_EXCHANGE: u8 = 16;

/// The filter of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Prefilter {
    role: DtlsRole,
    established: bool,
    /// Sequence number of the next epoch-0 record that goes through.
    next_sequence: u64,
    /// Message sequence of the ServerHello, once the first message from a server showed it.
    server_hello: Option<u16>,
}

impl Prefilter {
    /// The filter of a handshake in which our part is `role`.
    pub fn new(role: DtlsRole) -> Self {
        Self { role, established: false, next_sequence: 0, server_hello: None }
    }

    /// Our part in the handshake.
    pub fn role(&self) -> DtlsRole {
        self.role
    }

    /// From now on nothing unencrypted goes through.
    pub fn established(&mut self) {
        self.established = true;
    }

    /// Replaces what is in `kept` by the records of `datagram` that go through.
    pub fn filter(&mut self, datagram: &[u8], kept: &mut Vec<u8>, refusals: &mut Refusals) {
        kept.clear();
        let mut rest = datagram;
        while !rest.is_empty() {
            let Some((record, after)) = split_record(rest) else {
                refusals.count(Refusal::DtlsMalformed);
                return;
            };
            rest = after;
            match self.check(record) {
                Ok(Some(sequence)) => {
                    kept.extend_from_slice(&record[..5]);
                    kept.extend_from_slice(&sequence.to_be_bytes()[2..]);
                    kept.extend_from_slice(&record[11..]);
                }
                Ok(None) => kept.extend_from_slice(record),
                Err(reason) => refusals.count(reason),
            }
        }
    }

    /// Whether records that went through begin with a ClientHello: only that makes a server do anything.
    pub fn is_hello(kept: &[u8]) -> bool {
        kept.get(RECORD_HEADER) == Some(&CLIENT_HELLO)
            && kept[0] == HANDSHAKE
            && kept[3..5] == [0, 0]
    }

    /// The new sequence number of a record in plain text, or `None` for an encrypted one.
    fn check(&mut self, record: &[u8]) -> Result<Option<u64>, Refusal> {
        match (u16::from_be_bytes([record[3], record[4]]), self.established) {
            (1, _) => return Ok(None),
            (0, false) => {}
            _ => return Err(Refusal::DtlsStaleEpoch),
        }
        let body = &record[RECORD_HEADER..];
        match record[0] {
            HANDSHAKE => self.check_messages(body)?,
            CHANGE_CIPHER_SPEC if body == [1] => {}
            CHANGE_CIPHER_SPEC => return Err(Refusal::DtlsMalformed),
            ALERT => return Err(Refusal::DtlsPlainAlert),
            _ => return Err(Refusal::DtlsPlainRecord),
        }
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        Ok(Some(sequence))
    }

    fn check_messages(&mut self, mut body: &[u8]) -> Result<(), Refusal> {
        if body.is_empty() {
            return Err(Refusal::DtlsMalformed);
        }
        while !body.is_empty() {
            let (kind, sequence, after) = split_message(body).ok_or(Refusal::DtlsMalformed)?;
            let expected = match self.role {
                DtlsRole::Server => client_sends(kind, sequence),
                DtlsRole::Client => self.server_sends(kind, sequence),
            };
            if !expected {
                return Err(Refusal::DtlsUnexpectedMessage);
            }
            body = after;
        }
        Ok(())
    }

    /// A server's messages follow its ServerHello, which is first unless it asked for a cookie.
    fn server_sends(&mut self, kind: u8, sequence: u16) -> bool {
        if sequence == 0 {
            let first = match kind {
                SERVER_HELLO => 0,
                HELLO_VERIFY_REQUEST => 1,
                _ => return false,
            };
            return *self.server_hello.get_or_insert(first) == first;
        }
        let Some(place) = self.server_hello.and_then(|first| sequence.checked_sub(first)) else {
            return false;
        };
        matches!(
            (place, kind),
            (0, SERVER_HELLO)
                | (1, CERTIFICATE)
                | (2, SERVER_KEY_EXCHANGE)
                | (3, CERTIFICATE_REQUEST | SERVER_HELLO_DONE)
                | (4, SERVER_HELLO_DONE)
        )
    }
}

/// We never ask for a cookie (the path is validated) and always for a certificate, so each message of a
/// client has one place.
const fn client_sends(kind: u8, sequence: u16) -> bool {
    matches!(
        (sequence, kind),
        (0, CLIENT_HELLO) | (1, CERTIFICATE) | (2, CLIENT_KEY_EXCHANGE) | (3, CERTIFICATE_VERIFY)
    )
}

/// The first record, header included, and what follows it.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let header = bytes.get(..RECORD_HEADER)?;
    let length = usize::from(u16::from_be_bytes([header[11], header[12]]));
    if header[1] != VERSION_MAJOR || bytes.len() < RECORD_HEADER + length {
        return None;
    }
    Some(bytes.split_at(RECORD_HEADER + length))
}

/// Type and sequence of the first handshake fragment, and what follows it.
fn split_message(body: &[u8]) -> Option<(u8, u16, &[u8])> {
    let header = body.get(..MESSAGE_HEADER)?;
    let u24 = |at: usize| {
        usize::from(header[at]) << 16
            | usize::from(header[at + 1]) << 8
            | usize::from(header[at + 2])
    };
    let (message, offset, fragment) = (u24(1), u24(6), u24(9));
    let whole = message <= MAX_MESSAGE && offset + fragment <= message;
    let empty = fragment == 0 && message > 0;
    let after = body.get(MESSAGE_HEADER + fragment..)?;
    (whole && !empty).then_some((header[0], u16::from_be_bytes([header[4], header[5]]), after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(kind: u8, epoch: u16, sequence: u64, body: &[u8]) -> Vec<u8> {
        let mut out = vec![kind, VERSION_MAJOR, 0xfd];
        out.extend_from_slice(&epoch.to_be_bytes());
        out.extend_from_slice(&sequence.to_be_bytes()[2..]);
        out.extend_from_slice(&(body.len() as u16).to_be_bytes());
        out.extend_from_slice(body);
        out
    }

    fn message(kind: u8, sequence: u16, length: usize, offset: usize, body: &[u8]) -> Vec<u8> {
        let mut out = vec![kind];
        out.extend_from_slice(&(length as u32).to_be_bytes()[1..]);
        out.extend_from_slice(&sequence.to_be_bytes());
        out.extend_from_slice(&(offset as u32).to_be_bytes()[1..]);
        out.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
        out.extend_from_slice(body);
        out
    }

    fn run(filter: &mut Prefilter, datagram: &[u8]) -> (Vec<u8>, Refusals) {
        let (mut kept, mut refusals) = (vec![9], Refusals::default());
        filter.filter(datagram, &mut kept, &mut refusals);
        (kept, refusals)
    }

    fn only(refusals: &Refusals, reason: Refusal) -> bool {
        refusals.iter().all(|(each, count)| count == u64::from(each == reason))
    }

    #[test]
    fn a_record_in_plain_text_gets_our_sequence_number_and_keeps_the_rest() {
        let mut filter = Prefilter::new(DtlsRole::Server);
        let hello = message(CLIENT_HELLO, 0, 2, 0, b"hi");
        for expected in 0..3 {
            let (kept, refusals) = run(&mut filter, &record(HANDSHAKE, 0, (1 << 48) - 1, &hello));
            assert_eq!(kept, record(HANDSHAKE, 0, expected, &hello));
            assert_eq!(refusals.iter().map(|(_, count)| count).sum::<u64>(), 0);
        }
    }

    #[test]
    fn an_encrypted_record_goes_through_untouched_before_and_after() {
        let mut filter = Prefilter::new(DtlsRole::Client);
        let encrypted = record(ALERT, 1, 77, b"sealed");
        assert_eq!(run(&mut filter, &encrypted).0, encrypted);
        filter.established();
        assert_eq!(run(&mut filter, &encrypted).0, encrypted);
    }

    #[test]
    fn each_forgery_is_refused_by_its_name() {
        let cases: [(Vec<u8>, Refusal); 12] = [
            (record(ALERT, 0, 0, &[2, 40]), Refusal::DtlsPlainAlert),
            (record(ALERT, 0, 0, &[1, 0]), Refusal::DtlsPlainAlert),
            (record(23, 0, 0, b"data"), Refusal::DtlsPlainRecord),
            (record(CHANGE_CIPHER_SPEC, 0, 0, &[2]), Refusal::DtlsMalformed),
            (record(HANDSHAKE, 2, 0, b"x"), Refusal::DtlsStaleEpoch),
            (record(HANDSHAKE, 0, 0, &[]), Refusal::DtlsMalformed),
            (record(HANDSHAKE, 0, 0, &message(1, 0, 1, 0, b"too long")), Refusal::DtlsMalformed),
            (record(HANDSHAKE, 0, 0, &message(1, 0, 5, 0, b"")), Refusal::DtlsMalformed),
            (
                record(HANDSHAKE, 0, 0, &message(1, 0, MAX_MESSAGE + 1, 0, b"x")),
                Refusal::DtlsMalformed,
            ),
            (record(HANDSHAKE, 0, 0, &message(20, 4, 1, 0, b"x")), Refusal::DtlsUnexpectedMessage),
            (record(HANDSHAKE, 0, 0, &message(16, 1, 1, 0, b"x")), Refusal::DtlsUnexpectedMessage),
            (b"\x16\xfe\xfd short".to_vec(), Refusal::DtlsMalformed),
        ];
        for (datagram, reason) in cases {
            let (kept, refusals) = run(&mut Prefilter::new(DtlsRole::Server), &datagram);
            assert!(kept.is_empty());
            assert!(only(&refusals, reason), "{}", reason.name());
        }
    }

    #[test]
    fn after_the_handshake_no_plain_record_goes_through() {
        let mut filter = Prefilter::new(DtlsRole::Server);
        filter.established();
        let (kept, refusals) =
            run(&mut filter, &record(HANDSHAKE, 0, 0, &message(CLIENT_HELLO, 0, 2, 0, b"hi")));
        assert!(kept.is_empty() && only(&refusals, Refusal::DtlsStaleEpoch));
    }

    #[test]
    fn a_bad_record_does_not_take_the_good_ones_beside_it_along() {
        let hello = record(HANDSHAKE, 0, 0, &message(CLIENT_HELLO, 0, 2, 0, b"hi"));
        let datagram = [record(ALERT, 0, 0, &[2, 0]), hello.clone(), b"\x16".to_vec()].concat();
        let (kept, refusals) = run(&mut Prefilter::new(DtlsRole::Server), &datagram);
        assert_eq!(kept, hello);
        assert_eq!(refusals.get(Refusal::DtlsPlainAlert), 1);
        assert_eq!(refusals.get(Refusal::DtlsMalformed), 1);
    }

    #[test]
    fn a_servers_messages_have_their_places_with_and_without_a_cookie() {
        let accepts = |filter: &mut Prefilter, kind: u8, sequence: u16| {
            let body = message(kind, sequence, 1, 0, b"x");
            !run(filter, &record(HANDSHAKE, 0, 0, &body)).0.is_empty()
        };
        for cookie in [false, true] {
            let first = u16::from(cookie);
            let mut filter = Prefilter::new(DtlsRole::Client);
            assert!(!accepts(&mut filter, CERTIFICATE, 1), "nothing before the first message");
            if cookie {
                assert!(accepts(&mut filter, HELLO_VERIFY_REQUEST, 0));
            }
            for (place, kind) in
                [(0, SERVER_HELLO), (1, CERTIFICATE), (2, 12), (3, 13), (3, 14), (4, 14)]
            {
                assert!(accepts(&mut filter, kind, first + place));
            }
            assert!(!accepts(&mut filter, SERVER_HELLO_DONE, first + 5));
            assert!(!accepts(&mut filter, 20, first + 4));
            assert_eq!(accepts(&mut filter, HELLO_VERIFY_REQUEST, 0), cookie);
        }
    }

    #[test]
    fn a_datagram_cut_at_any_length_is_refused_or_kept_whole() {
        let hello = record(HANDSHAKE, 0, 0, &message(CLIENT_HELLO, 0, 40, 0, &[7; 40]));
        for length in 0..hello.len() {
            let (kept, refusals) = run(&mut Prefilter::new(DtlsRole::Server), &hello[..length]);
            assert!(kept.is_empty());
            assert_eq!(refusals.get(Refusal::DtlsMalformed), u64::from(length > 0));
        }
    }

    proptest! {
        /// Whatever comes in: what goes through is whole records, none longer than what came in, none in
        /// plain text but handshake and change of cipher.
        #[test]
        fn any_bytes_leave_whole_records_only(
            parts in prop::collection::vec(
                (any::<u8>(), 0u16..3, prop::collection::vec(any::<u8>(), 0..60)),
                0..6,
            ),
            junk in prop::collection::vec(any::<u8>(), 0..40),
            server in any::<bool>(),
        ) {
            let role = if server { DtlsRole::Server } else { DtlsRole::Client };
            let mut datagram: Vec<u8> =
                parts.iter().flat_map(|(kind, epoch, body)| record(*kind, *epoch, 1, body)).collect();
            datagram.extend(junk);
            let (kept, _) = run(&mut Prefilter::new(role), &datagram);
            prop_assert!(kept.len() <= datagram.len());
            let mut rest = kept.as_slice();
            while !rest.is_empty() {
                let (record, after) = split_record(rest).expect("whole");
                let epoch = u16::from_be_bytes([record[3], record[4]]);
                prop_assert!(epoch == 1 || matches!(record[0], HANDSHAKE | CHANGE_CIPHER_SPEC));
                rest = after;
            }
        }
    }
}
