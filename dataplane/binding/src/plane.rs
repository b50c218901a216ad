//! The class `DataPlane`: every method is a conversion, a call, a conversion back.

// The keyword arguments of the Python contract are the parameters of these functions.
#![allow(clippy::too_many_arguments)]
// PyO3 hands over owned values of what it extracted.
#![allow(clippy::needless_pass_by_value)]

use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use conclave_core::command::{
    AddLeg, AddTrack, ChannelCommand, ChannelParameters, Command, LayerTarget,
};
use conclave_core::ids::{LaneId, LegId, TrackId, TransportId};
use conclave_io::plane::{Plane, PlaneConfig};
use conclave_io::socket::Buffers;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::arguments::{self, CodecTuple, PayloadTuple, StreamTuple};
use crate::error::{refuse, BindingError};
use crate::{counters, events, snapshot};

/// Lanes and the associations thread; threads start here and end in `close`.
#[pyclass(frozen, module = "sfu._dataplane")]
pub struct DataPlane {
    plane: Mutex<Option<Plane>>,
}

impl DataPlane {
    /// Calls `act` with the plane, the GIL released before the lock is taken.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        act: impl FnOnce(&mut Plane) -> T + Send,
    ) -> Result<T, BindingError> {
        py.detach(|| {
            let mut plane = self.plane.lock().unwrap_or_else(PoisonError::into_inner);
            plane.as_mut().map(act).ok_or(BindingError::Closed)
        })
    }

    fn command(&self, py: Python<'_>, command: Command) -> Result<(), BindingError> {
        Ok(self.with(py, |plane| plane.command(command))??)
    }

    fn channel(&self, py: Python<'_>, command: ChannelCommand) -> Result<(), BindingError> {
        Ok(self.with(py, |plane| plane.channel(command))??)
    }
}

