//! What every native thread here has in common: a name, no signals, precise timers, an orderly end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::doorbell::Doorbell;
use crate::error::PlaneError;

/// How late the kernel may wake a waiting thread to save power. The default of 50 us would be the largest
/// part of a paced packet's latency.
const TIMER_SLACK: Duration = Duration::from_micros(5);

/// Tells a thread to end.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Whether the thread should end.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A running thread, its bell and its stop flag.
#[derive(Debug)]
pub struct Worker {
    handle: Option<JoinHandle<()>>,
    stop: StopFlag,
    bell: Arc<Doorbell>,
}

impl Worker {
    /// Starts `body` on a thread of its own that sleeps beside `bell`.
    pub fn start(
        name: String,
        bell: Arc<Doorbell>,
        body: impl FnOnce(StopFlag) + Send + 'static,
    ) -> Result<Self, PlaneError> {
        let stop = StopFlag::default();
        let flag = stop.clone();
        let run = move || {
            prepare();
            body(flag);
        };
        let handle = std::thread::Builder::new().name(name).spawn(run)?;
        Ok(Self { handle: Some(handle), stop, bell })
    }

    /// Ends the thread and waits until it has; does nothing the second time.
    pub fn stop(&mut self) {
        self.stop.0.store(true, Ordering::Release);
        self.bell.ring();
        if let Some(handle) = self.handle.take() {
            // A panic of the thread was printed when it happened; the plane is going down in any case.
            let _ = handle.join();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Leaves signals to the interpreter's threads and asks for precise wake-ups.
fn prepare() {
    // SAFETY: `set` is filled before it is used, and both calls change only this thread.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut set);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        libc::prctl(libc::PR_SET_TIMERSLACK, TIMER_SLACK.as_nanos() as libc::c_ulong);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::Waiter;

    #[test]
    fn a_sleeping_thread_is_woken_to_end() {
        let bell = Arc::new(Doorbell::new().unwrap());
        let beside = Arc::clone(&bell);
        let mut worker = Worker::start("sleeper".into(), bell, move |stop| {
            let mut waiter = Waiter::new(&[beside.fd()]);
            while !stop.is_set() {
                beside.arm();
                waiter.wait(None).unwrap();
            }
        })
        .unwrap();
        worker.stop();
        worker.stop();
    }
}
