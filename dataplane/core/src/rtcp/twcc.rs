//! Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1): which numbers
//! of a transport arrived, and when.
//!
//! In: a feedback body, or arrivals in ticks of 250 us. Out: (number, arrival) pairs, or the encoded packet.
//! Arrivals are absolute ticks throughout, so rounding never adds up.

use super::{feedback_head, format, head, kind, Write};
use crate::wire::{put, u16_at, u24_at, u8_at};

/// Length of a tick in nanoseconds.
pub const TICK_NS: u64 = 250_000;

/// Ticks of the reference time's unit, 64 ms.
pub const REFERENCE_TICKS: i64 = 256;

/// Most numbers that one encoded feedback covers: two seconds at 500 packets per second.
pub const MAX_STATUSES: usize = 1_024;

/// Bytes before the chunks of a whole packet, common header included.
const HEAD: usize = 20;

/// Longest run that a run-length chunk can tell.
const MAX_RUN: usize = 0x1FFF;

/// Status symbols of section 3.1.1.
const LOST: u8 = 0;
const SMALL: u8 = 1;
const LARGE: u8 = 2;

/// Feedback from the receiver of a transport.
#[derive(Clone, Copy, Debug)]
pub struct Feedback<'a> {
    /// Who reports.
    pub sender: u32,
    /// Some source of the transport.
    pub media: u32,
    /// First number covered.
    pub base: u16,
    /// How many numbers are covered.
    pub statuses: u16,
    /// Reference time in units of 64 ms, 24 bits signed; wraps after 12 days.
    pub reference: i32,
    /// Counts feedback packets modulo 256.
    pub count: u8,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

impl<'a> Feedback<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let (sender, media) = feedback_head(body)?;
        let statuses = u16_at(body, 10)?;
        let rest = body.get(16..)?;
        let (mut covered, mut deltas, mut at) = (0, 0, 0);
        while covered < usize::from(statuses) {
            let chunk = Chunk::parse(u16_at(rest, at)?);
            let used = chunk.length().min(usize::from(statuses) - covered);
            deltas += chunk.delta_bytes(used);
            covered += used;
            at += 2;
        }
        let (chunks, rest) = rest.split_at(at);
        Some(Self {
            sender,
            media,
            base: u16_at(body, 8)?,
            statuses,
            reference: ((u24_at(body, 12)? << 8) as i32) >> 8,
            count: u8_at(body, 15)?,
            chunks,
            deltas: rest.get(..deltas)?,
        })
    }

    /// Every covered number with its arrival in ticks since the reporter's epoch, `None` for lost.
    pub fn arrivals(&self) -> Arrivals<'a> {
        Arrivals {
            chunks: self.chunks,
            deltas: self.deltas,
            chunk: Chunk::Run { symbol: LOST, length: 0 },
            within: 0,
            number: self.base,
            left: self.statuses,
            ticks: i64::from(self.reference) * REFERENCE_TICKS,
        }
    }
}

/// A status chunk.
#[derive(Clone, Copy, Debug)]
enum Chunk {
    Run { symbol: u8, length: u16 },
    OneBit(u16),
    TwoBit(u16),
}

impl Chunk {
    fn parse(word: u16) -> Self {
        match word >> 14 {
            0 | 1 => Self::Run { symbol: (word >> 13) as u8 & 3, length: word & 0x1FFF },
            2 => Self::OneBit(word),
            _ => Self::TwoBit(word),
        }
    }

    fn length(self) -> usize {
        match self {
            // A run of length zero must still make progress.
            Self::Run { length, .. } => usize::from(length.max(1)),
            Self::OneBit(_) => 14,
            Self::TwoBit(_) => 7,
        }
    }

    fn symbol(self, index: usize) -> u8 {
        match self {
            Self::Run { symbol, .. } => symbol,
            Self::OneBit(word) => (word >> (13 - index)) as u8 & 1,
            Self::TwoBit(word) => (word >> (12 - 2 * index)) as u8 & 3,
        }
    }

    /// Bytes of the deltas of its first `used` symbols.
    fn delta_bytes(self, used: usize) -> usize {
        match self {
            Self::Run { symbol, .. } => used * delta_size(symbol),
            _ => (0..used).map(|index| delta_size(self.symbol(index))).sum(),
        }
    }
}

fn delta_size(symbol: u8) -> usize {
    match symbol {
        SMALL => 1,
        LARGE => 2,
        // The reserved symbol carries nothing, like a loss.
        _ => 0,
    }
}

/// Iterator over the numbers of a [`Feedback`].
#[derive(Clone, Debug)]
pub struct Arrivals<'a> {
    chunks: &'a [u8],
    deltas: &'a [u8],
    chunk: Chunk,
    within: usize,
    number: u16,
    left: u16,
    ticks: i64,
}

impl Iterator for Arrivals<'_> {
    type Item = (u16, Option<i64>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let exhausted = match self.chunk {
            Chunk::Run { length: 0, .. } => true,
            chunk => self.within >= chunk.length(),
        };
        if exhausted {
            self.chunk = Chunk::parse(u16_at(self.chunks, 0)?);
            self.chunks = &self.chunks[2..];
            self.within = 0;
        }
        let symbol = self.chunk.symbol(self.within);
        let delta = match symbol {
            SMALL => Some(i64::from(u8_at(self.deltas, 0)?)),
            LARGE => Some(i64::from(u16_at(self.deltas, 0)? as i16)),
            _ => None,
        };
        self.deltas = &self.deltas[delta_size(symbol)..];
        self.ticks += delta.unwrap_or(0);
        let number = self.number;
        self.number = number.wrapping_add(1);
        self.within += 1;
        self.left -= 1;
        Some((number, delta.map(|_| self.ticks)))
    }
}

