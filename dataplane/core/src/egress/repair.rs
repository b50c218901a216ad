//! The retransmission service of a leg (RFC 4585 NACK, RFC 4588 RTX): what it may cost, and how it is sent.
//!
//! In: numbers that the receiver misses. Out: retransmissions on their own SSRC, or empty packets for
//! numbers that nothing will ever fill. Every refusal has a name.

use std::time::Duration;

use super::leg::{carried, Leg};
use super::numbers::NumberState;
use super::packet::{write_padding, Head, Original, Outgoing};
use super::store::Store;
use super::transport::{Moment, Transport};
use crate::drop::DropReason;
use crate::media::MediaKind;
use crate::sink::PacketSink;
use crate::time::Time;

/// Retransmissions of one packet: as often as browsers ask. One that gives up earlier gains nothing: the
/// picture stands still until the receiver gives up, too, and asks for a key frame, seconds later.
const MAX_TRIES: u8 = 10;

/// A packet older than this comes too late for the receiver's jitter buffer.
const MAX_AGE_VIDEO: Duration = Duration::from_millis(1_500);
const MAX_AGE_AUDIO: Duration = Duration::from_millis(500);

/// A repetition within a round trip is the same question on its way.
const DEFAULT_RTT: Duration = Duration::from_millis(100);
const RTT_SLACK: Duration = Duration::from_millis(5);
const MIN_PAUSE: Duration = Duration::from_millis(20);

/// Bytes that may be sent again per hundred bytes of media: what it takes to repair a link that loses a
/// quarter of everything, retransmissions included.
const SHARE: u64 = 35;

/// Credit at the start and at most: a burst of about fifty packets may be repaired at once.
const MAX_CREDIT: u64 = 64 * 1_024;

/// Padding bytes of an empty packet: as many as the count byte can tell, in a round number.
const PADDING: u8 = 240;

/// The retransmission side of one leg.
#[derive(Debug)]
pub struct Repair {
    ssrc: Option<u32>,
    next: u64,
    credit: u64,
    /// Retransmissions sent.
    pub sent: u64,
}

impl Repair {
    /// The service on `ssrc`, if negotiated; its numbers start at `first`.
    pub fn new(ssrc: Option<u32>, first: u64) -> Self {
        Self { ssrc, next: first, credit: MAX_CREDIT, sent: 0 }
    }

    /// The retransmission SSRC and its next number.
    pub fn stream(&self) -> Option<(u32, u64)> {
        Some((self.ssrc?, self.next))
    }

    /// Media of `length` bytes went out: that pays for a share of retransmissions.
    pub fn earn(&mut self, length: usize) {
        self.credit = (self.credit * 100 + length as u64 * SHARE).min(MAX_CREDIT * 100) / 100;
    }
}

impl Leg {
    /// The receiver misses the packet with these low bits. Returns the sealed length of what was sent.
    pub fn handle_nack(
        &mut self,
        moment: Moment,
        low: u16,
        stores: &[Option<Box<Store>>],
        (transport, sink): (&mut Transport, &mut impl PacketSink),
    ) -> Result<usize, DropReason> {
        let last = self.sequence.last();
        let n = last.wrapping_add_signed(i64::from(low.wrapping_sub(last as u16) as i16));
        match self.sequence.state(n) {
            NumberState::Sent => self.send_again(moment, n, stores, (transport, sink)),
            NumberState::GivenUp => self.send_empty(moment, n, transport, sink),
            _ => Err(DropReason::NackMiss),
        }
    }

