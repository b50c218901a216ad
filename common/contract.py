"""The metrics contract: every series that Conclave shows, declared once.

Dashboards, alerts, `docs/sre/metrics.md` and the sidecar's exposition are built on this table; a test fails when
the exposition and the table differ. No label is ever about a person, a meeting, an address or a device.

A metric of `VERSION`'s major number keeps its name, type, unit, labels and their meaning. New metrics and new
values of a label raise the minor number. Must not: know where the numbers come from.
"""

from __future__ import annotations

from typing import Final

from common.metrics import Kind, Label, Metric, Origin, Stability

VERSION: Final = "1.0"
MAX_NODES: Final = 64  # servers that may push to one sidecar
MAX_LANES: Final = 64  # as many as a server may be configured with

# -- labels ---------------------------------------------------------------------------------------

WORD: Final = r"[a-z][a-z0-9_]{0,63}"
NODE: Final = Label(
    "node",
    "name of the server, from its configuration",
    (),
    r"[a-z0-9][a-z0-9._-]{0,62}",
    MAX_NODES,
)
LANE: Final = Label("lane", "number of the lane, from 0", (), r"[0-9]{1,2}", MAX_LANES)
BUILD: Final = Label("version", "version of the software", (), r"[0-9A-Za-z.+-]{1,32}", 2)
CONTRACT: Final = Label("version", "version of this contract", (VERSION,))
KIND: Final = Label("kind", "kind of the track", ("audio", "video"))
SOURCE: Final = Label(
    "source",
    "what the track shows",
    ("unknown", "camera", "microphone", "screen_share", "screen_share_audio"),
)
CODEC: Final = Label(
    "codec",
    "codec of the track, unknown until it is negotiated",
    ("unknown", "opus", "red", "pcmu", "pcma", "vp8", "vp9", "h264", "h265", "av1"),
)
STATE: Final = Label("state", "how far the participant has come", ("joining", "joined", "active"))
QUALITY: Final = Label(
    "quality", "connection quality as clients are told", ("excellent", "good", "poor", "lost")
)
LEAVE: Final = Label(
    "reason",
    "why the participant left",
    (
        "client_initiated", "duplicate_identity", "server_shutdown", "participant_removed",
        "room_deleted", "room_closed", "state_mismatch", "join_failure", "signal_close",
        "connection_timeout", "media_failure", "user_unavailable", "user_rejected", "agent_error",
    ),
)  # fmt: skip
PART: Final = Label("part", "who refused", ("signalling", "sfu"))
CODE: Final = Label("code", "stable name of the refusal", (), WORD, 256)
PROTOCOL: Final = Label("protocol", "how the participant talks to us", ("livekit", "whip", "whep"))
STAGE: Final = Label(
    "stage",
    "answered: the join answer is sent; validated: ICE; connected: DTLS; media: the first packet is sent to"
    " a participant who found a published track",
    ("answered", "validated", "connected", "media"),
)
GATE: Final = Label(
    "gate",
    "the gate that decided",
    ("schedule", "knock", "admit", "key", "record", "change", "end", "afterlife"),
)
DECISION: Final = Label("decision", "what it decided", ("allowed", "refused"))
DECIDED: Final = Label("reason", "stable code of the refusal; granted if allowed", (), WORD, 256)
DROP: Final = Label("reason", "a DropReason of dataplane/core/src/drop.rs", (), WORD, 256)
REFUSED_DTLS: Final = Label(
    "reason", "a Refusal of dataplane/associations/src/refusal.rs", (), WORD, 128
)
LAYER: Final = ("none", "0", "1", "2")
WANTED: Final = Label("wanted", "stream or spatial layer that the leg should carry", LAYER)
SERVED: Final = Label("served", "stream or spatial layer on the wire", LAYER)
SWITCH: Final = Label("direction", "towards a higher or a lower layer", ("up", "down"))
WAY: Final = Label("direction", "from clients, or to them", ("received", "sent"))
REQUEST: Final = Label("type", "PLI (RFC 4585) or FIR (RFC 5104)", ("pli", "fir"))
QUEUE: Final = Label(
    "queue",
    "commands: from the control plane; events: to it; relay: from other lanes; associations: from and to"
    " the DTLS thread",
    ("commands", "events", "relay", "associations"),
)
CLOSED: Final = Label(
    "reason",
    "why the transport ended by itself",
    ("consent_expired", "fingerprint_mismatch", "handshake_failed", "peer_closed", "internal"),
)
CARRIER: Final = Label("transport", "what the selected candidate pair runs over", ("udp", "tcp"))
HANDSHAKE: Final = Label("outcome", "how the handshake ended", ("completed", "failed"))
GENERATION: Final = Label("generation", "of the collected objects", ("0", "1", "2"))
MODE: Final = Label("mode", "in the program or in the kernel", ("user", "system"))
UNPUSHED: Final = Label(
    "reason",
    "unreachable: no sidecar answers; busy: it has not read the last one; too_long: beyond the frame's bound",
    ("unreachable", "busy", "too_long"),
)
REFUSED_PUSH: Final = Label(
    "reason",
    "why the sidecar ended a server's connection",
    (
        "peer_refused", "too_many_connections", "frame_too_long", "snapshot_malformed",
        "protocol_version", "too_many_nodes",
    ),
)  # fmt: skip
OUTSIDE: Final = Label(
    "reason",
    "unknown_metric, unknown_label or malformed_value: the pushed series is not of this contract",
    ("unknown_metric", "unknown_label", "malformed_value"),
)
AUDIT_OUTCOME: Final = Label(
    "outcome", "recorded, spooled, or the code of the refusal", (), WORD, 32
)
AUDIT_REFUSED: Final = Label("reason", "why the log ended a recorder's connection", (), WORD, 32)
WITNESSING: Final = Label("outcome", "what became of the request", (), WORD, 32)
STAMPED: Final = Label("outcome", "what became of the attempt", (), WORD, 32)
QUERIED: Final = Label("outcome", "`answered`, or why the question was refused", (), WORD, 32)

