//! One SCTP association and its data channels (RFC 8831). In: SCTP packets out of DTLS, commands, time.
//! Out: SCTP packets, channel events. Messages are taken from the library only as fast as the peer's
//! allowance and the caller's queue permit; what is left there closes the peer's window.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use conclave_core::command::DtlsRole;
use conclave_core::event::Event;
use conclave_core::ids::TransportId;
use conclave_core::time::Time;
use dcsctp::api::{
    DcSctpSocket, Message, Options, PpId, SendError, SendOptions, SocketEvent, SocketTime, StreamId,
};

use crate::bucket::Bucket;
use crate::channel::{Channel, ChannelState};
use crate::config::{
    Limits, CHANNEL_WINDOW, EVENT_RETRY, MAX_CHANNELS, MAX_MESSAGE_BYTES, MAX_STREAM, SCTP_PORT,
    SCTP_RECEIVE_WINDOW, SCTP_SEND_BUFFER,
};
use crate::dcep::{Dcep, Open, Reliability};
use crate::outgoing::{Backlog, Outgoing};
use crate::outputs::Outputs;
use crate::refusal::Refusal;

/// An SCTP packet in one DTLS record in one datagram of 1200 bytes: 37 bytes of record, 13 to spare.
const MTU: usize = 1_150;

/// Handshake packets are repeated as soon as DTLS flights are.
const HANDSHAKE_WAIT: Duration = Duration::from_millis(400);
/// The longest wait before a repetition. ICE consent decides whether the peer is gone, not SCTP, so it
/// never gives up, and after an outage it must not sleep on.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// One peer's channels.
pub(crate) struct Sctp {
    pub(crate) transport: TransportId,
    socket: Box<dyn DcSctpSocket>,
    role: DtlsRole,
    started: Time,
    connected: bool,
    /// The longest message that the peer takes.
    peer_limit: usize,
    pub(crate) channels: BTreeMap<u16, Channel>,
    backlog: Backlog,
    bytes: Bucket,
    messages: Bucket,
    /// When to look again at messages that were left in the library.
    unread: Option<Time>,
    /// Streams that the peer reset, to be believed once its messages are read.
    resets: VecDeque<u16>,
}

impl Sctp {
    /// Connects. Both sides do (RFC 8831 section 6.2): SCTP joins the two attempts.
    pub fn new(
        now: Time,
        transport: TransportId,
        role: DtlsRole,
        (peer_port, peer_limit): (u16, u32),
        limits: &Limits,
    ) -> Self {
        let mut socket = dcsctp::new_socket("", &options(peer_port));
        socket.connect();
        let peer_limit = match peer_limit as usize {
            // "Any size" (RFC 8841 section 6.1).
            0 => MAX_MESSAGE_BYTES,
            limit => limit.min(MAX_MESSAGE_BYTES),
        };
        Self {
            transport,
            socket,
            role,
            started: now,
            connected: false,
            peer_limit,
            channels: BTreeMap::new(),
            backlog: Backlog::default(),
            bytes: Bucket::new(now, limits.inbound_bytes_per_second),
            messages: Bucket::new(now, limits.inbound_messages_per_second),
            unread: None,
            resets: VecDeque::new(),
        }
    }

    /// Whether a datagram of this size is within the peer's allowance. While messages wait to be read
    /// nothing more is taken in, so that they cannot pile up.
    pub fn admits(&mut self, now: Time, datagram: usize) -> bool {
        self.unread.is_none() && self.bytes.take(now, datagram as u64)
    }

    /// An SCTP packet. [`Sctp::pump`] follows.
    pub fn handle_packet(&mut self, now: Time, packet: &[u8]) {
        self.set_time(now);
        self.socket.handle_input(packet);
    }

    /// Time passed. [`Sctp::pump`] follows.
    pub fn handle_timeout(&mut self, now: Time) {
        self.set_time(now);
        if self.unread.is_some_and(|due| due <= now) {
            self.unread = None;
        }
    }

