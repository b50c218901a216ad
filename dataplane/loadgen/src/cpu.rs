//! What a thread has cost: user, system and the softirq work that ran in its context.

use std::fs;
use std::time::Duration;

/// A thread of this process, or a kernel thread, by its name.
#[derive(Clone, Debug)]
pub struct Meter {
    schedstats: Vec<String>,
}

impl Meter {
    /// The thread of this process that is called `name`.
    pub fn of_thread(name: &str) -> Option<Self> {
        let found = named("/proc/self/task", |comm| comm == name);
        (found.len() == 1).then_some(Self { schedstats: found })
    }

    /// The kernel's own softirq threads, which take over when a sender is interrupted too often.
    pub fn of_softirq_threads() -> Self {
        Self { schedstats: named("/proc", |comm| comm.starts_with("ksoftirqd/")) }
    }

    /// Time on a processor so far; the scheduler counts it in nanoseconds.
    pub fn read(&self) -> Duration {
        let nanos = |path: &String| -> Option<u64> {
            fs::read_to_string(path).ok()?.split_whitespace().next()?.parse().ok()
        };
        Duration::from_nanos(self.schedstats.iter().filter_map(nanos).sum())
    }
}

/// Paths of `schedstat` for the tasks below `folder` whose name pleases.
fn named(folder: &str, pleases: impl Fn(&str) -> bool) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let tasks = entries.flatten().map(|entry| entry.path());
    tasks
        .filter(|task| {
            let comm = fs::read_to_string(task.join("comm"));
            comm.is_ok_and(|comm| pleases(comm.trim_end()))
        })
        .map(|task| task.join("schedstat").display().to_string())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_works_costs_time_and_one_that_sleeps_does_not() {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let sleeper = std::thread::Builder::new().name("sleeper".into());
        let handle = sleeper.spawn(move || stopped.recv().is_ok()).unwrap();
        let meter = loop {
            // The name appears a moment after the thread.
            if let Some(meter) = Meter::of_thread("sleeper") {
                break meter;
            }
            std::thread::yield_now();
        };
        let before = meter.read();
        assert!(before < Duration::from_secs(1));
        assert!(Meter::of_thread("nobody").is_none());
        drop(stop);
        handle.join().unwrap();
        assert_eq!(meter.read(), Duration::ZERO, "gone");
    }
}