# -- buckets --------------------------------------------------------------------------------------

MICROS: Final = (
    5, 10, 15, 20, 25, 30, 35, 40, 50, 60, 70, 80, 100, 120, 150, 200, 250, 300, 400, 500, 700,
    1_000, 1_500, 2_000, 3_000, 5_000, 10_000, 20_000, 50_000, 100_000,
)  # fmt: skip
FORWARDING: Final = tuple(micros / 1e6 for micros in MICROS)
LAG: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
PAUSE: Final = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
JOIN: Final = (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LOSS: Final = (0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
JITTER: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
ROUND_TRIP: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
RATE: Final = (2e3, 4e3, 8e3, 16e3, 32e3, 64e3, 128e3, 256e3, 512e3, 1e6)
DURABLE: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)


# -- metrics --------------------------------------------------------------------------------------


def _counter(name: str, text: str, *labels: Label) -> Metric:
    return Metric(f"conclave_{name}_total", Kind.COUNTER, text, labels)


def _gauge(name: str, text: str, *labels: Label) -> Metric:
    return Metric(f"conclave_{name}", Kind.GAUGE, text, labels)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: Label) -> Metric:
    return Metric(f"conclave_{name}", Kind.HISTOGRAM, text, labels, buckets=buckets)


def _own(name: str, kind: Kind, text: str, *labels: Label) -> Metric:
    return Metric(f"conclave_{name}", kind, text, labels, Origin.SIDECAR)


def _probe(metric: Metric) -> Metric:
    return Metric(
        metric.name, metric.kind, metric.text, metric.labels, metric.origin, metric.buckets,
        sparse=True,
        stability=Stability.EXPERIMENTAL,
    )  # fmt: skip


