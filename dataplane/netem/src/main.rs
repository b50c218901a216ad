//! `conclave-netem LISTEN SERVER SEED`: stands between clients and a server as a bad network would.
//!
//! In: datagrams of clients on LISTEN and of the server, each client behind a socket of its own; lines of
//! [`Wish`]es on standard input, until it ends. Out: the datagrams that the network lets through, and a line of
//! JSON for each wish. It decides nothing about a datagram: [`Crossing`] does.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io::{BufRead, Error, ErrorKind, Result};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::sync::mpsc::{sync_channel, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use conclave_netem::{Crossing, Direction, Flow, Nanos, Wish};

/// The longest datagram that is carried: more than any path takes in one piece.
const MAX_DATAGRAM: usize = 2_048;

/// Datagrams that were read and wait; behind them the sockets' own buffers fill and then overflow.
const MAX_INPUTS: usize = 1_024;

/// What the threads that read hand to the one that decides.
enum Input {
    FromClient(SocketAddr, Vec<u8>),
    FromServer(Flow, Vec<u8>),
    Line(String),
    End,
}

/// The sockets: one for all clients, and one towards the server for each.
struct Relay {
    crossing: Crossing,
    clients: UdpSocket,
    server: SocketAddr,
    flows: HashMap<SocketAddr, Flow>,
    ends: Vec<(SocketAddr, UdpSocket)>,
    inputs: SyncSender<Input>,
    start: Instant,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("conclave-netem: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<()> {
    let usage = || Error::new(ErrorKind::InvalidInput, "usage: LISTEN SERVER SEED");
    let [listen, server, seed] = words else { return Err(usage()) };
    let server = server.parse().map_err(|_| usage())?;
    let seed = seed.parse().map_err(|_| usage())?;
    let clients = UdpSocket::bind(listen)?;
    println!("{{\"listening\": \"{}\"}}", clients.local_addr()?);
    let (inputs, taken) = sync_channel(MAX_INPUTS);
    let lines = inputs.clone();
    thread::spawn(move || read_lines(&lines));
    let (socket, sender) = (clients.try_clone()?, inputs.clone());
    thread::spawn(move || {
        read_datagrams(&socket, &sender, Input::FromClient);
    });
    Relay {
        crossing: Crossing::new(seed),
        clients,
        server,
        flows: HashMap::new(),
        ends: Vec::new(),
        inputs,
        start: now(),
    }
    .serve(&taken)
}

impl Relay {
    fn serve(&mut self, taken: &Receiver<Input>) -> Result<()> {
        loop {
            let input = match self.crossing.next_at() {
                None => taken.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => taken.recv_timeout(Duration::from_nanos(at.saturating_sub(self.now()))),
            };
            match input {
                Ok(Input::FromClient(from, bytes)) => self.take_client(from, bytes)?,
                Ok(Input::FromServer(flow, bytes)) => {
                    self.crossing.handle_datagram(self.now(), flow, Direction::Down, bytes);
                }
                Ok(Input::Line(line)) => self.grant(&line),
                Ok(Input::End) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.deliver();
        }
    }

    fn now(&self) -> Nanos {
        now().duration_since(self.start).as_nanos() as Nanos
    }

    fn take_client(&mut self, from: SocketAddr, bytes: Vec<u8>) -> Result<()> {
        let flow = match self.flows.get(&from) {
            Some(&flow) => flow,
            None => match self.crossing.open() {
                Some(flow) => self.connect(from, flow)?,
                None => return Ok(()),
            },
        };
        self.crossing.handle_datagram(self.now(), flow, Direction::Up, bytes);
        Ok(())
    }

    /// A client that was not heard of: to the server it comes from an address of its own.
    fn connect(&mut self, from: SocketAddr, flow: Flow) -> Result<Flow> {
        let socket = UdpSocket::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), 0))?;
        socket.connect(self.server)?;
        let (reader, sender) = (socket.try_clone()?, self.inputs.clone());
        thread::spawn(move || {
            read_datagrams(&reader, &sender, |_, bytes| Input::FromServer(flow, bytes));
        });
        self.flows.insert(from, flow);
        self.ends.push((from, socket));
        Ok(flow)
    }

    fn grant(&mut self, line: &str) {
        match line.parse() {
            Ok(Wish::Count) => return println!("{}", self.crossing),
            Ok(Wish::Shape(direction, shape)) => self.crossing.shape(direction, &shape),
            Ok(Wish::Lose(direction, payload_type, frames)) => {
                self.crossing.lose(direction, payload_type, frames);
            }
            Err(bad) => return println!("{{\"error\": {:?}}}", bad.0),
        }
        println!("{{\"done\": true}}");
    }

    fn deliver(&mut self) {
        let now = self.now();
        while let Some((Flow(flow), direction, bytes)) = self.crossing.poll(now) {
            let (client, to_server) = &self.ends[flow];
            // An end that is gone is a loss like any other: nobody waits for the datagram.
            let _ = match direction {
                Direction::Up => to_server.send(&bytes),
                Direction::Down => self.clients.send_to(&bytes, client),
            };
        }
    }
}

fn read_datagrams(
    socket: &UdpSocket,
    inputs: &SyncSender<Input>,
    input: impl Fn(SocketAddr, Vec<u8>) -> Input,
) {
    let mut buffer = [0; MAX_DATAGRAM];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                if inputs.send(input(from, buffer[..length].to_vec())).is_err() {
                    return;
                }
            }
            // What an earlier datagram to a port without a listener brought back.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(_) => return,
        }
    }
}

fn read_lines(inputs: &SyncSender<Input>) {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        if inputs.send(Input::Line(line)).is_err() {
            return;
        }
    }
    // The other end has gone with its receiver, or goes now.
    let _ = inputs.send(Input::End);
}

#[expect(clippy::disallowed_methods, reason = "the one place here that reads the clock")]
fn now() -> Instant {
    Instant::now()
}
