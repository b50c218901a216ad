//! Sender reports, receiver reports and transport-wide feedback.

use super::*;
use crate::egress::test_support::video;
use crate::rtcp::remb::RembOut;
use crate::rtcp::rr::{ReceiverReportOut, ReportBlock};
use crate::rtcp::sr::SenderInfo;
use crate::rtcp::twcc::FeedbackOut;
use crate::rtcp::Packet;

/// The sender reports that went out so far.
fn reports(rig: &Rig) -> Vec<SenderInfo> {
    let mut found = Vec::new();
    for bytes in &rig.wire.rtcp {
        for packet in &Compound::parse(bytes).unwrap() {
            match packet.unwrap() {
                Packet::SenderReport(report) => found.push(report.info),
                Packet::Sdes(sdes) => {
                    let cnames: Vec<_> = sdes.cnames().collect();
                    assert_eq!(cnames, [(SSRC, b"someone".as_slice())]);
                }
                other => panic!("unexpected {other:?}"),
            }
        }
    }
    found
}

/// A leg under way for `ms` milliseconds at 30 frames a second, clock known from the start.
fn running(ms: u64) -> Rig {
    let mut rig = Rig::video();
    let ntp = rig.egress.epoch.ntp(rig.now);
    rig.egress.set_clock(TrackClock { track: TRACK, ntp, rtp: 100 * 3_000 });
    for step in 0..ms {
        if step * 3 % 100 < 3 {
            let n = 100 + step * 3 / 100;
            let meta = if n == 100 { start(0, n) } else { video(0, n) };
            assert!(rig.send(sized(meta, 1_000)));
        }
        rig.tick();
        rig.pass(1);
    }
    rig
}

#[test]
fn the_first_report_comes_within_two_hundred_milliseconds_and_then_every_second() {
    assert_eq!(reports(&running(200)).len(), 1);
    let count = reports(&running(10_000)).len();
    assert!((9..=12).contains(&count), "{count} reports in ten seconds");
}

#[test]
fn a_report_ties_our_clock_to_the_legs_time_and_counts_what_was_sent() {
    let rig = running(5_000);
    let first = read(&rig.wire.rtp[0]).1;
    for info in reports(&rig) {
        let elapsed = info.ntp - rig.egress.epoch.ntp(Time::from_millis(10_000));
        let ticks = ((u128::from(elapsed) * 90_000) >> 32) as u32;
        let error = info.rtp.wrapping_sub(first.wrapping_add(ticks)) as i32;
        assert!(error.abs() <= 1, "off by {error}");
        assert_eq!(info.octets, info.packets * 1_000);
    }
    assert!(reports(&rig).last().unwrap().packets > 120);
}

#[test]
fn without_the_publishers_clock_there_is_no_report_rather_than_a_wrong_one() {
    let mut rig = Rig::video();
    for step in 0..50 {
        let meta = if step == 0 { start(0, 100) } else { video(0, 100 + step) };
        assert!(rig.send(meta));
        rig.tick();
        rig.pass(33);
    }
    assert!(reports(&rig).is_empty());
    let ntp = rig.egress.epoch.ntp(rig.now);
    rig.egress.set_clock(TrackClock { track: TRACK, ntp, rtp: 150 * 3_000 });
    rig.pass(200);
    rig.tick();
    assert_eq!(reports(&rig).len(), 1);
}

#[test]
fn a_leg_that_sends_nothing_reports_nothing_and_needs_no_timer() {
    let mut rig = running(1_500);
    rig.aim(None);
    let before = reports(&rig).len();
    for _ in 0..10_000 {
        rig.tick();
        rig.pass(1);
    }
    assert!(reports(&rig).len() <= before + 1);
    assert_eq!(rig.egress.poll_timeout(), None);
}

