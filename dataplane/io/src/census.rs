//! How many connections each address has, and how many of them have not proven themselves.
//!
//! In: arrivals, proofs, ends. Out: whether another one may come. It has an entry for each address that is
//! connected, so the bound on connections bounds it.

use std::collections::HashMap;
use std::net::IpAddr;

use conclave_core::drop::DropReason;

/// Connections of one lane. Each costs a descriptor and some kernel memory; a lane's people who need TCP are
/// a part of the thousands that it serves.
pub const MAX_OPEN: usize = 2_048;

/// Connections of one lane without a believed check: half of its places, so that strangers cannot take all.
pub const MAX_UNPROVEN: usize = MAX_OPEN / 2;

/// Connections of one address: a company behind one, each with two transports.
pub const MAX_PER_SOURCE: usize = 512;

/// Connections of one address without a believed check. Proof takes a round trip, so even a company that comes
/// back as one after an outage stays below.
pub const MAX_UNPROVEN_PER_SOURCE: usize = 128;

/// An IPv4 address or an IPv6 /64: whoever has one of these has all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source(u64);

impl From<IpAddr> for Source {
    fn from(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self(ip.to_bits().into()),
            IpAddr::V6(ip) => Self((ip.to_bits() >> 64) as u64 | 1 << 63),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    open: usize,
    unproven: usize,
}

/// The connections of a lane, counted.
#[derive(Debug, Default)]
pub struct Census {
    all: Tally,
    sources: HashMap<Source, Tally>,
}

impl Census {
    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.all.open
    }

    /// A connection wants in; it is counted unless it is refused.
    pub fn admit(&mut self, source: Source) -> Result<(), DropReason> {
        if self.all.open >= MAX_OPEN || self.all.unproven >= MAX_UNPROVEN {
            return Err(DropReason::TcpFull);
        }
        let tally = self.sources.entry(source).or_default();
        if tally.open >= MAX_PER_SOURCE || tally.unproven >= MAX_UNPROVEN_PER_SOURCE {
            return Err(DropReason::TcpAddressLimit);
        }
        for tally in [&mut self.all, tally] {
            tally.open += 1;
            tally.unproven += 1;
        }
        Ok(())
    }

    /// A check of one of the source's connections was believed.
    pub fn prove(&mut self, source: Source) {
        self.all.unproven -= 1;
        if let Some(tally) = self.sources.get_mut(&source) {
            tally.unproven -= 1;
        }
    }

    /// A connection ended.
    pub fn dismiss(&mut self, source: Source, proven: bool) {
        let unproven = usize::from(!proven);
        let Some(tally) = self.sources.get_mut(&source) else { return };
        tally.open -= 1;
        tally.unproven -= unproven;
        if tally.open == 0 {
            self.sources.remove(&source);
        }
        self.all.open -= 1;
        self.all.unproven -= unproven;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(ip: &str) -> Source {
        Source::from(ip.parse::<IpAddr>().unwrap())
    }

    fn fill(census: &mut Census, from: Source, proven: bool) -> usize {
        let mut admitted = 0;
        while census.admit(from).is_ok() {
            if proven {
                census.prove(from);
            }
            admitted += 1;
        }
        admitted
    }

    #[test]
    fn one_address_gets_so_many_and_fewer_without_proof() {
        let mut census = Census::default();
        let (stranger, company) = (source("192.0.2.1"), source("192.0.2.2"));
        assert_eq!(fill(&mut census, stranger, false), MAX_UNPROVEN_PER_SOURCE);
        assert_eq!(fill(&mut census, company, true), MAX_PER_SOURCE);
        assert_eq!(census.admit(company), Err(DropReason::TcpAddressLimit));
        census.dismiss(company, true);
        assert_eq!(census.admit(company), Ok(()));
    }

    #[test]
    fn strangers_together_get_half_of_the_places() {
        let mut census = Census::default();
        let mut last = Ok(());
        for host in 0..2_000u32 {
            last = census.admit(Source::from(IpAddr::from(std::net::Ipv4Addr::from_bits(host))));
        }
        assert_eq!(last, Err(DropReason::TcpFull));
        assert_eq!(census.open(), MAX_UNPROVEN);
        census.prove(Source::from(IpAddr::from([0, 0, 0, 0])));
        assert_eq!(census.admit(source("198.51.100.1")), Ok(()));
    }

    #[test]
    fn everything_is_forgotten_when_everybody_left() {
        let mut census = Census::default();
        for from in ["192.0.2.1", "2001:db8::1", "2001:db8::2"].map(source) {
            census.admit(from).unwrap();
            census.prove(from);
        }
        assert_eq!(census.sources.len(), 2, "a /64 is one source");
        for from in ["192.0.2.1", "2001:db8::2", "2001:db8::1"].map(source) {
            census.dismiss(from, true);
        }
        assert_eq!((census.open(), census.sources.len()), (0, 0));
    }
}
