/**
 * Cameras and microphones before the meeting: open, list, measure. Uses the browser alone, not the SDK.
 * Failures are `DeviceError`s with words for people.
 */

import { deviceList, NO_DEVICES, type DeviceList } from '../model/devices';
import { meterLevel } from '../model/level';
import { deviceTrouble, trouble, type Trouble } from '../model/trouble';
import type { SourceKind } from '../model/lobby';

export class DeviceError extends Error {
  override readonly name = 'DeviceError';

  constructor(readonly trouble: Trouble) {
    super(trouble.title);
  }
}

/** Sent and previewed alike, so that joining needs no second start of the camera. */
const CAMERA: MediaTrackConstraints = {
  width: { ideal: 1280 },
  height: { ideal: 720 },
  frameRate: { ideal: 30 },
};
const MICROPHONE: MediaTrackConstraints = {
  echoCancellation: true,
  noiseSuppression: true,
  autoGainControl: true,
};

export function constraintsOf(kind: SourceKind, deviceId: string): MediaTrackConstraints {
  const base = kind === 'camera' ? CAMERA : MICROPHONE;
  return deviceId === '' ? base : { ...base, deviceId: { exact: deviceId } };
}

/** Opens one device; a chosen one that is gone gives way to the default. */
export async function openDevice(kind: SourceKind, deviceId: string): Promise<MediaStreamTrack> {
  try {
    return await capture(kind, deviceId);
  } catch (error) {
    if (deviceId === '' || !(error instanceof DeviceError) || error.trouble.code !== 'device_gone') throw error;
    return capture(kind, '');
  }
}

/** Opens both with a single question to the person; null for what could not be opened together. */
export async function openBoth(cameraId: string, microphoneId: string): Promise<[MediaStreamTrack, MediaStreamTrack] | null> {
  try {
    const stream = await mediaDevices().getUserMedia({
      video: constraintsOf('camera', cameraId),
      audio: constraintsOf('microphone', microphoneId),
    });
    const [camera] = stream.getVideoTracks();
    const [microphone] = stream.getAudioTracks();
    return camera && microphone ? [camera, microphone] : null;
  } catch {
    // Which of the two is at fault only separate attempts can tell.
    return null;
  }
}

export async function listDevices(): Promise<DeviceList> {
  if (!canCapture()) return NO_DEVICES;
  return deviceList(await navigator.mediaDevices.enumerateDevices());
}

export function onDevicesChanged(listener: () => void): () => void {
  if (!canCapture()) return () => undefined;
  navigator.mediaDevices.addEventListener('devicechange', listener);
  return () => {
    navigator.mediaDevices.removeEventListener('devicechange', listener);
  };
}

/** Reports the loudness of a microphone as 0..1 with every frame that is drawn; returns how to stop. */
export function watchLevel(track: MediaStreamTrack, report: (level: number) => void): () => void {
  const context = new AudioContext();
  const source = context.createMediaStreamSource(new MediaStream([track]));
  const analyser = new AnalyserNode(context, { fftSize: 1024 });
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  let frame = 0;
  const measure = (): void => {
    analyser.getFloatTimeDomainData(samples);
    report(meterLevel(samples));
    frame = requestAnimationFrame(measure);
  };
  measure();
  return () => {
    cancelAnimationFrame(frame);
    void context.close();
  };
}

async function capture(kind: SourceKind, deviceId: string): Promise<MediaStreamTrack> {
  const constraints = constraintsOf(kind, deviceId);
  const devices = mediaDevices();
  let stream: MediaStream;
  try {
    stream = await devices.getUserMedia(kind === 'camera' ? { video: constraints } : { audio: constraints });
  } catch (error) {
    throw new DeviceError(deviceTrouble(error, kind));
  }
  const [track] = stream.getTracks();
  if (!track) throw new DeviceError(trouble('device_failed'));
  return track;
}

function mediaDevices(): MediaDevices {
  if (!canCapture()) throw new DeviceError(trouble(isSecureContext ? 'devices_unsupported' : 'insecure_context'));
  return navigator.mediaDevices;
}

/** On insecure pages `mediaDevices` is absent, whatever the types say. */
function canCapture(): boolean {
  return 'mediaDevices' in navigator && 'getUserMedia' in navigator.mediaDevices;
}
