//! Statistics of everything that lives in the data plane, as Python tuples in the order of the contract.

use conclave_core::stats::{Flow, LegStats, TrackStats, TransportStats};
use conclave_io::plane::PlaneSnapshot;
use conclave_io::snapshot::LaneSnapshot;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// Turns a snapshot into `_Snapshot`.
pub fn to_python<'py>(py: Python<'py>, snapshot: &PlaneSnapshot) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let stats = || snapshot.lanes.iter().map(|lane: &std::sync::Arc<LaneSnapshot>| &lane.stats);
    let transports = stats().flat_map(|stats| &stats.transports).map(transport);
    let tracks = stats().flat_map(|stats| &stats.tracks).map(track);
    let legs = stats().flat_map(|stats| &stats.legs).map(leg);
    dict.set_item("transports", PyList::new(py, transports.collect::<Vec<_>>())?)?;
    dict.set_item("tracks", PyList::new(py, tracks.collect::<Vec<_>>())?)?;
    dict.set_item("legs", PyList::new(py, legs.collect::<Vec<_>>())?)?;
    Ok(dict)
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
