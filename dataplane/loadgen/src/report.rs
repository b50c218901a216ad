//! The measurements as JSON, for `benchmarks/forwarding/render.py` and for whoever compares runs.

use std::fmt::Write;
use std::fs;

use conclave_io::histogram::LATENCY_BOUNDS_US;

use crate::round::{Outcome, Receivers};
use crate::scenario::Scenario;

/// All rounds of one scenario with one kind of receivers.
#[derive(Debug)]
pub struct Series {
    /// What was measured.
    pub scenario: Scenario,
    /// How the receivers took it.
    pub receivers: Receivers,
    /// Rounds in order, the warm-up left out.
    pub rounds: Vec<Outcome>,
}

/// The document.
pub fn json(series: &[Series], seconds: u64) -> String {
    let mut text = String::from("{\n");
    let _ = writeln!(text, "  \"machine\": {},", machine());
    let _ = writeln!(text, "  \"seconds_per_round\": {seconds},");
    let _ = writeln!(text, "  \"latency_bounds_us\": {LATENCY_BOUNDS_US:?},");
    text.push_str("  \"series\": [\n");
    let entries: Vec<String> = series.iter().map(entry).collect();
    text.push_str(&entries.join(",\n"));
    text.push_str("\n  ]\n}\n");
    text
}

fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']);
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // Work of others while it ran shows in the latencies, so the reader is told.
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("0");
    // Release numbers without the vendor's suffix.
    let kernel = kernel.split(['-', '\n']).next().unwrap_or_default();
    format!("{{\"cpu\": {model:?}, \"cores\": {cores}, \"kernel\": {kernel:?}, \"load\": {load}}}")
}

fn entry(series: &Series) -> String {
    let Scenario { name, rooms, publishers, subscribers, burst, packet, .. } = series.scenario;
    let rounds: Vec<String> = series.rounds.iter().map(round).collect();
    format!(
        "    {{\"scenario\": {name:?}, \"rooms\": {rooms}, \"publishers\": {publishers}, \
         \"subscribers\": {subscribers}, \"burst\": {burst}, \"packet_bytes\": {packet}, \
         \"receivers\": {:?}, \"rounds\": [\n{}\n    ]}}",
        series.receivers.name(),
        rounds.join(",\n")
    )
}

fn round(outcome: &Outcome) -> String {
    let Outcome { expected, delivered, undecryptable, run_length, ref latency, .. } = *outcome;
    let optional = |value: Option<u32>| value.map_or("null".into(), |value| value.to_string());
    format!(
        "      {{\"expected\": {expected}, \"delivered\": {delivered}, \
         \"undecryptable\": {undecryptable}, \"lane_us\": {:.3}, \"softirq_us\": {:.3}, \
         \"floor_us\": {:.3}, \"p50_us\": {}, \"p99_us\": {}, \"run_length\": {run_length:.2}, \
         \"latency\": {:?}}}",
        outcome.lane_us,
        outcome.softirq_us,
        outcome.floor_us,
        optional(latency.quantile(0.5)),
        optional(latency.quantile(0.99)),
        latency.cumulative(),
    )
}

/// One line for the terminal.
pub fn line(series: &Series) -> String {
    let Some(last) = series.rounds.last() else { return String::new() };
    format!(
        "{:15} {:8} lane {:5.2} us, floor {:5.2} us, softirq {:.2} us, p50 {:?} p99 {:?} us, \
         run {:.1}, {} of {} delivered, {} undecryptable",
        series.scenario.name,
        series.receivers.name(),
        last.lane_us,
        last.floor_us,
        last.softirq_us,
        last.latency.quantile(0.5),
        last.latency.quantile(0.99),
        last.run_length,
        last.delivered,
        last.expected,
        last.undecryptable,
    )
}
