//! What a backlog keeps, gives up and puts on the wire, in order.

use proptest::prelude::*;

use super::*;

/// A connection's backlog with everything around it.
#[derive(Default)]
struct Bench {
    backlog: Backlog,
    pool: Pool,
    drops: DropCounters,
}

impl Bench {
    fn push(&mut self, ms: u64, load: Load, mark: u8, len: usize) -> Result<(), DropReason> {
        let frame = Frame { packet: &vec![mark; len], load, written: 0 };
        self.backlog.push(Time::from_millis(ms), frame, &mut self.pool, &mut self.drops)
    }

    fn expire(&mut self, ms: u64) {
        self.backlog.expire(Time::from_millis(ms), &mut self.pool, &mut self.drops);
    }

    /// Lets the connection take up to `limit` bytes, and returns them.
    fn take(&mut self, ms: u64, limit: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.backlog.gather(&self.pool, |frame| {
            bytes.extend_from_slice(frame);
            bytes.len() < limit
        });
        bytes.truncate(limit);
        self.backlog.advance(Time::from_millis(ms), bytes.len(), &mut self.pool);
        bytes
    }

    /// The first byte of each frame that waits.
    fn marks(&self) -> Vec<u8> {
        let mut marks = Vec::new();
        self.backlog.gather(&self.pool, |frame| {
            marks.push(frame[frame.len() - 1]);
            true
        });
        marks
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.drops.get(reason)
    }
}

#[test]
fn frames_leave_in_order_and_whole_however_little_the_connection_takes() {
    let mut bench = Bench::default();
    for (mark, len) in [(1, 300), (2, 0), (3, 1_400)] {
        bench.push(0, Load::Video, mark, len).unwrap();
    }
    let mut wire = Vec::new();
    while !bench.backlog.is_empty() {
        wire.extend(bench.take(1, 7));
    }
    let expected = [(1u8, 300usize), (2, 0), (3, 1_400)]
        .map(|(mark, len)| [&framing::header(len)[..], &vec![mark; len]].concat());
    assert_eq!(wire, expected.concat());
    assert_eq!((bench.backlog.bytes(), bench.backlog.len()), (0, 0));
}

#[test]
fn a_packet_that_the_connection_took_in_part_is_finished() {
    let mut bench = Bench::default();
    let frame = Frame { packet: &[5; 100], load: Load::Video, written: 1 };
    bench.backlog.push(Time(0), frame, &mut bench.pool, &mut bench.drops).unwrap();
    for _ in 0..3 {
        bench.push(10, Load::Video, 6, 100).unwrap();
    }
    bench.expire(60_000);
    assert_eq!(bench.dropped(DropReason::TcpVideoShed), 3);
    assert_eq!(bench.backlog.bytes(), 101);
    let wire = bench.take(60_000, usize::MAX);
    assert_eq!((wire.len(), wire[0]), (101, 100), "the second half of the length comes first");
}

#[test]
fn late_video_goes_before_late_audio_and_checks_stay() {
    let mut bench = Bench::default();
    for (ms, load, mark) in [
        (0, Load::Audio, 1),
        (0, Load::Control, 2),
        (0, Load::Video, 3),
        (1_400, Load::Video, 4),
        (1_400, Load::Audio, 5),
    ] {
        bench.push(ms, load, mark, 10).unwrap();
    }
    bench.expire(1_500);
    assert_eq!(bench.marks(), [1, 2, 3, 4, 5], "a second and a half is borne");
    assert!(!bench.backlog.has_lost_video());
    bench.expire(1_501);
    assert_eq!(bench.marks(), [1, 2, 5], "what follows lost video cannot be decoded");
    assert!(bench.backlog.has_lost_video());
    bench.expire(2_001);
    assert_eq!(bench.marks(), [2, 5]);
    bench.expire(60_000);
    assert_eq!(bench.marks(), [2]);
    assert_eq!(bench.dropped(DropReason::TcpVideoShed), 2);
    assert_eq!(bench.dropped(DropReason::TcpAudioShed), 2);
}

#[test]
fn too_many_bytes_cost_the_video_then_audio_and_checks_come_through() {
    let mut bench = Bench::default();
    bench.push(0, Load::Audio, 1, 100).unwrap();
    let mut kept = 0;
    while bench.push(0, Load::Video, 2, 1_400).is_ok() {
        kept += 1;
    }
    assert_eq!(kept, (MAX_BYTES - 102) / 1_402);
    assert_eq!(bench.marks(), [1], "the newcomer goes with the rest");
    assert_eq!(bench.dropped(DropReason::TcpVideoShed), kept as u64 + 1);
    for _ in 0..MAX_FRAMES {
        bench.push(0, Load::Audio, 3, 100).unwrap();
    }
    assert_eq!(bench.backlog.len(), MAX_FRAMES);
    assert_eq!(bench.dropped(DropReason::TcpAudioShed), 1, "the oldest made room");
    assert_eq!(bench.push(0, Load::Video, 4, 100), Err(DropReason::TcpVideoShed));
    bench.push(0, Load::Control, 5, 100).unwrap();
    assert_eq!(bench.dropped(DropReason::TcpAudioShed), 2);
    assert_eq!(bench.marks().last(), Some(&5));
}

