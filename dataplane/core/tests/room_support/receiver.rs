//! One received stream at a subscriber: its observer, what it misses, what it reports.

use std::collections::BTreeMap;

use conclave_core::rtcp::rr::ReportBlock;
use conclave_core::rtcp::sr::SenderInfo;

use super::observer::Observer;

/// A number that has not come.
struct Missing {
    since_ms: u64,
    asked_ms: Option<u64>,
    tries: u32,
}

/// One media SSRC at a receiver.
pub struct Receiver {
    pub ssrc: u32,
    pub rtx_ssrc: Option<u32>,
    pub observer: Observer,
    /// Sender reports with their time of arrival.
    pub reports: Vec<(u64, SenderInfo)>,
    /// Ask for what is missing.
    pub nacks: bool,
    pub rtx_packets: u64,
    pub padding: u64,
    newest: Option<u64>,
    missing: BTreeMap<u64, Missing>,
    asked_key_ms: Option<u64>,
}

/// What a receiver asks of the sender.
#[derive(Debug, Default)]
pub struct Asks {
    pub nack: Vec<u16>,
    pub keyframe: bool,
}

impl Receiver {
    pub fn new(ssrc: u32, rtx_ssrc: Option<u32>, video: bool) -> Self {
        Self {
            ssrc,
            rtx_ssrc,
            observer: Observer::new(video),
            reports: Vec::new(),
            nacks: rtx_ssrc.is_some(),
            rtx_packets: 0,
            padding: 0,
            newest: None,
            missing: BTreeMap::new(),
            asked_key_ms: None,
        }
    }

    /// A packet of the stream, or a repaired one.
    pub fn handle(&mut self, ms: u64, (seq, t): (u16, u32), marker: bool, payload: &[u8]) {
        let newest = self.newest.unwrap_or((1 << 16) + u64::from(seq));
        let n = newest.wrapping_add_signed(i64::from(seq.wrapping_sub(newest as u16) as i16));
        self.missing.remove(&n);
        for gap in newest + 1..n {
            let missing = Missing { since_ms: ms, asked_ms: None, tries: 0 };
            self.missing.insert(gap, missing);
        }
        self.newest = Some(newest.max(n));
        self.padding += u64::from(payload.is_empty());
        self.observer.record(n, t, marker, payload, ms);
    }

    /// What to ask for at this time: a missing number after 10 ms and every 80 ms from then on, a key
    /// frame once a number was asked for in vain.
    pub fn asks(&mut self, ms: u64) -> Asks {
        let mut asks = Asks::default();
        if !self.nacks {
            return asks;
        }
        let mut hopeless = false;
        for (&n, missing) in &mut self.missing {
            let due = missing.asked_ms.map_or(missing.since_ms + 10, |asked| asked + 80);
            if due <= ms {
                missing.asked_ms = Some(ms);
                missing.tries += 1;
                hopeless |= missing.tries > 10;
                asks.nack.push(n as u16);
            }
        }
        if hopeless && self.asked_key_ms.is_none_or(|asked| asked + 1_000 <= ms) {
            self.asked_key_ms = Some(ms);
            self.missing.clear();
            asks.keyframe = true;
        }
        asks
    }

    /// A report block about the stream.
    pub fn block(&self, ms: u64) -> ReportBlock {
        let (last_sr, delay) = self.reports.last().map_or((0, 0), |&(arrived, info)| {
            ((info.ntp >> 16) as u32, ((ms - arrived) * 65_536 / 1_000) as u32)
        });
        let highest = self.newest.unwrap_or(0) as u32;
        ReportBlock { ssrc: self.ssrc, highest, last_sr, delay, ..ReportBlock::default() }
    }
}
