//! One direction of a network path. A packet passes, in this order: outage, loss, duplication, the
//! bottleneck, latency with jitter, reordering.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::bottleneck::Bottleneck;
use crate::delay::Delay;
use crate::loss::Loss;
use crate::random::Random;
use crate::Nanos;

/// A window in which nothing arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// First moment.
    pub from: Nanos,
    /// First moment after it.
    pub until: Nanos,
}

/// What a link does to packets.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// Losses.
    pub loss: Loss,
    /// Probability that a packet arrives twice.
    pub duplicate: f64,
    /// How much later the copy enters the link.
    pub duplicate_after: Nanos,
    /// Limited rate; `None` is infinitely fast.
    pub bottleneck: Option<Bottleneck>,
    /// Latency and jitter.
    pub delay: Delay,
    /// Probability that a packet is overtaken by the ones behind it.
    pub reorder: f64,
    /// By how many packets it is overtaken.
    pub reorder_by: u32,
    /// Windows of total loss.
    pub outages: Vec<Outage>,
}

impl LinkConfig {
    /// A link that only takes time.
    pub fn perfect(latency: Nanos) -> Self {
        Self {
            loss: Loss::None,
            duplicate: 0.0,
            duplicate_after: 0,
            bottleneck: None,
            delay: Delay::constant(latency),
            reorder: 0.0,
            reorder_by: 3,
            outages: Vec::new(),
        }
    }

    /// The same with other losses.
    #[must_use]
    pub fn with_loss(mut self, loss: Loss) -> Self {
        self.loss = loss;
        self
    }
}

/// What became of the packets; every packet sent is lost, queue-dropped, or delivered (or on its way).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Packets handed to the link.
    pub sent: u64,
    /// Lost by the loss process or an outage.
    pub lost: u64,
    /// Dropped by the full queue.
    pub queue_dropped: u64,
    /// Copies made.
    pub duplicated: u64,
    /// Packets held back for others to overtake.
    pub reordered: u64,
    /// Packets that arrived, copies included.
    pub delivered: u64,
}

/// A packet on its way; ordered by arrival, then by the order of sending.
#[derive(Debug)]
struct Flying<T> {
    at: Nanos,
    order: u64,
    packet: T,
}

impl<T> PartialEq for Flying<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl<T> Eq for Flying<T> {}
impl<T> PartialOrd for Flying<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Flying<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// A packet that waits until `remaining` others have overtaken it, or until `latest`.
#[derive(Debug)]
struct Held<T> {
    remaining: u32,
    latest: Nanos,
    packet: T,
}

/// How long an overtaken packet waits at most when no others follow.
const MAX_HOLD: Nanos = 200 * crate::MILLISECOND;

/// One direction of a path, carrying packets of type `T`.
#[derive(Debug)]
pub struct Link<T> {
    config: LinkConfig,
    flying: BinaryHeap<Reverse<Flying<T>>>,
    held: Vec<Held<T>>,
    order: u64,
    counters: LinkCounters,
    loss_random: Random,
    duplicate_random: Random,
    delay_random: Random,
    reorder_random: Random,
}

impl<T: Clone> Link<T> {
    /// A link whose every decision follows from `seed`.
    pub fn new(config: LinkConfig, seed: u64) -> Self {
        let random = Random::new(seed);
        Self {
            config,
            flying: BinaryHeap::new(),
            held: Vec::new(),
            order: 0,
            counters: LinkCounters::default(),
            loss_random: random.fork("loss"),
            duplicate_random: random.fork("duplicate"),
            delay_random: random.fork("delay"),
            reorder_random: random.fork("reorder"),
        }
    }

    /// Changes the link under way (the packets already flying are not touched).
    pub fn config_mut(&mut self) -> &mut LinkConfig {
        &mut self.config
    }

    /// A packet of `size` bytes enters at `now`.
    pub fn send(&mut self, now: Nanos, size: usize, packet: T) {
        self.counters.sent += 1;
        let lost = self.config.loss.next(&mut self.loss_random);
        let out = self.config.outages.iter().any(|o| (o.from..o.until).contains(&now));
        if lost || out {
            self.counters.lost += 1;
            return;
        }
        if self.config.duplicate > 0.0 && self.duplicate_random.chance(self.config.duplicate) {
            self.counters.duplicated += 1;
            self.enter(now + self.config.duplicate_after, size, packet.clone());
        }
        self.enter(now, size, packet);
    }

    /// The next packet that has arrived by `now`.
    pub fn poll(&mut self, now: Nanos) -> Option<T> {
        self.release(now, false);
        if self.flying.peek().is_none_or(|Reverse(next)| next.at > now) {
            return None;
        }
        self.counters.delivered += 1;
        let arrived = self.flying.pop().map(|Reverse(flying)| flying.packet);
        self.release(now, true);
        arrived
    }

    /// When the next packet arrives, as far as it is known.
    pub fn next_at(&self) -> Option<Nanos> {
        let held = self.held.iter().map(|held| held.latest).min();
        let flying = self.flying.peek().map(|Reverse(next)| next.at);
        [held, flying].into_iter().flatten().min()
    }

