// Watches the remote picture without gaps in the watching: every decoded frame that reaches the screen, with the
// time at which its last packet came in. A picture that comes anew, on another element, is watched on.
const continuity = { frames: [], reasons: [] };

function watchVideo() {
  const follow = (element) => {
    const note = (now, facts) => {
      continuity.frames.push({ received: facts.receiveTime ?? now, rtp: facts.rtpTimestamp });
      element.requestVideoFrameCallback(note);
    };
    element.requestVideoFrameCallback(note);
  };
  state.room.on('participantDisconnected', (_, reason) =>
    continuity.reasons.push(LivekitClient.DisconnectReason[reason]));
  document.querySelectorAll('video').forEach(follow);
  new MutationObserver((changes) => changes.forEach((change) => change.addedNodes.forEach((node) => {
    if (node instanceof HTMLVideoElement) follow(node);
  }))).observe(document.body, { childList: true });
}

// How long after `wall` (ms since the epoch) a frame was received, in ms; null while none was.
function firstFrameAfter(wall) {
  const since = wall - performance.timeOrigin;
  const next = continuity.frames.find((frame) => frame.received > since);
  return next ? next.received - since : null;
}

// The longest time without a frame, in ms, over the frames that came after `since` (of performance.now()) and
// the one before them; a picture that stands still now counts up to now.
function longestGap(since) {
  const times = continuity.frames.map((frame) => frame.received).sort((a, b) => a - b);
  const first = Math.max(0, times.findLastIndex((time) => time <= since));
  const watched = [...times.slice(first), performance.now()];
  return Math.max(...watched.slice(1).map((time, index) => time - watched[index]));
}

function framesSince(since) {
  return continuity.frames.filter((frame) => frame.received > since).length;
}

// ICE user names of the client's ends, one per connection: another one after a restart that was answered.
function paths() {
  const manager = state.room.engine.pcManager;
  return [manager.publisher, manager.subscriber].filter(Boolean).map((transport) => {
    const sdp = transport._pc?.remoteDescription?.sdp ?? '';
    return sdp.match(/a=ice-ufrag:(\S+)/)?.[1] ?? '';
  });
}

function restarted(before) {
  return paths().every((ufrag, index) => ufrag && ufrag !== before[index]);
}

// Whether the selected pair of every connection is checked at the cadence of a stable one.
async function checksAreRare() {
  const manager = state.room.engine.pcManager;
  const count = async () => {
    const all = [...await reports(manager.publisher._pc), ...await reports(manager.subscriber?._pc)];
    return all.filter((r) => r.type === 'candidate-pair' && r.nominated).map((r) => r.requestsSent).join();
  };
  const before = await count();
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  return before === await count();
}

// Whether the browser knows by now that its machine has this address: a fresh connection gathers it.
async function gathers(address) {
  const probe = new RTCPeerConnection();
  probe.createDataChannel('probe');
  const found = new Promise((resolve) => {
    probe.onicecandidate = ({ candidate }) => {
      if (!candidate || candidate.address === address) resolve(Boolean(candidate));
    };
  });
  await probe.setLocalDescription();
  const result = await found;
  probe.close();
  return result;
}

// Whether media come and go over a nominated pair with this local address.
async function servedOver(address) {
  const all = await reports(state.room.engine.pcManager.publisher._pc);
  return all.some((r) => r.type === 'candidate-pair' && r.nominated && r.state === 'succeeded'
    && r.bytesSent > 0 && r.bytesReceived > 0 && all.find((c) => c.id === r.localCandidateId)?.address === address);
}