    fn send_again(
        &mut self,
        moment: Moment,
        n: u64,
        stores: &[Option<Box<Store>>],
        (transport, sink): (&mut Transport, &mut impl PacketSink),
    ) -> Result<usize, DropReason> {
        let (Some((ssrc, rtx_n)), Some(history)) = (self.repair.stream(), &mut self.history) else {
            return Err(DropReason::NackNoRtx);
        };
        let sent = history.get(n).ok_or(DropReason::NackMiss)?;
        let now_ms = moment.now.as_millis() as u32;
        let pause = pause(transport.rtt());
        if sent.crossing_ms().is_some_and(|then| elapsed(now_ms, then) < pause) {
            return Err(DropReason::NackDedupe);
        }
        if sent.tries >= MAX_TRIES {
            return Err(DropReason::NackTries);
        }
        if elapsed(now_ms, sent.first_ms) > max_age(self.kind) {
            return Err(DropReason::NackLate);
        }
        if self.kind == MediaKind::Video && n < self.key {
            return Err(DropReason::NackSuperseded);
        }
        let entry = *sent;
        let store = stores.get(usize::from(entry.source.stream)).and_then(Option::as_deref);
        let kept = store.and_then(|store| store.get(entry.source, entry.input));
        let kept = kept.ok_or(DropReason::NackMiss)?;
        let map = self.payloads_of(entry.payload())?;
        let payload_type = map.rtx.ok_or(DropReason::NackNoRtx)?;
        let payload = carried(map, kept.bytes, kept.payload).ok_or(DropReason::NackMiss)?;
        let size = u64::from(payload.end - payload.start);
        if self.repair.credit < size {
            return Err(DropReason::NackBudget);
        }
        let head =
            Head { marker: entry.marker(), payload_type, n: rtx_n, t: u64::from(entry.t), ssrc };
        let original = Original { payload, ..kept };
        let osn = Some(n as u16);
        let outgoing = Outgoing { head, block: &self.block, original, patch: entry.patch, osn };
        let stamps = transport.stamps(moment);
        let length = sink.send_rtp(transport.id, self.kind, |slot| outgoing.write(slot, stamps))?;
        transport.sent(moment, length);
        self.note_sent_again(now_ms, n, size);
        Ok(length)
    }

    fn note_sent_again(&mut self, now_ms: u32, n: u64, size: u64) {
        self.repair.next += 1;
        self.repair.credit -= size;
        self.repair.sent += 1;
        if let Some(sent) = self.history.as_mut().and_then(|history| history.get(n)) {
            sent.tries += 1;
            sent.again_ms = now_ms;
        }
    }

    /// Accounts for a number that is proven to stay empty.
    fn send_empty(
        &mut self,
        moment: Moment,
        n: u64,
        transport: &mut Transport,
        sink: &mut impl PacketSink,
    ) -> Result<usize, DropReason> {
        let map = self.payloads_of(0)?;
        // The neighbour's time: a time of its own would look like a frame.
        let mut time_of = |n| self.history.as_mut()?.get(n).map(|sent| sent.t);
        let neighbour = time_of(n - 1).or_else(|| time_of(n + 1));
        let t = neighbour.map_or(self.times.last(), u64::from);
        let head = Head { marker: false, payload_type: map.target, n, t, ssrc: self.ssrc };
        let stamps = transport.stamps(moment);
        let form = (&head, &self.block);
        let length =
            sink.send_rtp(transport.id, self.kind, |slot| write_padding(slot, form, stamps, 1))?;
        transport.sent(moment, length);
        self.sequence.close(n);
        Ok(length)
    }

    /// Sends one packet that carries nothing new, so that the way to the receiver can be measured: empty
    /// ones on the retransmission stream where there is one, else under a number of the media stream,
    /// which only a complete frame allows. Returns the sealed length.
    pub fn pad(
        &mut self,
        moment: Moment,
        (transport, sink): (&mut Transport, &mut impl PacketSink),
    ) -> Result<usize, DropReason> {
        if self.kind == MediaKind::Audio || self.selector.current().is_none() || self.open {
            return Err(DropReason::PaddingUnfit);
        }
        let map = self.payloads_of(0)?;
        let rtx = self.repair.stream().zip(map.rtx);
        let (ssrc, n, payload_type) = match rtx {
            Some(((ssrc, n), payload_type)) => (ssrc, n, payload_type),
            None => (self.ssrc, self.sequence.pad(), map.target),
        };
        let head = Head { marker: false, payload_type, n, t: self.times.last(), ssrc };
        let stamps = transport.stamps(moment);
        let form = (&head, &self.block);
        if rtx.is_some() {
            self.repair.next += 1;
        }
        let write = |slot: &mut [u8]| write_padding(slot, form, stamps, PADDING);
        let length = sink.send_rtp(transport.id, self.kind, write)?;
        transport.sent(moment, length);
        Ok(length)
    }

    fn payloads_of(&self, index: usize) -> Result<crate::command::PayloadMap, DropReason> {
        self.payload_map(index).ok_or(DropReason::PayloadUnmapped)
    }
}

fn pause(rtt: Option<Duration>) -> Duration {
    rtt.unwrap_or(DEFAULT_RTT).saturating_sub(RTT_SLACK).max(MIN_PAUSE)
}

fn max_age(kind: MediaKind) -> Duration {
    match kind {
        MediaKind::Video => MAX_AGE_VIDEO,
        MediaKind::Audio => MAX_AGE_AUDIO,
    }
}

fn elapsed(now_ms: u32, then_ms: u32) -> Duration {
    Time::from_millis(u64::from(now_ms.wrapping_sub(then_ms))).since(Time(0))
}