/// Feedback to be sent. [`Write::write`] encodes as many of `arrivals` as [`FeedbackOut::fits`] says.
#[derive(Clone, Copy, Debug)]
pub struct FeedbackOut<'a> {
    /// Who reports.
    pub sender: u32,
    /// Some source of the transport.
    pub media: u32,
    /// Number of the first arrival.
    pub base: u16,
    /// Counts feedback packets modulo 256.
    pub count: u8,
    /// Arrival ticks of consecutive numbers, `None` for lost; at least one arrived.
    pub arrivals: &'a [Option<u64>],
}

impl FeedbackOut<'_> {
    /// How many of the arrivals fit one packet of `room` bytes; a delta beyond 8.19 s ends it early.
    pub fn fits(&self, room: usize) -> usize {
        let mut previous = self.reference_ticks();
        let mut deltas = 0;
        for (index, arrival) in self.arrivals.iter().enumerate() {
            let symbol = match arrival {
                Some(ticks) => {
                    let delta = *ticks as i64 - previous;
                    previous = *ticks as i64;
                    symbol_of(delta)
                }
                None => Some(LOST),
            };
            let Some(symbol) = symbol else { return index };
            deltas += delta_size(symbol);
            // Worst case of the chunks: two-bit vectors, the last one partly used; then alignment.
            let chunks = 2 * (index + 1).div_ceil(7);
            if index == MAX_STATUSES || HEAD + chunks + deltas + 3 > room {
                return index;
            }
        }
        self.arrivals.len()
    }

    /// The reference time: the first arrival, rounded down to 64 ms.
    fn reference_ticks(&self) -> i64 {
        let first = self.arrivals.iter().flatten().next().copied().unwrap_or(0) as i64;
        first - first.rem_euclid(REFERENCE_TICKS)
    }
}

/// The symbol for a delta in ticks; `None` if it cannot be told.
fn symbol_of(delta: i64) -> Option<u8> {
    if (0..=255).contains(&delta) {
        Some(SMALL)
    } else {
        i16::try_from(delta).ok().map(|_| LARGE)
    }
}

impl Write for FeedbackOut<'_> {
    fn write(&self, out: &mut [u8]) -> Option<usize> {
        let arrivals = &self.arrivals[..self.fits(out.len())];
        let reference = self.reference_ticks();
        let mut symbols = [LOST; MAX_STATUSES];
        let mut previous = reference;
        for (symbol, ticks) in symbols.iter_mut().zip(arrivals) {
            if let Some(ticks) = ticks {
                *symbol = symbol_of(*ticks as i64 - previous)?;
                previous = *ticks as i64;
            }
        }
        let symbols = &symbols[..arrivals.len()];
        put(out, 4, &self.sender.to_be_bytes())?;
        put(out, 8, &self.media.to_be_bytes())?;
        put(out, 12, &self.base.to_be_bytes())?;
        put(out, 14, &(symbols.len() as u16).to_be_bytes())?;
        let units = (reference / REFERENCE_TICKS) as u32;
        put(out, 16, &[(units >> 16) as u8, (units >> 8) as u8, units as u8, self.count])?;
        let chunks_end = write_chunks(symbols, out)?;
        let end = write_deltas(arrivals, reference, chunks_end, out)?;
        let length = end.next_multiple_of(4);
        head(out, format::TRANSPORT_WIDE, kind::RTPFB, length)?;
        if length > end {
            out.get_mut(end..length)?.fill(0);
            out[length - 1] = (length - end) as u8;
            out[0] |= 0x20;
        }
        Some(length)
    }
}

fn write_chunks(mut symbols: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut at = HEAD;
    while !symbols.is_empty() {
        let (word, used) = next_chunk(symbols);
        put(out, at, &word.to_be_bytes())?;
        at += 2;
        symbols = &symbols[used..];
    }
    Some(at)
}

/// The chunk that covers most symbols at the start of `symbols`, and how many.
fn next_chunk(symbols: &[u8]) -> (u16, usize) {
    let run = symbols.iter().take(MAX_RUN).take_while(|&&symbol| symbol == symbols[0]).count();
    let narrow = symbols.iter().take(14).take_while(|&&symbol| symbol != LARGE).count();
    let ends = narrow == symbols.len();
    if run >= narrow.max(7) || run == symbols.len() {
        (u16::from(symbols[0]) << 13 | run as u16, run)
    } else if narrow == 14 || ends {
        let bits = symbols[..narrow].iter().enumerate();
        (bits.fold(0x8000, |word, (i, &s)| word | u16::from(s) << (13 - i)), narrow)
    } else {
        let used = symbols.len().min(7);
        let pairs = symbols[..used].iter().enumerate();
        (pairs.fold(0xC000, |word, (i, &s)| word | u16::from(s) << (12 - 2 * i)), used)
    }
}

fn write_deltas(
    arrivals: &[Option<u64>],
    reference: i64,
    start: usize,
    out: &mut [u8],
) -> Option<usize> {
    let (mut at, mut previous) = (start, reference);
    for ticks in arrivals.iter().flatten() {
        let delta = *ticks as i64 - previous;
        previous = *ticks as i64;
        if symbol_of(delta)? == SMALL {
            put(out, at, &[delta as u8])?;
            at += 1;
        } else {
            put(out, at, &(delta as i16).to_be_bytes())?;
            at += 2;
        }
    }
    Some(at)
}
