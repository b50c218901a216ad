/**
 * How the page uses the SDK: what is captured, how it is encoded, and that nothing is sent or received unseen.
 */

import { VideoPresets, type RoomOptions, type ScreenShareCaptureOptions } from 'livekit-client';
import type { Luggage } from './luggage';

/** A chat message is far below this; whatever is larger is not chat. */
const MAX_CHAT_BYTES = 64 * 1024;

export function roomOptions(luggage: Luggage): RoomOptions {
  return {
    adaptiveStream: true,
    dynacast: true,
    disconnectOnPageLeave: true,
    publishDefaults: { simulcast: true, dtx: true, red: true, videoEncoding: VideoPresets.h720.encoding },
    videoCaptureDefaults: { resolution: VideoPresets.h720.resolution, ...device(luggage.cameraId) },
    audioCaptureDefaults: {
      echoCancellation: true,
      noiseSuppression: true,
      autoGainControl: true,
      ...device(luggage.microphoneId),
    },
    ...(luggage.speakerId === '' ? {} : { audioOutput: { deviceId: luggage.speakerId } }),
    dataStream: { maxPayloadByteLength: MAX_CHAT_BYTES },
  };
}

/** One's own tab is left out: sharing it shows a tunnel of mirrors. */
export const SHARE_OPTIONS: ScreenShareCaptureOptions = {
  audio: true,
  contentHint: 'detail',
  selfBrowserSurface: 'exclude',
  surfaceSwitching: 'include',
  systemAudio: 'include',
};

function device(id: string): { deviceId?: string } {
  return id === '' ? {} : { deviceId: id };
}
