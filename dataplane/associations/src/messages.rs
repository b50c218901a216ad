//! What a peer's SCTP messages mean: DCEP and the four payload types of RFC 8831 section 8. Each message
//! becomes an event or a refusal.

use conclave_core::event::Event;
use dcsctp::api::Message;

use crate::channel::{Channel, ChannelState};
use crate::config::{MAX_CHANNELS, MAX_MESSAGE_BYTES, MAX_STREAM};
use crate::dcep::{Dcep, Open};
use crate::outputs::Outputs;
use crate::refusal::Refusal;
use crate::sctp::Sctp;

/// WebRTC DCEP.
pub(crate) const DCEP: u32 = 50;
const STRING: u32 = 51;
const BINARY: u32 = 53;
const STRING_EMPTY: u32 = 56;
const BINARY_EMPTY: u32 = 57;

/// Payload protocol identifier and wire payload of a message. SCTP has no empty messages: one zero byte
/// stands for nothing (RFC 8831 section 6.6).
pub(crate) fn encode(data: Vec<u8>, binary: bool) -> (u32, Vec<u8>) {
    match (data.is_empty(), binary) {
        (false, true) => (BINARY, data),
        (false, false) => (STRING, data),
        (true, true) => (BINARY_EMPTY, vec![0]),
        (true, false) => (STRING_EMPTY, vec![0]),
    }
}

impl Sctp {
    /// One message of the peer.
    pub(crate) fn handle_message(&mut self, message: Message, outputs: &mut Outputs) {
        let stream = message.stream_id.0;
        let result = match message.ppid.0 {
            DCEP => self.handle_dcep(stream, &message.payload, outputs),
            ppid => self.handle_data(stream, ppid, message.payload, outputs),
        };
        if let Err(reason) = result {
            outputs.refuse(reason);
        }
    }

    fn handle_dcep(
        &mut self,
        stream: u16,
        payload: &[u8],
        outputs: &mut Outputs,
    ) -> Result<(), Refusal> {
        match Dcep::parse(payload) {
            Ok(Dcep::Open(open)) => self.handle_open(stream, open, outputs),
            Ok(Dcep::Ack) => match self.channels.get(&stream).map(|channel| channel.state) {
                Some(ChannelState::Opening) => {
                    self.opened(stream, outputs);
                    Ok(())
                }
                // It was closed before the answer came.
                Some(ChannelState::Draining | ChannelState::Closing { .. }) => Ok(()),
                _ => Err(Refusal::DcepUnexpectedAck),
            },
            Err(_) => {
                self.refuse_stream(stream);
                Err(Refusal::DcepMalformed)
            }
        }
    }

    /// A peer opens a channel. The parity of its stream is not held against it: clients exist that count
    /// by their ICE role, and a stream that is free is free.
    fn handle_open(
        &mut self,
        stream: u16,
        open: Open,
        outputs: &mut Outputs,
    ) -> Result<(), Refusal> {
        if self.channels.contains_key(&stream) {
            return Err(Refusal::DcepStreamInUse);
        }
        if stream > MAX_STREAM {
            self.refuse_stream(stream);
            return Err(Refusal::DcepMalformed);
        }
        if self.channels.len() >= MAX_CHANNELS {
            self.refuse_stream(stream);
            return Err(Refusal::ChannelLimit);
        }
        self.channels.insert(stream, Channel::new(open, ChannelState::Opening));
        self.send_dcep(stream, &Dcep::Ack);
        self.opened(stream, outputs);
        Ok(())
    }

    fn handle_data(
        &mut self,
        stream: u16,
        ppid: u32,
        payload: Vec<u8>,
        outputs: &mut Outputs,
    ) -> Result<(), Refusal> {
        let (data, binary) = match ppid {
            STRING => (payload, false),
            BINARY => (payload, true),
            STRING_EMPTY => (Vec::new(), false),
            BINARY_EMPTY => (Vec::new(), true),
            _ => return Err(Refusal::PayloadUnknown),
        };
        match self.channels.get(&stream).map(|channel| channel.state) {
            Some(ChannelState::Open) => {}
            // The peer uses the channel: its ACK was overtaken (RFC 8832 section 6).
            Some(ChannelState::Opening) => self.opened(stream, outputs),
            _ => return Err(Refusal::ChannelUnknown),
        }
        if data.len() > MAX_MESSAGE_BYTES {
            return Err(Refusal::MessageTooLarge);
        }
        if !binary && std::str::from_utf8(&data).is_err() {
            return Err(Refusal::MessageNotText);
        }
        outputs.messages_received += 1;
        outputs.event(Event::Message { transport: self.transport, stream, data, binary });
        Ok(())
    }

    /// Tells the peer that there will be no channel (RFC 8832 section 6), unless one is there already.
    fn refuse_stream(&mut self, stream: u16) {
        if !self.channels.contains_key(&stream) {
            self.reset(stream);
        }
    }
}
