//! The way in: one datagram, wherever it came from, through the lane; a panic costs its sender alone.

use conclave_core::association::Path;
use conclave_core::drop::{DropCounters, DropReason};
use conclave_core::framing::Frames;
use conclave_core::ids::ConnectionId;
use conclave_core::lane::Lane;
use conclave_core::time::Time;

use crate::clock::Clock;
use crate::departure::Departure;
use crate::guard::contain;
use crate::relay::RelayExits;
use crate::streams::{News, Streams};

/// What a datagram meets; borrowed for one batch.
#[derive(Debug)]
pub struct Intake<'a> {
    /// The core.
    pub lane: &'a mut Lane,
    /// To the other lanes.
    pub exits: &'a mut RelayExits,
    /// Panics are counted here.
    pub drops: &'a mut DropCounters,
    /// Where the answers go when there are many.
    pub departure: &'a mut Departure,
    /// The time.
    pub clock: Clock,
}

impl Intake<'_> {
    /// Takes a datagram that the kernel received at `arrival`.
    pub fn take(&mut self, (now, arrival): (Time, Time), path: Path, datagram: &mut [u8]) {
        let Self { lane, exits, .. } = self;
        if lane.outbox().is_crowded() {
            self.departure.flush(lane, self.clock);
        }
        let before = lane.outbox().len();
        let panics = contain(
            &mut (&mut **lane, &mut **exits),
            |(lane, exits)| lane.handle_datagram(now, arrival, path, datagram, *exits),
            |(lane, exits)| lane.discard(now, path, *exits),
        );
        self.drops.add(DropReason::Panicked, panics);
        self.departure.note(arrival, lane.outbox().len() != before);
    }

    /// Takes what arrived on a connection, frame by frame.
    pub fn take_stream(&mut self, now: Time, (id, path): (ConnectionId, Path), buffer: &mut [u8]) {
        let Some(streams) = &mut self.departure.streams else { return };
        let count = streams.read(id, buffer);
        if count == 0 {
            return;
        }
        let mut frames = Frames::new(&mut buffer[..count]);
        let mut progress = false;
        loop {
            let next = frames.next();
            let Ok(Some(frame)) = next else {
                let Some(streams) = &mut self.departure.streams else { return };
                return match next {
                    Ok(_) => streams.keep(now, id, frames.rest(), progress),
                    Err(_) => streams.close(id, DropReason::TcpFrameTooLong),
                };
            };
            progress = true;
            let first = frame.first().copied();
            self.take((now, now), path, frame);
            let Some(streams) = &mut self.departure.streams else { return };
            if streams.is_unproven(id) && !streams.judge(id, first, self.lane.is_validated(path)) {
                return;
            }
        }
    }

    /// Closes connections whose time is over, and tells the lane of those that ended or are blocked.
    pub fn look_after_connections(&mut self, now: Time) {
        if let Some(streams) = &mut self.departure.streams {
            streams.sweep(now, |path| self.lane.is_validated(path));
        }
        while let Some(news) = self.departure.streams.as_mut().and_then(Streams::next_news) {
            let Self { lane, exits, .. } = self;
            match news {
                News::Gone(path) => lane.handle_disconnect(now, path, *exits),
                News::Blocked(path) => lane.set_blocked(now, path, true, *exits),
                News::CaughtUp(path) => lane.set_blocked(now, path, false, *exits),
            }
        }
    }
}
