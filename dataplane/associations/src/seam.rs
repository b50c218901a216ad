//! The only unsafe code of this crate: five calls that the safe DTLS binding does not offer. In: its typed
//! handles and library time in microseconds. Nothing outside sees a raw pointer.

use std::cell::Cell;
use std::time::Duration;

use foreign_types::ForeignTypeRef;
use openssl::ssl::{SslContextBuilder, SslRef, SslStream};
use openssl_sys as ffi;

thread_local! {
    /// What the library takes for the time of day, microseconds. Its clock callback gets no connection, so
    /// the caller's time waits here; every call into the library sets it first.
    static CLOCK: Cell<u64> = const { Cell::new(0) };
}

/// The library's clock starts here: its zero means "no timer".
const CLOCK_BASE: u64 = 1_000_000;

/// Tells the library the time, for calls on this thread.
pub(crate) fn set_clock(micros: u64) {
    CLOCK.set(micros.saturating_add(CLOCK_BASE));
}

/// Has the library ask [`set_clock`] for the time, and accept any certificate without looking at it: the
/// fingerprint is compared later, and self-signed certificates have no chain to follow.
pub(crate) fn install(context: &mut SslContextBuilder) {
    let raw = context.as_ptr();
    let mode = ffi::SSL_VERIFY_PEER | ffi::SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    // SAFETY: `raw` is the live context behind the exclusive borrow; both callbacks are plain functions
    // that live as long as the program and have the signatures that the library declares.
    unsafe {
        ffi::SSL_CTX_set_current_time_cb(raw, Some(clock));
        ffi::SSL_CTX_set_custom_verify(raw, mode, Some(accept));
    }
}

/// How long until the library would send its last flight again; `None` if none waits for an answer.
pub(crate) fn time_left(ssl: &SslRef) -> Option<Duration> {
    let mut left = ffi::timeval { tv_sec: 0, tv_usec: 0 };
    // SAFETY: the connection is borrowed for the call, and `left` is a valid place to write to.
    let armed = unsafe { ffi::DTLSv1_get_timeout(ssl.as_ptr(), &raw mut left) };
    (armed == 1).then(|| {
        Duration::from_secs(left.tv_sec.max(0) as u64)
            + Duration::from_micros(left.tv_usec.max(0) as u64)
    })
}

/// Sends the last flight again if its timer is over; false if the library has no more tries.
pub(crate) fn handle_timeout<S>(stream: &mut SslStream<S>) -> bool {
    // SAFETY: the connection is alive and borrowed exclusively for the call.
    let result = unsafe { ffi::DTLSv1_handle_timeout(stream.ssl().as_ptr()) };
    result >= 0
}

/// Whether the handshake used Extended Master Secret (RFC 7627).
pub(crate) fn has_extended_master_secret(ssl: &SslRef) -> bool {
    // SAFETY: the connection is borrowed for the call, which only reads.
    unsafe { ffi::SSL_get_extms_support(ssl.as_ptr()) == 1 }
}

unsafe extern "C" fn clock(_ssl: *const ffi::SSL, out: *mut ffi::timeval) {
    let now = CLOCK.get();
    // SAFETY: the library passes a valid, exclusive pointer to a timeval on its own stack.
    unsafe {
        (*out).tv_sec = (now / 1_000_000) as _;
        (*out).tv_usec = (now % 1_000_000) as _;
    }
}

unsafe extern "C" fn accept(_ssl: *mut ffi::SSL, _alert: *mut u8) -> ffi::ssl_verify_result_t {
    ffi::ssl_verify_result_t_ssl_verify_ok
}
