//! What lies between clients and a server: a link up and a link down for every flow, all of one shape.
//!
//! In: datagrams with their flow and direction, wishes of a test, time. Out: the datagrams that survive, each
//! at its time, and counts of every fate by what the datagram was. Same seed, same input: same output. It
//! knows no socket and reads no clock.

use std::collections::BTreeMap;
use std::fmt;

use crate::burst::Burst;
use crate::datagram::Seen;
use crate::link::{Link, LinkConfig, LinkCounters};
use crate::{Nanos, Random};

/// Flows at most: one per local socket of a client, and a browser has a handful.
pub const MAX_FLOWS: usize = 64;

/// Datagrams on their way in one direction of a flow: two seconds at four thousand a second.
const MAX_WAITING: usize = 8_192;

/// Which way a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the server.
    Up,
    /// To the client.
    Down,
}

/// The two directions by their names.
const DIRECTIONS: [(Direction, &str); 2] = [(Direction::Up, "up"), (Direction::Down, "down")];

/// One flow, in the order in which they were opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow(pub usize);

/// What became of the datagrams of one sort; each is delivered unless it is in one of the first three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// Datagrams that came.
    pub sent: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Lost with their frame.
    pub burst: u64,
    /// Dropped because too many were on their way.
    pub overflow: u64,
    /// Delivered twice.
    pub duplicated: u64,
    /// Overtaken by others.
    pub reordered: u64,
}

impl Fate {
    fn add(&mut self, before: LinkCounters, after: LinkCounters) {
        self.lost += after.lost - before.lost;
        self.overflow += after.queue_dropped - before.queue_dropped;
        self.duplicated += after.duplicated - before.duplicated;
        self.reordered += after.reordered - before.reordered;
    }
}

/// One direction of one flow.
#[derive(Debug)]
struct Way {
    link: Link<Vec<u8>>,
    burst: Option<Burst>,
}

/// All flows between the clients and the server.
#[derive(Debug)]
pub struct Crossing {
    random: Random,
    shapes: [LinkConfig; 2],
    flows: Vec<[Way; 2]>,
    fates: [BTreeMap<String, Fate>; 2],
}

impl Crossing {
    /// No flow, and nothing between the ends; every decision follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            shapes: [LinkConfig::perfect(0), LinkConfig::perfect(0)],
            flows: Vec::new(),
            fates: [BTreeMap::new(), BTreeMap::new()],
        }
    }

    /// A further flow; `None` if there are [`MAX_FLOWS`].
    pub fn open(&mut self) -> Option<Flow> {
        let number = self.flows.len();
        let way = |(direction, name): (Direction, &str)| {
            let seed = self.random.fork(&format!("{name}{number}")).bits();
            let link = Link::new(self.shapes[direction as usize].clone(), seed);
            Way { link, burst: None }
        };
        (number < MAX_FLOWS).then(|| {
            self.flows.push(DIRECTIONS.map(way));
            Flow(number)
        })
    }

    /// From now on every flow is like this in one direction; what is on its way is not touched.
    pub fn shape(&mut self, direction: Direction, shape: &LinkConfig) {
        self.shapes[direction as usize] = shape.clone();
        for ways in &mut self.flows {
            *ways[direction as usize].link.config_mut() = shape.clone();
        }
    }

    /// Every flow loses so many whole frames in one direction, with what would repair them.
    pub fn lose(&mut self, direction: Direction, payload_type: u8, frames: u16) {
        for ways in &mut self.flows {
            ways[direction as usize].burst = Some(Burst::new(payload_type, frames));
        }
    }

    /// A datagram enters.
    pub fn handle_datagram(
        &mut self,
        now: Nanos,
        flow: Flow,
        direction: Direction,
        datagram: Vec<u8>,
    ) {
        let seen = Seen::of(&datagram);
        let way = &mut self.flows[flow.0][direction as usize];
        let fate = self.fates[direction as usize].entry(seen.label()).or_default();
        fate.sent += 1;
        if way.burst.as_mut().is_some_and(|burst| burst.takes(seen)) {
            fate.burst += 1;
        } else if way.link.waiting() >= MAX_WAITING {
            fate.overflow += 1;
        } else {
            let before = way.link.counters();
            way.link.send(now, datagram.len(), datagram);
            fate.add(before, way.link.counters());
        }
    }

    /// The next datagram that has arrived by `now`, in the order of arrival.
    pub fn poll(&mut self, now: Nanos) -> Option<(Flow, Direction, Vec<u8>)> {
        let due = |way: &Way| way.link.next_at().filter(|&at| at <= now);
        let ways = self.flows.iter().enumerate().flat_map(|(flow, ways)| {
            DIRECTIONS.map(|(direction, _)| (due(&ways[direction as usize]), flow, direction))
        });
        let (_, flow, direction) =
            ways.filter(|(at, ..)| at.is_some()).min_by_key(|&(at, ..)| at)?;
        let datagram = self.flows[flow][direction as usize].link.poll(now)?;
        Some((Flow(flow), direction, datagram))
    }

    /// When the next datagram arrives.
    pub fn next_at(&self) -> Option<Nanos> {
        self.flows.iter().flatten().filter_map(|way| way.link.next_at()).min()
    }

    /// What became of the datagrams of one direction that have this label (see [`Seen::label`]).
    pub fn fate(&self, direction: Direction, label: &str) -> Fate {
        self.fates[direction as usize].get(label).copied().unwrap_or_default()
    }
}

