//! What a peer sends: sealed packets in, authenticated plaintext or a reason out.
//!
//! Replay protection is always on. An authentic repetition is told apart from a forged one within a budget,
//! because senders without RTX probe bandwidth by repeating packets and need them reported as received.

use super::ssrcs::{Caps, Known, Ssrcs};
use super::window::{estimate, Verdict, Window};
use super::{rtcp_ssrc, rtp_seq, rtp_ssrc, Suite, RTP_INDEX_LIMIT};
use crate::demux::{rtp_header_len, MAX_DATAGRAM};
use crate::drop::DropReason;
use crate::hash::Keyed;
use crate::rate::{Bucket, Limit};
use crate::time::Time;

/// Words of the SRTP window: 2048 packets are four seconds at 5 Mbit/s, longer than any repair takes.
const RTP_WORDS: usize = 32;
/// Words of the SRTCP window: 128 reports.
const RTCP_WORDS: usize = 2;
/// A publisher has at most 16 tracks of three layers with repair; the residue of an SSRC takes 16 bytes.
const CAPS: Caps = Caps { active: 128, retired: 4_096 };
/// New SSRCs: twenty a second, after a first burst of all streams that a publisher starts with.
const NEW_SSRCS: Limit = Limit::new(20, 32);
/// Repetitions that are authenticated: one in twenty packets, 64 at once.
const DUPLICATE_COST: u32 = 20;
const DUPLICATE_CREDIT: u32 = 64 * DUPLICATE_COST;

/// An authenticated packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Length of the plaintext packet.
    pub len: usize,
    /// It was here before: record its arrival, do not forward it.
    pub duplicate: bool,
}

/// The receiving direction of one transport's keys.
pub struct Inbound {
    suite: Suite,
    rtp: Ssrcs<RTP_WORDS>,
    rtcp: Ssrcs<RTCP_WORDS>,
    new_rtp: Bucket,
    new_rtcp: Bucket,
    duplicate_credit: u32,
}

impl std::fmt::Debug for Inbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbound").field("ssrcs", &self.rtp.active()).finish_non_exhaustive()
    }
}

impl Inbound {
    /// Nothing received yet.
    pub fn new(suite: Suite, keyed: Keyed) -> Self {
        Self {
            suite,
            rtp: Ssrcs::new(CAPS, keyed),
            rtcp: Ssrcs::new(CAPS, keyed),
            new_rtp: Bucket::default(),
            new_rtcp: Bucket::default(),
            duplicate_credit: DUPLICATE_CREDIT,
        }
    }

    /// Opens an SRTP packet in place.
    pub fn open_rtp(&mut self, now: Time, packet: &mut [u8]) -> Result<Opened, DropReason> {
        let header = rtp_header_len(packet).ok_or(DropReason::SrtpShort)?;
        if packet.len() < header + self.suite.rtp_overhead() {
            return Err(DropReason::SrtpShort);
        }
        let (ssrc, seq) = (rtp_ssrc(packet), rtp_seq(packet));
        match self.rtp.find(ssrc) {
            Known::Active(place) => self.open_known(place, header, packet),
            Known::Retired(newest) => {
                self.may_admit(now)?;
                let index = rtp_index(newest, seq)?;
                if index <= newest {
                    return Err(DropReason::SrtpTooOld);
                }
                let len = self.open_at(index, header, packet)?;
                let mut window = Window::sealed_at(newest);
                window.commit(index);
                self.admit(now, ssrc, window)?;
                Ok(Opened { len, duplicate: false })
            }
            Known::Unknown => {
                self.may_admit(now)?;
                let (index, len) = self.open_first(seq, header, packet)?;
                self.admit(now, ssrc, Window::starting_at(index))?;
                Ok(Opened { len, duplicate: false })
            }
        }
    }

    /// Opens an SRTCP packet in place; its plaintext length.
    pub fn open_rtcp(&mut self, now: Time, packet: &mut [u8]) -> Result<usize, DropReason> {
        let (encrypted, index) = self.suite.rtcp_word(packet).ok_or(DropReason::SrtpShort)?;
        if !encrypted {
            return Err(DropReason::SrtcpPlain);
        }
        let ssrc = rtcp_ssrc(packet);
        let known = self.rtcp.find(ssrc);
        match known {
            Known::Active(place) => {
                if self.rtcp.window(place).check(index.into()) != Verdict::Fresh {
                    return Err(DropReason::SrtcpReplay);
                }
            }
            Known::Retired(newest) if u64::from(index) <= newest => {
                return Err(DropReason::SrtcpReplay);
            }
            Known::Retired(_) | Known::Unknown => {
                refuse_unless(self.rtcp.has_room(), DropReason::SsrcCap)?;
                refuse_unless(self.new_rtcp.ready(now, NEW_SSRCS), DropReason::SsrcRate)?;
            }
        }
        let len = self.suite.open_rtcp(index, packet).ok_or(DropReason::SrtcpAuth)?;
        match known {
            Known::Active(place) => self.rtcp.commit(place, index.into()),
            Known::Retired(newest) => {
                let mut window = Window::sealed_at(newest);
                window.commit(index.into());
                self.new_rtcp.take(now, NEW_SSRCS);
                self.rtcp.admit(ssrc, window)?;
            }
            Known::Unknown => {
                self.new_rtcp.take(now, NEW_SSRCS);
                self.rtcp.admit(ssrc, Window::starting_at(index.into()))?;
            }
        }
        Ok(len)
    }