#[pymethods]
impl DataPlane {
    #[new]
    #[pyo3(signature = (*, lanes, addresses, port, certificate, private_key, tcp_port=None,
        consent_timeout_ms=30_000, max_transports=16_384, receive_buffer=16_777_216,
        send_buffer=16_777_216))]
    fn new(
        py: Python<'_>,
        lanes: usize,
        addresses: Vec<String>,
        port: u16,
        certificate: Vec<u8>,
        private_key: Vec<u8>,
        tcp_port: Option<u16>,
        consent_timeout_ms: u64,
        max_transports: usize,
        receive_buffer: usize,
        send_buffer: usize,
    ) -> Result<Self, BindingError> {
        let parse = |address: String| {
            let parsed = address.parse::<IpAddr>();
            parsed.or_else(|_| refuse(format!("not an IP address: {address:?}")))
        };
        let config = PlaneConfig {
            lanes,
            addresses: addresses.into_iter().map(parse).collect::<Result<_, _>>()?,
            port,
            tcp_port,
            certificate,
            private_key,
            consent: Duration::from_millis(consent_timeout_ms),
            max_transports,
            buffers: Buffers { receive: receive_buffer, send: send_buffer },
        };
        let plane = py.detach(|| Plane::start(&config))?;
        Ok(Self { plane: Mutex::new(Some(plane)) })
    }

    fn fileno(&self, py: Python<'_>) -> Result<RawFd, BindingError> {
        self.with(py, |plane| plane.fd())
    }

    fn local_addresses(&self, py: Python<'_>) -> Result<Vec<Vec<(String, u16)>>, BindingError> {
        Ok(pairs(self.with(py, |plane| plane.addresses())?))
    }

    fn tcp_addresses(&self, py: Python<'_>) -> Result<Vec<Vec<(String, u16)>>, BindingError> {
        Ok(pairs(self.with(py, |plane| plane.tcp_addresses())?))
    }

    #[pyo3(signature = (limit=1024))]
    fn drain<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for event in self.with(py, |plane| plane.drain(limit))? {
            list.append(events::to_python(py, event)?)?;
        }
        Ok(list)
    }

    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let latest = self.with(py, |plane| plane.snapshot())?;
        snapshot::to_python(py, &latest)
    }

    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let latest = self.with(py, |plane| plane.snapshot())?;
        counters::to_python(py, &latest)
    }

    fn flush(&self, py: Python<'_>) -> Result<(), BindingError> {
        self.with(py, Plane::flush)
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| {
            let mut plane = self.plane.lock().unwrap_or_else(PoisonError::into_inner);
            drop(plane.take());
        });
    }

    #[pyo3(signature = (transport, *, lane, ufrag, pwd))]
    fn add_transport(
        &self,
        py: Python<'_>,
        transport: u32,
        lane: u8,
        ufrag: String,
        pwd: String,
    ) -> Result<(), BindingError> {
        let local = arguments::credentials(ufrag, pwd)?;
        let (transport, lane) = (TransportId(transport), LaneId(lane));
        Ok(self.with(py, |plane| plane.add_transport(transport, lane, local))??)
    }

    #[pyo3(signature = (transport, *, ufrag, fingerprints, dtls_client, sctp, pwd=""))]
    fn set_remote(
        &self,
        py: Python<'_>,
        transport: u32,
        ufrag: String,
        fingerprints: Vec<(String, Vec<u8>)>,
        dtls_client: bool,
        sctp: Option<(u16, u32)>,
        pwd: &str,
    ) -> Result<(), BindingError> {
        let remote = arguments::remote((ufrag, pwd.to_owned()), fingerprints, dtls_client, sctp)?;
        self.command(py, Command::SetRemote { transport: TransportId(transport), remote })
    }

    #[pyo3(signature = (transport, *, ufrag, pwd))]
    fn restart_ice(
        &self,
        py: Python<'_>,
        transport: u32,
        ufrag: String,
        pwd: String,
    ) -> Result<(), BindingError> {
        let local = arguments::credentials(ufrag, pwd)?;
        self.command(py, Command::RestartIce { transport: TransportId(transport), local })
    }

    fn set_extensions(
        &self,
        py: Python<'_>,
        transport: u32,
        extensions: Vec<(u8, String)>,
    ) -> Result<(), BindingError> {
        let extensions = arguments::extensions(extensions)?;
        let transport = TransportId(transport);
        self.command(py, Command::SetExtensions { transport, extensions })
    }

    fn remove_transport(&self, py: Python<'_>, transport: u32) -> Result<(), BindingError> {
        self.command(py, Command::RemoveTransport { transport: TransportId(transport) })
    }

    #[pyo3(signature = (track, *, transport, kind, mid, codecs, streams, screen=false))]
    fn add_track(
        &self,
        py: Python<'_>,
        track: u32,
        transport: u32,
        kind: &str,
        mid: String,
        codecs: Vec<CodecTuple>,
        streams: Vec<StreamTuple>,
        screen: bool,
    ) -> Result<(), BindingError> {
        let add = AddTrack {
            track: TrackId(track),
            transport: TransportId(transport),
            kind: arguments::kind(kind)?,
            mid,
            codecs: arguments::codecs(codecs)?,
            streams: arguments::streams(streams)?,
            screen,
        };
        self.command(py, Command::AddTrack(add))
    }

    fn set_track_open(&self, py: Python<'_>, track: u32, open: bool) -> Result<(), BindingError> {
        self.command(py, Command::SetTrackOpen { track: TrackId(track), open })
    }

    fn remove_track(&self, py: Python<'_>, track: u32) -> Result<(), BindingError> {
        self.command(py, Command::RemoveTrack { track: TrackId(track) })
    }

    #[pyo3(signature = (leg, *, track, transport, kind, mid, ssrc, rtx_ssrc, cname, payloads,
        extensions))]
    fn add_leg(
        &self,
        py: Python<'_>,
        leg: u32,
        track: u32,
        transport: u32,
        kind: &str,
        mid: String,
        ssrc: u32,
        rtx_ssrc: Option<u32>,
        cname: String,
        payloads: Vec<PayloadTuple>,
        extensions: Vec<(u8, String)>,
    ) -> Result<(), BindingError> {
        let add = AddLeg {
            leg: LegId(leg),
            track: TrackId(track),
            // The directory of lanes knows it and fills it in.
            home: LaneId(0),
            transport: TransportId(transport),
            kind: arguments::kind(kind)?,
            mid,
            ssrc,
            rtx_ssrc,
            cname,
            payloads: arguments::payloads(payloads)?,
            extensions: arguments::extensions(extensions)?,
        };
        self.command(py, Command::AddLeg(add))
    }

    fn set_leg(
        &self,
        py: Python<'_>,
        leg: u32,
        target: Option<(u8, u8)>,
    ) -> Result<(), BindingError> {
        let target = target.map(|(spatial, temporal)| LayerTarget { spatial, temporal });
        self.command(py, Command::SetLeg { leg: LegId(leg), target })
    }

    fn remove_leg(&self, py: Python<'_>, leg: u32) -> Result<(), BindingError> {
        self.command(py, Command::RemoveLeg { leg: LegId(leg) })
    }

    fn request_keyframe(&self, py: Python<'_>, track: u32, stream: u8) -> Result<(), BindingError> {
        self.command(py, Command::RequestKeyframe { track: TrackId(track), stream })
    }

    #[pyo3(signature = (transport, *, stream, label, protocol="", ordered=true,
        max_retransmits=None, negotiated=false))]
    fn open_channel(
        &self,
        py: Python<'_>,
        transport: u32,
        stream: Option<u16>,
        label: String,
        protocol: &str,
        ordered: bool,
        max_retransmits: Option<u16>,
        negotiated: bool,
    ) -> Result<(), BindingError> {
        if negotiated && stream.is_none() {
            return refuse("a negotiated channel needs its stream id");
        }
        let protocol = protocol.to_owned();
        let parameters = ChannelParameters { label, protocol, ordered, max_retransmits };
        let transport = TransportId(transport);
        self.channel(py, ChannelCommand::Open { transport, stream, parameters, negotiated })
    }

    #[pyo3(signature = (to, data, *, binary=true))]
    fn send(
        &self,
        py: Python<'_>,
        to: Vec<(u32, u16)>,
        data: Vec<u8>,
        binary: bool,
    ) -> Result<(), BindingError> {
        let to = to.into_iter().map(|(transport, stream)| (TransportId(transport), stream));
        self.channel(py, ChannelCommand::Send { to: to.collect(), data, binary })
    }

    fn close_channel(
        &self,
        py: Python<'_>,
        transport: u32,
        stream: u16,
    ) -> Result<(), BindingError> {
        self.channel(py, ChannelCommand::Close { transport: TransportId(transport), stream })
    }
}

/// Addresses of each lane, as text and port.
fn pairs(lanes: Vec<Vec<SocketAddr>>) -> Vec<Vec<(String, u16)>> {
    let pair = |address: SocketAddr| (address.ip().to_string(), address.port());
    lanes.into_iter().map(|lane| lane.into_iter().map(pair).collect()).collect()
}