/// The counts as JSON: direction, label, fate.
impl fmt::Display for Crossing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ways = DIRECTIONS.map(|(direction, name)| {
            let fates = self.fates[direction as usize].iter().map(|(label, fate)| {
                let Fate { sent, lost, burst, overflow, duplicated, reordered } = fate;
                format!(
                    "\"{label}\": {{\"sent\": {sent}, \"lost\": {lost}, \"burst\": {burst}, \
                     \"overflow\": {overflow}, \"duplicated\": {duplicated}, \
                     \"reordered\": {reordered}}}"
                )
            });
            format!("\"{name}\": {{{}}}", fates.collect::<Vec<_>>().join(", "))
        });
        write!(f, "{{{}}}", ways.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Loss, MILLISECOND};

    fn rtp(payload_type: u8, number: u32) -> Vec<u8> {
        let mut packet = vec![0x80, payload_type, 0, 0];
        packet.extend((number / 3).to_be_bytes());
        packet.extend(number.to_be_bytes());
        packet
    }

    /// Sends `count` packets of three per frame, a millisecond apart in both directions of two flows.
    fn run(mut crossing: Crossing, count: u32) -> (Vec<(Flow, Direction, Vec<u8>)>, Crossing) {
        let flows = [crossing.open().unwrap(), crossing.open().unwrap()];
        crossing.lose(Direction::Down, 96, 2);
        let mut arrived = Vec::new();
        for number in 0..count {
            let now = u64::from(number) * MILLISECOND;
            for (flow, (direction, _)) in flows.iter().flat_map(|f| DIRECTIONS.map(|d| (f, d))) {
                crossing.handle_datagram(now, *flow, direction, rtp(96, number));
            }
            arrived.extend(std::iter::from_fn(|| crossing.poll(now)));
        }
        while let Some(at) = crossing.next_at() {
            arrived.extend(std::iter::from_fn(|| crossing.poll(at)));
        }
        (arrived, crossing)
    }

    fn lossy(seed: u64) -> Crossing {
        let mut crossing = Crossing::new(seed);
        let shape = LinkConfig {
            duplicate: 0.02,
            reorder: 0.05,
            ..LinkConfig::perfect(5 * MILLISECOND).with_loss(Loss::Bernoulli(0.1))
        };
        crossing.shape(Direction::Up, &shape);
        crossing
    }

    #[test]
    fn every_datagram_has_one_fate_that_is_counted_where_it_belongs() {
        let (arrived, crossing) = run(lossy(3), 3_000);
        let up = crossing.fate(Direction::Up, "96");
        let came = arrived.iter().filter(|(_, direction, _)| *direction == Direction::Up).count();
        assert_eq!((up.sent, up.burst, up.overflow), (6_000, 0, 0));
        assert!((500..700).contains(&up.lost) && up.reordered > 200, "{up:?}");
        assert_eq!(came as u64, up.sent - up.lost + up.duplicated);
        let down = crossing.fate(Direction::Down, "96");
        let expected = Fate { sent: 6_000, burst: 12, ..Fate::default() };
        assert_eq!(down, expected, "two frames of three packets in each of two flows");
        assert_eq!(crossing.fate(Direction::Up, "rtcp"), Fate::default());
    }

    #[test]
    fn the_same_seed_gives_the_same_crossing_and_each_flow_its_own() {
        let same = run(lossy(3), 500).0;
        assert_eq!(same, run(lossy(3), 500).0);
        assert_ne!(same, run(lossy(4), 500).0);
        let of = |flow| same.iter().filter(move |(f, d, _)| *f == flow && *d == Direction::Up);
        let [one, other] = [Flow(0), Flow(1)].map(|f| of(f).map(|(.., p)| p).collect::<Vec<_>>());
        assert_ne!(one, other);
    }

    #[test]
    fn datagrams_arrive_in_the_order_of_their_times() {
        let mut crossing = Crossing::new(1);
        let flow = crossing.open().unwrap();
        crossing.shape(Direction::Up, &LinkConfig::perfect(9 * MILLISECOND));
        crossing.shape(Direction::Down, &LinkConfig::perfect(4 * MILLISECOND));
        crossing.handle_datagram(0, flow, Direction::Up, vec![1]);
        crossing.handle_datagram(0, flow, Direction::Down, vec![2]);
        assert_eq!(crossing.next_at(), Some(4 * MILLISECOND));
        assert_eq!(crossing.poll(3 * MILLISECOND), None);
        let order: Vec<_> = std::iter::from_fn(|| crossing.poll(9 * MILLISECOND)).collect();
        assert_eq!(order, [(flow, Direction::Down, vec![2]), (flow, Direction::Up, vec![1])]);
    }

    #[test]
    fn flows_and_what_is_on_its_way_are_bounded() {
        let mut crossing = Crossing::new(1);
        assert_eq!((0..100).filter_map(|_| crossing.open()).count(), MAX_FLOWS);
        crossing.shape(Direction::Up, &LinkConfig::perfect(MILLISECOND));
        for _ in 0..MAX_WAITING + 5 {
            crossing.handle_datagram(0, Flow(0), Direction::Up, vec![0]);
        }
        assert_eq!(crossing.fate(Direction::Up, "other").overflow, 5);
    }

    #[test]
    fn the_counts_read_as_json() {
        let mut crossing = Crossing::new(1);
        let flow = crossing.open().unwrap();
        crossing.handle_datagram(0, flow, Direction::Down, vec![20; 30]);
        let expected =
            "{\"up\": {}, \"down\": {\"other\": {\"sent\": 1, \"lost\": 0, \"burst\": 0, \
                        \"overflow\": 0, \"duplicated\": 0, \"reordered\": 0}}}";
        assert_eq!(crossing.to_string(), expected);
    }
}