#[test]
fn when_only_checks_wait_the_newcomer_is_refused() {
    let mut bench = Bench::default();
    for _ in 0..MAX_FRAMES {
        bench.push(0, Load::Control, 1, 100).unwrap();
    }
    for (load, reason) in [
        (Load::Control, DropReason::TcpQueueFull),
        (Load::Audio, DropReason::TcpAudioShed),
        (Load::Video, DropReason::TcpVideoShed),
    ] {
        assert_eq!(bench.push(0, load, 2, 100), Err(reason));
        assert_eq!(bench.dropped(reason), 1);
    }
    assert_eq!(bench.backlog.len(), MAX_FRAMES);
}

#[test]
fn lost_video_is_remembered_until_everything_left() {
    let mut bench = Bench::default();
    bench.push(0, Load::Video, 1, 10).unwrap();
    bench.push(0, Load::Audio, 2, 10).unwrap();
    bench.expire(1_600);
    bench.take(1_600, 5);
    assert!(bench.backlog.has_lost_video());
    bench.take(1_700, usize::MAX);
    assert!(!bench.backlog.has_lost_video());
}

#[test]
fn a_stuck_connection_is_told_from_a_slow_one() {
    let mut bench = Bench::default();
    assert_eq!(bench.backlog.stuck_for(Time::from_millis(9_000)), Duration::ZERO);
    bench.push(1_000, Load::Control, 1, 100).unwrap();
    bench.push(5_000, Load::Control, 1, 100).unwrap();
    assert_eq!(bench.backlog.stuck_for(Time::from_millis(6_000)), Duration::from_secs(5));
    bench.take(6_000, 1);
    assert_eq!(bench.backlog.stuck_for(Time::from_millis(7_000)), Duration::from_secs(1));
}

#[test]
fn the_pool_is_shared_bounded_and_used_again() {
    let mut bench = Bench::default();
    let mut others: Vec<Backlog> = (0..40).map(|_| Backlog::default()).collect();
    let mut refused = 0;
    for _ in 0..MAX_FRAMES {
        for backlog in &mut others {
            let frame = Frame { packet: &[0; 100], load: Load::Control, written: 0 };
            let pushed = backlog.push(Time(0), frame, &mut bench.pool, &mut bench.drops);
            refused += u64::from(pushed.is_err());
        }
    }
    assert_eq!(refused, (40 * MAX_FRAMES - MAX_SLOTS) as u64);
    assert_eq!(bench.dropped(DropReason::TcpQueueFull), refused);
    let size = bench.pool.bytes();
    assert!(size <= 26 << 20, "{size}");
    let cleared: u64 = others.iter_mut().map(|backlog| backlog.clear(&mut bench.pool)).sum();
    assert_eq!(cleared, MAX_SLOTS as u64);
    bench.push(0, Load::Video, 1, 100).unwrap();
    assert_eq!(bench.pool.bytes(), size);
}

proptest! {
    /// Whatever is pushed, taken and given up: what is on the wire is a sequence of whole frames in the order
    /// in which they came, memory stays within its bounds, and no slot is lost.
    #[test]
    fn the_wire_carries_whole_frames_in_order(
        steps in prop::collection::vec((0u8..8, 0u64..900, 1usize..1_400), 1..400)
    ) {
        let mut bench = Bench::default();
        let (mut now, mut wire, mut number) = (0, Vec::new(), 0u32);
        for (action, ms, size) in steps {
            now += ms / 8;
            if action == 0 {
                wire.extend(bench.take(now, size * 3));
            } else {
                let load = [Load::Control, Load::Audio, Load::Video][usize::from(action) % 3];
                let mut packet = vec![0; size + 4];
                packet[..4].copy_from_slice(&number.to_be_bytes());
                number += 1;
                let frame = Frame { packet: &packet, load, written: 0 };
                let Bench { backlog, pool, drops } = &mut bench;
                let _ = backlog.push(Time::from_millis(now), frame, pool, drops);
            }
            prop_assert!(bench.backlog.bytes() <= MAX_BYTES);
            prop_assert!(bench.backlog.len() <= MAX_FRAMES);
        }
        wire.extend(bench.take(now, usize::MAX));
        let mut frames = framing::Frames::new(&mut wire);
        let mut last = None;
        while let Ok(Some(frame)) = frames.next() {
            let number = u32::from_be_bytes(*frame.first_chunk().unwrap());
            prop_assert!(Some(number) > last);
            last = Some(number);
        }
        prop_assert!(frames.rest().is_empty());
        let allocated = bench.pool.chunks.len() * CHUNK;
        prop_assert_eq!(bench.pool.free.len(), allocated);
    }
}
