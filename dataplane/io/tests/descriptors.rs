//! A process that has no descriptor left, in a process of its own.

// A test fails by panicking, outside of its own function too.
#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use conclave_core::drop::DropReason;
use conclave_core::time::Time;
use conclave_io::listener::listen;
use conclave_io::streams::Streams;
use conclave_io::wait::Waiter;

/// Lets this process have descriptors below `limit` only.
fn limit_descriptors(limit: u64) {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live rlimit, which the call fills in.
    let read = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limits) };
    limits.rlim_cur = limit;
    // SAFETY: the pointer is to a live rlimit, which the call only reads.
    let written = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limits) };
    assert_eq!((read, written), (0, 0));
}

#[test]
fn without_a_descriptor_accepting_rests_and_goes_on_when_there_is_one() {
    let listener = listen(Ipv4Addr::LOCALHOST.into(), 0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut streams = Streams::new(vec![listener]).unwrap();
    let clients: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
    let next = clients.iter().map(AsRawFd::as_raw_fd).max().unwrap() as u64 + 1;
    limit_descriptors(next + 1);
    streams.look(Time::from_millis(0));
    assert_eq!(streams.counters().open, 1, "there was one left");
    assert_eq!(streams.drops().get(DropReason::TcpNoDescriptor), 1);
    // It must not spin: the waiting connections wake nobody until the rest is over.
    let mut waiter = Waiter::new(&[streams.fd()]);
    waiter.wait(Some(Duration::ZERO)).unwrap();
    assert!(!waiter.is_ready(0));
    let due = streams.deadline().unwrap();
    assert_eq!(due, Time::from_millis(100));
    limit_descriptors(next + 16);
    streams.sweep(due, |_| true);
    waiter.wait(Some(Duration::from_secs(5))).unwrap();
    streams.look(due);
    assert_eq!(streams.counters().open, 3);
    assert_eq!(streams.drops().get(DropReason::TcpNoDescriptor), 1);
}
