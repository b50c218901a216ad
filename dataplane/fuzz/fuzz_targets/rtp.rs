//! Invariant: a header that parses names only bytes of its packet, in order, and accounts for all of them.
#![no_main]

use conclave_core::rtp::{Header, FIXED_HEADER};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|packet: &[u8]| {
    let Ok(header) = Header::parse(packet) else { return };
    let (start, end) = (usize::from(header.payload.start), usize::from(header.payload.end));
    assert!(FIXED_HEADER <= start && start <= end);
    assert_eq!(end + usize::from(header.padding), packet.len());
    let mut at = usize::from(header.extensions.start);
    for element in header.elements(packet).flatten() {
        let data = element.data;
        assert!(at < usize::from(data.start) && data.end <= header.extensions.end);
        at = usize::from(data.end);
    }
});
