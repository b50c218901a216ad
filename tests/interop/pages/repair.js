// What a client on a bad network sends and what it can tell of losses and repairs, by its own statistics.

// One stream of pictures, of a size that two busy cores encode, and steady sound: silence is sent, too.
async function call({ red }) {
  const me = state.room.localParticipant;
  await me.setMicrophoneEnabled(true, undefined, { red, dtx: false });
  await me.setCameraEnabled(true, { resolution: { width: 640, height: 360, frameRate: 20 } },
    { videoCodec: 'vp8', simulcast: false });
}

// One entry per RTP stream in either direction, with what the other end reports of those that are sent.
async function repairs() {
  const manager = state.room.engine.pcManager;
  const all = [...await reports(manager.publisher._pc), ...await reports(manager.subscriber?._pc)];
  const streams = (type) => all.filter((r) => r.type === type).map((r) => {
    const codec = all.find((c) => c.id === r.codecId);
    const told = all.find((c) => c.type === 'remote-inbound-rtp' && c.localId === r.id);
    return { ...r, mime: codec?.mimeType ?? '', payloadType: codec?.payloadType ?? 0, told: told ?? null };
  });
  return { inbound: streams('inbound-rtp'), outbound: streams('outbound-rtp') };
}
