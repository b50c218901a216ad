// Drives the unmodified livekit-client from a test: join, publish, read what was decoded.
// Facts come from getStats(): decoded frames and audio energy, never connection states.
const { Room, RoomEvent, Track, VideoPresets } = LivekitClient;
const state = { room: null, events: [], data: [] };

async function join(url, token, options = {}) {
  const room = new Room({ adaptiveStream: false, dynacast: false, ...options.room });
  state.room = room;
  for (const name of ['Connected', 'Reconnecting', 'Reconnected', 'Disconnected', 'TrackMuted', 'TrackUnmuted',
    'TrackUnsubscribed', 'ParticipantConnected', 'ParticipantDisconnected', 'TrackSubscriptionFailed']) {
    room.on(RoomEvent[name], (what) => state.events.push([name, String(what?.sid ?? what ?? '')]));
  }
  room.on(RoomEvent.ActiveSpeakersChanged, (speakers) =>
    state.events.push(['ActiveSpeakersChanged', speakers.map((s) => s.identity).join(',')]));
  room.on(RoomEvent.DataReceived, (payload, from, _kind, topic) =>
    state.data.push([from?.identity ?? '', topic ?? '', new TextDecoder().decode(payload)]));
  room.on(RoomEvent.TrackSubscribed, (track) => document.body.append(track.attach()));
  await room.connect(url, token, options.connect);
  return room.localParticipant.sid;
}

async function publish({ camera = true, microphone = true, codec = 'vp8', simulcast = true, ...more } = {}) {
  if (microphone) await state.room.localParticipant.setMicrophoneEnabled(true);
  if (camera) {
    await state.room.localParticipant.setCameraEnabled(true, { resolution: VideoPresets.h720.resolution },
      { videoCodec: codec, simulcast, ...more });
  }
}

async function reports(pc) {
  return pc ? [...(await pc.getStats()).values()] : [];
}

// What this client decodes and sends, one entry per RTP stream.
async function stats() {
  const manager = state.room.engine?.pcManager;
  const all = [...await reports(manager?.publisher?._pc ?? manager?.publisher?.pc),
    ...await reports(manager?.subscriber?._pc ?? manager?.subscriber?.pc)];
  const codec = (id) => all.find((r) => r.id === id)?.mimeType ?? '';
  return {
    inbound: all.filter((r) => r.type === 'inbound-rtp').map((r) => ({
      kind: r.kind, codec: codec(r.codecId), framesDecoded: r.framesDecoded ?? 0, frameHeight: r.frameHeight ?? 0,
      packetsReceived: r.packetsReceived, packetsLost: r.packetsLost, energy: r.totalAudioEnergy ?? 0,
      samples: r.totalSamplesReceived ?? 0, freezeCount: r.freezeCount ?? 0, keyFramesDecoded: r.keyFramesDecoded ?? 0,
      mid: r.mid, nackCount: r.nackCount ?? 0, pliCount: r.pliCount ?? 0,
    })),
    outbound: all.filter((r) => r.type === 'outbound-rtp').map((r) => ({
      kind: r.kind, codec: codec(r.codecId), rid: r.rid ?? '', framesEncoded: r.framesEncoded ?? 0,
      packetsSent: r.packetsSent, frameHeight: r.frameHeight ?? 0, scalabilityMode: r.scalabilityMode ?? '',
      pliCount: r.pliCount ?? 0,
    })),
    pairs: all.filter((r) => r.type === 'candidate-pair' && r.nominated).map((r) => ({
      state: r.state, rtt: r.currentRoundTripTime, outgoing: r.availableOutgoingBitrate,
      protocol: all.find((c) => c.id === r.localCandidateId)?.protocol ?? '',
    })),
  };
}

// Versions before 2.0 call these maps otherwise.
function others() {
  return [...(state.room.remoteParticipants ?? state.room.participants).values()];
}

function remote() {
  return others().map((p) => ({
    identity: p.identity, name: p.name, metadata: p.metadata, attributes: p.attributes,
    tracks: [...(p.trackPublications ?? p.tracks).values()].map((t) => ({
      sid: t.trackSid, kind: t.kind, source: t.source, muted: t.isMuted, subscribed: t.isSubscribed, mime: t.mimeType,
    })),
  }));
}

function setQuality(quality) {
  for (const p of others()) {
    for (const t of (p.videoTrackPublications ?? p.videoTracks).values()) t.setVideoQuality(quality);
  }
}

function setSubscribed(wanted) {
  for (const p of others()) {
    for (const t of (p.trackPublications ?? p.tracks).values()) t.setSubscribed(wanted);
  }
}

// Before 2.0 the kind is an argument of its own.
async function sendData(text, options) {
  const old = !state.room.remoteParticipants;
  const kind = old ? [LivekitClient.DataPacket_Kind[options.reliable ? 'RELIABLE' : 'LOSSY']] : [];
  await state.room.localParticipant.publishData(new TextEncoder().encode(text), ...kind, options);
}
