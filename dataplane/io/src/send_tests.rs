//! Runs, refusals and full sockets, against a wire that plays the kernel.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// One message as the kernel would see it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    peer: SocketAddr,
    packets: Vec<Vec<u8>>,
    segment: Option<u16>,
}

/// What the next call of `send` answers.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// Takes at most so many messages.
    Take(usize),
    /// Refuses with this errno.
    Refuse(i32),
    /// Refuses with this errno if the first message is segmented, takes everything before one that is.
    RefuseSegments(i32),
}

/// Plays the kernel; `script` runs out into `Take(all)`.
#[derive(Debug, Default)]
struct Kernel {
    script: VecDeque<Answer>,
    repeat: Option<Answer>,
    seen: Vec<Seen>,
    waits: usize,
    room_after_wait: bool,
}

fn decode(message: &libc::mmsghdr) -> Seen {
    let header = &message.msg_hdr;
    let mut name = RawAddress::EMPTY;
    // SAFETY: the sender's header names live storage of at least the lengths it states; this copies out.
    let (iovecs, control) = unsafe {
        std::ptr::copy_nonoverlapping(
            header.msg_name.cast::<u8>(),
            name.as_mut_ptr().cast(),
            header.msg_namelen as usize,
        );
        let iovecs = std::slice::from_raw_parts(header.msg_iov, header.msg_iovlen);
        let control =
            (header.msg_controllen > 0).then(|| header.msg_control.cast::<SegmentControl>().read());
        (iovecs, control)
    };
    // SAFETY: each iovec describes a packet that the test keeps alive.
    let copy = |iov: &libc::iovec| unsafe {
        std::slice::from_raw_parts(iov.iov_base.cast::<u8>(), iov.iov_len).to_vec()
    };
    if let Some(control) = &control {
        assert_eq!((control.len, control.level, control.kind), (18, 17, 103));
    }
    Seen {
        peer: name.parse().unwrap(),
        packets: iovecs.iter().map(copy).collect(),
        segment: control.map(|control| control.segment),
    }
}

impl Wire for Kernel {
    fn send(&mut self, messages: &mut [libc::mmsghdr]) -> io::Result<usize> {
        let all: Vec<_> = messages.iter().map(decode).collect();
        let plain = all.iter().take_while(|seen| seen.segment.is_none()).count();
        let answer = self.script.pop_front().or(self.repeat).unwrap_or(Answer::Take(usize::MAX));
        let taken = match answer {
            Answer::Take(count) => count.min(all.len()),
            Answer::RefuseSegments(errno) if plain == 0 => {
                return Err(io::Error::from_raw_os_error(errno));
            }
            Answer::RefuseSegments(_) => plain,
            Answer::Refuse(errno) => return Err(io::Error::from_raw_os_error(errno)),
        };
        self.seen.extend_from_slice(&all[..taken]);
        Ok(taken)
    }

    fn wait(&mut self, patience: Duration) -> bool {
        assert!(patience * MAX_WAITS <= PATIENCE);
        self.waits += 1;
        self.room_after_wait
    }
}

fn kernel(script: &[Answer]) -> Sender<Kernel> {
    let script = script.iter().copied().collect();
    Sender::new(Kernel { script, room_after_wait: true, ..Kernel::default() })
}

fn peer(number: u16) -> SocketAddr {
    SocketAddr::new("192.0.2.1".parse().unwrap(), number)
}

fn packets(sizes: &[usize]) -> Vec<Vec<u8>> {
    sizes.iter().enumerate().map(|(index, &size)| vec![index as u8; size]).collect()
}

fn send(sender: &mut Sender<Kernel>, runs: &[(u16, Vec<Vec<u8>>)]) {
    let mut batch = sender.batch();
    for (number, packets) in runs {
        let run: Vec<&[u8]> = packets.iter().map(Vec::as_slice).collect();
        batch.push(peer(*number), &run);
    }
}

fn flat(seen: &[Seen]) -> Vec<(SocketAddr, Vec<u8>)> {
    seen.iter()
        .flat_map(|seen| seen.packets.iter().map(|packet| (seen.peer, packet.clone())))
        .collect()
}

#[test]
fn a_run_of_equal_packets_with_a_short_tail_is_one_segmented_message() {
    let mut sender = kernel(&[]);
    send(&mut sender, &[(1, packets(&[100, 100, 40])), (2, packets(&[100]))]);
    let seen = &sender.wire.seen;
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[0].packets.len(), seen[0].segment), (3, Some(100)));
    assert_eq!((seen[1].packets.len(), seen[1].segment), (1, None));
    assert_eq!(sender.counters().calls, 1);
    assert_eq!((sender.counters().messages, sender.counters().packets), (2, 4));
}

#[test]
fn what_the_kernel_could_not_cut_apart_again_starts_a_new_message() {
    let mut sender = kernel(&[]);
    send(&mut sender, &[(1, packets(&[40, 100, 100, 60, 60, 0]))]);
    let shapes: Vec<_> = sender.wire.seen.iter().map(|seen| seen.packets.len()).collect();
    assert_eq!(shapes, [1, 3, 1, 1]);
}

#[test]
fn a_message_keeps_within_the_kernels_limits() {
    let mut sender = kernel(&[]);
    send(&mut sender, &[(1, packets(&[1_200; 150])), (2, packets(&[100; 1_500]))]);
    for seen in &sender.wire.seen {
        assert!(seen.packets.len() <= 64);
        assert!(seen.packets.iter().map(Vec::len).sum::<usize>() <= 65_507);
    }
    assert_eq!(sender.counters().packets, 1_650);
}

