//! Slow readers, loud talkers and busy callers: every queue has its bound, and no peer pays for another.

mod support;

use std::time::Duration;

use conclave_associations::{Limits, Refusal};
use conclave_core::association::{FromAssociation, ToAssociation};
use conclave_core::command::{ChannelCommand, DtlsRole};
use conclave_core::event::Event;
use conclave_core::ids::TransportId;
use conclave_core::time::Time;
use conclave_netem::{LinkConfig, Outage, MILLISECOND};
use support::{open, parameters, path, remote, send, Identity, Pair, Side, LANE};

const SECOND: Duration = Duration::from_secs(1);

fn pair_with(limits: Limits) -> Pair {
    let side = || Side::new(Identity::ecdsa(), limits);
    let mut pair = Pair::new(side(), side(), &LinkConfig::perfect(10 * MILLISECOND), 1);
    pair.start(DtlsRole::Client);
    pair.run(SECOND);
    pair.command_a(open(Some(0), parameters("lossy", false, Some(0))));
    pair.command_a(open(Some(2), parameters("reliable", true, None)));
    pair.run(SECOND);
    pair
}

#[test]
fn a_peer_that_takes_nothing_fills_bounded_queues_and_gets_the_oldest_after_all() {
    let limits = Limits { reliable_queue_bytes: 400_000, ..Limits::default() };
    let mut pair = pair_with(limits);
    let until = pair.now.0 + 20_000 * MILLISECOND;
    pair.link_mut(true).outages.push(Outage { from: 0, until });
    for number in 0..1_000u32 {
        let mut message = [0; 1_000];
        message[..4].copy_from_slice(&number.to_be_bytes());
        pair.command_a(send(0, &message));
        pair.command_a(send(2, &message));
    }
    // A window of 64 KiB is with SCTP, the rest of the bound waits before it, each message 64 bytes dearer.
    let lossy = 1_000 - pair.a.refused(Refusal::LossyQueueFull);
    let reliable = 1_000 - pair.a.refused(Refusal::ReliableQueueFull);
    assert!((180..=210).contains(&lossy), "{lossy}");
    assert!((430..=460).contains(&reliable), "{reliable}");
    pair.run(60 * SECOND);
    let numbers: Vec<u32> = pair
        .b
        .messages(2)
        .iter()
        .map(|data| u32::from_be_bytes(data[..4].try_into().expect("four bytes")))
        .collect();
    assert_eq!(numbers, (0..reliable as u32).collect::<Vec<_>>(), "the newest were dropped");
    // Room again.
    pair.command_a(send(2, b"again"));
    pair.run(5 * SECOND);
    assert_eq!(pair.b.messages(2).last(), Some(&&b"again"[..]));
}

#[test]
fn a_peer_that_sends_too_many_messages_is_slowed_to_its_allowance() {
    let limits = Limits { inbound_messages_per_second: 20, ..Limits::default() };
    let mut pair = pair_with(limits);
    for number in 0..200u8 {
        pair.command_a(send(2, &[number]));
    }
    let from = pair.now;
    pair.run(3 * SECOND);
    let early = pair.b.messages(2).len();
    assert!(early <= 20 + 3 * 20 + 1, "{early}");
    assert!(pair.b.refused(Refusal::SctpRate) > 0);
    pair.run_until(120 * SECOND, |pair| pair.b.messages(2).len() == 200).expect("all of them");
    assert!(pair.now.since(from) >= 8 * SECOND, "{:?}", pair.now.since(from));
    let expected: Vec<[u8; 1]> = (0..200).map(|number| [number]).collect();
    assert_eq!(pair.b.messages(2), expected);
}

#[test]
fn a_peer_that_sends_too_many_bytes_is_slowed_to_its_allowance() {
    let limits = Limits { inbound_bytes_per_second: 50_000, ..Limits::default() };
    let mut pair = pair_with(limits);
    let from = pair.now;
    for _ in 0..4 {
        pair.command_a(send(2, &vec![1; 100_000]));
    }
    pair.run_until(300 * SECOND, |pair| pair.b.messages(2).len() == 4).expect("all of them");
    assert!(pair.now.since(from) >= 7 * SECOND, "{:?}", pair.now.since(from));
    assert!(pair.b.refused(Refusal::SctpRate) > 0);
}

#[test]
fn a_busy_caller_stops_the_peers_and_loses_no_reliable_message() {
    let limits = Limits { event_bytes: 500_000, ..Limits::default() };
    let mut pair = pair_with(limits);
    pair.b.busy = true;
    for _ in 0..40 {
        pair.command_a(send(2, &vec![3; 50_000]));
    }
    pair.run(20 * SECOND);
    // Ten messages and their overhead reach the bound.
    assert_eq!(pair.b.associations.stats().messages_received, 10);
    pair.b.busy = false;
    pair.run_until(120 * SECOND, |pair| pair.b.messages(2).len() == 40).expect("all of them");
}