MEETINGS: Final = (
    _gauge("rooms", "Rooms that exist."),
    _gauge("peers", "Participants.", STATE),
    _gauge("tracks", "Published tracks.", KIND, SOURCE, CODEC),
    _gauge("subscriptions", "Tracks on their way to a subscriber.", KIND),
    _gauge("sessions", "Participants by the protocol they came with.", PROTOCOL),
    _gauge("peers_by_quality", "Active participants by connection quality.", QUALITY),
    _counter("joins", "Participants that were let in."),
    _counter("leaves", "Participants that left.", LEAVE),
    _counter("refusals", "Requests and messages refused or ignored.", PART, CODE),
    _counter("gate_decisions", "Decisions about what a person may do.", GATE, DECISION, DECIDED),
    _histogram(
        "join_seconds",
        "From the opening of the socket to each stage of a join; an exemplar names the room by a pseudonym.",
        JOIN,
        STAGE,
    ),
    _histogram(
        "publish_seconds",
        "From the announcement of a track to its first packet; an exemplar names the room by a pseudonym.",
        JOIN,
        KIND,
    ),
)

TRAFFIC: Final = (
    _counter("received_packets", "Datagrams received.", LANE),
    _counter("received_bytes", "Bytes of datagrams received, without IP and UDP.", LANE),
    _counter("sent_packets", "Datagrams sent.", LANE),
    _counter("sent_bytes", "Bytes of datagrams sent, without IP and UDP.", LANE),
    _counter("forwarded_packets", "Media packets sent to subscribers, without repairs.", LANE),
    _counter("forwarded_bytes", "Their bytes.", LANE),
    _counter("drops", "Packets that went no further; 0 is shown too.", LANE, DROP),
    _histogram(
        "forwarding_latency_seconds",
        "From the kernel's receive time stamp to the return of the send call.",
        FORWARDING,
        LANE,
    ),
)

REPAIR: Final = (
    _counter("nacked_packets_sent", "Packets that we asked publishers for again.", LANE),
    _counter("nacked_packets_received", "Packets that subscribers asked us for again.", LANE),
    _counter("repaired_packets", "Lost packets that publishers' retransmissions brought.", LANE),
    _counter("retransmitted_packets", "Retransmissions sent to subscribers.", LANE),
    _counter("keyframe_requests_sent", "Key frames that we asked publishers for (PLI).", LANE),
    _counter("keyframe_requests_received", "Key frames that subscribers asked for.", LANE, REQUEST),
)

QUALITIES: Final = (
    _histogram(
        "upstream_loss_ratio",
        "Share of a track's packets that neither came nor were repaired; one observation per arriving track"
        " and second.",
        LOSS,
        KIND,
    ),
    _histogram(
        "upstream_jitter_seconds",
        "Interarrival jitter (RFC 3550) of published tracks; one observation per arriving track and second.",
        JITTER,
        KIND,
    ),
    _histogram(
        "upstream_bytes_per_second",
        "Rate of published tracks, all layers; one observation per arriving track and second.",
        RATE,
        KIND,
    ),
    _histogram(
        "downstream_loss_ratio",
        "Share of packets that receivers report lost, before repair; at most one observation per leg and second.",
        LOSS,
        KIND,
    ),
    _histogram(
        "downstream_jitter_seconds",
        "Interarrival jitter that receivers report; observed together with the loss.",
        JITTER,
        KIND,
    ),
    _histogram(
        "round_trip_seconds",
        "Round trip to a client; one observation per transport with a known one and second.",
        ROUND_TRIP,
    ),
)

LAYERS: Final = (
    _gauge("video_legs", "Video on its way to subscribers, by layer.", WANTED, SERVED),
    _counter("layer_switches", "Changes of the layer on a leg's wire.", LANE, SWITCH),
)