#[test]
fn a_device_without_segmentation_is_remembered() {
    let mut sender = kernel(&[]);
    sender.wire.repeat = Some(Answer::RefuseSegments(libc::EIO));
    let runs = [(1, packets(&[10])), (2, packets(&[10, 10])), (3, packets(&[10, 10, 10]))];
    send(&mut sender, &runs);
    send(&mut sender, &runs);
    assert_eq!(sender.wire.seen.len(), 12);
    assert_eq!(sender.counters().gso_fallbacks, 1, "asked once");
    assert_eq!(sender.counters().drops.get(DropReason::SendError), 0);
}

#[test]
fn a_refusal_for_one_destination_does_not_cost_the_others_their_offload() {
    let mut sender = kernel(&[Answer::Take(1), Answer::Refuse(libc::EINVAL)]);
    let runs = [(1, packets(&[10, 10])), (2, packets(&[10, 10])), (3, packets(&[10, 10]))];
    send(&mut sender, &runs);
    let shapes: Vec<_> = sender.wire.seen.iter().map(|seen| seen.packets.len()).collect();
    assert_eq!(shapes, [2, 1, 1, 2]);
    send(&mut sender, &runs);
    assert_eq!(sender.counters().gso_fallbacks, 1);
    assert_eq!(sender.wire.seen.len(), 7);
}

#[test]
fn an_invalid_first_run_means_a_kernel_without_segmentation() {
    let mut sender = kernel(&[Answer::Refuse(libc::EINVAL)]);
    send(&mut sender, &[(1, packets(&[10, 10])), (2, packets(&[10, 10]))]);
    assert!(sender.wire.seen.iter().all(|seen| seen.segment.is_none()));
    assert_eq!(sender.wire.seen.len(), 4);
}

#[test]
fn a_short_write_goes_on_where_it_stopped() {
    let mut sender = kernel(&[Answer::Take(1), Answer::Take(2), Answer::Take(1)]);
    let runs: Vec<_> = (1..8).map(|number| (number, packets(&[20, 20]))).collect();
    send(&mut sender, &runs);
    let order: Vec<_> = sender.wire.seen.iter().map(|seen| seen.peer.port()).collect();
    assert_eq!(order, [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_full_socket_is_waited_for_and_nothing_is_lost() {
    let again = Answer::Refuse(libc::EAGAIN);
    let mut sender = kernel(&[Answer::Take(1), again, again, Answer::Refuse(libc::EINTR)]);
    send(&mut sender, &[(1, packets(&[20, 20])), (2, packets(&[20]))]);
    assert_eq!(sender.wire.seen.len(), 2);
    assert_eq!(sender.wire.waits, 2);
    assert_eq!(sender.counters().drops.get(DropReason::SendAgain), 0);
}

#[test]
fn a_socket_that_stays_full_costs_the_rest_of_the_batch_and_a_bounded_wait() {
    for room_after_wait in [true, false] {
        let mut sender = kernel(&[Answer::Take(1)]);
        sender.wire.repeat = Some(Answer::Refuse(libc::ENOBUFS));
        sender.wire.room_after_wait = room_after_wait;
        send(&mut sender, &[(1, packets(&[20])), (2, packets(&[20, 20])), (3, packets(&[20]))]);
        assert_eq!(sender.wire.seen.len(), 1);
        assert!(sender.wire.waits <= MAX_WAITS as usize);
        assert_eq!(sender.counters().drops.get(DropReason::SendAgain), 3);
        sender.wire.repeat = None;
        send(&mut sender, &[(4, packets(&[20]))]);
        assert_eq!(sender.wire.seen.len(), 2, "the next batch starts afresh");
    }
}

#[test]
fn an_unreachable_destination_costs_only_its_own_packets() {
    let mut sender = kernel(&[Answer::Take(1), Answer::Refuse(libc::ENETUNREACH)]);
    send(&mut sender, &[(1, packets(&[20])), (2, packets(&[20, 20])), (3, packets(&[20]))]);
    let order: Vec<_> = sender.wire.seen.iter().map(|seen| seen.peer.port()).collect();
    assert_eq!(order, [1, 3]);
    assert_eq!(sender.counters().drops.get(DropReason::SendError), 2);
}

proptest! {
    #[test]
    fn the_packets_that_leave_are_the_packets_that_came(
        runs in prop::collection::vec(
            (1_u16..5, prop::collection::vec(prop::sample::select(vec![0, 1, 50, 1_200, 1_468]), 1..90)),
            0..30,
        ),
        takes in prop::collection::vec((0_u8..4, 1_usize..40), 0..20),
    ) {
        let script: Vec<_> = takes.iter().map(|&(kind, count)| match kind {
            0 => Answer::Refuse(libc::EAGAIN),
            1 => Answer::RefuseSegments(libc::EINVAL),
            2 => Answer::RefuseSegments(libc::EIO),
            _ => Answer::Take(count),
        }).collect();
        let runs: Vec<_> = runs.iter().map(|(number, sizes)| (*number, packets(sizes))).collect();
        let mut sender = kernel(&script);
        send(&mut sender, &runs);
        let wanted: Vec<_> = runs.iter()
            .flat_map(|(number, packets)| packets.iter().map(|packet| (peer(*number), packet.clone())))
            .collect();
        prop_assert_eq!(flat(&sender.wire.seen), wanted);
    }
}