#[test]
fn a_receiver_report_tells_round_trip_loss_and_jitter() {
    let mut rig = running(1_000);
    let last = *reports(&rig).last().unwrap();
    let sent = (last.ntp >> 16) as u32;
    let now = (rig.egress.epoch.ntp(rig.now) >> 16) as u32;
    // The receiver held the report back for all but 80 ms of the time since.
    let delay = now - sent - 80 * 65_536 / 1_000;
    let block =
        ReportBlock { ssrc: SSRC, jitter: 900, last_sr: sent, delay, ..ReportBlock::default() };
    rig.report(&ReceiverReportOut { sender: 1, blocks: &[block] });
    let rtt = rig.egress.rtt(TRANSPORT).unwrap();
    assert!(rtt.as_millis().abs_diff(80) <= 1, "{rtt:?}");
    let mut stats = LaneStats::default();
    rig.egress.stats(&mut stats);
    assert_eq!((stats.legs[0].fraction_lost, stats.legs[0].jitter_us), (0, 10_000));
    assert_eq!(stats.legs[0].sent.packets, rig.wire.rtp.len() as u64);
}

/// A report of a receiver whose totals stand so.
fn told(rig: &mut Rig, highest: u32, lost: i32) {
    let (fraction_lost, jitter) = (128, 900);
    let block =
        ReportBlock { ssrc: SSRC, fraction_lost, lost, highest, jitter, ..ReportBlock::default() };
    rig.report(&ReceiverReportOut { sender: 1, blocks: &[block] });
}

/// What the reports so far said: how often, losses and jitter added up, and the share that the leg shows.
fn said(rig: &Rig) -> (u64, u64, u64, u8) {
    let mut stats = LaneStats::default();
    rig.egress.stats(&mut stats);
    let [audio, video] = &rig.down;
    assert_eq!(audio.loss.counts().iter().sum::<u64>(), 0);
    let count = video.loss.counts().iter().sum();
    (count, video.loss.sum(), video.jitter.sum(), stats.legs[0].fraction_lost)
}

#[test]
fn losses_are_told_over_a_second_whatever_the_moments_of_the_reports() {
    let mut rig = running(1_000);
    told(&mut rig, 1_000, 7);
    // Reports with requests for retransmissions: each covers four packets, two of them lost.
    for step in 1..=9 {
        rig.pass(100);
        told(&mut rig, 1_000 + 4 * step, 7 + i32::from(step == 5) * 2);
        assert_eq!(said(&rig).0, u64::from(step == 9));
    }
    assert_eq!(said(&rig), (1, 0, 10_000, 0), "the hole was filled late");
    rig.pass(1_000);
    told(&mut rig, 1_136, 17);
    assert_eq!(said(&rig), (2, 100_000, 20_000, 25), "ten of a hundred");
    rig.pass(1_000);
    told(&mut rig, 5, 0);
    rig.pass(1_000);
    told(&mut rig, 5, 0);
    assert_eq!(said(&rig).0, 2, "totals that began anew, or stand still, make no share");
    rig.pass(1_000);
    told(&mut rig, 105, 100);
    assert_eq!(said(&rig), (3, 1_100_000, 30_000, 255), "all of them");
}

#[test]
fn transport_wide_numbers_are_consecutive_on_the_wire_and_feedback_finds_them() {
    let mut rig = running(1_000);
    let ids = crate::rtp::extension::ExtensionIds::new(&[(3, Extension::TransportWideCc)]);
    let numbers = rig.wire.rtp.iter().map(|packet| {
        let header = crate::rtp::Header::parse(packet).unwrap();
        let found = crate::rtp::extension::Extensions::parse(&header, packet, &ids).unwrap();
        found.transport_sequence.unwrap()
    });
    let numbers: Vec<u16> = numbers.collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
    let arrivals = [Some(4), None, Some(8)];
    let feedback =
        FeedbackOut { sender: 1, media: 0, base: numbers[4], count: 0, arrivals: &arrivals };
    rig.report(&feedback);
    let counters = rig.egress.wide(TRANSPORT).unwrap();
    assert_eq!((counters.acknowledged, counters.missing, counters.unknown), (2, 1, 0));
    let ahead = FeedbackOut { base: numbers[numbers.len() - 1] + 10, ..feedback };
    rig.report(&ahead);
    assert_eq!(rig.dropped(DropReason::FeedbackUnknownNumber), 3);
}

#[test]
fn the_receivers_own_estimate_is_kept() {
    let mut rig = Rig::video();
    rig.report(&RembOut { sender: 1, bitrate: 1 << 20, ssrcs: &[SSRC] });
    assert_eq!(rig.egress.remb(TRANSPORT), Some(1 << 20));
}