    /// When [`Sctp::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Time> {
        let due = self.socket.poll_timeout();
        let timer = (due < SocketTime::infinite_future())
            .then(|| self.started + (due - SocketTime::zero()));
        timer.into_iter().chain(self.unread).min()
    }

    /// Channels that are open.
    pub fn open_channels(&self) -> usize {
        self.channels.values().filter(|channel| channel.is_open()).count()
    }

    /// Opens a channel, on a stream of our parity if none is given: even for the DTLS client, odd for the
    /// server (RFC 8832 section 6).
    pub fn open(
        &mut self,
        now: Time,
        stream: Option<u16>,
        (description, negotiated): (Open, bool),
        outputs: &mut Outputs,
    ) {
        self.set_time(now);
        if self.channels.len() >= MAX_CHANNELS {
            return outputs.refuse(Refusal::ChannelLimit);
        }
        // There are more streams of each parity than channels, so one is free.
        let first = u16::from(self.role == DtlsRole::Server);
        let free = || (first..=MAX_STREAM).step_by(2).find(|id| !self.channels.contains_key(id));
        let Some(stream) = stream.or_else(free).filter(|&id| id <= MAX_STREAM) else {
            return outputs.refuse(Refusal::OpenInvalid);
        };
        if self.channels.contains_key(&stream) {
            return outputs.refuse(Refusal::OpenStreamInUse);
        }
        let channel = Channel::new(description, ChannelState::Waiting { negotiated });
        self.channels.insert(stream, channel);
        if self.connected {
            self.begin(stream, outputs);
        }
    }

    /// Queues a message on a channel. [`Sctp::pump`] follows.
    pub fn send(
        &mut self,
        stream: u16,
        ppid: u32,
        payload: &Rc<Vec<u8>>,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        let channel = self
            .channels
            .get_mut(&stream)
            .filter(|channel| channel.takes_messages())
            .ok_or(Refusal::SendChannelUnknown)?;
        if payload.len() > self.peer_limit {
            return Err(Refusal::SendTooLarge);
        }
        let message = Outgoing { ppid, payload: Rc::clone(payload) };
        self.backlog.add(channel.class(), message.cost(), limits)?;
        channel.queue.push_back(message);
        Ok(())
    }

    /// Closes a channel once its messages left. Closing it again changes nothing.
    pub fn close(&mut self, stream: u16, outputs: &mut Outputs) {
        match self.channels.get_mut(&stream) {
            None => outputs.refuse(Refusal::SendChannelUnknown),
            Some(channel) => match channel.state {
                ChannelState::Waiting { .. } => self.forget(stream, outputs),
                ChannelState::Opening | ChannelState::Open => {
                    channel.state = ChannelState::Draining;
                }
                ChannelState::Draining | ChannelState::Closing { .. } => {}
            },
        }
    }

    /// Does everything that is possible now: reads messages, follows resets, hands over what waits. SCTP
    /// packets go to `send`.
    pub fn pump(&mut self, now: Time, outputs: &mut Outputs, send: &mut dyn FnMut(&[u8])) {
        self.set_time(now);
        self.follow_events(outputs, send);
        loop {
            self.read(now, outputs);
            self.follow_resets(outputs);
            self.feed(outputs);
            if !self.follow_events(outputs, send) {
                return;
            }
        }
    }

    /// The library's clock is the time since the association began.
    fn set_time(&mut self, now: Time) {
        self.socket.advance_time(SocketTime::zero() + now.since(self.started));
    }

    /// Takes the library's events, and says whether any of them makes something else possible.
    fn follow_events(&mut self, outputs: &mut Outputs, send: &mut dyn FnMut(&[u8])) -> bool {
        let mut changed = false;
        while let Some(event) = self.socket.poll_event() {
            match event {
                SocketEvent::SendPacket(packet) => send(&packet),
                event => changed |= self.follow_event(event, outputs),
            }
        }
        changed
    }

    fn follow_event(&mut self, event: SocketEvent, outputs: &mut Outputs) -> bool {
        match event {
            SocketEvent::OnConnected() => self.connected(outputs),
            SocketEvent::OnConnectionRestarted() => self.forget_all(outputs),
            SocketEvent::OnClosed() | SocketEvent::OnAborted(..) => {
                self.connected = false;
                self.forget_all(outputs);
            }
            SocketEvent::OnIncomingStreamReset(streams) if streams.is_empty() => {
                self.resets.extend(self.channels.keys());
            }
            SocketEvent::OnIncomingStreamReset(streams) => {
                // Only streams with a channel matter: a peer cannot make this list grow.
                let known = streams.iter().map(|stream| stream.0);
                self.resets.extend(known.filter(|id| self.channels.contains_key(id)));
            }
            SocketEvent::OnStreamsResetPerformed(streams)
            | SocketEvent::OnStreamsResetFailed(streams) => {
                for stream in streams {
                    self.reset_answered(stream.0, outputs);
                }
            }
            _ => return false,
        }
        true
    }

    fn connected(&mut self, outputs: &mut Outputs) {
        self.connected = true;
        let waiting: Vec<u16> = self.channels.keys().copied().collect();
        for stream in waiting {
            self.begin(stream, outputs);
        }
    }

    /// Starts the life of a channel that waited for SCTP.
    fn begin(&mut self, stream: u16, outputs: &mut Outputs) {
        let Some(channel) = self.channels.get_mut(&stream) else { return };
        match channel.state {
            ChannelState::Waiting { negotiated: true } => self.opened(stream, outputs),
            ChannelState::Waiting { negotiated: false } => {
                channel.state = ChannelState::Opening;
                let open = Dcep::Open(channel.description.clone());
                self.send_dcep(stream, &open);
            }
            _ => {}
        }
    }

    /// A channel is open on both sides.
    pub(crate) fn opened(&mut self, stream: u16, outputs: &mut Outputs) {
        if let Some(channel) = self.channels.get_mut(&stream) {
            channel.state = ChannelState::Open;
            let parameters = channel.description.parameters();
            let transport = self.transport;
            outputs.event(Event::ChannelOpened { transport, stream, parameters });
        }
    }

    /// DCEP travels reliably and in order (RFC 8832 section 6), past the queue: it is the first or the
    /// only thing that a channel sends.
    pub(crate) fn send_dcep(&mut self, stream: u16, message: &Dcep) {
        let message = Message::new(StreamId(stream), PpId(crate::messages::DCEP), message.build());
        // What could refuse it is a socket that shuts down, and with it every channel.
        drop(self.socket.send(message, &SendOptions::default()));
    }

    /// Takes messages from the library, as far as allowance and room go.
    fn read(&mut self, now: Time, outputs: &mut Outputs) {
        while self.unread.is_none() && self.socket.messages_ready_count() > 0 {
            if !outputs.has_room() {
                self.unread = Some(now + EVENT_RETRY);
            } else if !self.messages.take(now, 1) {
                self.unread = Some(self.messages.next_token(now));
            } else if let Some(message) = self.socket.get_next_message() {
                self.handle_message(message, outputs);
            }
        }
    }

    /// Follows the peer's resets, behind its messages.
    fn follow_resets(&mut self, outputs: &mut Outputs) {
        if self.unread.is_some() {
            return;
        }
        while let Some(stream) = self.resets.pop_front() {
            let Some(channel) = self.channels.get_mut(&stream) else { continue };
            if let ChannelState::Closing { incoming, .. } = &mut channel.state {
                *incoming = true;
            } else {
                let class = channel.class();
                for message in channel.queue.drain(..) {
                    self.backlog.remove(class, message.cost());
                }
                channel.state = ChannelState::Closing { incoming: true, outgoing: false };
                self.reset(stream);
            }
            self.forget_if_over(stream, outputs);
        }
    }

    /// Hands queued messages to SCTP, as far as each channel's window goes.
    fn feed(&mut self, outputs: &mut Outputs) {
        if !self.connected {
            return;
        }
        let mut drained = Vec::new();
        for (&stream, channel) in &mut self.channels {
            if !channel.may_feed() {
                continue;
            }
            let class = channel.class();
            while self.socket.buffered_amount(StreamId(stream)) < CHANNEL_WINDOW {
                let Some(message) = channel.queue.front() else { break };
                let payload = message.payload.as_ref().clone();
                let wire = Message::new(StreamId(stream), PpId(message.ppid), payload);
                let result = self.socket.send(wire, &send_options(channel));
                if result == Err(SendError::ResourceExhaustion) {
                    break;
                }
                outputs.messages_sent += u64::from(result.is_ok());
                self.backlog.remove(class, message.cost());
                channel.queue.pop_front();
            }
            let empty =
                channel.queue.is_empty() && self.socket.buffered_amount(StreamId(stream)) == 0;
            if empty && channel.state == ChannelState::Draining {
                channel.state = ChannelState::Closing { incoming: false, outgoing: false };
                drained.push(stream);
            }
        }
        for stream in drained {
            self.reset(stream);
            self.forget_if_over(stream, outputs);
        }
    }

    /// Resets our direction of a stream. A peer that cannot reset streams will never answer: the channel
    /// counts as closed at once.
    pub(crate) fn reset(&mut self, stream: u16) {
        if self.socket.reset_streams(&[StreamId(stream)]).is_err() {
            if let Some(channel) = self.channels.get_mut(&stream) {
                channel.state = ChannelState::Closing { incoming: true, outgoing: true };
            }
        }
    }

    fn reset_answered(&mut self, stream: u16, outputs: &mut Outputs) {
        if let Some(channel) = self.channels.get_mut(&stream) {
            if let ChannelState::Closing { outgoing, .. } = &mut channel.state {
                *outgoing = true;
            }
        }
        self.forget_if_over(stream, outputs);
    }

    fn forget_if_over(&mut self, stream: u16, outputs: &mut Outputs) {
        let over = ChannelState::Closing { incoming: true, outgoing: true };
        if self.channels.get(&stream).is_some_and(|channel| channel.state == over) {
            self.forget(stream, outputs);
        }
    }

    fn forget(&mut self, stream: u16, outputs: &mut Outputs) {
        if let Some(channel) = self.channels.remove(&stream) {
            for message in &channel.queue {
                self.backlog.remove(channel.class(), message.cost());
            }
            outputs.event(Event::ChannelClosed { transport: self.transport, stream });
        }
    }

    fn forget_all(&mut self, outputs: &mut Outputs) {
        self.resets.clear();
        while let Some((&stream, _)) = self.channels.first_key_value() {
            self.forget(stream, outputs);
        }
    }
}

fn options(peer_port: u16) -> Options {
    Options {
        local_port: SCTP_PORT,
        remote_port: peer_port,
        mtu: MTU,
        max_message_size: MAX_MESSAGE_BYTES,
        max_receiver_window_buffer_size: SCTP_RECEIVE_WINDOW,
        max_send_buffer_size: SCTP_SEND_BUFFER,
        per_stream_send_queue_limit: CHANNEL_WINDOW + MAX_MESSAGE_BYTES,
        t1_init_timeout: HANDSHAKE_WAIT,
        t1_cookie_timeout: HANDSHAKE_WAIT,
        max_timer_backoff_duration: Some(LONGEST_WAIT),
        max_retransmissions: None,
        max_init_retransmits: None,
        ..Options::default()
    }
}

fn send_options(channel: &Channel) -> SendOptions {
    let mut options = SendOptions {
        unordered: !channel.description.ordered && channel.is_open(),
        ..SendOptions::default()
    };
    match channel.description.reliability {
        Reliability::Reliable => {}
        Reliability::Retransmits(most) => options.max_retransmissions = Some(most),
        Reliability::Lifetime(most) => options.lifetime = Some(most),
    }
    options
}
