//! What a publisher sends: frames of VP8 or Opus packets, sealed with the keys of its handshake.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::Duration;

use conclave_core::ids::TrackId;
use conclave_core::media::MediaKind;
use conclave_core::rtp::write::{Fields, HeaderWriter};
use conclave_core::rtp::ExtensionForm;
use conclave_core::srtp::{Outbound, MAX_RTP_OVERHEAD};
use conclave_io::send::{Sender, UdpWire};

use crate::client::Client;
use crate::meeting::{AUDIO_LEVEL_ID, AUDIO_TYPE, TRANSPORT_CC_ID, VIDEO_TYPE};
use crate::scenario::Scenario;

/// Frames from one key frame to the next: two seconds at 30 a second.
const KEY_FRAME_EVERY: u32 = 60;

/// A publisher's numbers go on from round to round.
#[derive(Debug)]
pub struct Publisher {
    socket: UdpSocket,
    sender: Sender<UdpWire>,
    server: std::net::SocketAddr,
    outbound: Outbound,
    kind: MediaKind,
    burst: u32,
    packet: usize,
    ssrc: u32,
    sequence: u16,
    feedback: u16,
    picture: u16,
    buffers: Vec<Vec<u8>>,
}

impl Publisher {
    /// The SSRC of a track.
    pub fn ssrc(track: TrackId) -> u32 {
        0x1000_0000 + track.0
    }

    /// Publishes `track` of a connected client.
    pub fn new(client: &Client, track: TrackId, scenario: &Scenario) -> Option<Self> {
        let socket = client.socket.try_clone().ok()?;
        Some(Self {
            sender: Sender::new(UdpWire(socket.as_raw_fd())),
            socket,
            server: client.server(),
            outbound: client.outbound()?,
            kind: scenario.kind,
            burst: scenario.burst,
            packet: scenario.packet,
            ssrc: Self::ssrc(track),
            sequence: 0,
            feedback: 0,
            picture: 0,
            buffers: vec![vec![0; 2_048]; scenario.burst as usize],
        })
    }

    /// Sends one frame, captured at `at`; `key` forces a key frame. It leaves as one train, so that it
    /// arrives whole on any machine: datagram by datagram the scheduler would decide how many come together.
    pub fn send_frame(&mut self, at: Duration, key: bool) {
        let key = key || u32::from(self.picture) % KEY_FRAME_EVERY == 0;
        let mut buffers = std::mem::take(&mut self.buffers);
        let mut lengths = Vec::with_capacity(buffers.len());
        for (index, buffer) in buffers.iter_mut().enumerate() {
            lengths.push(self.seal(buffer, at, index as u32, key).unwrap_or(0));
        }
        let sealed = buffers.iter().zip(lengths);
        let packets: Vec<&[u8]> = sealed.map(|(buffer, len)| &buffer[..len]).collect();
        self.sender.batch().push(self.server, &packets);
        self.buffers = buffers;
        self.picture = (self.picture + 1) & 0x7FFF;
    }

    /// The socket, to keep consent on.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    fn seal(&mut self, buffer: &mut [u8], at: Duration, index: u32, key: bool) -> Option<usize> {
        let (payload_type, rate) = match self.kind {
            MediaKind::Audio => (AUDIO_TYPE, 48_000),
            MediaKind::Video => (VIDEO_TYPE, 90_000),
        };
        let fields = Fields {
            marker: self.kind == MediaKind::Video && index + 1 == self.burst,
            payload_type,
            sequence: self.sequence,
            timestamp: (at.as_micros() * rate / 1_000_000) as u32,
            ssrc: self.ssrc,
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.feedback = self.feedback.wrapping_add(1);
        let mut header = HeaderWriter::new(buffer, &fields, ExtensionForm::OneByte)?;
        header.element(TRANSPORT_CC_ID, &self.feedback.to_be_bytes())?;
        if self.kind == MediaKind::Audio {
            header.element(AUDIO_LEVEL_ID, &[0x80 | 0x1E])?;
        }
        let start = header.finish()?;
        if self.kind == MediaKind::Video {
            let payload = buffer.get_mut(start..start + 16)?;
            self.write_vp8(payload, index == 0, key);
        }
        self.outbound.seal_rtp(&mut buffer[..self.packet + MAX_RTP_OVERHEAD], self.packet).ok()
    }

    /// A payload descriptor with a 15-bit picture id (RFC 7741 section 4.2), and at the start of a frame the
    /// frame's header (RFC 6386 section 9.1).
    fn write_vp8(&self, payload: &mut [u8], start: bool, key: bool) {
        let picture = self.picture.to_be_bytes();
        let first = if start { 0x90 } else { 0x80 };
        payload[..4].copy_from_slice(&[first, 0x80, 0x80 | picture[0], picture[1]]);
        if start {
            payload[4] = u8::from(!key);
            payload[7..10].copy_from_slice(&[0x9D, 0x01, 0x2A]);
            payload[10..14].copy_from_slice(&[0x80, 0x02, 0x68, 0x01]);
        }
    }
}
