//! Snapshots as Python dictionaries, with the names of the contract.

use conclave_core::stats::{Flow, LegStats, TrackStats, TransportStats};
use conclave_io::histogram::LATENCY_BOUNDS_US;
use conclave_io::plane::PlaneSnapshot;
use conclave_io::snapshot::LaneSnapshot;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// Turns a snapshot into `_Snapshot`.
pub fn to_python<'py>(py: Python<'py>, snapshot: &PlaneSnapshot) -> PyResult<Bound<'py, PyDict>> {
    let lanes = PyList::empty(py);
    for lane in &snapshot.lanes {
        lanes.append(lane_to_python(py, lane)?)?;
    }
    let associations = &snapshot.associations;
    let dict = PyDict::new(py);
    dict.set_item("lanes", lanes)?;
    dict.set_item("latency_bounds_us", LATENCY_BOUNDS_US.to_vec())?;
    dict.set_item("channels", associations.channels)?;
    dict.set_item("handshakes", associations.handshakes_completed)?;
    dict.set_item("handshakes_failed", associations.handshakes_failed)?;
    dict.set_item("commands_ignored", snapshot.commands_ignored)?;
    Ok(dict)
}

fn lane_to_python<'py>(py: Python<'py>, lane: &LaneSnapshot) -> PyResult<Bound<'py, PyDict>> {
    let stats = &lane.stats;
    let dict = PyDict::new(py);
    dict.set_item("received", flow(stats.received))?;
    dict.set_item("sent", flow(stats.sent))?;
    dict.set_item("forwarded", flow(stats.forwarded))?;
    dict.set_item("drops", stats.drops.iter().map(|(_, count)| count).collect::<Vec<_>>())?;
    dict.set_item("nacks_sent", stats.nacks_sent)?;
    dict.set_item("nacks_received", stats.nacks_received)?;
    dict.set_item("retransmitted", stats.retransmitted)?;
    dict.set_item("keyframes_requested", stats.keyframes_requested)?;
    dict.set_item("keyframe_requests_received", stats.keyframe_requests_received)?;
    dict.set_item("kernel_drops", lane.kernel_drops)?;
    dict.set_item("gso_fallbacks", lane.gso_fallbacks)?;
    dict.set_item("send_calls", lane.send_calls)?;
    let streams = lane.streams;
    dict.set_item("tcp", (streams.open, streams.accepted, streams.waiting))?;
    dict.set_item("latency_us", lane.latency.cumulative().to_vec())?;
    dict.set_item("busy_ns", lane.busy_ns)?;
    dict.set_item("transports", stats.transports.iter().map(transport).collect::<Vec<_>>())?;
    dict.set_item("tracks", stats.tracks.iter().map(track).collect::<Vec<_>>())?;
    dict.set_item("legs", stats.legs.iter().map(leg).collect::<Vec<_>>())?;
    Ok(dict)
}

fn flow(flow: Flow) -> (u64, u64) {
    (flow.packets, flow.bytes)
}

fn transport(stats: &TransportStats) -> (u32, Option<u32>, u64, u64, u64, u64) {
    let (received, sent) = (stats.received, stats.sent);
    let id = stats.transport.0;
    (id, stats.rtt_us, received.packets, received.bytes, sent.packets, sent.bytes)
}

fn track(stats: &TrackStats) -> (u32, u64, u64, u64, u32, Vec<u32>) {
    let Flow { packets, bytes } = stats.received;
    let rates = stats.stream_bps.to_vec();
    (stats.track.0, packets, bytes, stats.lost, stats.jitter_us, rates)
}

fn leg(stats: &LegStats) -> (u32, u64, u64, u8, Option<u32>, u32) {
    let Flow { packets, bytes } = stats.sent;
    (stats.leg.0, packets, bytes, stats.fraction_lost, stats.rtt_us, stats.jitter_us)
}
