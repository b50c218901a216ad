//! Big-endian reads and writes at an offset, bounds-checked: the alphabet of every parser here.
//!
//! In: a byte slice and an offset. Out: the number, or `None` where the slice ends too early. Never panics.

/// The byte at `at`.
pub(crate) fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

/// Two bytes at `at`.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(field.try_into().ok()?))
}

/// Three bytes at `at`.
pub(crate) fn u24_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(3)?)?;
    Some(u32::from_be_bytes([0, field[0], field[1], field[2]]))
}

/// Four bytes at `at`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(field.try_into().ok()?))
}

/// Eight bytes at `at`.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_be_bytes(field.try_into().ok()?))
}

/// Copies `field` to `at`; `None` if it does not fit.
pub(crate) fn put(out: &mut [u8], at: usize, field: &[u8]) -> Option<()> {
    out.get_mut(at..at.checked_add(field.len())?)?.copy_from_slice(field);
    Some(())
}
