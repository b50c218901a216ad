/** What the person brings from the lobby: running devices, and which ones to use when switched on later. */
export interface Luggage {
  readonly camera: MediaStreamTrack | null;
  readonly microphone: MediaStreamTrack | null;
  readonly cameraId: string;
  readonly microphoneId: string;
  readonly speakerId: string;
}