CONNECTIONS: Final = (
    _gauge(
        "transports", "Connections by what they run over, once ICE found a path.", LANE, CARRIER
    ),
    _gauge("tcp_connections", "Open TCP connections of clients (RFC 6544).", LANE),
    _counter("tcp_connections_accepted", "TCP connections that were accepted.", LANE),
    _gauge("tcp_send_queue_bytes", "Bytes that wait for TCP connections to take them.", LANE),
    _counter("ice_validated", "Connections whose first authenticated check arrived.", LANE),
    _counter("ice_path_changes", "Moves of a connection to another address.", LANE),
    _counter("ice_stale", "Connections that went five seconds without a check.", LANE),
    _counter("transports_closed", "Connections that ended by themselves.", LANE, CLOSED),
    _counter("dtls_handshakes", "Handshakes that ended.", HANDSHAKE),
    _gauge("dtls_handshakes_running", "Handshakes that run now."),
    _counter("dtls_flights_resent", "Flights of handshakes that were sent again."),
    _gauge("data_channels", "Open data channels."),
    _counter("data_messages", "Messages on data channels, one for each receiver.", WAY),
    _counter("association_refusals", "What DTLS and SCTP refused.", REFUSED_DTLS),
)

LANES: Final = (
    _counter("lane_busy_seconds", "Time that a lane spent working.", LANE),
    _gauge("lane_busy_ratio", "The same over the last second: 1 is saturated.", LANE),
    _probe(
        _gauge(
            "lane_headroom_packets_per_second",
            "Packets that the lane could send beyond what it sends now, at the cost per packet of the last"
            " second; shown while it sends.",
            LANE,
        )
    ),
    _gauge("lane_queue_depth", "Most items seen waiting in the last second.", LANE, QUEUE),
    _counter("kernel_receive_drops", "Datagrams the kernel dropped: the socket was full.", LANE),
    _gauge("socket_receive_queue_bytes", "Memory of datagrams that wait in the sockets.", LANE),
    _gauge("socket_receive_buffer_bytes", "What the sockets hold at most.", LANE),
    _counter("send_calls", "System calls that sent.", LANE),
    _counter("send_runs", "Runs of equal-size datagrams in them (GSO).", LANE),
    _counter("gso_fallbacks", "Runs that had to be sent packet by packet.", LANE),
    _counter("commands_ignored", "Commands that named something unknown to the data plane."),
)

PROCESS: Final = (
    Metric("conclave_build_info", Kind.INFO, "Version of the server.", (BUILD,)),
    _gauge("draining", "1 while the server takes no more participants."),
    _histogram("event_loop_lag_seconds", "How late the control plane's loop runs.", LAG),
    _histogram("gc_pause_seconds", "Pauses of the garbage collector.", PAUSE, GENERATION),
    _counter("process_cpu_seconds", "Processor time of the server.", MODE),
    _gauge("process_resident_memory_bytes", "Memory of the server."),
    _gauge("process_threads", "Threads of the server."),
    _gauge("process_open_fds", "File descriptors that the server has open."),
    _gauge("process_max_fds", "File descriptors that it may open."),
    _gauge("process_start_time_seconds", "When the server started, seconds since 1970."),
    _counter("snapshots_pushed", "Snapshots handed to the sidecar's socket."),
    _counter("snapshots_dropped", "Snapshots that nobody took.", UNPUSHED),
)

AUDIT: Final = (
    _counter("audit_events", "Events handed to the audit trail of this server.", AUDIT_OUTCOME),
    _gauge("audit_backlog", "Events that are not in the log yet."),
    _gauge("audit_spool_depth", "Of these, events in the spool on disk."),
    _gauge("audit_lag_seconds", "Age of the oldest event that is not in the log yet."),
    _counter("sidecar_starts", "Starts of the sidecar, where it is this server's child."),
    _gauge("sidecar_given_up", "1 if that child ended so that a new start cannot help."),
)

