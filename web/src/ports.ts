/**
 * What components may ask of the world: show a picture, play a sound, switch a device, say something.
 * Implemented by `media/session.ts`; tests of the look implement it with drawn pictures.
 */

import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { DeviceKind, DeviceList } from './model/devices';
import type { Lobby, LobbyAction, SourceKind } from './model/lobby';
import type { Action, Meeting } from './model/meeting';
import type { Store } from './store';

export interface MeetingPort {
  readonly store: Store<Meeting, Action>;
  /** Both return a function that undoes them; an unknown key does nothing. */
  showPicture(key: string, element: HTMLVideoElement): () => void;
  playSound(key: string, element: HTMLAudioElement): () => void;
  toggleMicrophone(): Promise<void>;
  toggleCamera(): Promise<void>;
  toggleShare(): Promise<void>;
  /** Whether the message went out. */
  sendMessage(text: string): Promise<boolean>;
  devices(): Promise<DeviceList>;
  activeDevice(kind: DeviceKind): string;
  chooseDevice(kind: DeviceKind, id: string): Promise<void>;
  /** Must be called from a click: unblocks sound that the browser held back. */
  startSound(): Promise<void>;
  leave(): Promise<void>;
}

export const MeetingContext = createContext<MeetingPort | null>(null);

export function useMeetingPort(): MeetingPort {
  const port = useContext(MeetingContext);
  if (!port) throw new Error('invariant: used outside of a meeting');
  return port;
}

/** What the lobby may ask for. Implemented by `media/antechamber.ts`. */
export interface LobbyPort {
  readonly store: Store<Lobby, LobbyAction>;
  /** The running camera, to show to the person themselves. */
  readonly camera: MediaStreamTrack | null;
  /** Reports the loudness of the running microphone as 0..1; returns how to stop. */
  watchMicrophone(report: (level: number) => void): () => void;
  want(kind: SourceKind, wanted: boolean): Promise<void>;
  choose(kind: SourceKind, deviceId: string): Promise<void>;
  /** Tries again whatever failed. */
  retry(): Promise<void>;
  join(): Promise<void>;
}
