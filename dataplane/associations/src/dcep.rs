//! The Data Channel Establishment Protocol (RFC 8832 section 5): bytes to a typed message and back. It
//! knows no stream and no state.

use std::time::Duration;

use conclave_core::command::ChannelParameters;

use crate::config::MAX_NAME_BYTES;

const OPEN: u8 = 0x03;
const ACK: u8 = 0x02;
const OPEN_HEADER: usize = 12;
const UNORDERED: u8 = 0x80;
const RETRANSMITS: u8 = 0x01;
const LIFETIME: u8 = 0x02;
/// "Normal" priority (RFC 8831 section 6.4).
const PRIORITY: u16 = 256;

/// How hard a channel tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reliability {
    /// Until the message is there.
    Reliable,
    /// So many retransmissions.
    Retransmits(u16),
    /// So long.
    Lifetime(Duration),
}

/// A channel as its opener describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    /// Label.
    pub label: String,
    /// Sub-protocol.
    pub protocol: String,
    /// Whether messages keep their order.
    pub ordered: bool,
    /// How hard it tries.
    pub reliability: Reliability,
}

/// A DCEP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dcep {
    /// DATA_CHANNEL_OPEN.
    Open(Open),
    /// DATA_CHANNEL_ACK.
    Ack,
}

/// A message that breaks RFC 8832 or our length caps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DcepError;

impl Dcep {
    /// Reads a message. Names must be UTF-8 and at most [`MAX_NAME_BYTES`] each; nothing may follow them.
    pub fn parse(bytes: &[u8]) -> Result<Self, DcepError> {
        match bytes {
            [ACK] => Ok(Self::Ack),
            [OPEN, ..] => Open::parse(bytes).map(Self::Open),
            _ => Err(DcepError),
        }
    }

    /// Writes a message.
    pub fn build(&self) -> Vec<u8> {
        match self {
            Self::Ack => vec![ACK],
            Self::Open(open) => open.build(),
        }
    }
}

impl Open {
    /// The control plane's wish; `None` if a name is too long.
    pub fn from_parameters(parameters: ChannelParameters) -> Option<Self> {
        let ChannelParameters { label, protocol, ordered, max_retransmits } = parameters;
        let short = label.len() <= MAX_NAME_BYTES && protocol.len() <= MAX_NAME_BYTES;
        let reliability = max_retransmits.map_or(Reliability::Reliable, Reliability::Retransmits);
        short.then_some(Self { label, protocol, ordered, reliability })
    }

