//! How many checks sources may send that nobody has validated yet.
//!
//! In: the source of a check and `now`. Out: whether to look at it. A source pays a token for each check
//! and gets it back when the check is believed, so that a thousand people behind one address can join at
//! once while one that guesses cannot. The check of all sources together is asked only when the ufrag is
//! known, just before the costly part, so that a flood of nonsense does not keep people out.

use std::hash::BuildHasher;
use std::net::IpAddr;

use crate::association::Path;
use crate::hash::Keyed;
use crate::rate::{Bucket, Limit};
use crate::time::Time;

/// Checks of one source that are not believed.
const SOURCE: Limit = Limit::new(50, 50);
/// Checks of all unvalidated sources that reach the integrity test.
const LANE: Limit = Limit::new(2_000, 2_000);
/// Sources that are remembered: four ways of a thousand, 64 KiB for each lane.
const SETS: usize = 1_024;
const WAYS: usize = 4;

#[derive(Debug)]
pub(super) struct Gatekeeper {
    keyed: Keyed,
    sets: Vec<[(u64, Bucket); WAYS]>,
    lane: Bucket,
}

impl Gatekeeper {
    pub fn new(keyed: Keyed) -> Self {
        Self { keyed, sets: vec![Default::default(); SETS], lane: Bucket::default() }
    }

    /// Takes a token of this source.
    pub fn take(&mut self, now: Time, path: Path) -> bool {
        self.bucket(path).take(now, SOURCE)
    }

    /// The check was believed: gives the token back.
    pub fn refund(&mut self, path: Path) {
        self.bucket(path).refund(SOURCE);
    }

    /// Takes a token of all sources.
    pub fn take_of_all(&mut self, now: Time) -> bool {
        self.lane.take(now, LANE)
    }

    /// The source's bucket. A new source takes the place of the one in its set that is closest to full:
    /// the one that asked least.
    fn bucket(&mut self, path: Path) -> &mut Bucket {
        let hash = self.keyed.hash_one(source(path)) | 1;
        let set = &mut self.sets[hash as usize / 2 % SETS];
        let way = set.iter().position(|(tag, _)| *tag == hash).unwrap_or_else(|| {
            let fullest = (0..WAYS).min_by_key(|&way| set[way].1.full_at()).unwrap_or(0);
            set[fullest] = (hash, Bucket::default());
            fullest
        });
        &mut set[way].1
    }
}

/// A source is an IPv4 address or an IPv6 /64: whoever has one of these has all of it.
fn source(path: Path) -> u64 {
    match path.peer.ip() {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64 | 1 << 63,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(peer: &str) -> Path {
        Path::udp(0, peer.parse().unwrap())
    }

    #[test]
    fn a_source_is_an_address_whatever_its_ports() {
        let mut gatekeeper = Gatekeeper::new(Keyed::new(1));
        let now = Time::from_millis(1);
        let passed = (0..100u16).filter(|&port| {
            let path = Path::udp(0, ([192, 0, 2, 1], port).into());
            gatekeeper.take(now, path)
        });
        assert_eq!(passed.count(), 50);
        assert!(gatekeeper.take(now, path("192.0.2.2:1")));
        let network = (0..100u16)
            .filter(|host| gatekeeper.take(now, path(&format!("[2001:db8::{host:x}]:1"))));
        assert_eq!(network.count(), 50);
    }

    #[test]
    fn a_believed_check_costs_nothing() {
        let mut gatekeeper = Gatekeeper::new(Keyed::new(1));
        for _ in 0..1_000 {
            assert!(gatekeeper.take(Time(0), path("192.0.2.1:1")));
            gatekeeper.refund(path("192.0.2.1:1"));
        }
    }

    #[test]
    fn the_table_stays_bounded_and_keeps_the_busiest_source() {
        let mut gatekeeper = Gatekeeper::new(Keyed::new(1));
        let now = Time::from_millis(1);
        while gatekeeper.take(now, path("192.0.2.1:1")) {}
        for source in 0..100_000u32 {
            let ip = std::net::Ipv4Addr::from_bits(0x0A00_0000 + source);
            gatekeeper.take(now, Path::udp(0, (ip, 1).into()));
        }
        assert_eq!(gatekeeper.sets.len(), SETS);
        assert!(!gatekeeper.take(now, path("192.0.2.1:1")));
    }
}
