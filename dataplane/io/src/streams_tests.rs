//! Connections of a lane with real sockets and simulated time, hostile peers among them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};

use conclave_core::backlog::{MAX_BYTES, MAX_FRAMES};
use conclave_core::framing::{self, Frames};

use super::*;
use crate::census::MAX_UNPROVEN_PER_SOURCE;
use crate::listener::listen;
use crate::stream::READ_BUFFER;
use crate::wait::Waiter;

/// A lane's connections under simulated time, with real sockets.
struct Bench {
    streams: Streams,
    address: SocketAddr,
    now: Time,
    buffer: Box<[u8]>,
    frames: Vec<(ConnectionId, Vec<u8>)>,
    news: Vec<News>,
}

impl Bench {
    fn new() -> Self {
        let listener = listen(Ipv4Addr::LOCALHOST.into(), 0).unwrap();
        let address = listener.local_addr().unwrap();
        Self {
            streams: Streams::new(vec![listener]).unwrap(),
            address,
            now: Time::from_millis(1_000),
            buffer: vec![0; READ_BUFFER].into_boxed_slice(),
            frames: Vec::new(),
            news: Vec::new(),
        }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).unwrap()
    }

    /// One turn, as a lane does it; the first byte 1 marks a check that is believed.
    fn turn(&mut self) {
        self.streams.look(self.now);
        while let Some((id, _)) = self.streams.next_readable() {
            let count = self.streams.read(id, &mut self.buffer);
            if count == 0 {
                continue;
            }
            let mut frames = Frames::new(&mut self.buffer[..count]);
            let mut progress = false;
            loop {
                match frames.next() {
                    Ok(Some(frame)) => {
                        progress = true;
                        let first = frame.first().copied();
                        self.frames.push((id, frame.to_vec()));
                        if !self.streams.judge(id, first, first == Some(1)) {
                            break;
                        }
                    }
                    Ok(None) => {
                        break self.streams.keep(self.now, id, frames.rest(), progress);
                    }
                    Err(_) => break self.streams.close(id, DropReason::TcpFrameTooLong),
                }
            }
        }
        while let Some(news) = self.streams.next_news() {
            self.news.push(news);
        }
    }

    /// Turns until `done`, or fails.
    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        for _ in 0..500 {
            self.turn();
            if done(self) {
                return;
            }
            let mut waiter = Waiter::new(&[self.streams.fd()]);
            waiter.wait(Some(Duration::from_millis(10))).unwrap();
        }
        panic!("never happened: {what}");
    }

    /// A connection whose first check was believed.
    fn proven(&mut self) -> (TcpStream, ConnectionId) {
        let mut client = self.connect();
        let before = self.frames.len();
        client.write_all(&framed(&[1])).unwrap();
        self.until("the check arrives", |bench| bench.frames.len() > before);
        (client, self.frames[before].0)
    }

    /// Lets time pass and sweeps.
    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.streams.sweep(self.now, |_| true);
        self.turn();
    }

    fn send(&mut self, id: ConnectionId, packets: &[(u8, Load, usize)]) {
        let bytes: Vec<Vec<u8>> = packets.iter().map(|&(mark, _, len)| vec![mark; len]).collect();
        let slices: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        let loads: Vec<Load> = packets.iter().map(|&(_, load, _)| load).collect();
        let path = Path::tcp(0, self.address, id);
        let run = Run { path, packets: &slices, loads: &loads };
        self.streams.batch(self.now).push(id, run);
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.streams.drops().get(reason)
    }

    fn open(&self) -> u64 {
        self.streams.counters().open
    }
}

fn framed(frame: &[u8]) -> Vec<u8> {
    [&framing::header(frame.len())[..], frame].concat()
}

/// Reads until the other side closes; `None` if it reset the connection.
fn read_to_end(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    client.read_to_end(&mut bytes).ok().map(|_| bytes)
}

#[test]
fn frames_arrive_whole_whatever_pieces_the_network_makes_of_them() {
    let mut bench = Bench::new();
    let (mut client, id) = bench.proven();
    let stream = [framed(&[2; 700]), framed(&[]), framed(&[3; 1_200])].concat();
    for piece in stream.chunks(333) {
        client.write_all(piece).unwrap();
        bench.turn();
    }
    bench.until("all frames arrive", |bench| bench.frames.len() == 4);
    let expected = [vec![1], vec![2; 700], Vec::new(), vec![3; 1_200]];
    assert_eq!(bench.frames, expected.map(|frame| (id, frame)));
}

#[test]
fn packets_leave_as_frames_in_order() {
    let mut bench = Bench::new();
    let (mut client, id) = bench.proven();
    bench.send(id, &[(7, Load::Video, 1_200), (8, Load::Audio, 90), (9, Load::Control, 60)]);
    let expected = [framed(&[7; 1_200]), framed(&[8; 90]), framed(&[9; 60])].concat();
    let mut bytes = vec![0; expected.len()];
    client.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, expected);
}