    /// What the control plane sees. It has no word for a lifetime: what matters to it is that messages may
    /// be lost, so such a channel shows no retransmissions.
    pub fn parameters(&self) -> ChannelParameters {
        ChannelParameters {
            label: self.label.clone(),
            protocol: self.protocol.clone(),
            ordered: self.ordered,
            max_retransmits: match self.reliability {
                Reliability::Reliable => None,
                Reliability::Retransmits(most) => Some(most),
                Reliability::Lifetime(_) => Some(0),
            },
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, DcepError> {
        let header = bytes.get(..OPEN_HEADER).ok_or(DcepError)?;
        let u16_at = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let parameter = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        let reliability = match header[1] & !UNORDERED {
            0 => Reliability::Reliable,
            // A limit beyond our counter's width is no limit that any path would reach.
            RETRANSMITS => Reliability::Retransmits(parameter.min(u16::MAX.into()) as u16),
            LIFETIME => Reliability::Lifetime(Duration::from_millis(parameter.into())),
            _ => return Err(DcepError),
        };
        let (label_length, protocol_length) = (usize::from(u16_at(8)), usize::from(u16_at(10)));
        let names = &bytes[OPEN_HEADER..];
        if label_length > MAX_NAME_BYTES
            || protocol_length > MAX_NAME_BYTES
            || names.len() != label_length + protocol_length
        {
            return Err(DcepError);
        }
        let (label, protocol) = names.split_at(label_length);
        let text = |name: &[u8]| std::str::from_utf8(name).map(String::from).map_err(|_| DcepError);
        Ok(Self {
            label: text(label)?,
            protocol: text(protocol)?,
            ordered: header[1] & UNORDERED == 0,
            reliability,
        })
    }

    fn build(&self) -> Vec<u8> {
        let (kind, parameter) = match self.reliability {
            Reliability::Reliable => (0, 0),
            Reliability::Retransmits(most) => (RETRANSMITS, u32::from(most)),
            Reliability::Lifetime(most) => {
                (LIFETIME, u32::try_from(most.as_millis()).unwrap_or(u32::MAX))
            }
        };
        let mut out = Vec::with_capacity(OPEN_HEADER + self.label.len() + self.protocol.len());
        out.push(OPEN);
        out.push(if self.ordered { kind } else { kind | UNORDERED });
        out.extend_from_slice(&PRIORITY.to_be_bytes());
        out.extend_from_slice(&parameter.to_be_bytes());
        out.extend_from_slice(&(self.label.len() as u16).to_be_bytes());
        out.extend_from_slice(&(self.protocol.len() as u16).to_be_bytes());
        out.extend_from_slice(self.label.as_bytes());
        out.extend_from_slice(self.protocol.as_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn open(label: &str, protocol: &str, ordered: bool, reliability: Reliability) -> Open {
        Open { label: label.into(), protocol: protocol.into(), ordered, reliability }
    }

    #[test]
    fn an_open_has_the_bytes_of_rfc_8832() {
        let message = Dcep::Open(open("ab", "c", false, Reliability::Retransmits(0x0102)));
        let expected = [3, 0x81, 1, 0, 0, 0, 1, 2, 0, 2, 0, 1, b'a', b'b', b'c'];
        assert_eq!(message.build(), expected);
        assert_eq!(Dcep::parse(&expected), Ok(message));
        assert_eq!((Dcep::Ack.build(), Dcep::parse(&[2])), (vec![2], Ok(Dcep::Ack)));
    }

    #[test]
    fn an_open_cut_or_prolonged_at_any_length_is_refused() {
        let bytes = Dcep::Open(open("label", "protocol", true, Reliability::Reliable)).build();
        for length in 0..bytes.len() {
            assert_eq!(Dcep::parse(&bytes[..length]), Err(DcepError), "{length}");
        }
        assert_eq!(Dcep::parse(&[bytes, vec![0]].concat()), Err(DcepError));
        assert_eq!(Dcep::parse(&[2, 0]), Err(DcepError));
    }

    #[test]
    fn names_are_capped_and_text() {
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        let fits = &long[1..];
        for (label, protocol, good) in
            [(fits, fits, true), (long.as_str(), "", false), ("", long.as_str(), false)]
        {
            let bytes = Dcep::Open(open(label, protocol, true, Reliability::Reliable)).build();
            assert_eq!(Dcep::parse(&bytes).is_ok(), good);
        }
        let mut bytes = Dcep::Open(open("a", "", true, Reliability::Reliable)).build();
        bytes[OPEN_HEADER] = 0xff;
        assert_eq!(Dcep::parse(&bytes), Err(DcepError));
    }

    #[test]
    fn unknown_types_are_refused_and_a_wide_limit_is_clamped() {
        let mut bytes = Dcep::Open(open("", "", true, Reliability::Retransmits(1))).build();
        bytes[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
        let Ok(Dcep::Open(parsed)) = Dcep::parse(&bytes) else { panic!("an open") };
        assert_eq!(parsed.reliability, Reliability::Retransmits(u16::MAX));
        for kind in (3..0x80).chain(0x83..=0xff) {
            bytes[1] = kind;
            assert_eq!(Dcep::parse(&bytes), Err(DcepError));
        }
        for first in (0..=255).filter(|first| ![OPEN, ACK].contains(first)) {
            assert_eq!(Dcep::parse(&[first]), Err(DcepError));
        }
    }

    #[test]
    fn a_lifetime_is_shown_as_lossy() {
        let channel = open("", "", true, Reliability::Lifetime(Duration::from_millis(50)));
        assert_eq!(channel.parameters().max_retransmits, Some(0));
    }

    proptest! {
        #[test]
        fn whatever_is_built_is_read_again(
            label in ".{0,60}", protocol in ".{0,60}", ordered: bool, kind in 0..3, limit: u32,
        ) {
            let reliability = match kind {
                0 => Reliability::Reliable,
                1 => Reliability::Retransmits(limit as u16),
                _ => Reliability::Lifetime(Duration::from_millis(limit.into())),
            };
            let message = Dcep::Open(open(&label, &protocol, ordered, reliability));
            prop_assert_eq!(Dcep::parse(&message.build()), Ok(message));
        }

        /// No bytes panic, and what is accepted means what it says: it is built to the same bytes, but for
        /// the priority and a clamped limit.
        #[test]
        fn any_bytes_are_refused_or_mean_what_they_say(
            head in prop::array::uniform4(any::<u8>()),
            limit in any::<u32>(),
            names in prop::collection::vec(32u8..127, 0..40),
            label in 0u16..40,
            junk in prop::collection::vec(any::<u8>(), 0..30),
        ) {
            prop_assert!(!matches!(Dcep::parse(&junk), Ok(Dcep::Open(_)) if junk.len() < OPEN_HEADER));
            let protocol = (names.len() as u16).saturating_sub(label);
            let mut bytes = vec![OPEN, head[1], head[2], head[3]];
            bytes.extend(limit.to_be_bytes());
            bytes.extend(label.to_be_bytes());
            bytes.extend(protocol.to_be_bytes());
            bytes.extend(&names);
            match Dcep::parse(&bytes) {
                Ok(message) => {
                    let built = message.build();
                    prop_assert_eq!(built[1], bytes[1]);
                    prop_assert_eq!(&built[8..], &bytes[8..]);
                }
                Err(DcepError) => {
                    prop_assert!(head[1] & 0x7f > 2 || usize::from(label) > names.len());
                }
            }
        }
    }
}
