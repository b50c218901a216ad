//! Seeds from the system's generator; everything random behind it is derived and repeatable.

use std::io;

/// Eight unpredictable bytes.
pub fn seed() -> io::Result<u64> {
    let mut bytes = [0_u8; 8];
    loop {
        // SAFETY: the pointer and length describe a live array that the kernel fills.
        let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        if got == bytes.len() as isize {
            return Ok(u64::from_ne_bytes(bytes));
        }
        match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => {}
            error => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_seeds_differ() {
        assert_ne!(super::seed().unwrap(), super::seed().unwrap());
    }
}