    /// Whether a packet names an SSRC of which authentic packets came.
    pub fn knows(&self, rtcp: bool, packet: &[u8]) -> bool {
        let known = if rtcp {
            self.suite.rtcp_word(packet).map(|_| self.rtcp.find(rtcp_ssrc(packet)))
        } else {
            rtp_header_len(packet).map(|_| self.rtp.find(rtp_ssrc(packet)))
        };
        matches!(known, Some(Known::Active(_)))
    }

    /// Whether a packet of a known SSRC is authentic and was not here before. Its bytes are lost, and nothing
    /// else changes: it may come again.
    pub fn recognises(&self, rtcp: bool, packet: &mut [u8]) -> bool {
        let opened = if rtcp { self.peek_rtcp(packet) } else { self.peek_rtp(packet) };
        opened.is_some()
    }

    fn peek_rtp(&self, packet: &mut [u8]) -> Option<usize> {
        let header = rtp_header_len(packet)?;
        if packet.len() < header + self.suite.rtp_overhead() {
            return None;
        }
        let Known::Active(place) = self.rtp.find(rtp_ssrc(packet)) else { return None };
        let window = self.rtp.window(place);
        let index = rtp_index(window.newest(), rtp_seq(packet)).ok()?;
        let fresh = window.check(index) == Verdict::Fresh;
        fresh.then(|| self.suite.open_rtp(index, header, packet)).flatten()
    }

    fn peek_rtcp(&self, packet: &mut [u8]) -> Option<usize> {
        let (true, index) = self.suite.rtcp_word(packet)? else { return None };
        let Known::Active(place) = self.rtcp.find(rtcp_ssrc(packet)) else { return None };
        let fresh = self.rtcp.window(place).check(index.into()) == Verdict::Fresh;
        fresh.then(|| self.suite.open_rtcp(index, packet)).flatten()
    }

    /// Keeps the replay window of an SSRC that is forwarded, whatever other SSRCs come; `false` if it is
    /// not known.
    pub fn pin(&mut self, ssrc: u32) -> bool {
        self.rtp.pin(ssrc)
    }

    /// How many SSRCs have a replay window.
    pub fn ssrcs(&self) -> usize {
        self.rtp.active()
    }

    fn open_known(
        &mut self,
        place: usize,
        header: usize,
        packet: &mut [u8],
    ) -> Result<Opened, DropReason> {
        let window = self.rtp.window(place);
        let index = rtp_index(window.newest(), rtp_seq(packet))?;
        match window.check(index) {
            Verdict::Fresh => {
                let len = self.open_at(index, header, packet)?;
                self.rtp.commit(place, index);
                self.duplicate_credit = (self.duplicate_credit + 1).min(DUPLICATE_CREDIT);
                Ok(Opened { len, duplicate: false })
            }
            Verdict::Seen if self.duplicate_credit < DUPLICATE_COST => Err(DropReason::SrtpReplay),
            Verdict::Seen => {
                self.duplicate_credit -= DUPLICATE_COST;
                let len = self.open_at(index, header, packet)?;
                Ok(Opened { len, duplicate: true })
            }
            Verdict::TooOld => Err(DropReason::SrtpTooOld),
        }
    }

    /// The first packet of an SSRC has roll-over counter 0, or 1 if the packets around the first wrap are
    /// those that were lost.
    fn open_first(
        &self,
        seq: u16,
        header: usize,
        packet: &mut [u8],
    ) -> Result<(u64, usize), DropReason> {
        let index = u64::from(seq);
        if seq >= 0x8000 {
            return Ok((index, self.open_at(index, header, packet)?));
        }
        // A failed attempt destroys the payload, so the second needs its own copy.
        let mut copy = [0u8; MAX_DATAGRAM];
        let copy = copy.get_mut(..packet.len()).ok_or(DropReason::DemuxTooLong)?;
        copy.copy_from_slice(packet);
        if let Some(len) = self.suite.open_rtp(index, header, packet) {
            return Ok((index, len));
        }
        packet.copy_from_slice(copy);
        let wrapped = index | 1 << 16;
        Ok((wrapped, self.open_at(wrapped, header, packet)?))
    }

    fn open_at(&self, index: u64, header: usize, packet: &mut [u8]) -> Result<usize, DropReason> {
        self.suite.open_rtp(index, header, packet).ok_or(DropReason::SrtpAuth)
    }

    /// Asked before decryption, so that a flood of unknown SSRCs costs no cryptography once a limit is
    /// reached; charged after authentication, so that forged packets cannot use the limits up.
    fn may_admit(&self, now: Time) -> Result<(), DropReason> {
        refuse_unless(self.rtp.has_room(), DropReason::SsrcCap)?;
        refuse_unless(self.new_rtp.ready(now, NEW_SSRCS), DropReason::SsrcRate)
    }

    fn admit(&mut self, now: Time, ssrc: u32, window: Window<RTP_WORDS>) -> Result<(), DropReason> {
        self.new_rtp.take(now, NEW_SSRCS);
        self.rtp.admit(ssrc, window)
    }
}

fn rtp_index(newest: u64, seq: u16) -> Result<u64, DropReason> {
    let index = estimate(newest, seq).ok_or(DropReason::SrtpTooOld)?;
    refuse_unless(index < RTP_INDEX_LIMIT, DropReason::KeyLimit)?;
    Ok(index)
}

fn refuse_unless(condition: bool, reason: DropReason) -> Result<(), DropReason> {
    if condition {
        Ok(())
    } else {
        Err(reason)
    }
}