#[test]
fn what_comes_first_must_be_a_check() {
    let mut bench = Bench::new();
    for first in [&[22u8, 0xFE, 0xFD][..], &[0x80; 12], &[]] {
        let before = bench.dropped(DropReason::TcpUnproven);
        let mut client = bench.connect();
        client.write_all(&framed(first)).unwrap();
        bench.until("it is closed", |b| b.dropped(DropReason::TcpUnproven) > before);
        assert_eq!(read_to_end(&mut client), None, "a reset");
    }
    assert_eq!(bench.open(), 0);
}

#[test]
fn a_check_may_be_repeated_but_not_for_ever() {
    let mut bench = Bench::new();
    let mut client = bench.connect();
    for _ in 0..MAX_UNBELIEVED - 1 {
        client.write_all(&framed(&[0; 20])).unwrap();
    }
    bench.until("they arrive", |b| b.frames.len() == usize::from(MAX_UNBELIEVED) - 1);
    assert_eq!(bench.open(), 1);
    client.write_all(&framed(&[0; 20])).unwrap();
    bench.until("it is closed", |b| b.dropped(DropReason::TcpUnproven) == 1);
}

#[test]
fn garbage_is_told_by_the_length_that_it_claims() {
    let mut bench = Bench::new();
    let mut client = bench.connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    bench.until("it is closed", |b| b.dropped(DropReason::TcpFrameTooLong) == 1);
    assert_eq!(read_to_end(&mut client), None);
    assert!(bench.frames.is_empty());
}

#[test]
fn a_silent_connection_is_closed_after_ten_seconds() {
    let mut bench = Bench::new();
    let mut silent = bench.connect();
    bench.until("it is accepted", |b| b.open() == 1);
    bench.pass(Duration::from_secs(9));
    assert_eq!(bench.open(), 1);
    bench.pass(Duration::from_millis(1_001));
    assert_eq!((bench.open(), bench.dropped(DropReason::TcpCheckTimeout)), (0, 1));
    assert_eq!(read_to_end(&mut silent), None);
}

#[test]
fn a_frame_that_drips_is_cut_off_after_ten_seconds() {
    let mut bench = Bench::new();
    let (mut client, _) = bench.proven();
    for byte in [0, 200, 1, 1, 1, 1, 1, 1, 1, 1] {
        client.write_all(&[byte]).unwrap();
        let mut waiter = Waiter::new(&[bench.streams.fd()]);
        waiter.wait(Some(Duration::from_secs(5))).unwrap();
        bench.turn();
        bench.pass(Duration::from_secs(1));
    }
    assert_eq!(bench.dropped(DropReason::TcpFrameTimeout), 0);
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.dropped(DropReason::TcpFrameTimeout), 1);
}

#[test]
fn a_connection_that_serves_nobody_any_more_is_closed_in_order() {
    let mut bench = Bench::new();
    let (mut client, id) = bench.proven();
    bench.send(id, &[(5, Load::Control, 10)]);
    bench.now = bench.now + SWEEP;
    bench.streams.sweep(bench.now, |_| false);
    assert_eq!(bench.dropped(DropReason::TcpUnused), 1);
    assert_eq!(read_to_end(&mut client), Some(framed(&[5; 10])), "the last words arrive");
    bench.turn();
    assert!(matches!(bench.news[..], [News::Gone(path)] if path.connection == Some(id)));
}

#[test]
fn what_the_peer_ends_or_resets_is_forgotten_and_the_lane_is_told() {
    let mut bench = Bench::new();
    let (client, _) = bench.proven();
    client.shutdown(Shutdown::Write).unwrap();
    bench.until("its end is seen", |b| b.dropped(DropReason::TcpClosed) == 1);
    let (client, id) = bench.proven();
    bench.send(id, &[(5, Load::Video, 1_000); 8]);
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    bench.until("its reset is seen", |b| b.dropped(DropReason::TcpClosed) == 2);
    assert_eq!((bench.open(), bench.news.len()), (0, 2));
    bench.send(id, &[(5, Load::Video, 1_000); 3]);
    assert_eq!(bench.dropped(DropReason::TcpGone), 3);
}

#[test]
fn a_number_is_not_given_twice_in_a_row() {
    let mut bench = Bench::new();
    let mut seen = Vec::new();
    for round in 1..=5 {
        let (client, id) = bench.proven();
        assert!(!seen.contains(&id));
        seen.push(id);
        drop(client);
        bench.until("it is closed", |b| b.dropped(DropReason::TcpClosed) == round);
    }
    assert_eq!(bench.streams.places.len(), 1, "its place is");
    assert_eq!(next_turn((1 << (u32::BITS - PLACE_BITS)) - 1), 1);
}

