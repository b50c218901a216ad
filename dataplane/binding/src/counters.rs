//! The numbers of the metrics page as Python dictionaries: totals of lanes and associations, nothing per person.

use conclave_core::distribution::Distribution;
use conclave_core::event::CloseReason;
use conclave_io::histogram::LATENCY_BOUNDS_US;
use conclave_io::plane::PlaneSnapshot;
use conclave_io::snapshot::LaneSnapshot;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// Bounds, counts per bucket (one more than bounds), sum.
type Buckets = (Vec<u32>, Vec<u64>, u64);

/// Turns a snapshot into `_Counters`.
pub fn to_python<'py>(py: Python<'py>, snapshot: &PlaneSnapshot) -> PyResult<Bound<'py, PyDict>> {
    let lanes = PyList::empty(py);
    for lane in &snapshot.lanes {
        lanes.append(lane_to_python(py, lane)?)?;
    }
    let dict = PyDict::new(py);
    dict.set_item("lanes", lanes)?;
    dict.set_item("associations", associations(py, snapshot)?)?;
    let refusals = PyDict::new(py);
    for (refusal, count) in snapshot.associations.refusals.iter() {
        refusals.set_item(refusal.name(), count)?;
    }
    dict.set_item("refusals", refusals)?;
    dict.set_item("commands_ignored", snapshot.commands_ignored)?;
    Ok(dict)
}

fn associations<'py>(py: Python<'py>, snapshot: &PlaneSnapshot) -> PyResult<Bound<'py, PyDict>> {
    let stats = &snapshot.associations;
    named(
        py,
        &[
            ("channels", stats.channels as u64),
            ("handshaking", stats.handshaking as u64),
            ("handshakes_completed", stats.handshakes_completed),
            ("handshakes_failed", stats.handshakes_failed),
            ("flights_resent", stats.retransmissions),
            ("messages_received", stats.messages_received),
            ("messages_sent", stats.messages_sent),
        ],
    )
}

fn lane_to_python<'py>(py: Python<'py>, lane: &LaneSnapshot) -> PyResult<Bound<'py, PyDict>> {
    let stats = &lane.stats;
    let dict = PyDict::new(py);
    dict.set_item("numbers", numbers(py, lane)?)?;
    dict.set_item("drops", stats.drops.iter().map(|(_, count)| count).collect::<Vec<_>>())?;
    let closed = PyDict::new(py);
    for (reason, count) in CloseReason::ALL.iter().zip(stats.connectivity.closed) {
        closed.set_item(reason.name(), count)?;
    }
    dict.set_item("closed", closed)?;
    let legs: Vec<Vec<u32>> = stats.video_legs.iter().map(|row| row.to_vec()).collect();
    dict.set_item("video_legs", legs)?;
    dict.set_item("histograms", histograms(py, lane)?)?;
    Ok(dict)
}

fn numbers<'py>(py: Python<'py>, lane: &LaneSnapshot) -> PyResult<Bound<'py, PyDict>> {
    let stats = &lane.stats;
    named(
        py,
        &[
            ("at_ns", lane.at_ns),
            ("busy_ns", lane.busy_ns),
            ("received_packets", stats.received.packets),
            ("received_bytes", stats.received.bytes),
            ("sent_packets", stats.sent.packets),
            ("sent_bytes", stats.sent.bytes),
            ("forwarded_packets", stats.forwarded.packets),
            ("forwarded_bytes", stats.forwarded.bytes),
            ("nacks_sent", stats.nacks_sent),
            ("nacks_received", stats.nacks_received),
            ("repaired", stats.repaired),
            ("retransmitted", stats.retransmitted),
            ("keyframes_requested", stats.keyframes_requested),
            ("plis_received", stats.keyframe_requests_received - stats.firs_received),
            ("firs_received", stats.firs_received),
            ("switches_down", stats.layer_switches[0]),
            ("switches_up", stats.layer_switches[1]),
            ("validated", stats.connectivity.validated),
            ("moved", stats.connectivity.moved),
            ("stale", stats.connectivity.stale),
            ("connected_udp", stats.connected[0]),
            ("connected_tcp", stats.connected[1]),
            ("tcp_open", lane.streams.open),
            ("tcp_accepted", lane.streams.accepted),
            ("tcp_waiting", lane.streams.waiting),
            ("kernel_drops", lane.kernel_drops),
            ("receive_queue", lane.receive_queue),
            ("receive_buffer", lane.receive_buffer),
            ("send_calls", lane.send_calls),
            ("send_runs", lane.send_runs),
            ("gso_fallbacks", lane.gso_fallbacks),
            ("depth_commands", lane.depths.commands as u64),
            ("depth_events", lane.depths.events as u64),
            ("depth_relay", lane.depths.relay as u64),
            ("depth_associations", lane.depths.associations as u64),
        ],
    )
}

fn histograms<'py>(py: Python<'py>, lane: &LaneSnapshot) -> PyResult<Bound<'py, PyDict>> {
    let network = &lane.stats.network;
    let dict = PyDict::new(py);
    let latency = &lane.latency;
    let bounds = LATENCY_BOUNDS_US.to_vec();
    dict.set_item("latency_us", (bounds, latency.counts().to_vec(), latency.sum_ns() / 1_000))?;
    dict.set_item("round_trip_us", buckets(&network.round_trip))?;
    for (kind, up) in ["audio", "video"].iter().zip(&network.up) {
        dict.set_item(format!("up_loss_ppm_{kind}"), buckets(&up.loss))?;
        dict.set_item(format!("up_jitter_us_{kind}"), buckets(&up.jitter))?;
        dict.set_item(format!("up_rate_{kind}"), buckets(&up.rate))?;
    }
    for (kind, down) in ["audio", "video"].iter().zip(&network.down) {
        dict.set_item(format!("down_loss_ppm_{kind}"), buckets(&down.loss))?;
        dict.set_item(format!("down_jitter_us_{kind}"), buckets(&down.jitter))?;
    }
    Ok(dict)
}

fn buckets(distribution: &Distribution) -> Buckets {
    (distribution.bounds().to_vec(), distribution.counts().to_vec(), distribution.sum())
}

fn named<'py>(py: Python<'py>, numbers: &[(&str, u64)]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, number) in numbers {
        dict.set_item(name, number)?;
    }
    Ok(dict)
}
