//! Source descriptions (RFC 3550 section 6.5), of which only the CNAME matters here.

use super::{head, kind, Write};
use crate::wire::{put, u32_at};

/// The CNAME item type.
const CNAME: u8 = 1;

/// A source description.
#[derive(Clone, Copy, Debug)]
pub struct Sdes<'a> {
    count: u8,
    body: &'a [u8],
}

impl<'a> Sdes<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let sdes = Self { count, body };
        let mut rest = body;
        for _ in 0..count {
            rest = chunk(rest)?.1;
        }
        Some(sdes)
    }

    /// The (SSRC, CNAME) pairs in it.
    pub fn cnames(&self) -> impl Iterator<Item = (u32, &'a [u8])> {
        let mut rest = self.body;
        (0..self.count).filter_map(move |_| {
            let (found, after) = chunk(rest)?;
            rest = after;
            found
        })
    }
}

/// One chunk, with its CNAME if it has one, and what follows it.
#[allow(clippy::type_complexity)] // one private function; a named type would say less
fn chunk(bytes: &[u8]) -> Option<(Option<(u32, &[u8])>, &[u8])> {
    let ssrc = u32_at(bytes, 0)?;
    let (mut at, mut cname) = (4, None);
    while *bytes.get(at)? != 0 {
        let item = bytes.get(at + 2..at + 2 + usize::from(*bytes.get(at + 1)?))?;
        if bytes[at] == CNAME {
            cname = Some((ssrc, item));
        }
        at += 2 + item.len();
    }
    // One to four zero bytes close the chunk at a word boundary.
    Some((cname, bytes.get((at / 4 + 1) * 4..)?))
}

/// A description of one source to be sent.
#[derive(Clone, Copy, Debug)]
pub struct SdesOut<'a> {
    /// The source.
    pub ssrc: u32,
    /// Its CNAME, at most 255 bytes.
    pub cname: &'a [u8],
}

impl Write for SdesOut<'_> {
    fn write(&self, out: &mut [u8]) -> Option<usize> {
        let size = u8::try_from(self.cname.len()).ok()?;
        let items = 8 + 2 + self.cname.len();
        let length = (items / 4 + 1) * 4;
        put(out, 4, &self.ssrc.to_be_bytes())?;
        put(out, 8, &[CNAME, size])?;
        put(out, 10, self.cname)?;
        out.get_mut(items..length)?.fill(0);
        head(out, 1, kind::SDES, length)
    }
}
