//! Events as Python tuples: a name, then what it says.

use conclave_core::event::{AudioLevel, Event};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::arguments::codec_name;

/// Turns one event into its tuple.
pub fn to_python(py: Python<'_>, event: Event) -> PyResult<Bound<'_, PyAny>> {
    let tuple = match event {
        Event::TransportValidated { transport } => {
            ("transport_validated", transport.0).into_pyobject(py)?
        }
        Event::TransportConnected { transport, profile } => {
            ("transport_connected", transport.0, profile.name()).into_pyobject(py)?
        }
        Event::TransportMoved { transport } => {
            ("transport_moved", transport.0).into_pyobject(py)?
        }
        Event::TransportStale { transport } => {
            ("transport_stale", transport.0).into_pyobject(py)?
        }
        Event::TransportAlive { transport } => {
            ("transport_alive", transport.0).into_pyobject(py)?
        }
        Event::TransportClosed { transport, reason } => {
            ("transport_closed", transport.0, reason.name()).into_pyobject(py)?
        }
        Event::StreamChanged { track, stream, active, codec } => {
            ("stream_changed", track.0, stream, active, codec_name(codec)).into_pyobject(py)?
        }
        Event::LegChanged { leg, current } => ("leg_changed", leg.0, current).into_pyobject(py)?,
        Event::AudioLevels(levels) => {
            let levels: Vec<_> = levels.into_iter().map(level).collect();
            ("audio_levels", levels).into_pyobject(py)?
        }
        Event::ChannelOpened { transport, stream, parameters: channel } => {
            let (label, protocol) = (channel.label, channel.protocol);
            let delivery = (channel.ordered, channel.max_retransmits);
            ("channel_opened", transport.0, stream, label, protocol, delivery.0, delivery.1)
                .into_pyobject(py)?
        }
        Event::Message { transport, stream, data, binary } => {
            let data = PyBytes::new(py, &data);
            ("channel_message", transport.0, stream, data, binary).into_pyobject(py)?
        }
        Event::ChannelClosed { transport, stream } => {
            ("channel_closed", transport.0, stream).into_pyobject(py)?
        }
    };
    Ok(tuple.into_any())
}

fn level(level: AudioLevel) -> (u32, u8, u8, u16, u16) {
    (level.track.0, level.loudest, level.mean, level.active, level.packets)
}
