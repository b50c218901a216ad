// A participant made of the client SDK for Node: takes commands, says what it sees, a JSON object a line.
// Commands: {"publish": true}, {"data": TEXT}, {"call": IDENTITY}. It answers calls of `shout` in capitals.
// Arguments: the server's address and a token. Ends when its standard input does.
import { createInterface } from 'node:readline';
import {
  AudioFrame, AudioSource, AudioStream, dispose, LocalAudioTrack, LocalVideoTrack, Room, RoomEvent, TrackKind,
  TrackPublishOptions, TrackSource, VideoBufferType, VideoFrame, VideoSource, VideoStream,
} from '@livekit/rtc-node';

const [WIDTH, HEIGHT, RATE] = [640, 360, 15];
const [COUNTER_BITS, COUNTER_BLOCK] = [16, 16]; // as the project's synthetic picture has it
const [AUDIO_RATE, AUDIO_FRAME] = [48000, 960];

const say = (facts) => process.stdout.write(`${JSON.stringify(facts)}\n`);

// A grey picture with its number in a row of black and white blocks, RGBA.
function draw(count) {
  const pixels = new Uint8Array(WIDTH * HEIGHT * 4).fill(96);
  for (let bit = 0; bit < COUNTER_BITS; bit += 1) {
    for (let row = 8; row < 8 + COUNTER_BLOCK; row += 1) {
      const start = (row * WIDTH + 8 + bit * COUNTER_BLOCK) * 4;
      pixels.fill(255 * ((count >> bit) & 1), start, start + COUNTER_BLOCK * 4);
    }
  }
  pixels.fill((count * 3) % 256, WIDTH * 32 * 4, WIDTH * 64 * 4);
  return pixels;
}

// The number in the brightness plane of a picture of the original size.
function readCounter(luma, width) {
  let count = 0;
  for (let bit = 0; bit < COUNTER_BITS; bit += 1) {
    const centre = (8 + COUNTER_BLOCK / 2) * width + 8 + bit * COUNTER_BLOCK + COUNTER_BLOCK / 2;
    if (luma[centre] > 128) count |= 1 << bit;
  }
  return count;
}

async function watch(track) {
  for await (const { frame } of new VideoStream(track)) {
    const planar = frame.convert(VideoBufferType.I420);
    say({ video: readCounter(planar.data, planar.width), width: planar.width, height: planar.height });
  }
}

async function listen(track) {
  for await (const frame of new AudioStream(track, AUDIO_RATE, 1)) {
    say({ audio: frame.data.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0) });
  }
}

// A soft note of half a second, every second.
function note(count) {
  const samples = new Int16Array(AUDIO_FRAME);
  for (let index = 0; index < AUDIO_FRAME && count % 50 < 25; index += 1) {
    samples[index] = 8000 * Math.sin((2 * Math.PI * 440 * (count * AUDIO_FRAME + index)) / AUDIO_RATE);
  }
  return samples;
}

async function publish(room) {
  const [video, audio] = [new VideoSource(WIDTH, HEIGHT), new AudioSource(AUDIO_RATE, 1)];
  const tracks = [
    [LocalVideoTrack.createVideoTrack('camera', video), TrackSource.SOURCE_CAMERA],
    [LocalAudioTrack.createAudioTrack('microphone', audio), TrackSource.SOURCE_MICROPHONE],
  ];
  for (const [track, source] of tracks) {
    await room.localParticipant.publishTrack(track, new TrackPublishOptions({ source }));
  }
  let count = 0;
  setInterval(() => {
    video.captureFrame(new VideoFrame(draw(count), WIDTH, HEIGHT, VideoBufferType.RGBA));
    count += 1;
  }, 1000 / RATE);
  const speak = async () => {
    for (let frame = 0; ; frame += 1) {
      await audio.captureFrame(new AudioFrame(note(frame), AUDIO_RATE, 1, AUDIO_FRAME));
    }
  };
  speak().catch((error) => console.error(error));
}

async function obey(room, command) {
  const local = room.localParticipant;
  if (command.publish) {
    await publish(room);
    say({ published: true });
  } else if (command.data) {
    await local.publishData(new TextEncoder().encode(command.data), { reliable: true, topic: 't' });
  } else if (command.call) {
    const call = { destinationIdentity: command.call, method: 'shout', payload: 'quiet' };
    say({ answer: await local.performRpc(call) });
  }
}

const [url, token] = process.argv.slice(2);
const room = new Room();
room.on(RoomEvent.TrackSubscribed, (track) => {
  const work = track.kind === TrackKind.KIND_VIDEO ? watch(track) : listen(track);
  work.catch((error) => console.error(error));
});
room.on(RoomEvent.DataReceived, (payload, _from, _kind, topic) =>
  say({ data: new TextDecoder().decode(payload), topic }));
room.on(RoomEvent.ParticipantDisconnected, (participant) => say({ gone: participant.identity }));
await room.connect(url, token, { autoSubscribe: true, dynacast: false });
room.localParticipant.registerRpcMethod('shout', async ({ payload }) => payload.toUpperCase());
say({ joined: room.localParticipant.sid });
for await (const line of createInterface({ input: process.stdin })) await obey(room, JSON.parse(line));
await room.disconnect();
await dispose();
process.exit(0);