#[test]
fn a_thousand_connections_from_one_address_get_its_share_and_no_more() {
    let mut bench = Bench::new();
    let (mut friend, id) = bench.proven();
    let mut crowd = Vec::new();
    while crowd.len() < 1_000 {
        crowd.extend((0..50).map(|_| bench.connect()));
        let seen = crowd.len() as u64;
        bench.until("they are dealt with", |b| {
            b.streams.counters().accepted + b.dropped(DropReason::TcpAddressLimit) == seen + 1
        });
        bench.send(id, &[(4, Load::Audio, 50)]);
    }
    assert_eq!(bench.open(), MAX_UNPROVEN_PER_SOURCE as u64 + 1);
    assert_eq!(bench.dropped(DropReason::TcpAddressLimit), 1_000 - MAX_UNPROVEN_PER_SOURCE as u64);
    let mut bytes = [0; 20 * 52];
    friend.read_exact(&mut bytes).unwrap();
    drop(crowd);
    bench.until("they are gone", |b| b.open() == 1);
}

#[test]
fn one_turn_accepts_a_bounded_number() {
    let mut bench = Bench::new();
    let _crowd: Vec<TcpStream> = (0..ACCEPTS_PER_TURN + 5).map(|_| bench.connect()).collect();
    bench.turn();
    assert_eq!(bench.open(), ACCEPTS_PER_TURN as u64);
    bench.turn();
    assert_eq!(bench.open(), ACCEPTS_PER_TURN as u64 + 5);
}

/// A receiver that reads nothing for a minute while five streams of video and one of audio go on.
#[test]
fn a_receiver_that_reads_nothing_costs_bounded_memory_and_loses_video_first() {
    let mut bench = Bench::new();
    let (client, id) = bench.proven();
    let frame: Vec<(u8, Load, usize)> = (0..20)
        .map(|n| if n % 10 == 0 { (3, Load::Audio, 100) } else { (2, Load::Video, 1_200) })
        .chain([(1, Load::Control, 80)])
        .collect();
    let mut most = 0;
    for _ in 0..28 * 30 {
        bench.send(id, &frame);
        bench.pass(Duration::from_millis(33));
        most = most.max(bench.streams.counters().waiting);
    }
    assert!(most <= MAX_BYTES as u64, "{most}");
    assert!(bench.streams.pool_bytes() <= 2 * MAX_FRAMES * 1_600, "{}", bench.streams.pool_bytes());
    assert!(bench.dropped(DropReason::TcpVideoShed) > 10_000);
    assert!(bench.dropped(DropReason::TcpAudioShed) > 1_000);
    assert!(matches!(bench.news[..], [News::Blocked(_)]), "told once: {:?}", bench.news);
    bench.pass(Duration::from_secs(4));
    assert_eq!(bench.dropped(DropReason::TcpStalled), 1);
    assert_eq!((bench.open(), bench.streams.counters().waiting), (0, 0));
    drop(client);
}

#[test]
fn a_receiver_that_comes_back_gets_whole_frames_and_the_lane_is_told() {
    let mut bench = Bench::new();
    let (client, id) = bench.proven();
    let frame = [(2, Load::Video, 1_200), (3, Load::Audio, 100), (1, Load::Control, 80)];
    while !bench.news.iter().any(|news| matches!(news, News::Blocked(_))) {
        (0..30).for_each(|_| bench.send(id, &frame));
        bench.pass(Duration::from_millis(33));
    }
    client.set_nonblocking(true).unwrap();
    let (mut client, mut bytes, mut chunk) = (client, Vec::new(), vec![0; 65_536]);
    bench.until("everything has left", |bench| {
        while let Ok(count @ 1..) = client.read(&mut chunk) {
            bytes.extend_from_slice(&chunk[..count]);
        }
        matches!(bench.news.last(), Some(News::CaughtUp(_)))
    });
    let mut waiter = Waiter::new(&[client.as_raw_fd()]);
    while waiter.wait(Some(Duration::from_millis(100))).is_ok() && waiter.is_ready(0) {
        let count = client.read(&mut chunk).unwrap();
        bytes.extend_from_slice(&chunk[..count]);
    }
    let mut frames = Frames::new(&mut bytes);
    let mut seen = [0; 4];
    while let Some(frame) = frames.next().unwrap() {
        let mark = frame[0];
        assert!(frame.iter().all(|&byte| byte == mark), "a frame is torn");
        seen[usize::from(mark)] += 1;
    }
    assert!(frames.rest().is_empty());
    assert!(seen[2] < seen[3] && seen[3] <= seen[1], "{seen:?}");
    assert_eq!(bench.open(), 1);
}
