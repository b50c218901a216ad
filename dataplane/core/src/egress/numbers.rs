//! What became of the last output numbers of a leg: two bits each.

/// How many numbers back a late packet or a NACK may reach.
const WINDOW: u64 = 2_048;

const PER_WORD: u64 = 32;

/// The fate of one output number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberState {
    /// Not given out yet, or too long ago to know.
    Unknown,
    /// Kept free for a packet that has not come.
    Reserved,
    /// A packet went out under it.
    Sent,
    /// Free, and it is proven that nothing will fill it.
    GivenUp,
    /// Sent without content: nothing may fill it any more.
    Closed,
}

/// A ring of number states up to the highest number that is taken or reserved.
#[derive(Debug)]
pub struct Numbers {
    /// Highest number given out or reserved.
    top: u64,
    /// Highest number sent.
    last: u64,
    /// First number ever.
    first: u64,
    words: [u64; (WINDOW / PER_WORD) as usize],
}

impl Numbers {
    /// The first number will be `first`, which must be at least 1.
    pub fn new(first: u64) -> Self {
        Self { top: first - 1, last: first - 1, first, words: [0; (WINDOW / PER_WORD) as usize] }
    }

    /// The highest number given out or reserved.
    pub fn top(&self) -> u64 {
        self.top
    }

    /// The highest number sent.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// What became of `n`.
    pub fn state(&self, n: u64) -> NumberState {
        if n > self.top || n < self.first || n + WINDOW <= self.top {
            return NumberState::Unknown;
        }
        match self.words[word(n)] >> shift(n) & 3 {
            0 => NumberState::Reserved,
            1 => NumberState::Sent,
            2 => NumberState::GivenUp,
            _ => NumberState::Closed,
        }
    }

    /// Everything up to `n` is reserved at least.
    pub fn reserve(&mut self, n: u64) {
        // A jump beyond the window would only write the same cells again.
        let from = (self.top + 1).max(n.saturating_sub(WINDOW - 1));
        for number in from..=n {
            self.set(number, 0);
        }
        self.top = self.top.max(n);
    }

    /// A packet goes out under `n`.
    pub fn send(&mut self, n: u64) {
        self.reserve(n);
        self.set(n, 1);
        self.last = self.last.max(n);
    }

    /// Nothing will come for the reserved `n`.
    pub fn give_up(&mut self, n: u64) {
        self.set(n, 2);
    }

    /// `n` was sent without content.
    pub fn close(&mut self, n: u64) {
        self.set(n, 3);
    }

    fn set(&mut self, n: u64, state: u64) {
        let cell = &mut self.words[word(n)];
        *cell = *cell & !(3 << shift(n)) | state << shift(n);
    }
}

fn word(n: u64) -> usize {
    (n % WINDOW / PER_WORD) as usize
}

fn shift(n: u64) -> u64 {
    n % PER_WORD * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_follow_the_calls_and_are_forgotten_beyond_the_window() {
        let mut numbers = Numbers::new(100);
        assert_eq!(numbers.state(100), NumberState::Unknown);
        numbers.send(102);
        assert_eq!(numbers.state(100), NumberState::Reserved);
        numbers.give_up(100);
        numbers.close(101);
        assert_eq!(numbers.state(99), NumberState::Unknown);
        assert_eq!(numbers.state(100), NumberState::GivenUp);
        assert_eq!(numbers.state(101), NumberState::Closed);
        assert_eq!(numbers.state(102), NumberState::Sent);
        numbers.send(100);
        assert_eq!(numbers.last(), 102, "a late one does not become the newest");
        numbers.send(100 + WINDOW);
        assert_eq!(numbers.state(100), NumberState::Unknown);
        assert_eq!(numbers.state(101), NumberState::Closed);
        assert_eq!(numbers.state(103), NumberState::Reserved);
    }

    #[test]
    fn a_jump_over_many_windows_leaves_only_holes_behind_it() {
        let mut numbers = Numbers::new(1);
        numbers.send(1);
        numbers.send(1 + 10 * WINDOW);
        let back = 10 * WINDOW + 2 - WINDOW..1 + 10 * WINDOW;
        assert!(back.into_iter().all(|n| numbers.state(n) == NumberState::Reserved));
        assert_eq!((numbers.last(), numbers.top()), (1 + 10 * WINDOW, 1 + 10 * WINDOW));
    }
}
