//! One measurement: the data plane under a scenario, then the machine's floor under the same.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use conclave_io::histogram::Histogram;
use conclave_io::snapshot::LaneSnapshot;
use conclave_io::wait::Waiter;

use crate::client::Client;
use crate::cpu::Meter;
use crate::floor::Floor;
use crate::meeting::Meeting;
use crate::publisher::Publisher;
use crate::reader::Reader;
use crate::scenario::Scenario;

/// After the last packet: the lane's next snapshot holds everything, and nothing is under way.
const SETTLE: Duration = Duration::from_millis(1_200);

/// Whether receivers take trains whole (GRO) or packet by packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receivers {
    /// Segmentation never happens on loopback: what a network card with offload costs.
    Trains,
    /// The kernel cuts each run apart in the sender's time: what other cards cost.
    Packets,
}

impl Receivers {
    /// Short name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trains => "trains",
            Self::Packets => "packets",
        }
    }
}

/// What one round found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// RTP packets that should have arrived.
    pub expected: u64,
    /// RTP packets that did.
    pub delivered: u64,
    /// Of a sample, packets that did not decrypt.
    pub undecryptable: u64,
    /// CPU time of the lane per packet, microseconds.
    pub lane_us: f64,
    /// CPU time of the kernel's softirq threads per packet, microseconds.
    pub softirq_us: f64,
    /// CPU time of the floor per packet, microseconds.
    pub floor_us: f64,
    /// Forwarding latency.
    pub latency: Histogram,
    /// Packets per message handed to the kernel.
    pub run_length: f64,
}

/// A scenario that is set up and can be measured round by round.
#[derive(Debug)]
pub struct Bench {
    scenario: Scenario,
    publishers: Vec<Publisher>,
    floor: Floor,
    reader: Reader,
    lane: Meter,
    softirq: Meter,
    meeting: Meeting,
    frames: u32,
}

impl Bench {
    /// Connects everybody.
    pub fn new(scenario: Scenario) -> io::Result<Self> {
        let meeting = Meeting::open(&scenario, 1)?;
        let publish = |(number, client): (usize, &Client)| {
            Publisher::new(client, Meeting::track(number as u32), &scenario)
        };
        let publishers = meeting.publishers.iter().enumerate().map(publish);
        let publishers = publishers.collect::<Option<_>>().ok_or(io::ErrorKind::Other)?;
        let receivers = meeting.subscribers.iter().map(|client| client.socket.local_addr());
        let receivers = receivers.collect::<Result<Vec<SocketAddr>, _>>()?;
        let reader = Reader::start(&meeting.publishers, &meeting.subscribers, meeting.clock)?;
        Ok(Self {
            scenario,
            publishers,
            floor: Floor::new(receivers).ok_or(io::ErrorKind::Other)?,
            reader,
            lane: Meter::of_thread("lane-0").ok_or(io::ErrorKind::NotFound)?,
            softirq: Meter::of_softirq_threads(),
            meeting,
            frames: 0,
        })
    }

    /// Measures for `time`, then the floor for as long.
    pub fn round(&mut self, time: Duration, receivers: Receivers) -> io::Result<Outcome> {
        self.set_receivers(receivers);
        self.meeting.keep_alive()?;
        pause(SETTLE);
        let (before, received) = (self.snapshot(), self.reader.received());
        let (lane, softirq) = (self.lane.read(), self.softirq.read());
        let sent = self.publish(time);
        pause(SETTLE);
        let lane = self.lane.read().saturating_sub(lane);
        let softirq = self.softirq.read().saturating_sub(softirq);
        let (after, arrived) = (self.snapshot(), self.reader.received());
        let delivered = arrived.media - received.media;
        let latency = after.latency.since(&before.latency);
        let packets = after.stats.forwarded.packets - before.stats.forwarded.packets;
        let runs = (after.send_runs - before.send_runs).max(1);
        let run_length = packets as f64 / runs as f64;
        let run = (run_length.round() as usize).clamp(1, self.scenario.burst as usize);
        let floor = self.floor.run(&self.scenario, time, run);
        Ok(Outcome {
            expected: sent * u64::from(self.scenario.subscribers),
            delivered,
            undecryptable: arrived.refused - received.refused,
            lane_us: per_packet(lane, delivered),
            softirq_us: per_packet(softirq, delivered),
            floor_us: per_packet(floor.cpu, floor.packets),
            latency,
            run_length,
        })
    }

    /// Sends what the scenario says; returns how many packets.
    fn publish(&mut self, time: Duration) -> u64 {
        let clock = self.meeting.clock;
        let start = clock.now();
        let mut packets = 0;
        for (due, publisher, frame) in self.scenario.schedule(time) {
            pause((start + due).since(clock.now()));
            let at = Duration::from_nanos(start.0) + due;
            self.publishers[publisher as usize].send_frame(at, frame == 0);
            packets += u64::from(self.scenario.burst);
        }
        self.frames += self.scenario.frames_in(time);
        packets
    }

    fn snapshot(&self) -> Arc<LaneSnapshot> {
        Arc::clone(&self.meeting.plane.snapshot().lanes[0])
    }

    fn set_receivers(&self, receivers: Receivers) {
        let value = libc::c_int::from(receivers == Receivers::Trains);
        for client in &self.meeting.subscribers {
            // SAFETY: the pointer and length describe a live c_int; the kernel only reads it.
            unsafe {
                libc::setsockopt(
                    client.socket.as_raw_fd(),
                    libc::SOL_UDP,
                    libc::UDP_GRO,
                    (&raw const value).cast(),
                    size_of::<libc::c_int>() as libc::socklen_t,
                );
            }
        }
    }
}

fn pause(time: Duration) {
    if !time.is_zero() {
        let _ = Waiter::new(&[]).wait(Some(time));
    }
}

fn per_packet(time: Duration, packets: u64) -> f64 {
    time.as_nanos() as f64 / 1_000.0 / packets.max(1) as f64
}
