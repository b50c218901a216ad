/**
 * The state of the lobby: who one is, what is switched on, what is wrong, whether one may join.
 */

import { NO_DEVICES, type DeviceList } from './devices';
import type { Preferences } from './preferences';
import { cleanName } from './route';
import type { Trouble } from './trouble';

/** A camera or microphone in the lobby. `wanted` is the person's wish, `state` what became of it. */
export interface Source {
  readonly wanted: boolean;
  readonly state: 'off' | 'starting' | 'on' | 'failed';
  readonly deviceId: string;
  readonly trouble: Trouble | null;
}

export type SourceKind = 'camera' | 'microphone';

export interface Lobby {
  readonly room: string;
  readonly name: string;
  /** The link carried a token, which holds the name already. */
  readonly invited: boolean;
  readonly camera: Source;
  readonly microphone: Source;
  readonly devices: DeviceList;
  readonly joining: boolean;
  /** Why joining failed, or what is missing to join. */
  readonly trouble: Trouble | null;
}

export type LobbyAction =
  | { readonly type: 'name'; readonly name: string }
  | { readonly type: 'want'; readonly kind: SourceKind; readonly wanted: boolean }
  | { readonly type: 'choose'; readonly kind: SourceKind; readonly deviceId: string }
  | { readonly type: 'starting'; readonly kind: SourceKind }
  | { readonly type: 'started'; readonly kind: SourceKind; readonly deviceId: string }
  | { readonly type: 'stopped'; readonly kind: SourceKind }
  | { readonly type: 'failed'; readonly kind: SourceKind; readonly trouble: Trouble }
  | { readonly type: 'devices'; readonly devices: DeviceList }
  | { readonly type: 'joining' }
  | { readonly type: 'refused'; readonly trouble: Trouble };

export function newLobby(room: string, preferences: Preferences, invited: boolean): Lobby {
  const source = (wanted: boolean, deviceId: string): Source => ({ wanted, deviceId, state: 'off', trouble: null });
  return {
    room,
    name: preferences.name,
    invited,
    camera: source(preferences.wantCamera, preferences.cameraId),
    microphone: source(preferences.wantMicrophone, preferences.microphoneId),
    devices: NO_DEVICES,
    joining: false,
    trouble: null,
  };
}

export function reduceLobby(lobby: Lobby, action: LobbyAction): Lobby {
  switch (action.type) {
    case 'name':
      return { ...lobby, name: action.name, trouble: null };
    case 'devices':
      return { ...lobby, devices: action.devices };
    case 'joining':
      return { ...lobby, joining: true, trouble: null };
    case 'refused':
      return { ...lobby, joining: false, trouble: action.trouble };
    default:
      return { ...lobby, [action.kind]: reduceSource(lobby[action.kind], action) };
  }
}

type SourceAction = Extract<LobbyAction, { kind: SourceKind }>;

function reduceSource(source: Source, action: SourceAction): Source {
  switch (action.type) {
    case 'want':
      return { ...source, wanted: action.wanted, trouble: null };
    case 'choose':
      return { ...source, deviceId: action.deviceId, wanted: true };
    case 'starting':
      return { ...source, state: 'starting', trouble: null };
    case 'started':
      return { ...source, state: 'on', deviceId: action.deviceId || source.deviceId };
    case 'stopped':
      return { ...source, state: 'off' };
    case 'failed':
      return { ...source, state: 'failed', trouble: action.trouble };
  }
}

export function joinName(lobby: Lobby): string {
  return cleanName(lobby.name);
}

/** Nothing of one's own will be sent: one sees, hears and chats. */
export function isListener(lobby: Lobby): boolean {
  return lobby.camera.state !== 'on' && lobby.microphone.state !== 'on';
}

/** The troubles to show, the same one only once. */
export function lobbyTroubles(lobby: Lobby): Trouble[] {
  const all = [lobby.trouble, lobby.microphone.trouble, lobby.camera.trouble].filter((found) => found !== null);
  return all.filter((found, i) => all.findIndex((other) => other.code === found.code) === i);
}