/// One server side with many peers, joined without loss or delay.
struct Star {
    now: Time,
    hub: Side,
    leaves: Vec<Side>,
    /// Leaves whose datagrams from the hub are lost.
    deaf: Vec<usize>,
}

impl Star {
    fn new(count: u32) -> Self {
        let side = || Side::new(Identity::ecdsa(), Limits::default());
        let leaves: Vec<Side> = (0..count).map(|_| side()).collect();
        let mut star = Self { now: Time::from_millis(1), hub: side(), leaves, deaf: vec![] };
        for (id, leaf) in (0..).zip(&mut star.leaves) {
            let transport = TransportId(id);
            let (identity, hub) = (leaf.identity.clone(), star.hub.identity.clone());
            for (side, peer, role) in
                [(&mut star.hub, identity, DtlsRole::Server), (leaf, hub, DtlsRole::Client)]
            {
                for message in [
                    ToAssociation::Added { transport },
                    ToAssociation::Remote { transport, remote: remote(&peer, role) },
                    ToAssociation::Selected { transport, path: path() },
                ] {
                    side.associations.handle_lane(star.now, LANE, message);
                }
            }
        }
        star.run(SECOND);
        star
    }

    fn run(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.now < until {
            self.now = self.now + Duration::from_millis(5);
            for (id, leaf) in self.leaves.iter_mut().enumerate() {
                leaf.associations.handle_timeout(self.now);
                for transmit in leaf.collect() {
                    let message = ToAssociation::Datagram {
                        transport: TransportId(id as u32),
                        data: transmit.datagram,
                    };
                    self.hub.associations.handle_lane(self.now, LANE, message);
                }
            }
            self.hub.associations.handle_timeout(self.now);
            for transmit in self.hub.collect() {
                let id = transmit.transport.0 as usize;
                if self.deaf.contains(&id) {
                    continue;
                }
                let message = ToAssociation::Datagram {
                    transport: transmit.transport,
                    data: transmit.datagram,
                };
                self.leaves[id].associations.handle_lane(self.now, LANE, message);
            }
        }
    }
}

#[test]
fn one_message_reaches_many_and_a_deaf_one_delays_nobody() {
    let mut star = Star::new(8);
    let keys = |message: &(_, FromAssociation)| matches!(message.1, FromAssociation::Keys { .. });
    assert_eq!(star.hub.lanes.iter().filter(|message| keys(message)).count(), 8);
    for id in 0..8 {
        let command = ChannelCommand::Open {
            transport: TransportId(id),
            stream: None,
            parameters: parameters("lossy", true, Some(0)),
            negotiated: false,
        };
        star.hub.associations.handle_command(star.now, command);
    }
    star.run(SECOND);
    star.deaf = vec![5];
    let to: Vec<_> = (0..8).map(|id| (TransportId(id), 1)).collect();
    for number in 0..300u16 {
        let mut data = number.to_be_bytes().to_vec();
        data.resize(1_000, 0);
        let command = ChannelCommand::Send { to: to.clone(), data, binary: true };
        star.hub.associations.handle_command(star.now, command);
        star.run(Duration::from_millis(5));
    }
    star.run(SECOND);
    for (id, leaf) in star.leaves.iter().enumerate() {
        let expected = if id == 5 { 0 } else { 300 };
        assert_eq!(leaf.messages(1).len(), expected, "leaf {id}");
    }
    assert!(star.hub.refused(Refusal::LossyQueueFull) > 0, "only the deaf one's queue is full");
    assert_eq!(star.hub.refusals().len(), 1);
    let mut to_unknown = to;
    to_unknown.push((TransportId(99), 1));
    let command = ChannelCommand::Send { to: to_unknown, data: vec![1], binary: true };
    star.hub.associations.handle_command(star.now, command);
    assert_eq!(star.hub.refused(Refusal::UnknownTransport), 1);
}

#[test]
fn every_peer_hears_goodbye_when_everything_ends() {
    let mut star = Star::new(5);
    star.hub.associations.close_all(star.now);
    star.run(SECOND);
    for leaf in &star.leaves {
        assert_eq!(leaf.closed(), [conclave_core::event::CloseReason::PeerClosed]);
        let messages = |event: &&Event| matches!(event, Event::Message { .. });
        assert_eq!(leaf.events.iter().filter(messages).count(), 0);
    }
}