    /// Packets on their way.
    pub fn waiting(&self) -> usize {
        self.flying.len() + self.held.len()
    }

    /// What became of the packets so far.
    pub fn counters(&self) -> LinkCounters {
        self.counters
    }

    fn enter(&mut self, now: Nanos, size: usize, packet: T) {
        let left = match &mut self.config.bottleneck {
            Some(bottleneck) => bottleneck.pass(now, size),
            None => Some(now),
        };
        let Some(left) = left else {
            self.counters.queue_dropped += 1;
            return;
        };
        let at = self.config.delay.arrival(left, &mut self.delay_random);
        if self.config.reorder > 0.0 && self.reorder_random.chance(self.config.reorder) {
            self.counters.reordered += 1;
            let remaining = self.config.reorder_by;
            self.held.push(Held { remaining, latest: at + MAX_HOLD, packet });
        } else {
            self.fly(at, packet);
        }
    }

    fn fly(&mut self, at: Nanos, packet: T) {
        self.order += 1;
        self.flying.push(Reverse(Flying { at, order: self.order, packet }));
    }

    /// Lets held packets go: one more packet `overtook` them, or they waited long enough.
    fn release(&mut self, now: Nanos, overtook: bool) {
        let mut index = 0;
        while index < self.held.len() {
            let held = &mut self.held[index];
            held.remaining -= u32::from(overtook && held.remaining > 0);
            if held.remaining > 0 && held.latest > now {
                index += 1;
                continue;
            }
            let held = self.held.remove(index);
            self.fly(now.min(held.latest), held.packet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MILLISECOND, SECOND};

    /// Sends packets one millisecond apart and returns (arrival, number) of what comes out.
    fn run(config: LinkConfig, seed: u64, count: u64) -> (Vec<(Nanos, u64)>, LinkCounters) {
        let mut link = Link::new(config, seed);
        let mut arrived = Vec::new();
        for number in 0..count {
            let now = number * MILLISECOND;
            while let Some(packet) = link.poll(now) {
                arrived.push((now, packet));
            }
            link.send(now, 1_000, number);
        }
        while let Some(at) = link.next_at() {
            while let Some(packet) = link.poll(at) {
                arrived.push((at, packet));
            }
        }
        (arrived, link.counters())
    }

    #[test]
    fn a_perfect_link_delivers_everything_after_its_latency() {
        let (arrived, counters) = run(LinkConfig::perfect(7 * MILLISECOND), 1, 50);
        let expected: Vec<_> = (0..50).map(|n| ((n + 7) * MILLISECOND, n)).collect();
        assert_eq!(arrived, expected);
        assert_eq!(counters.delivered, 50);
    }

    #[test]
    fn the_same_seed_gives_the_same_fate_and_another_seed_another() {
        let lossy = || LinkConfig {
            duplicate: 0.02,
            reorder: 0.05,
            ..LinkConfig::perfect(MILLISECOND).with_loss(Loss::bursts(20.0, 2.0))
        };
        assert_eq!(run(lossy(), 9, 2_000), run(lossy(), 9, 2_000));
        assert_ne!(run(lossy(), 9, 2_000).0, run(lossy(), 10, 2_000).0);
    }

    #[test]
    fn reordering_loses_nothing_and_delays_by_the_gap() {
        let config = LinkConfig { reorder: 0.1, ..LinkConfig::perfect(MILLISECOND) };
        let (arrived, counters) = run(config, 4, 1_000);
        let mut numbers: Vec<_> = arrived.iter().map(|&(_, n)| n).collect();
        assert!(counters.reordered > 50 && numbers.windows(2).any(|pair| pair[1] < pair[0]));
        numbers.sort_unstable();
        assert_eq!(numbers, (0..1_000).collect::<Vec<_>>());
    }

    #[test]
    fn duplicates_arrive_twice() {
        let config = LinkConfig { duplicate: 1.0, ..LinkConfig::perfect(0) };
        let (arrived, counters) = run(config, 4, 10);
        assert_eq!((arrived.len(), counters.duplicated), (20, 10));
    }

    #[test]
    fn an_outage_swallows_exactly_its_window() {
        let mut config = LinkConfig::perfect(0);
        config.outages.push(Outage { from: 10 * MILLISECOND, until: 20 * MILLISECOND });
        let (arrived, counters) = run(config, 4, 30);
        assert_eq!(counters.lost, 10);
        assert!(arrived.iter().all(|&(_, n)| !(10..20).contains(&n)));
    }

    #[test]
    fn every_packet_has_one_fate_and_the_rate_is_kept() {
        let config = LinkConfig {
            bottleneck: Some(Bottleneck::new(4_000_000, 20_000)),
            ..LinkConfig::perfect(0).with_loss(Loss::Bernoulli(0.1))
        };
        let (arrived, counters) = run(config, 4, 4_000);
        let fates = counters.lost + counters.queue_dropped + counters.delivered;
        assert_eq!(fates, counters.sent);
        let last = arrived.last().map_or(0, |&(at, _)| at);
        let rate = arrived.len() as u64 * 8_000 * SECOND / last;
        assert!((3_900_000..=4_001_000).contains(&rate), "{rate} bit/s");
    }
}
