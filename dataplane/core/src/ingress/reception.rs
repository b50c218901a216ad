//! Loss and jitter of one SSRC (RFC 3550 sections 6.4.1 and A.3, A.8).
//!
//! In: numbers, time stamps and arrivals. Out: report blocks and totals. `received` counts originals, as the
//! sender of a report block's SSRC understands it; residual loss counts what no repair brought either.

use crate::rtcp::rr::ReportBlock;
use crate::time::Time;

/// A step in transit time beyond this many seconds is a clock jump, not jitter.
const MAX_STEP_SECONDS: i64 = 5;

/// Counts about one SSRC.
#[derive(Clone, Debug, Default)]
pub struct Reception {
    base: Option<u64>,
    highest: u64,
    /// Expected and received of earlier generations, so that cumulative loss survives a restart.
    earlier_expected: u64,
    received: u64,
    /// Distinct numbers, originals and repairs together.
    distinct: u64,
    reported_expected: u64,
    reported_received: u64,
    transit: Option<Transit>,
    /// Jitter in 1/16 RTP ticks.
    jitter: u64,
}

#[derive(Clone, Copy, Debug)]
struct Transit {
    arrival: Time,
    t: u64,
    clock_rate: u32,
}

impl Reception {
    /// Counts an original packet with number `n`; `first_time` unless a repair brought it before.
    pub fn count_original(&mut self, n: u64, first_time: bool) {
        self.received += 1;
        self.count(n, first_time);
    }

    /// Counts a packet that was recovered.
    pub fn count_repaired(&mut self, n: u64) {
        self.count(n, true);
    }

    fn count(&mut self, n: u64, first_time: bool) {
        // A packet from before the first one was never expected: it widens the range.
        let base = self.base.map_or(n, |base| base.min(n));
        self.base = Some(base);
        self.highest = self.highest.max(n);
        self.distinct += u64::from(first_time);
    }

    /// Numbers begin anew at `n`; what was lost so far stays lost.
    pub fn restart(&mut self) {
        self.earlier_expected = self.expected();
        self.base = None;
        self.highest = 0;
        self.transit = None;
    }

    /// Takes an in-order original into the jitter estimate.
    pub fn time(&mut self, arrival: Time, t: u64, clock_rate: u32) {
        let current = Transit { arrival, t, clock_rate };
        let Some(before) = self.transit.replace(current) else { return };
        if before.clock_rate != clock_rate {
            self.jitter = self.jitter * u64::from(clock_rate) / u64::from(before.clock_rate.max(1));
            return;
        }
        if t == before.t {
            // Packets of one picture leave in a burst: their spacing says nothing about the network.
            self.transit = Some(before);
            return;
        }
        let nanos = i128::from(arrival.0) - i128::from(before.arrival.0);
        let ticks = (nanos * i128::from(clock_rate) / 1_000_000_000) as i64;
        let step = (ticks - (t as i64 - before.t as i64)).abs();
        if step <= MAX_STEP_SECONDS * i64::from(clock_rate) {
            self.jitter = self.jitter + step as u64 - ((self.jitter + 8) >> 4);
        }
    }

    /// Interarrival jitter, RTP ticks.
    pub fn jitter(&self) -> u32 {
        (self.jitter >> 4) as u32
    }

    /// Numbers that should have arrived.
    pub fn expected(&self) -> u64 {
        self.earlier_expected + self.base.map_or(0, |base| self.highest - base + 1)
    }

    /// Numbers that neither original nor repair brought.
    pub fn residual_loss(&self) -> u64 {
        self.expected().saturating_sub(self.distinct)
    }

    /// Whether anything arrived since the last report.
    pub fn is_fresh(&self) -> bool {
        self.received > self.reported_received
    }

    /// A report block about `ssrc`, without the sender report fields; starts the next interval.
    pub fn report(&mut self, ssrc: u32) -> ReportBlock {
        let (expected, received) = (self.expected(), self.received);
        let interval_expected = expected.saturating_sub(self.reported_expected);
        let interval_lost = interval_expected.saturating_sub(received - self.reported_received);
        (self.reported_expected, self.reported_received) = (expected, received);
        let fraction = (interval_lost * 256).checked_div(interval_expected).unwrap_or(0);
        ReportBlock {
            ssrc,
            fraction_lost: fraction.min(255) as u8,
            lost: expected.saturating_sub(received).min(0x7F_FFFF) as i32,
            highest: self.highest as u32,
            jitter: self.jitter(),
            last_sr: 0,
            delay: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_what_was_expected_and_did_not_come_as_original() {
        let mut reception = Reception::default();
        for n in [100, 101, 103, 104] {
            reception.count_original(n, true);
        }
        reception.count_repaired(102);
        let block = reception.report(7);
        assert_eq!((block.lost, block.fraction_lost, block.highest), (1, 51, 104));
        assert_eq!(reception.residual_loss(), 0);
        for n in 105..115 {
            reception.count_original(n, true);
        }
        assert_eq!(reception.report(7).fraction_lost, 0, "a new interval starts with each report");
        assert!(!reception.is_fresh());
    }

    #[test]
    fn more_received_than_expected_never_reports_negative_loss() {
        let mut reception = Reception::default();
        reception.count_original(5, true);
        reception.count_repaired(6);
        reception.count_original(6, false);
        reception.count_original(6, false);
        let block = reception.report(7);
        assert_eq!((block.lost, block.fraction_lost), (0, 0));
    }

    #[test]
    fn cumulative_loss_survives_a_restart() {
        let mut reception = Reception::default();
        for n in [10, 13] {
            reception.count_original(n, true);
        }
        reception.restart();
        for n in [50_000, 50_001] {
            reception.count_original(n, true);
        }
        let block = reception.report(7);
        assert_eq!((block.lost, block.highest), (2, 50_001));
    }

    #[test]
    fn steady_arrival_has_no_jitter_and_alternating_delay_converges_to_it() {
        let mut reception = Reception::default();
        for packet in 0..400u64 {
            // 20 ms frames at 48 kHz, every other one 4 ms late: |D| is 192 ticks each time.
            let late = if packet % 2 == 0 { 0 } else { 4 };
            reception.time(Time::from_millis(packet * 20 + late), packet * 960, 48_000);
        }
        assert!((186..=198).contains(&reception.jitter()), "{}", reception.jitter());
    }

    #[test]
    fn bursts_of_one_picture_and_clock_jumps_leave_jitter_alone() {
        let mut reception = Reception::default();
        reception.time(Time::from_millis(0), 0, 90_000);
        reception.time(Time::from_millis(9), 0, 90_000);
        reception.time(Time::from_millis(33), 2_970, 90_000);
        assert_eq!(reception.jitter(), 0);
        reception.time(Time::from_millis(66), 90_000_000, 90_000);
        assert_eq!(reception.jitter(), 0);
    }
}