SIDECAR: Final = (
    _own("metrics_contract_info", Kind.INFO, "Version of this contract.", CONTRACT),
    _own("snapshot_age_seconds", Kind.GAUGE, "Age of a server's last snapshot.", NODE),
    _own(
        "node_up",
        Kind.GAUGE,
        "1 while a server's snapshots come; at 0 its series are hidden.",
        NODE,
    ),
    _own("snapshots_received_total", Kind.COUNTER, "Snapshots that arrived.", NODE),
    _own("snapshot_bytes", Kind.GAUGE, "Size of a server's last snapshot.", NODE),
    _own("snapshot_refusals_total", Kind.COUNTER, "Connections ended.", REFUSED_PUSH),
    _own(
        "snapshot_series_ignored_total",
        Kind.COUNTER,
        "Pushed series not of this contract.",
        OUTSIDE,
    ),
    _own("audit_entries_total", Kind.COUNTER, "Entries made durable."),
    _own("audit_refused_total", Kind.COUNTER, "Connections ended by the log.", AUDIT_REFUSED),
    Metric(
        "conclave_audit_durable_seconds",
        Kind.HISTOGRAM,
        "From the arrival of a group of entries to its confirmation.",
        (),
        Origin.SIDECAR,
        DURABLE,
    ),
    _own("audit_publish_failures_total", Kind.COUNTER, "Checkpoints that the disk refused."),
    _own(
        "audit_witnessed_total",
        Kind.COUNTER,
        "Checkpoints of others looked at as a witness.",
        WITNESSING,
    ),
    _own("audit_cosigned_total", Kind.COUNTER, "Own checkpoints shown to witnesses.", WITNESSING),
    _own("audit_size", Kind.GAUGE, "Entries in the log."),
    _own("audit_timestamps_total", Kind.COUNTER, "Attempts to have a checkpoint stamped.", STAMPED),
    _own(
        "audit_timestamp_age_seconds",
        Kind.GAUGE,
        "Time since the newest checkpoint was known to be stamped; 0 without an authority.",
    ),
    _own("audit_queries_total", Kind.COUNTER, "Questions about the log.", QUERIED),
    _own("audit_index_lag", Kind.GAUGE, "Published entries that the index does not hold yet."),
    _own("audit_index_rebuilds_total", Kind.COUNTER, "Times that the index was made anew."),
    _own("audit_unpublished", Kind.GAUGE, "Entries that no checkpoint covers."),
    _own(
        "audit_checkpoint_age_seconds",
        Kind.GAUGE,
        "How long entries have waited for a checkpoint; 0 if none do.",
    ),
    _own(
        "audit_witness_age_seconds",
        Kind.GAUGE,
        "How long a checkpoint has lacked a cosignature; 0 if none does.",
    ),
    _own("sidecar_process_virtual_memory_bytes", Kind.GAUGE, "Virtual memory size in bytes."),
    _own("sidecar_process_resident_memory_bytes", Kind.GAUGE, "Resident memory size in bytes."),
    _own(
        "sidecar_process_start_time_seconds",
        Kind.GAUGE,
        "Start time of the process since unix epoch in seconds.",
    ),
    _own(
        "sidecar_process_cpu_seconds_total",
        Kind.COUNTER,
        "Total user and system CPU time spent in seconds.",
    ),
    _own("sidecar_process_open_fds", Kind.GAUGE, "Number of open file descriptors."),
    _own("sidecar_process_max_fds", Kind.GAUGE, "Maximum number of open file descriptors."),
)

GROUPS: Final = (
    ("Meetings", MEETINGS),
    ("Traffic", TRAFFIC),
    ("Repair", REPAIR),
    ("Quality", QUALITIES),
    ("Layers", LAYERS),
    ("Connections", CONNECTIONS),
    ("Lanes", LANES),
    ("The server's process", PROCESS),
    ("Audit trail of a server", AUDIT),
    ("The sidecar and its log", SIDECAR),
)
METRICS: Final = {metric.name: metric for _, group in GROUPS for metric in group}
