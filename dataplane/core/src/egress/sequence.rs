//! Which number a packet gets on a leg: input numbers minus the offset that held at their own position.
//!
//! In: unwrapped input numbers of one source at a time, each with the decision to forward it or not.
//! Out: unwrapped output numbers, never one twice. Numbers of packets that are merely missing stay
//! reserved, so that a late packet finds its place; numbers of dropped packets close up behind it.
//! Deciding comes first ([`Sequence::locate`], then the codec), so nothing is ever taken back.

use std::time::Duration;

use super::numbers::{NumberState, Numbers};
use crate::drop::DropReason;
use crate::time::Time;

/// Spans of constant offset that are remembered: at three layers in four dropped this is two seconds.
const MAX_SPANS: usize = 128;

/// A longer gap is not reserved: nothing can repair it, only a key frame helps.
pub const MAX_GAP: u64 = 256;

/// How long the source before a switch may still fill its holes.
const DRAIN: Duration = Duration::from_millis(200);

/// One numbering space: a stream of the track in one life of its publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Stream index.
    pub stream: u8,
    /// Generation of its numbers.
    pub generation: u8,
}

/// Where an input number lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Beyond everything seen of the current source.
    Newest,
    /// In a hole: its number is still free.
    Hole {
        /// The number that waits for it.
        n: u64,
        /// The hole belongs to the source before the last switch.
        draining: bool,
    },
}

/// A number given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// The output number.
    pub n: u64,
    /// It is the highest so far.
    pub newest: bool,
    /// More was missing before it than is worth waiting for: ask for a key frame.
    pub jumped: bool,
}

/// From `first` on (up to the next span) inputs have this image.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: u64,
    image: Image,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Image {
    /// `output = input - offset`.
    Offset(i64),
    Excluded,
}

/// The mapping of one source since it went on the wire.
#[derive(Debug)]
struct Epoch {
    source: Source,
    first: u64,
    newest: u64,
    spans: std::collections::VecDeque<Span>,
}

impl Epoch {
    fn new() -> Self {
        Self {
            source: Source { stream: 0, generation: 0 },
            first: 0,
            newest: 0,
            spans: std::collections::VecDeque::with_capacity(MAX_SPANS),
        }
    }

    /// Starts over: `input` is the first of its source and becomes `output`.
    fn begin(&mut self, source: Source, input: u64, output: u64) {
        self.source = source;
        self.first = input;
        self.newest = input;
        self.spans.clear();
        self.spans.push_back(Span { first: input, image: Image::Offset(distance(input, output)) });
    }

    /// The offset of inputs beyond the newest. The last span is never an excluded one.
    fn offset(&self) -> i64 {
        match self.spans.back().map(|span| span.image) {
            Some(Image::Offset(offset)) => offset,
            _ => 0,
        }
    }

    fn push(&mut self, span: Span) {
        if self.spans.len() == MAX_SPANS {
            self.spans.pop_front();
        }
        self.spans.push_back(span);
    }

    /// Takes the inputs `from..=to` out, all beyond the newest; what follows closes up.
    fn exclude(&mut self, from: u64, to: u64) {
        let offset = self.offset() + distance(to + 1, from);
        let after = Span { first: to + 1, image: Image::Offset(offset) };
        let open = self.spans.back().is_some_and(|last| last.first == from);
        if open && self.spans.len() > 1 {
            self.spans.pop_back();
        }
        if self.spans.back().is_none_or(|last| last.image != Image::Excluded) {
            self.push(Span { first: from, image: Image::Excluded });
        }
        self.push(after);
        self.newest = to;
    }

    fn image(&self, input: u64) -> Result<u64, DropReason> {
        if input < self.first {
            return Err(DropReason::BeforeSwitch);
        }
        let span = self.spans.iter().rev().find(|span| span.first <= input);
        match span.map(|span| span.image) {
            None => Err(DropReason::LateNoMapping),
            Some(Image::Excluded) => Err(DropReason::LateExcluded),
            Some(Image::Offset(offset)) => Ok(input.wrapping_sub(offset as u64)),
        }
    }
}

/// The sequence numbers of one leg.
#[derive(Debug)]
pub struct Sequence {
    numbers: Numbers,
    /// The source on the wire; meaningless before the first switch.
    current: Epoch,
    /// The one before it.
    previous: Epoch,
    drains_until: Time,
    started: bool,
}

impl Sequence {
    /// Numbers start at `first`.
    pub fn new(first: u64) -> Self {
        Self {
            numbers: Numbers::new(first),
            current: Epoch::new(),
            previous: Epoch::new(),
            drains_until: Time(0),
            started: false,
        }
    }

    /// Numbers go on at `next` where another leg stopped. One is burned, so that the receiver neither joins
    /// two frames nor misses what lies between the pictures.
    pub fn after_another(next: u64) -> Self {
        let mut sequence = Self::new(next);
        sequence.after_break(false);
        sequence
    }

    /// The source on the wire.
    pub fn source(&self) -> Option<Source> {
        self.started.then_some(self.current.source)
    }

