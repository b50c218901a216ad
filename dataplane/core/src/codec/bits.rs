//! Bit-wise reading and writing, most significant bit first, as the dependency descriptor needs it.
//!
//! In: bytes and widths. Out: numbers, or `None` at the end of the bytes. Never panics.

/// Reads bits from a slice.
#[derive(Clone, Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bits read so far.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Bits that are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() * 8 - self.at
    }

    /// An unsigned number of `width` bits, at most 32.
    pub(super) fn bits(&mut self, width: u32) -> Option<u32> {
        if self.left() < width as usize {
            return None;
        }
        let mut value = 0u64;
        let mut wanted = width as usize;
        while wanted > 0 {
            let byte = u64::from(self.bytes[self.at / 8]);
            let available = 8 - self.at % 8;
            let taken = wanted.min(available);
            let chunk = byte >> (available - taken) & ((1 << taken) - 1);
            value = value << taken | chunk;
            self.at += taken;
            wanted -= taken;
        }
        Some(value as u32)
    }

    /// One bit.
    pub(super) fn flag(&mut self) -> Option<bool> {
        self.bits(1).map(|bit| bit == 1)
    }

    /// A non-symmetric number below `limit` (AV1 specification section 4.10.7); `limit` is not 0.
    pub(super) fn below(&mut self, limit: u32) -> Option<u32> {
        let width = 32 - limit.leading_zeros();
        let short = (1 << width) - limit;
        let value = self.bits(width - 1)?;
        if value < short {
            return Some(value);
        }
        Some((value << 1) - short + self.bits(1)?)
    }
}

/// Writes bits into a slice.
#[derive(Debug)]
pub(super) struct BitWriter<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Appends the low `width` bits of `value`, at most 32; `None` if they do not fit.
    pub(super) fn put(&mut self, value: u32, width: u32) -> Option<()> {
        for bit in (0..width).rev() {
            let byte = self.bytes.get_mut(self.at / 8)?;
            let mask = 0x80 >> (self.at % 8);
            if value >> bit & 1 == 1 {
                *byte |= mask;
            } else {
                *byte &= !mask;
            }
            self.at += 1;
        }
        Some(())
    }

    /// Appends `count` bits from `reader`.
    pub(super) fn copy(&mut self, reader: &mut BitReader<'_>, mut count: usize) -> Option<()> {
        while count > 0 {
            let width = count.min(32);
            self.put(reader.bits(width as u32)?, width as u32)?;
            count -= width;
        }
        Some(())
    }

    /// Fills the last byte with zeros; the number of bytes written.
    pub(super) fn finish(mut self) -> Option<usize> {
        let missing = self.at.next_multiple_of(8) - self.at;
        self.put(0, missing as u32)?;
        Some(self.at / 8)
    }
}