    /// Whether `input` is the first of `source` on the wire.
    pub fn starts_with(&self, source: Source, input: u64) -> bool {
        self.source() == Some(source) && self.current.first == input
    }

    /// Whether `source` was replaced so recently that its late packets still count.
    pub fn is_draining(&self, source: Source, now: Time) -> bool {
        now < self.drains_until && self.previous.source == source
    }

    /// The highest number sent.
    pub fn last(&self) -> u64 {
        self.numbers.last()
    }

    /// The next number that nothing uses or waits for.
    pub fn next(&self) -> u64 {
        self.numbers.top() + 1
    }

    /// What became of an output number.
    pub fn state(&self, n: u64) -> NumberState {
        self.numbers.state(n)
    }

    /// Puts a new source on the wire whose first packet is `input`. After a frame that is not `complete`
    /// one number is burned, so that the receiver cannot join its rest with what follows.
    pub fn switch(&mut self, now: Time, source: Source, input: u64, complete: bool) -> Given {
        if self.started {
            std::mem::swap(&mut self.current, &mut self.previous);
            self.drains_until = now + DRAIN;
        }
        let n = self.after_break(complete);
        self.started = true;
        self.current.begin(source, input, n);
        self.numbers.send(n);
        Given { n, newest: true, jumped: false }
    }

    /// Where `input` of `source` belongs, or why it has no place.
    pub fn locate(&self, now: Time, source: Source, input: u64) -> Result<Place, DropReason> {
        if self.source() == Some(source) {
            if input > self.current.newest {
                return Ok(Place::Newest);
            }
            return self.hole(self.current.image(input)?, false);
        }
        if !self.is_draining(source, now) {
            return Err(DropReason::LayerNotSelected);
        }
        if input > self.previous.newest {
            return Err(DropReason::LateAfterSwitch);
        }
        self.hole(self.previous.image(input)?, true)
    }

    /// Gives the packet at `place` its number.
    pub fn accept(&mut self, place: Place, input: u64) -> Given {
        match place {
            Place::Hole { n, .. } => {
                let newest = n > self.numbers.last();
                self.numbers.send(n);
                Given { n, newest, jumped: false }
            }
            Place::Newest => self.accept_newest(input),
        }
    }

    /// Keeps the packet at `place` off the wire for good. The numbers before it that are missing stay
    /// reserved, unless it is `proven` that they are not wanted either.
    pub fn exclude(&mut self, place: Place, input: u64, proven: bool) {
        match place {
            Place::Hole { n, .. } => self.numbers.give_up(n),
            Place::Newest => {
                let next = self.current.newest + 1;
                let from = if proven { next } else { input };
                if from > next {
                    self.numbers.reserve((from - 1).wrapping_sub(self.current.offset() as u64));
                }
                self.current.exclude(from, input);
            }
        }
    }

    /// Leaves the number of the packet at `place` empty, as if the packet had been lost.
    pub fn skip(&mut self, place: Place, input: u64) {
        if place == Place::Newest {
            self.current.newest = input;
            self.numbers.reserve(input.wrapping_sub(self.current.offset() as u64));
        }
    }

    /// A number for padding of our own; allowed only after a complete frame.
    pub fn pad(&mut self) -> u64 {
        let n = self.numbers.top() + 1;
        if self.started {
            let first = self.current.newest + 1;
            let image = Image::Offset(distance(first, n + 1));
            let open = self.current.spans.back().is_some_and(|last| last.first == first);
            if open {
                self.current.spans.pop_back();
            }
            self.current.push(Span { first, image });
        }
        self.numbers.send(n);
        self.numbers.close(n);
        n
    }

    /// Tells that a packet without content went out under `n`; a late packet for it is refused now.
    pub fn close(&mut self, n: u64) {
        self.numbers.close(n);
    }

    fn accept_newest(&mut self, input: u64) -> Given {
        let mut n = input.wrapping_sub(self.current.offset() as u64);
        let jumped = n > self.numbers.top() + MAX_GAP + 1;
        if jumped {
            n = self.after_break(false);
            self.current.begin(self.current.source, input, n);
        }
        self.current.newest = input;
        self.numbers.send(n);
        Given { n, newest: true, jumped }
    }

    fn after_break(&mut self, complete: bool) -> u64 {
        if !complete {
            let burned = self.numbers.top() + 1;
            self.numbers.reserve(burned);
            self.numbers.give_up(burned);
        }
        self.numbers.top() + 1
    }

    fn hole(&self, n: u64, draining: bool) -> Result<Place, DropReason> {
        match self.numbers.state(n) {
            NumberState::Reserved => Ok(Place::Hole { n, draining }),
            NumberState::Sent => Err(DropReason::LegDuplicate),
            NumberState::GivenUp => Err(DropReason::LateExcluded),
            NumberState::Closed => Err(DropReason::HoleAlreadyClosed),
            NumberState::Unknown => Err(DropReason::LateNoMapping),
        }
    }
}

/// `a - b` for numbers whose difference is small.
fn distance(a: u64, b: u64) -> i64 {
    a.wrapping_sub(b) as i64
}

#[cfg(test)]
#[path = "sequence_tests.rs"]
mod tests;
